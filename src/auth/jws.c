#include "auth/jws.h"

#include "auth/base64url.h"
#include "auth/document.h"

#include <errno.h>

struct parts {
    struct slice header, payload, signature;
    struct slice signed_part; /* header "." payload */
};

struct header {
    enum key_alg alg;
    char kid[KEY_KID_MAX + 1]; /* "" if it names none */
};

static int refuse(const char **why, int err, const char *text)
{
    *why = text;
    return err;
}

/* Cuts the token at its dots, of which there must be two. */
static int parts_parse(struct slice token, struct parts *out)
{
    const uint8_t *end = token.ptr + token.len;
    const uint8_t *first = memchr(token.ptr, '.', token.len);
    const uint8_t *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;

    if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
        return -EKEYREJECTED;
    *out = (struct parts){
        .header = slice_of(token.ptr, (size_t)(first - token.ptr)),
        .payload = slice_of(first + 1, (size_t)(second - first - 1)),
        .signature = slice_of(second + 1, (size_t)(end - second - 1)),
        .signed_part = slice_of(token.ptr, (size_t)(second - token.ptr)),
    };
    return 0;
}

static int header_from(const json_t *document, struct header *out, const char **why)
{
    /* crit: RFC 7515 section 4.1.11, and we understand no extension; b64: RFC 7797; the other two
     * are JWE's. */
    static const char *const refused[] = {"crit", "b64", "zip", "enc"};
    const char *alg = NULL;
    const char *kid = NULL;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (json_object_get(document, refused[i]))
            return refuse(why, -EKEYREJECTED, "the header has crit, b64, zip or enc");
    }
    if (document_text(document, "alg", 16, &alg) || !alg || key_alg_parse(alg, &out->alg))
        return refuse(why, -EKEYREJECTED, "the header's alg is none that we use");
    if (json_object_get(document, "kid") &&
        (document_text(document, "kid", KEY_KID_MAX, &kid) || !kid))
        return refuse(why, -EKEYREJECTED, "the header's kid is not a text of 1 to 128 bytes");
    if (kid)
        (void)slice_write(slice_text(kid), out->kid, sizeof(out->kid));
    return 0;
}

static int header_parse(struct slice part, struct header *out, const char **why)
{
    uint8_t bytes[BASE64URL_BYTES(JWS_MAX)];
    json_t *document = NULL;
    size_t len = 0;
    int err;

    if (base64url_parse(part, bytes, sizeof(bytes), &len) ||
        document_parse(slice_of(bytes, len), &document, NULL))
        return refuse(why, -EKEYREJECTED, "the header is not a JSON object in strict base64url");
    err = header_from(document, out, why);
    json_decref(document);
    return err;
}

/* Finds the key that signed.  Returns it, or NULL. */
static const struct key *find_signer(const struct keyring *kr, const struct parts *p,
                                     const struct header *h, const char **why)
{
    const struct key *keys[KEYRING_TRIES];
    uint8_t signature[KEY_SIGNATURE_MAX];
    size_t len = 0;
    size_t count = keyring_find(kr, h->kid[0] ? h->kid : NULL, h->alg, keys, KEYRING_TRIES);

    *why = "no key with this kid and alg";
    if (count == 0)
        return NULL;
    *why = "the signature is not strict base64url or is too long";
    if (base64url_parse(p->signature, signature, sizeof(signature), &len))
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (key_verify(keys[i], h->alg, p->signed_part, slice_of(signature, len)) == 0)
            return keys[i];
    }
    *why = "bad signature";
    return NULL;
}

int jws_verify(const struct keyring *kr, struct slice token, struct jws *out, const char **why)
{
    struct parts parts;
    struct header header = {0};
    const struct key *signer;
    int err;

    if (token.len == 0 || token.len > JWS_MAX)
        return refuse(why, -EKEYREJECTED, "empty, or more than 8192 bytes");
    if (parts_parse(token, &parts))
        return refuse(why, -EKEYREJECTED, "not three parts");
    err = header_parse(parts.header, &header, why);
    if (err)
        return err;
    signer = find_signer(kr, &parts, &header, why);
    if (!signer)
        return -EKEYREJECTED;
    if (base64url_parse(parts.payload, out->payload, sizeof(out->payload), &out->payload_len))
        return refuse(why, -EKEYREJECTED, "the payload is not strict base64url");
    out->signer = signer;
    return 0;
}
