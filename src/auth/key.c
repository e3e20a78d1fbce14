#include "auth/key.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

#define BIT(alg) KEY_BIT(alg)
#define ALGS_HMAC (BIT(KEY_HS256) | BIT(KEY_HS384) | BIT(KEY_HS512))
#define ALGS_PSS (BIT(KEY_PS256) | BIT(KEY_PS384) | BIT(KEY_PS512))
#define ALGS_EC (BIT(KEY_ES256) | BIT(KEY_ES384) | BIT(KEY_ES512))

/* Secrets may be as short as a word (the old relays' default was), and a fingerprint is shown as
 * the owner of names: stretched, so that it does not make guessing any cheaper. */
#define STRETCH_ROUNDS 20000

static const struct {
    const char *name;
    const EVP_MD *(*digest)(void);
} algs[KEY_ALGS] = {
    [KEY_HS256] = {"HS256", EVP_sha256}, [KEY_HS384] = {"HS384", EVP_sha384},
    [KEY_HS512] = {"HS512", EVP_sha512}, [KEY_RS256] = {"RS256", EVP_sha256},
    [KEY_RS384] = {"RS384", EVP_sha384}, [KEY_RS512] = {"RS512", EVP_sha512},
    [KEY_PS256] = {"PS256", EVP_sha256}, [KEY_PS384] = {"PS384", EVP_sha384},
    [KEY_PS512] = {"PS512", EVP_sha512}, [KEY_ES256] = {"ES256", EVP_sha256},
    [KEY_ES384] = {"ES384", EVP_sha384}, [KEY_ES512] = {"ES512", EVP_sha512},
    [KEY_EDDSA] = {"EdDSA", NULL},
};

static const struct curve {
    const char *name;
    enum key_alg alg;
    size_t field_len; /* bytes of r and of s */
} curves[] = {
    {SN_X9_62_prime256v1, KEY_ES256, 32},
    {SN_secp384r1, KEY_ES384, 48},
    {SN_secp521r1, KEY_ES512, 66},
};
#define CURVES (sizeof(curves) / sizeof(curves[0]))

int key_alg_parse(const char *name, enum key_alg *out)
{
    for (unsigned i = 0; i < KEY_ALGS; i++) {
        if (strcmp(name, algs[i].name) == 0) {
            *out = (enum key_alg)i;
            return 0;
        }
    }
    return -EINVAL;
}

void key_fini(struct key *k)
{
    OPENSSL_clear_free(k->secret, k->secret_len);
    EVP_PKEY_free(k->public_key);
    *k = (struct key){0};
}

int key_set_kid(struct key *k, const char *kid)
{
    if (*kid == '\0' || strlen(kid) > KEY_KID_MAX)
        return -EINVAL;
    (void)slice_write(slice_text(kid), k->kid, sizeof(k->kid));
    return 0;
}

static void write_fingerprint(struct key *k, const uint8_t *digest)
{
    for (size_t i = 0; i < KEY_FINGERPRINT; i++)
        (void)snprintf(k->fingerprint + 2 * i, 3, "%02x", digest[i]);
}

/* Returns `err` with *why set. */
static int refuse(const char **why, int err, const char *text)
{
    *why = text;
    return err;
}

int key_init_secret(struct key *k, struct slice secret, const char **why)
{
    static const char salt[] = "rvpn key fingerprint";
    static const char pem[] = "-----BEGIN ";
    uint8_t digest[KEY_FINGERPRINT];
    struct key made = {.algs = ALGS_HMAC, .secret_len = secret.len};

    if (secret.len == 0)
        return refuse(why, -EINVAL, "the secret is empty");
    if (secret.len > KEY_SECRET_MAX)
        return refuse(why, -EINVAL, "the secret has more than 65536 bytes");
    /* A public key taken for a secret would let everybody sign. */
    if (memmem(secret.ptr, secret.len, pem, strlen(pem)))
        return refuse(why, -EINVAL, "a PEM text is not a secret");
    made.secret = OPENSSL_memdup(secret.ptr, secret.len);
    if (!made.secret || PKCS5_PBKDF2_HMAC((const char *)secret.ptr, (int)secret.len,
                                          (const uint8_t *)salt, (int)strlen(salt), STRETCH_ROUNDS,
                                          EVP_sha256(), sizeof(digest), digest) != 1) {
        key_fini(&made);
        return refuse(why, -ENOMEM, "out of memory");
    }
    write_fingerprint(&made, digest);
    *k = made;
    return 0;
}

/* ---- public keys ---- */

static int check_rsa(const EVP_PKEY *pkey, const char **why)
{
    int bits = EVP_PKEY_get_bits(pkey);
    BIGNUM *e = NULL;
    bool e_is_good;

    if (bits < KEY_RSA_BITS_MIN)
        return refuse(why, -EINVAL, "an RSA key of less than 2048 bits");
    if (bits > KEY_RSA_BITS_MAX)
        return refuse(why, -EINVAL, "an RSA key of more than 8192 bits");
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return refuse(why, -EINVAL, "an RSA key without an exponent");
    e_is_good = BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64;
    BN_free(e);
    return e_is_good ? 0 : refuse(why, -EINVAL, "an RSA key with a bad exponent");
}

static int ec_alg(const EVP_PKEY *pkey, unsigned *out, const char **why)
{
    char name[32] = "";

    (void)EVP_PKEY_get_group_name(pkey, name, sizeof(name), NULL);
    for (size_t i = 0; i < CURVES; i++) {
        if (strcmp(name, curves[i].name) == 0) {
            *out = BIT(curves[i].alg);
            return 0;
        }
    }
    return refuse(why, -ENOTSUP, "an EC key on another curve than P-256, P-384, P-521");
}

