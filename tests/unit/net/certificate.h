/* certificate.h - certificates and an OpenSSL client for tests, made on the spot. */
#ifndef RVPN_TESTS_UNIT_NET_CERTIFICATE_H
#define RVPN_TESTS_UNIT_NET_CERTIFICATE_H

#include "net/certificates.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct certificate_files {
    char folder[32], chain[64], key[64];
};

static inline void certificate_remove(struct certificate_files *f)
{
    (void)unlink(f->chain);
    (void)unlink(f->key);
    (void)rmdir(f->folder);
}

static inline X509 *certificate_sign(EVP_PKEY *key, const char *names)
{
    X509 *x = X509_new();
    X509_EXTENSION *e;

    assert_int_equal(X509_set_version(x, 2), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -3600));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 86400));
    assert_int_equal(X509_set_pubkey(x, key), 1);
    e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, names);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

/* A new key and a certificate of its own for `names`, "DNS:a.example,DNS:*.b.example". */
static inline void certificate_make(struct certificate_files *f, const char *names,
                                    const char *passphrase)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = certificate_sign(key, names);
    FILE *file;

    (void)snprintf(f->folder, sizeof(f->folder), "/tmp/rvpn-test-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    (void)snprintf(f->chain, sizeof(f->chain), "%s/chain.pem", f->folder);
    (void)snprintf(f->key, sizeof(f->key), "%s/key.pem", f->folder);
    file = fopen(f->chain, "w");
    assert_int_equal(PEM_write_X509(file, x), 1);
    (void)fclose(file);
    file = fopen(f->key, "w");
    assert_int_equal(PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL,
                                          (const unsigned char *)passphrase,
                                          passphrase ? (int)strlen(passphrase) : 0, NULL, NULL),
                     1);
    (void)fclose(file);
    X509_free(x);
    EVP_PKEY_free(key);
}

/* Adds a fresh certificate for `names`. */
static inline void certificate_add(struct certificates *c, const char *names)
{
    struct certificate_files f;
    char why[CERTIFICATES_WHY] = "";

    certificate_make(&f, names, NULL);
    assert_int_equal(certificates_add(c, f.chain, f.key, why), 0);
    certificate_remove(&f);
}

/* What a client speaks. */
struct client_taste {
    int min, max;        /* TLS1_2_VERSION ...; 0: as it likes */
    const char *ciphers; /* of TLS 1.2 and before, or NULL */
    const char *name;    /* SNI, or NULL */
};

static inline SSL_CTX *client_context(const struct client_taste *t)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    SSL_CTX_set_security_level(context, 0);
    assert_int_equal(SSL_CTX_set_min_proto_version(context, t->min), 1);
    assert_int_equal(SSL_CTX_set_max_proto_version(context, t->max), 1);
    if (t->ciphers)
        assert_int_equal(SSL_CTX_set_cipher_list(context, t->ciphers), 1);
    return context;
}

#endif
