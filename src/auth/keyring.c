#include "auth/keyring.h"

#include "auth/document.h"
#include "auth/jwk.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define WHY_MAX 256

struct keyring {
    struct key keys[KEYRING_KEYS]; /* in the order they were added */
    size_t count;
    char why[WHY_MAX];
};

int keyring_new(struct keyring **out)
{
    struct keyring *kr = calloc(1, sizeof(*kr));

    if (!kr)
        return -ENOMEM;
    *out = kr;
    return 0;
}

/* Drops all but the first `count` keys. */
static void shrink_to(struct keyring *kr, size_t count)
{
    while (kr->count > count)
        key_fini(&kr->keys[--kr->count]);
}

void keyring_free(struct keyring *kr)
{
    if (!kr)
        return;
    shrink_to(kr, 0);
    free(kr);
}

static const struct key *find_kid(const struct keyring *kr, const char *kid)
{
    for (size_t i = 0; i < kr->count; i++) {
        if (strcmp(kr->keys[i].kid, kid) == 0)
            return &kr->keys[i];
    }
    return NULL;
}

static int fail(struct keyring *kr, int err, const char *why)
{
    (void)snprintf(kr->why, sizeof(kr->why), "%s", why);
    return err;
}

/* Takes `k`, and frees it if it cannot be added. */
static int take_key(struct keyring *kr, struct key *k)
{
    int err = 0;

    if (k->kid[0] && find_kid(kr, k->kid))
        err = fail(kr, -EEXIST, "the kid is already another key's");
    else if (kr->count == KEYRING_KEYS)
        err = fail(kr, -EDQUOT, "more than 64 keys");
    else
        kr->keys[kr->count++] = *k;
    if (err)
        key_fini(k);
    return err;
}

/* Adds the key that one of key_init_*() has made, or reports what it could not. */
static int add_made(struct keyring *kr, const char *kid, struct key *k, int err, const char *why)
{
    if (err)
        return fail(kr, err == -ENOTSUP ? -EINVAL : err, why);
    if (kid && key_set_kid(k, kid)) {
        key_fini(k);
        return fail(kr, -EINVAL, "a kid has 1 to 128 bytes");
    }
    return take_key(kr, k);
}

int keyring_add_secret(struct keyring *kr, const char *kid, struct slice secret)
{
    struct key k = {0};
    const char *why = "";
    int err = key_init_secret(&k, secret, &why);

    return add_made(kr, kid, &k, err, why);
}

int keyring_add_pem(struct keyring *kr, const char *kid, struct slice text)
{
    struct key k = {0};
    const char *why = "";
    int err;

    if (text.len == 0 || text.len > KEYRING_TEXT_MAX)
        return fail(kr, -EINVAL, "the PEM text is empty or over 1 MiB");
    err = key_init_pem(&k, text, &why);
    return add_made(kr, kid, &k, err, why);
}

/* Puts "key 2 (kid a): " before the reason; not before that of a JWK that stands alone. */
static int fail_in_set(struct keyring *kr, const json_t *set, size_t i, int err)
{
    const json_t *kid = json_object_get(json_array_get(set, i), "kid");
    char why[WHY_MAX];

    (void)snprintf(why, sizeof(why), "%s", kr->why);
    (void)snprintf(kr->why, sizeof(kr->why), "key %zu%s%.64s%s: %.120s", i + 1,
                   json_is_string(kid) ? " (kid " : "",
                   json_is_string(kid) ? json_string_value(kid) : "",
                   json_is_string(kid) ? ")" : "", why);
    return err;
}

static int add_set(struct keyring *kr, const json_t *set)
{
    size_t before = kr->count;
    size_t secrets = 0;
    const json_t *jwk;
    size_t i;

    json_array_foreach(set, i, jwk)
    {
        struct key k = {0};
        const char *why = "";
        int err = json_is_object(jwk) ? jwk_parse(jwk, &k, &why) : -EINVAL;

        if (err == -ENOTSUP) /* RFC 7517 section 5 */
            continue;
        secrets += k.secret != NULL;
        err = add_made(kr, NULL, &k, err, json_is_object(jwk) ? why : "not a JSON object");
        if (err)
            return fail_in_set(kr, set, i, err);
    }
    if (kr->count == before)
        return fail(kr, -EINVAL, "no key for signatures in the set");
    if (secrets && secrets < kr->count - before)
        return fail(kr, -EINVAL, "a set may not hold secrets beside public keys");
    return 0;
}

/* jansson frees strings as they are; secrets go before. */
static void wipe_secret(json_t *jwk)
{
    json_t *k = json_object_get(jwk, "k");

    if (json_is_string(k))
        OPENSSL_cleanse((void *)json_string_value(k), json_string_length(k));
}

static void wipe_secrets(json_t *root)
{
    json_t *jwk;
    size_t i;

    wipe_secret(root);
    json_array_foreach(json_object_get(root, "keys"), i, jwk) wipe_secret(jwk);
}

int keyring_add_jwks(struct keyring *kr, struct slice text)
{
    size_t before = kr->count;
    json_t *root = NULL;
    const json_t *set;
    int line = 0;
    int err;

    if (text.len > KEYRING_TEXT_MAX)
        return fail(kr, -EINVAL, "the JWK text is over 1 MiB");
    if (document_parse(text, &root, &line)) {
        (void)snprintf(kr->why, sizeof(kr->why), "line %d: not a JSON object, or a member twice",
                       line);
        return -EINVAL;
    }
    set = json_object_get(root, "keys");
    if (set) {
        err = json_is_array(set) ? add_set(kr, set) : fail(kr, -EINVAL, "keys is not an array");
    } else {
        struct key k = {0};
        const char *why = "";

        err = jwk_parse(root, &k, &why);
        err = add_made(kr, NULL, &k, err, why);
    }
    if (err)
        shrink_to(kr, before);
    wipe_secrets(root);
    json_decref(root);
    return err;
}

size_t keyring_count(const struct keyring *kr)
{
    return kr->count;
}

bool keyring_has_short_secret(const struct keyring *kr)
{
    for (size_t i = 0; i < kr->count; i++) {
        if (kr->keys[i].secret && kr->keys[i].secret_len < KEY_SECRET_ADVISED)
            return true;
    }
    return false;
}

const char *keyring_why(const struct keyring *kr)
{
    return kr->why;
}

size_t keyring_find(const struct keyring *kr, const char *kid, enum key_alg alg,
                    const struct key **out, size_t max)
{
    size_t found = 0;

    for (size_t i = 0; i < kr->count && found < max; i++) {
        const struct key *k = &kr->keys[i];

        if ((k->algs & KEY_BIT(alg)) && (!kid || (*kid && strcmp(k->kid, kid) == 0)))
            out[found++] = k;
    }
    return found;
}

const struct key *keyring_signer(const struct keyring *kr)
{
    for (size_t i = 0; i < kr->count; i++) {
        if (kr->keys[i].secret && (kr->keys[i].algs & KEY_BIT(KEY_HS256)))
            return &kr->keys[i];
    }
    return NULL;
}
