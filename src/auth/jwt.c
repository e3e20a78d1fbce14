#include "auth/jwt.h"

#include "auth/base64url.h"
#include "auth/document.h"
#include "auth/jws.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#define ID_BYTES 16 /* of a token id that we make up */

static int refuse(const char **why, int err, const char *text)
{
    *why = text;
    return err;
}

static bool has_audience(const json_t *aud, const char *wanted)
{
    const json_t *one;
    size_t i;

    if (json_is_string(aud))
        return strcmp(json_string_value(aud), wanted) == 0;
    json_array_foreach(aud, i, one)
    {
        if (json_is_string(one) && strcmp(json_string_value(one), wanted) == 0)
            return true;
    }
    return false;
}

static int check_rules(const struct jwt_rules *rules, const json_t *document, const char **why)
{
    const json_t *iss = json_object_get(document, "iss");

    if (rules->audience && !has_audience(json_object_get(document, "aud"), rules->audience))
        return refuse(why, -EKEYREJECTED, "not for this audience");
    if (rules->issuer &&
        (!json_is_string(iss) || strcmp(json_string_value(iss), rules->issuer) != 0))
        return refuse(why, -EKEYREJECTED, "not from this issuer");
    return 0;
}

static int check_times(const struct jwt_rules *rules, const struct claims *c, int64_t now,
                       const char **why)
{
    if (rules->exp == JWT_EXP_REQUIRED && c->expires_at == 0)
        return refuse(why, -EKEYREJECTED, "exp is missing");
    if (c->not_before && now < c->not_before - rules->leeway)
        return refuse(why, -EKEYREJECTED, "not valid yet");
    if (c->expires_at && now >= c->expires_at + rules->leeway)
        return refuse(why, -EKEYEXPIRED, "expired");
    return 0;
}

static void write_hex(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}

/* Fills in the subject and the token id of a token that names none. */
static int add_defaults(struct claims *c, struct slice token, const struct key *signer)
{
    char text[sizeof("key:") + KEY_KID_MAX];
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (!c->subject) {
        (void)snprintf(text, sizeof(text), "key:%s",
                       signer->kid[0] ? signer->kid : signer->fingerprint);
        c->subject = strdup(text);
    }
    if (!c->token_id && EVP_Digest(token.ptr, token.len, digest, NULL, EVP_sha256(), NULL) == 1) {
        write_hex(digest, ID_BYTES, text);
        c->token_id = strdup(text);
    }
    return c->subject && c->token_id ? 0 : -ENOMEM;
}

/* Reads what a key of ours has signed. */
static int payload_parse(const struct jwt_rules *rules, struct slice payload, int64_t now,
                         struct claims *out, const char **why)
{
    json_t *document = NULL;
    int err;

    if (document_parse(payload, &document, NULL))
        return refuse(why, -EKEYREJECTED, "the payload is not a strict JSON object");
    err = check_rules(rules, document, why);
    if (!err)
        err = claims_parse(document, out, why);
    json_decref(document);
    if (err)
        return err;
    err = check_times(rules, out, now, why);
    if (err)
        claims_fini(out);
    return err;
}

int jwt_verify(const struct keyring *kr, const struct jwt_rules *rules, struct slice token,
               int64_t now_unix, struct claims *out, const char **why)
{
    struct jws jws;
    struct claims claims = {0};
    const char *ignored;
    int err;

    if (!why)
        why = &ignored;
    err = jws_verify(kr, token, &jws, why);
    if (!err)
        err = payload_parse(rules, slice_of(jws.payload, jws.payload_len), now_unix, &claims, why);
    if (err)
        return err;
    if (add_defaults(&claims, token, jws.signer)) {
        claims_fini(&claims);
        return refuse(why, -ENOMEM, "out of memory");
    }
    *out = claims;
    return 0;
}

/* ---- writing ---- */

/* Puts `value` under `name` unless it is NULL; takes it in any case. */
static int put(json_t *object, const char *name, json_t *value)
{
    return value ? json_object_set_new(object, name, value) : -1;
}

static int put_text(json_t *object, const char *name, const char *text)
{
    return text ? put(object, name, json_string(text)) : 0;
}

static int put_time(json_t *object, const char *name, int64_t at)
{
    return at ? put(object, name, json_integer(at)) : 0;
}

/* Ports go as texts, which is what the old relays expect. */
static int put_lists(json_t *object, const struct claims *c)
{
    json_t *hosts = json_array();
    json_t *ports = c->port_count ? json_array() : NULL;
    char text[8];
    int err = put(object, "domains", hosts);

    if (c->port_count)
        err |= put(object, "ports", ports);
    for (size_t i = 0; i < c->host_count && !err; i++)
        err = json_array_append_new(hosts, json_string(c->hosts[i]));
    for (size_t i = 0; i < c->port_count && !err; i++) {
        (void)snprintf(text, sizeof(text), "%u", c->ports[i]);
        err = json_array_append_new(ports, json_string(text));
    }
    return err;
}

/* Gives the payload for `c`, or NULL. */
static json_t *payload_of(const struct jwt_rules *rules, const struct claims *c)
{
    char id[2 * ID_BYTES + 1];
    uint8_t random[ID_BYTES];
    json_t *object = json_object();

    if (!c->token_id) {
        if (RAND_bytes(random, sizeof(random)) != 1)
            goto fail;
        write_hex(random, sizeof(random), id);
    }
    if (!object || put_lists(object, c) || put_text(object, "aud", rules->audience) ||
        put_text(object, "iss", rules->issuer) || put_text(object, "sub", c->subject) ||
        put_text(object, "scope", c->scope) || put_time(object, "iat", c->issued_at) ||
        put_time(object, "nbf", c->not_before) || put_time(object, "exp", c->expires_at) ||
        put_text(object, "jti", c->token_id ? c->token_id : id))
        goto fail;
    return object;

fail:
    json_decref(object);
    return NULL;
}

/* Writes `document`, which it takes, as one part of a token.  Returns its length, or -EINVAL if it
 * could not be made, or -EMSGSIZE. */
static int write_part(json_t *document, char *out, size_t size)
{
    char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
    int len = text ? base64url_write(slice_text(text), out, size) : -EINVAL;

    free(text);
    json_decref(document);
    return len;
}

int jwt_write(const struct keyring *kr, const struct jwt_rules *rules, const struct claims *c,
              char *out, size_t size)
{
    const struct key *signer = keyring_signer(kr);
    uint8_t mac[KEY_HS256_LEN];
    json_t *header;
    int used;
    int len;

    if (!signer)
        return -ENOKEY;
    if (size > JWS_MAX + 1)
        size = JWS_MAX + 1;
    header = json_pack("{s:s, s:s, s:s*}", "alg", "HS256", "typ", "JWT", "kid",
                       signer->kid[0] ? signer->kid : NULL);
    used = write_part(header, out, size);
    if (used < 0)
        return used;
    if ((size_t)used + 1 >= size)
        return -EMSGSIZE;
    out[used++] = '.';
    len = write_part(payload_of(rules, c), out + used, size - (size_t)used);
    if (len < 0)
        return len;
    used += len;
    if (key_sign(signer, slice_of(out, (size_t)used), mac))
        return -ENOMEM;
    if ((size_t)used + 1 >= size)
        return -EMSGSIZE;
    out[used++] = '.';
    len = base64url_write(slice_of(mac, sizeof(mac)), out + used, size - (size_t)used);
    return len < 0 ? len : used + len;
}
