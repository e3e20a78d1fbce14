#include "net/gcm_provider.h"

#include "net/gcm.h"
#include "net/vaes.h"

#include <errno.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/proverr.h>
#include <openssl/provider.h>
#include <string.h>

#define NAME "rvpn"

/* OpenSSL's way to say it: 1, or 0 with a reason in its queue. */
static int answer(int err)
{
    switch (err) {
    case 0: return 1;
    case -ENOMEM: ERR_raise(ERR_LIB_PROV, ERR_R_MALLOC_FAILURE); break;
    case -EINVAL: ERR_raise(ERR_LIB_PROV, PROV_R_INVALID_DATA); break;
    default: ERR_raise(ERR_LIB_PROV, PROV_R_CIPHER_OPERATION_FAILED); break;
    }
    return 0;
}

/* What can be asked of a context, and told to it; first what libssl asks for with each record. */

static int get_iv_len(struct gcm *g, OSSL_PARAM *p)
{
    return OSSL_PARAM_set_size_t(p, gcm_iv_len(g));
}

static int get_key_len(struct gcm *g, OSSL_PARAM *p)
{
    return OSSL_PARAM_set_size_t(p, gcm_key_len(g));
}

static int get_tag(struct gcm *g, OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING || !p->data)
        return answer(-EINVAL);
    p->return_size = p->data_size;
    return answer(gcm_get_tag(g, p->data, p->data_size));
}

static int get_tag_len(struct gcm *g, OSSL_PARAM *p)
{
    (void)g;
    return OSSL_PARAM_set_size_t(p, GCM_TAG);
}

static int get_record_pad(struct gcm *g, OSSL_PARAM *p)
{
    (void)g;
    return OSSL_PARAM_set_size_t(p, GCM_RECORD_PAD);
}

static int get_iv(struct gcm *g, OSSL_PARAM *p)
{
    return OSSL_PARAM_set_octet_string(p, gcm_iv(g), gcm_iv_len(g)) ||
           OSSL_PARAM_set_octet_ptr(p, gcm_iv(g), gcm_iv_len(g));
}

/* What EVP can be asked for and nobody of ours does: no is better than an IV that is none. */
static int refuse_to_get(struct gcm *g, OSSL_PARAM *p)
{
    (void)g;
    (void)p;
    return answer(-EPROTO);
}

static int refuse_to_set(struct gcm *g, const OSSL_PARAM *p)
{
    (void)g;
    (void)p;
    return answer(-EPROTO);
}

static int set_tag(struct gcm *g, const OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING || !p->data)
        return answer(-EINVAL);
    return answer(gcm_set_tag(g, p->data, p->data_size));
}

static int set_iv_len(struct gcm *g, const OSSL_PARAM *p)
{
    size_t len;

    return OSSL_PARAM_get_size_t(p, &len) && answer(gcm_set_iv_len(g, len));
}

static int set_record_aad(struct gcm *g, const OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING || !p->data)
        return answer(-EINVAL);
    return answer(gcm_expect_record(g, p->data, p->data_size));
}

static int set_record_iv(struct gcm *g, const OSSL_PARAM *p)
{
    if (p->data_type != OSSL_PARAM_OCTET_STRING || !p->data)
        return answer(-EINVAL);
    return answer(gcm_set_record_iv(g, p->data, p->data_size));
}

static const struct {
    const char *name;
    int (*get)(struct gcm *g, OSSL_PARAM *p);
} questions[] = {
    {OSSL_CIPHER_PARAM_IVLEN, get_iv_len},
    {OSSL_CIPHER_PARAM_KEYLEN, get_key_len},
    {OSSL_CIPHER_PARAM_AEAD_TAG, get_tag},
    {OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, get_record_pad},
    {OSSL_CIPHER_PARAM_AEAD_TAGLEN, get_tag_len},
    {OSSL_CIPHER_PARAM_IV, get_iv},
    {OSSL_CIPHER_PARAM_UPDATED_IV, get_iv},
    {OSSL_CIPHER_PARAM_AEAD_TLS1_GET_IV_GEN, refuse_to_get},
};

static const struct {
    const char *name;
    int (*set)(struct gcm *g, const OSSL_PARAM *p);
} orders[] = {
    {OSSL_CIPHER_PARAM_AEAD_TAG, set_tag},
    {OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, set_record_aad},
    {OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, set_record_iv},
    {OSSL_CIPHER_PARAM_AEAD_IVLEN, set_iv_len},
    {OSSL_CIPHER_PARAM_AEAD_TLS1_SET_IV_INV, refuse_to_set},
};

