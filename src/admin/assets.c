#include "admin/assets.h"

#include <openssl/evp.h>
#include <stdio.h>

/* From files.S. */
extern const uint8_t asset_page[], asset_page_end[];
extern const uint8_t asset_script[], asset_script_end[];
extern const uint8_t asset_style[], asset_style_end[];
extern const uint8_t asset_icon[], asset_icon_end[];

static const char html[] = "text/html; charset=utf-8";

static const struct asset assets[] = {
    {"/", html, asset_page, asset_page_end},
    {"/admin", html, asset_page, asset_page_end},
    {"/demo.js", "text/javascript; charset=utf-8", asset_script, asset_script_end},
    {"/demo.css", "text/css; charset=utf-8", asset_style, asset_style_end},
    {"/favicon.svg", "image/svg+xml", asset_icon, asset_icon_end},
};

/* The names do not change with the content, so whoever keeps a copy has to ask each time. */
static const char fields[] =
    "ETag: %s\r\n"
    "Cache-Control: no-cache\r\n"
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'\r\n";

const struct asset *asset_find(struct slice path)
{
    for (size_t i = 0; i < sizeof(assets) / sizeof(assets[0]); i++)
        if (slice_is_text(path, assets[i].path))
            return &assets[i];
    return NULL;
}

static struct slice content_of(const struct asset *a)
{
    return slice_of(a->start, (size_t)(a->end - a->start));
}

/* Hashed anew each time: some microseconds, and nothing that threads would have to share. */
void asset_write_tag(const struct asset *a, char out[ASSET_TAG_SIZE])
{
    struct slice content = content_of(a);
    uint8_t hash[EVP_MAX_MD_SIZE] = {0};

    (void)EVP_Digest(content.ptr, content.len, hash, NULL, EVP_sha256(), NULL);
    out[0] = '"';
    for (size_t i = 0; i < 16; i++)
        (void)snprintf(out + 1 + 2 * i, 3, "%02x", hash[i]);
    out[33] = '"';
    out[34] = '\0';
}

/* RFC 9110 13.1.2: a list of tags, weak or strong, or any. */
static bool is_known(const struct http_head *head, const char *tag)
{
    char weak[ASSET_TAG_SIZE + 2];

    (void)snprintf(weak, sizeof(weak), "W/%s", tag);
    return http_head_has_token(head, "if-none-match", tag) ||
           http_head_has_token(head, "if-none-match", weak) ||
           http_head_has_token(head, "if-none-match", "*");
}

void assets_serve(const struct front_request *request)
{
    const struct asset *a = asset_find(request->head->path);
    char headers[sizeof(fields) + ASSET_TAG_SIZE];
    char tag[ASSET_TAG_SIZE];

    if (!a) {
        front_refuse(request, 404, "There is no such page.");
        return;
    }
    asset_write_tag(a, tag);
    (void)snprintf(headers, sizeof(headers), fields, tag);
    front_respond(request,
                  &(struct front_response){.status = is_known(request->head, tag) ? 304 : 200,
                                           .type = a->type,
                                           .headers = headers,
                                           .body = content_of(a)});
}
