#include "auth/jwk.h"

#include "auth/base64url.h"
#include "auth/document.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>

#define NUMBER_MAX 1040U /* bytes of one number of a JWK: RSA of 8192 bits and some */

#define ALGS_RSA                                                                                   \
    (KEY_BIT(KEY_RS256) | KEY_BIT(KEY_RS384) | KEY_BIT(KEY_RS512) | KEY_BIT(KEY_PS256) |           \
     KEY_BIT(KEY_PS384) | KEY_BIT(KEY_PS512))

static const struct curve {
    const char *name;
    const char *openssl_name;
    size_t field_len; /* bytes of a coordinate */
} curves[] = {
    {"P-256", SN_X9_62_prime256v1, 32},
    {"P-384", SN_secp384r1, 48},
    {"P-521", SN_secp521r1, 66},
};
#define CURVES (sizeof(curves) / sizeof(curves[0]))
#define FIELD_MAX 66U

/* Returns `err` with *why set. */
static int refuse(const char **why, int err, const char *text)
{
    *why = text;
    return err;
}

/* Decodes the member `name` into out[0..size).  Returns 0 or -EINVAL. */
static int member_bytes(const json_t *jwk, const char *name, uint8_t *out, size_t size, size_t *len)
{
    const json_t *member = json_object_get(jwk, name);

    if (!json_is_string(member) ||
        base64url_parse(slice_of(json_string_value(member), json_string_length(member)), out, size,
                        len))
        return -EINVAL;
    return *len ? 0 : -EINVAL;
}

static EVP_PKEY *pkey_from(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *pkey = NULL;

    if (params && ctx && EVP_PKEY_fromdata_init(ctx) == 1 &&
        EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) != 1)
        pkey = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return pkey;
}

static EVP_PKEY *rsa_from_jwk(const json_t *jwk)
{
    uint8_t n[NUMBER_MAX];
    uint8_t e[NUMBER_MAX];
    size_t n_len = 0;
    size_t e_len = 0;
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder;
    BIGNUM *n_number = NULL;
    BIGNUM *e_number = NULL;

    if (member_bytes(jwk, "n", n, sizeof(n), &n_len) ||
        member_bytes(jwk, "e", e, sizeof(e), &e_len))
        return NULL;
    builder = OSSL_PARAM_BLD_new();
    n_number = BN_bin2bn(n, (int)n_len, NULL);
    e_number = BN_bin2bn(e, (int)e_len, NULL);
    if (builder && n_number && e_number &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n_number) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e_number) == 1)
        pkey = pkey_from("RSA", builder);
    BN_free(n_number);
    BN_free(e_number);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

/* OpenSSL refuses a point that is not on the curve. */
static EVP_PKEY *ec_from_jwk(const json_t *jwk, const struct curve *curve)
{
    uint8_t point[1 + 2 * FIELD_MAX] = {4}; /* SEC 1: uncompressed */
    size_t x_len = 0;
    size_t y_len = 0;
    EVP_PKEY *pkey = NULL;
    OSSL_PARAM_BLD *builder;

    if (member_bytes(jwk, "x", point + 1, curve->field_len, &x_len) || x_len != curve->field_len ||
        member_bytes(jwk, "y", point + 1 + x_len, curve->field_len, &y_len) ||
        y_len != curve->field_len)
        return NULL;
    builder = OSSL_PARAM_BLD_new();
    if (builder &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->openssl_name,
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
                                         1 + x_len + y_len) == 1)
        pkey = pkey_from("EC", builder);
    OSSL_PARAM_BLD_free(builder);
    return pkey;
}

static EVP_PKEY *ed25519_from_jwk(const json_t *jwk)
{
    uint8_t x[32];
    size_t len = 0;

    if (member_bytes(jwk, "x", x, sizeof(x), &len) || len != sizeof(x))
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x, len);
}

static int init_public_jwk(struct key *k, const json_t *jwk, const char *kty, const char **why)
{
    const char *crv = NULL;
    EVP_PKEY *pkey = NULL;
    size_t i = 0;

    if (json_object_get(jwk, "d"))
        return refuse(why, -EINVAL, "a private key; leave its secret members out");
    if (strcmp(kty, "RSA") == 0) {
        pkey = rsa_from_jwk(jwk);
    } else {
        if (document_text(jwk, "crv", 16, &crv) || !crv)
            return refuse(why, -EINVAL, "a key without crv");
        while (i < CURVES && strcmp(crv, curves[i].name) != 0)
            i++;
        if (strcmp(kty, "EC") == 0 && i < CURVES)
            pkey = ec_from_jwk(jwk, &curves[i]);
        else if (strcmp(kty, "OKP") == 0 && strcmp(crv, "Ed25519") == 0)
            pkey = ed25519_from_jwk(jwk);
        else
            return refuse(why, -ENOTSUP, "a curve we do not use");
    }
    if (!pkey)
        return refuse(why, -EINVAL, "the key's numbers are missing or wrong");
    return key_init_public(k, pkey, why);
}