static int get_context(void *context, OSSL_PARAM params[])
{
    for (OSSL_PARAM *p = params; p && p->key; p++)
        for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
            if (strcmp(p->key, questions[i].name) == 0 && !questions[i].get(context, p))
                return 0;
    return 1;
}

static int set_context(void *context, const OSSL_PARAM params[])
{
    for (const OSSL_PARAM *p = params; p && p->key; p++)
        for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
            if (strcmp(p->key, orders[i].name) == 0 && !orders[i].set(context, p))
                return 0;
    return 1; /* what is not known does not concern us: provider-cipher(7) */
}

static const OSSL_PARAM *list_questions(void *context, void *provider)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TAGLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_IV, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_UPDATED_IV, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD_PAD, NULL),
        OSSL_PARAM_END,
    };

    (void)context;
    (void)provider;
    return list;
}

static const OSSL_PARAM *list_orders(void *context, void *provider)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_AEAD_IVLEN, NULL),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_AAD, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TLS1_IV_FIXED, NULL, 0),
        OSSL_PARAM_END,
    };

    (void)context;
    (void)provider;
    return list;
}

/* What a cipher is, before there is a context. */

static int describe(OSSL_PARAM params[], size_t key_len)
{
    const struct {
        const char *name;
        size_t value;
    } facts[] = {
        {OSSL_CIPHER_PARAM_MODE, EVP_CIPH_GCM_MODE},
        {OSSL_CIPHER_PARAM_KEYLEN, key_len},
        {OSSL_CIPHER_PARAM_BLOCK_SIZE, 1},
        {OSSL_CIPHER_PARAM_IVLEN, GCM_IV},
        {OSSL_CIPHER_PARAM_AEAD, 1},
        {OSSL_CIPHER_PARAM_CUSTOM_IV, 1},
    };

    for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        OSSL_PARAM *p = OSSL_PARAM_locate(params, facts[i].name);

        if (p && !OSSL_PARAM_set_size_t(p, facts[i].value)) /* in whatever width was asked for */
            return 0;
    }
    return 1;
}

static int describe_128(OSSL_PARAM params[])
{
    return describe(params, 16);
}

static int describe_256(OSSL_PARAM params[])
{
    return describe(params, 32);
}

static const OSSL_PARAM *list_facts(void *provider)
{
    static const OSSL_PARAM list[] = {
        OSSL_PARAM_uint(OSSL_CIPHER_PARAM_MODE, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_KEYLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_IVLEN, NULL),
        OSSL_PARAM_size_t(OSSL_CIPHER_PARAM_BLOCK_SIZE, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_AEAD, NULL),
        OSSL_PARAM_int(OSSL_CIPHER_PARAM_CUSTOM_IV, NULL),
        OSSL_PARAM_END,
    };

    (void)provider;
    return list;
}

/* A context's life. */

static void *made(struct gcm *g)
{
    if (!g)
        ERR_raise(ERR_LIB_PROV, ERR_R_MALLOC_FAILURE);
    return g;
}

static void *new_128(void *provider)
{
    (void)provider;
    return made(gcm_new(16));
}

static void *new_256(void *provider)
{
    (void)provider;
    return made(gcm_new(32));
}

static void *duplicate(void *context)
{
    return made(gcm_dup(context));
}

static void release(void *context)
{
    gcm_free(context);
}

/* Of a key and an IV either may be NULL, and stays what it was. */
static int init_encrypt(void *context, const unsigned char *key, size_t key_len,
                        const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
    gcm_turn(context, GCM_ENCRYPT);
    return (!key || answer(gcm_set_key(context, key, key_len))) &&
           (!iv || answer(gcm_set_iv(context, iv, iv_len))) && set_context(context, params);
}

static int init_decrypt(void *context, const unsigned char *key, size_t key_len,
                        const unsigned char *iv, size_t iv_len, const OSSL_PARAM params[])
{
    gcm_turn(context, GCM_DECRYPT);
    return (!key || answer(gcm_set_key(context, key, key_len))) &&
           (!iv || answer(gcm_set_iv(context, iv, iv_len))) && set_context(context, params);
}

