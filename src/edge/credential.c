#include "edge/credential.h"

#include "base/clock.h"

#include <openssl/evp.h>

static const char *const token_parameter = "access_token=";

static enum credential find_in_query(const struct http_head *head, struct slice *token)
{
    struct slice query = head->query;

    while (query.len) {
        size_t end = 0;
        struct slice pair;

        while (end < query.len && query.ptr[end] != '&')
            end++;
        pair = slice_of(query.ptr, end);
        query = slice_from(query, end + 1);
        if (pair.len > strlen(token_parameter) &&
            memcmp(pair.ptr, token_parameter, strlen(token_parameter)) == 0) {
            *token = slice_from(pair, strlen(token_parameter));
            return token->len <= JWS_MAX ? CREDENTIAL_QUERY : CREDENTIAL_BAD;
        }
    }
    return CREDENTIAL_NONE;
}

/* "Basic" and base64 of "user:password" (RFC 7617); the password is the token. */
static enum credential take_basic(struct slice encoded, struct slice *token,
                                  char scratch[JWS_MAX + 1])
{
    uint8_t padded[(JWS_MAX + 512) / 3 * 4 + 4], plain[JWS_MAX + 512];
    int len;
    uint8_t *colon;

    if (encoded.len == 0 || encoded.len >= sizeof(padded) || encoded.len % 4)
        return CREDENTIAL_BAD;
    (void)slice_write(encoded, (char *)padded, sizeof(padded));
    len = EVP_DecodeBlock(plain, padded, (int)encoded.len);
    for (size_t i = encoded.len; len > 0 && i-- > 0 && padded[i] == '=';)
        len--;
    colon = len > 0 ? memchr(plain, ':', (size_t)len) : NULL;
    if (!colon || plain + len - (colon + 1) > (ptrdiff_t)JWS_MAX)
        return CREDENTIAL_BAD;
    *token = slice_of(scratch, (size_t)(plain + len - (colon + 1)));
    memcpy(scratch, colon + 1, token->len);
    return CREDENTIAL_HEADER;
}

enum credential credential_find(const struct http_head *head, struct slice *token,
                                char scratch[JWS_MAX + 1])
{
    const struct http_field *field = http_head_field(head, "Authorization");
    struct slice value;
    size_t space = 0;

    if (!field)
        return find_in_query(head, token);
    value = field->value;
    while (space < value.len && value.ptr[space] != ' ')
        space++;
    if (slice_is_text_nocase(slice_of(value.ptr, space), "Basic"))
        return take_basic(slice_from(value, space + 1), token, scratch);
    if (!slice_is_text_nocase(slice_of(value.ptr, space), "Bearer"))
        return CREDENTIAL_BAD;
    *token = slice_from(value, space + 1);
    return token->len && token->len <= JWS_MAX ? CREDENTIAL_HEADER : CREDENTIAL_BAD;
}

bool credential_has_scope(const struct front_request *request, const char *scope)
{
    const struct trust *trust = request->edge->trust;
    char scratch[JWS_MAX + 1];
    struct slice token = {NULL, 0};
    enum credential where = credential_find(request->head, &token, scratch);
    struct claims claims;
    bool has;

    if (where == CREDENTIAL_NONE || where == CREDENTIAL_QUERY) { /* URLs end up in logs */
        front_respond_page(
            request, 401, "A token is needed here.",
            "WWW-Authenticate: Bearer realm=\"rvpn\"\r\nCache-Control: no-store\r\n");
        return false;
    }
    if (where == CREDENTIAL_BAD ||
        jwt_verify(trust->keyring, &trust->rules, token, clock_unix(), &claims, NULL)) {
        front_respond_page(request, 401, "The token is not good.",
                           "WWW-Authenticate: Bearer realm=\"rvpn\", error=\"invalid_token\"\r\n"
                           "Cache-Control: no-store\r\n");
        return false;
    }
    has = claims_has_scope(&claims, scope);
    claims_fini(&claims);
    if (!has)
        front_refuse(request, 403, "The token does not allow this.");
    return has;
}