static int init_secret_jwk(struct key *k, const json_t *jwk, const char **why)
{
    size_t size = json_string_length(json_object_get(jwk, "k"));
    uint8_t *secret;
    size_t len = 0;
    int err;

    if (size == 0 || size > BASE64URL_TEXT(KEY_SECRET_MAX))
        return refuse(why, -EINVAL, "k is missing, empty or too long");
    secret = malloc(size);
    if (!secret)
        return refuse(why, -ENOMEM, "out of memory");
    err = member_bytes(jwk, "k", secret, size, &len);
    if (err)
        *why = "k is not base64url";
    else
        err = key_init_secret(k, slice_of(secret, len), why);
    OPENSSL_cleanse(secret, size);
    free(secret);
    return err;
}

/* RFC 7518 section 3.2: a secret is at least as long as the hash.  A JWK has no past that would
 * excuse a shorter one. */
static unsigned hmac_algs_for(size_t secret_len)
{
    return (secret_len >= 32 ? KEY_BIT(KEY_HS256) : 0U) |
           (secret_len >= 48 ? KEY_BIT(KEY_HS384) : 0U) |
           (secret_len >= 64 ? KEY_BIT(KEY_HS512) : 0U);
}

/* Whether `use` and `key_ops` let the key verify. */
static bool is_for_signatures(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use");
    const json_t *ops = json_object_get(jwk, "key_ops");
    const json_t *op;
    size_t i;

    if (use && (!json_is_string(use) || strcmp(json_string_value(use), "sig") != 0))
        return false;
    if (!ops)
        return true;
    json_array_foreach(ops, i, op)
    {
        if (json_is_string(op) && strcmp(json_string_value(op), "verify") == 0)
            return true;
    }
    return false;
}

/* Narrows the key to the JWK's `alg`, if it has one. */
static int apply_jwk_alg(struct key *k, const json_t *jwk, const char **why)
{
    const char *name = NULL;
    unsigned possible = k->public_key ? k->algs : hmac_algs_for(k->secret_len);
    enum key_alg alg;

    if (document_text(jwk, "alg", 32, &name))
        return refuse(why, -EINVAL, "alg is not a text");
    if (k->public_key && EVP_PKEY_get_base_id(k->public_key) == EVP_PKEY_RSA && name)
        possible = ALGS_RSA;
    if (name) {
        if (key_alg_parse(name, &alg))
            return refuse(why, -ENOTSUP, "an alg we do not use");
        possible &= KEY_BIT(alg);
    }
    if (!possible)
        return refuse(why, -EINVAL, "alg does not go with the key, or the secret is too short");
    k->algs = possible;
    return 0;
}

int jwk_parse(const json_t *jwk, struct key *out, const char **why)
{
    struct key made = {0};
    const char *kty = NULL;
    const char *kid = NULL;
    int err;

    if (document_text(jwk, "kty", 16, &kty) || !kty)
        return refuse(why, -EINVAL, "no kty");
    if (document_text(jwk, "kid", KEY_KID_MAX, &kid))
        return refuse(why, -EINVAL, "kid is not a text of 1 to 128 bytes");
    if (!is_for_signatures(jwk))
        return refuse(why, -ENOTSUP, "use or key_ops say that it is not for signatures");
    if (strcmp(kty, "oct") == 0)
        err = init_secret_jwk(&made, jwk, why);
    else if (strcmp(kty, "RSA") == 0 || strcmp(kty, "EC") == 0 || strcmp(kty, "OKP") == 0)
        err = init_public_jwk(&made, jwk, kty, why);
    else
        err = refuse(why, -ENOTSUP, "a kty we do not use");
    if (!err)
        err = apply_jwk_alg(&made, jwk, why);
    if (err) {
        key_fini(&made);
        return err;
    }
    if (kid)
        (void)key_set_kid(&made, kid);
    *out = made;
    return 0;
}