/* AAD where there is no `out`; else text, or a whole record of TLS 1.2, in place. */
static int update(void *context, unsigned char *out, size_t *out_len, size_t out_size,
                  const unsigned char *in, size_t len)
{
    *out_len = 0;
    if (out && out_size < len)
        return answer(-EINVAL);
    if (gcm_expects_record(context))
        return answer(out == in ? gcm_crypt_record(context, out, len, out_len) : -EINVAL);
    *out_len = len;
    return answer(out ? gcm_crypt(context, out, in, len) : gcm_add_aad(context, in, len));
}

static int final(void *context, unsigned char *out, size_t *out_len, size_t out_size)
{
    (void)out;
    (void)out_size;
    *out_len = 0;
    return answer(gcm_end(context));
}

/* All of EVP_Cipher(3), which says with NULLs what it wants. */
static int cipher(void *context, unsigned char *out, size_t *out_len, size_t out_size,
                  const unsigned char *in, size_t len)
{
    return in ? update(context, out, out_len, out_size, in, len)
              : final(context, out, out_len, out_size);
}

#define FUNCTION(id, function)                                                                     \
    {                                                                                              \
        OSSL_FUNC_CIPHER_##id, (void (*)(void))(function)                                          \
    }
#define FUNCTIONS_OF(bits)                                                                         \
    {                                                                                              \
        FUNCTION(NEWCTX, new_##bits), FUNCTION(FREECTX, release), FUNCTION(DUPCTX, duplicate),     \
            FUNCTION(ENCRYPT_INIT, init_encrypt), FUNCTION(DECRYPT_INIT, init_decrypt),            \
            FUNCTION(UPDATE, update), FUNCTION(FINAL, final), FUNCTION(CIPHER, cipher),            \
            FUNCTION(GET_PARAMS, describe_##bits), FUNCTION(GETTABLE_PARAMS, list_facts),          \
            FUNCTION(GET_CTX_PARAMS, get_context), FUNCTION(GETTABLE_CTX_PARAMS, list_questions),  \
            FUNCTION(SET_CTX_PARAMS, set_context), FUNCTION(SETTABLE_CTX_PARAMS, list_orders),     \
            {0, NULL},                                                                             \
    }

/* OpenSSL joins the ciphers of all providers by these names, all of them the same. */
static const OSSL_ALGORITHM *offer(void *provider, int operation, int *no_cache)
{
    static const OSSL_DISPATCH of_128[] = FUNCTIONS_OF(128);
    static const OSSL_DISPATCH of_256[] = FUNCTIONS_OF(256);
    static const OSSL_ALGORITHM ciphers[] = {
        {"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6", "provider=" NAME, of_128, NULL},
        {"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46", "provider=" NAME, of_256, NULL},
        {NULL, NULL, NULL, NULL},
    };

    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_CIPHER ? ciphers : NULL;
}

static int init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
                void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        {OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))offer},
        {0, NULL},
    };

    (void)in;
    *out = functions;
    *provider = (void *)(uintptr_t)handle; /* nothing is kept; NULL would be a failure */
    return 1;
}

/* Whether the machine's own rules for OpenSSL let it be. */
static int is_preferred(void)
{
    EVP_CIPHER *c = EVP_CIPHER_fetch(NULL, "AES-128-GCM", GCM_PROVIDER_PROPERTIES);
    const OSSL_PROVIDER *from = c ? EVP_CIPHER_get0_provider(c) : NULL;
    int is = from && strcmp(OSSL_PROVIDER_get0_name(from), NAME) == 0;

    EVP_CIPHER_free(c);
    return is;
}

void gcm_provider_stop(OSSL_PROVIDER *p)
{
    if (p)
        (void)OSSL_PROVIDER_unload(p);
}

int gcm_provider_start(OSSL_PROVIDER **out, const char **why)
{
    int err = vaes_start(why);

    *out = NULL;
    if (err)
        return err;
    /* The last 1: what OpenSSL offers without being asked stays on offer. */
    *out =
        OSSL_PROVIDER_add_builtin(NULL, NAME, init) ? OSSL_PROVIDER_try_load(NULL, NAME, 1) : NULL;
    if (*out && is_preferred())
        return 0;
    gcm_provider_stop(*out);
    *out = NULL;
    ERR_clear_error();
    *why = "OpenSSL is configured against it";
    return -ENOTSUP;
}