int key_init_public(struct key *k, EVP_PKEY *pkey, const char **why)
{
    struct key made = {.public_key = pkey};
    uint8_t digest[EVP_MAX_MD_SIZE];
    uint8_t *der = NULL;
    int der_len;
    int err = 0;

    switch (EVP_PKEY_get_base_id(pkey)) {
    case EVP_PKEY_RSA:
        made.algs = BIT(KEY_RS256);
        err = check_rsa(pkey, why);
        break;
    case EVP_PKEY_EC: err = ec_alg(pkey, &made.algs, why); break;
    case EVP_PKEY_ED25519: made.algs = BIT(KEY_EDDSA); break;
    default: err = refuse(why, -ENOTSUP, "neither RSA, EC nor Ed25519"); break;
    }
    if (err)
        goto fail;
    der_len = i2d_PUBKEY(pkey, &der);
    if (der_len <= 0 || EVP_Digest(der, (size_t)der_len, digest, NULL, EVP_sha256(), NULL) != 1) {
        OPENSSL_free(der);
        err = refuse(why, -ENOMEM, "out of memory");
        goto fail;
    }
    OPENSSL_free(der);
    write_fingerprint(&made, digest);
    *k = made;
    return 0;

fail:
    key_fini(&made);
    return err;
}

/* Without it OpenSSL would ask on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

int key_init_pem(struct key *k, struct slice text, const char **why)
{
    static const char begin[] = "-----BEGIN ";
    static const char private_tail[] = "PRIVATE KEY-----";
    const uint8_t *first = memmem(text.ptr, text.len, begin, strlen(begin));
    EVP_PKEY *pkey = NULL;
    BIO *bio;

    if (!first)
        return refuse(why, -EINVAL, "not a PEM text");
    if (memmem(text.ptr, text.len, private_tail, strlen(private_tail)))
        return refuse(why, -EINVAL, "a private key; give its public half (openssl pkey -pubout)");
    if (memmem(first + 1, text.len - (size_t)(first + 1 - text.ptr), begin, strlen(begin)))
        return refuse(why, -EINVAL, "more than one key in the PEM text");
    bio = BIO_new_mem_buf(text.ptr, (int)text.len);
    if (bio)
        pkey = PEM_read_bio_PUBKEY(bio, NULL, no_password, NULL);
    BIO_free(bio);
    if (!pkey)
        return refuse(why, -EINVAL, "not a PEM public key");
    return key_init_public(k, pkey, why);
}

/* ---- signatures ---- */

static int verify_hmac(const struct key *k, const EVP_MD *md, struct slice message,
                       struct slice signature)
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    if (!HMAC(md, k->secret, (int)k->secret_len, message.ptr, message.len, mac, &len))
        return -EKEYREJECTED;
    return signature.len == len && CRYPTO_memcmp(signature.ptr, mac, len) == 0 ? 0 : -EKEYREJECTED;
}

/* r and s side by side, as JOSE has them, to DER, as OpenSSL wants them; *out is to be freed with
 * OPENSSL_free().  That both are in 1..n-1 is checked by OpenSSL's verification.
 * Returns the length, or a negative number. */
static int ecdsa_der(struct slice raw, size_t field_len, uint8_t **out)
{
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.ptr, (int)field_len, NULL);
    BIGNUM *s = BN_bin2bn(raw.ptr + field_len, (int)field_len, NULL);
    int len = -1;

    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* they are sig's now */
        len = i2d_ECDSA_SIG(sig, out);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return len;
}

static int verify_public(const struct key *k, enum key_alg alg, struct slice message,
                         struct slice signature)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options = NULL; /* belongs to ctx */
    const EVP_MD *md = algs[alg].digest ? algs[alg].digest() : NULL;
    bool is_good = ctx && EVP_DigestVerifyInit(ctx, &options, md, NULL, k->public_key) == 1;

    if (is_good && (BIT(alg) & ALGS_PSS))
        is_good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
    is_good = is_good &&
              EVP_DigestVerify(ctx, signature.ptr, signature.len, message.ptr, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    return is_good ? 0 : -EKEYREJECTED;
}

static int verify_ecdsa(const struct key *k, enum key_alg alg, struct slice message,
                        struct slice signature)
{
    uint8_t *der = NULL;
    size_t field_len = curves[alg - KEY_ES256].field_len;
    int len = signature.len == 2 * field_len ? ecdsa_der(signature, field_len, &der) : -1;
    int err = len > 0 ? verify_public(k, alg, message, slice_of(der, (size_t)len)) : -EKEYREJECTED;

    OPENSSL_free(der);
    return err;
}

int key_verify(const struct key *k, enum key_alg alg, struct slice message, struct slice signature)
{
    static const uint8_t nothing[1];

    if (alg >= KEY_ALGS || !(k->algs & BIT(alg)) || signature.len > KEY_SIGNATURE_MAX)
        return -EKEYREJECTED;
    if (!message.ptr)
        message.ptr = nothing;
    if (!signature.ptr)
        signature.ptr = nothing;
    if (BIT(alg) & ALGS_HMAC)
        return verify_hmac(k, algs[alg].digest(), message, signature);
    if (BIT(alg) & ALGS_EC)
        return verify_ecdsa(k, alg, message, signature);
    return verify_public(k, alg, message, signature);
}

int key_sign(const struct key *k, struct slice message, uint8_t out[KEY_HS256_LEN])
{
    if (!(k->algs & BIT(KEY_HS256)))
        return -EKEYREJECTED;
    return HMAC(EVP_sha256(), k->secret, (int)k->secret_len, message.ptr, message.len, out, NULL)
               ? 0
               : -ENOMEM;
}
