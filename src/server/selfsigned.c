#include "server/selfsigned.h"

#include "proto/hostname.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#define MAKER "RVPN self-signed" /* the subject by which we know our own */
#define DAY 86400

static const char always[] = "DNS:localhost,DNS:*.localhost,IP:127.0.0.1,IP:::1";

static bool is_address(const char *name)
{
    struct hostname host;

    return hostname_parse(slice_text(name), &host) == 0 && hostname_is_address(&host);
}

/* The subject's alternative names as X509V3_EXT_conf_nid() reads them; the caller frees it.  A name
 * holds no comma: hostname_parse() has seen it. */
static char *write_names(const struct config_texts *names)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    (void)fputs(always, to);
    for (size_t i = 0; i < names->count; i++)
        (void)fprintf(to, ",%s:%s", is_address(names->at[i]) ? "IP" : "DNS", names->at[i]);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

static int add_extension(X509 *x, int nid, const char *value)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    int added;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, x, x, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    added = extension && X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
    return added ? 0 : -ENOMEM;
}

static int set_serial(X509 *x)
{
    BIGNUM *number = BN_new();
    int done = number && BN_rand(number, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
               BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));

    BN_free(number);
    return done ? 0 : -ENOMEM;
}

/* Valid from a day ago, for whoever's clock is behind ours. */
static int set_times(X509 *x, int64_t now)
{
    time_t at = now;

    return X509_time_adj_ex(X509_getm_notBefore(x), -1, 0, &at) &&
                   X509_time_adj_ex(X509_getm_notAfter(x), SELFSIGNED_DAYS, 0, &at)
               ? 0
               : -EINVAL;
}

static int set_extensions(X509 *x, const struct config_texts *names)
{
    char *text = write_names(names);
    int err = text ? add_extension(x, NID_subject_alt_name, text) : -ENOMEM;

    free(text);
    if (!err)
        err = add_extension(x, NID_basic_constraints, "critical,CA:FALSE");
    if (!err)
        err = add_extension(x, NID_key_usage, "critical,digitalSignature");
    if (!err)
        err = add_extension(x, NID_ext_key_usage, "serverAuth");
    return err;
}

static int fill(X509 *x, EVP_PKEY *key, const struct config_texts *names, int64_t now)
{
    X509_NAME *subject = X509_get_subject_name(x);
    int err;

    if (!X509_set_version(x, X509_VERSION_3) ||
        !X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)MAKER, -1,
                                    -1, 0) ||
        !X509_set_issuer_name(x, subject) || !X509_set_pubkey(x, key))
        return -ENOMEM;
    err = set_serial(x);
    if (!err)
        err = set_times(x, now);
    if (!err)
        err = set_extensions(x, names);
    if (!err && !X509_sign(x, key, EVP_sha256()))
        err = -EINVAL;
    return err;
}

/* The text in `bio`, NUL-terminated. */
static char *take_text(BIO *bio)
{
    char *bytes;
    long len = BIO_get_mem_data(bio, &bytes);
    char *text = len > 0 ? malloc((size_t)len + 1) : NULL;

    if (text) {
        memcpy(text, bytes, (size_t)len);
        text[len] = 0;
    }
    return text;
}

static int write_pem(struct selfsigned *s, X509 *x, EVP_PKEY *key)
{
    BIO *certificate = BIO_new(BIO_s_mem());
    BIO *secret = BIO_new(BIO_s_secmem());

    if (certificate && secret && PEM_write_bio_X509(certificate, x) &&
        PEM_write_bio_PKCS8PrivateKey(secret, key, NULL, NULL, 0, NULL, NULL)) {
        s->certificate = take_text(certificate);
        s->key = take_text(secret);
    }
    BIO_free(certificate);
    BIO_free(secret);
    return s->certificate && s->key ? 0 : -ENOMEM;
}

int selfsigned_init(struct selfsigned *s, const struct config_texts *names, int64_t now)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    int err = key && x ? fill(x, key, names, now) : -ENOMEM;

    *s = (struct selfsigned){NULL, NULL};
    if (!err)
        err = write_pem(s, x, key);
    if (err)
        selfsigned_fini(s);
    X509_free(x);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return err;
}

void selfsigned_fini(struct selfsigned *s)
{
    if (s->key)
        explicit_bzero(s->key, strlen(s->key));
    free(s->key);
    free(s->certificate);
    *s = (struct selfsigned){NULL, NULL};
}

static bool is_ours(const X509 *x)
{
    char name[64] = "";

    (void)X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof(name));
    return strcmp(name, MAKER) == 0;
}

static bool has_names(X509 *x, const struct config_texts *names)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->at[i];
        int found =
            is_address(name) ? X509_check_ip_asc(x, name, 0) : X509_check_host(x, name, 0, 0, NULL);

        if (found != 1)
            return false;
    }
    return true;
}

static enum selfsigned_verdict judge(X509 *x, const EVP_PKEY *key, const struct config_texts *names,
                                     int64_t now)
{
    time_t today = now;
    time_t soon = now + (int64_t)SELFSIGNED_RENEW_DAYS * DAY;
    bool fits = x && key && X509_check_private_key(x, key) == 1;

    if (x && !is_ours(x))
        return fits ? SELFSIGNED_FOREIGN : SELFSIGNED_UNMATCHED;
    if (!fits)
        return SELFSIGNED_BROKEN;
    if (X509_cmp_time(X509_get0_notBefore(x), &today) >= 0 ||
        X509_cmp_time(X509_get0_notAfter(x), &soon) <= 0)
        return SELFSIGNED_EXPIRED;
    return has_names(x, names) ? SELFSIGNED_GOOD : SELFSIGNED_NAMES;
}

enum selfsigned_verdict selfsigned_check(struct slice certificate, struct slice key,
                                         const struct config_texts *names, int64_t now)
{
    char none[] = ""; /* the passphrase */
    BIO *certificate_bio = BIO_new_mem_buf(certificate.ptr, (int)certificate.len);
    BIO *key_bio = BIO_new_mem_buf(key.ptr, (int)key.len);
    X509 *x = certificate_bio ? PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL) : NULL;
    /* One must never be asked for on a terminal. */
    EVP_PKEY *secret = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, none) : NULL;
    enum selfsigned_verdict verdict = judge(x, secret, names, now);

    EVP_PKEY_free(secret);
    X509_free(x);
    BIO_free(key_bio);
    BIO_free(certificate_bio);
    ERR_clear_error();
    return verdict;
}
