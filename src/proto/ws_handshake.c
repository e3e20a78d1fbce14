#include "proto/ws_handshake.h"

#include <errno.h>
#include <openssl/evp.h>

#define KEY_LEN 24U /* base64 of 16 bytes */
#define KEY_BYTES 16U
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define GUID_LEN (sizeof(GUID) - 1)
#define SHA1_LEN 20U

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.len && is_blank(s.ptr[0]))
        s = slice_from(s, 1);
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Whether the comma-separated `list` has `token`, in any case. */
static bool has_token(struct slice list, const char *token)
{
    while (list.len) {
        const uint8_t *comma = memchr(list.ptr, ',', list.len);
        size_t len = comma ? (size_t)(comma - list.ptr) : list.len;

        if (slice_is_text_nocase(trim(slice_of(list.ptr, len)), token))
            return true;
        list = slice_from(list, len + 1);
    }
    return false;
}

static bool is_base64(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

static bool is_key(struct slice key)
{
    if (key.len != KEY_LEN || key.ptr[KEY_LEN - 1] != '=' || key.ptr[KEY_LEN - 2] != '=')
        return false;
    for (size_t i = 0; i < KEY_LEN - 2; i++) {
        if (!is_base64(key.ptr[i]))
            return false;
    }
    return true;
}

enum ws_verdict ws_handshake_judge(const struct ws_request *request)
{
    if (!has_token(request->upgrade, "websocket"))
        return WS_VERDICT_PLAIN;
    if (!has_token(request->connection, "upgrade"))
        return WS_VERDICT_BAD;
    /* Before the key: other versions may have had other keys. */
    if (!slice_is_text(request->version, "13"))
        return request->version.len ? WS_VERDICT_BAD_VERSION : WS_VERDICT_BAD;
    return is_key(request->key) ? WS_VERDICT_UPGRADE : WS_VERDICT_BAD;
}

int ws_handshake_accept(struct slice key, char out[WS_ACCEPT_SIZE])
{
    uint8_t text[KEY_LEN + GUID_LEN];
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (!is_key(key))
        return -EINVAL;
    memcpy(text, key.ptr, KEY_LEN);
    memcpy(text + KEY_LEN, GUID, GUID_LEN);
    if (EVP_Q_digest(NULL, "SHA1", NULL, text, sizeof(text), digest, NULL) != 1)
        return -ENOTSUP;
    (void)EVP_EncodeBlock((unsigned char *)out, digest, SHA1_LEN);
    return 0;
}

static size_t put(uint8_t *out, struct slice bytes)
{
    memcpy(out, bytes.ptr, bytes.len);
    return bytes.len;
}

ssize_t ws_handshake_write(struct slice key, uint8_t *out)
{
    char accept[WS_ACCEPT_SIZE];
    size_t len = 0;
    int err = ws_handshake_accept(key, accept);

    if (err)
        return err;
    len += put(out, slice_text("HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: "));
    len += put(out + len, slice_text(accept));
    len += put(out + len, slice_text("\r\n\r\n"));
    return (ssize_t)len;
}

bool ws_handshake_is_old(struct slice key)
{
    uint8_t bytes[KEY_BYTES + 2]; /* EVP_DecodeBlock() counts the padding too */

    if (!is_key(key) || EVP_DecodeBlock(bytes, key.ptr, KEY_LEN) == -1)
        return false;
    for (size_t i = 3; i < KEY_BYTES; i++) {
        if (bytes[i] < '0' || bytes[i] > '9')
            return false;
    }
    return memcmp(bytes, "13-", 3) == 0;
}
