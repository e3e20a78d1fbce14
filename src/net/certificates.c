#include "net/certificates.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define TICKET_KEY_BYTES 80 /* SSL_CTX_set_tlsext_ticket_keys(3) of OpenSSL 3: 16 + 32 + 32 */

static const char suites_1_2[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                                 "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                                 "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char suites_1_3[] = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                 "TLS_CHACHA20_POLY1305_SHA256";

static int fail(char why[CERTIFICATES_WHY], const char *what, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    (void)snprintf(why, CERTIFICATES_WHY, "%s %s: %s", what, file, reason ? reason : "not usable");
    ERR_clear_error();
    return -EINVAL;
}

/* Tells who asked for a name that it was heard (RFC 6066 3).  The certificate is chosen before, by
 * certificates_choose(): a handshake may outlive the struct. */
static int confirm_name(SSL *ssl, int *alert, void *arg)
{
    (void)ssl;
    (void)alert;
    (void)arg;
    return SSL_TLSEXT_ERR_OK;
}

/* Instead of OpenSSL's own, which asks at the terminal. */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static SSL_CTX *make_context(const char *properties)
{
    SSL_CTX *context = SSL_CTX_new_ex(NULL, properties, TLS_server_method());

    if (!context)
        return NULL;
    (void)SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    (void)SSL_CTX_set_cipher_list(context, suites_1_2);
    (void)SSL_CTX_set_ciphersuites(context, suites_1_3);
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                           SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets keep no state */
    (void)SSL_CTX_set_session_id_context(context, (const unsigned char *)"rvpn", 4);
    (void)SSL_CTX_set_num_tickets(context, 1);
    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    (void)SSL_CTX_set_tlsext_servername_callback(context, confirm_name);
    return context;
}

int certificates_add(struct certificates *c, const char *chain_file, const char *key_file,
                     char why[CERTIFICATES_WHY])
{
    SSL_CTX *context = c->count < CERTIFICATES_MAX ? make_context(c->properties) : NULL;
    int err;

    if (!context) {
        (void)snprintf(why, CERTIFICATES_WHY, "no room for certificate %s", chain_file);
        return -ENOMEM;
    }
    if (SSL_CTX_use_certificate_chain_file(context, chain_file) != 1)
        err = fail(why, "certificate", chain_file);
    else if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(context) != 1)
        err = fail(why, "certificate key", key_file);
    else
        err = 0;
    if (err) {
        SSL_CTX_free(context);
        return err;
    }
    c->contexts[c->count++] = context;
    return 0;
}

SSL_CTX *certificates_choose(const struct certificates *c, const char *name)
{
    for (unsigned i = 0; *name && i < c->count; i++) {
        X509 *leaf = SSL_CTX_get0_certificate(c->contexts[i]);

        if (X509_check_host(leaf, name, 0, 0, NULL) == 1)
            return c->contexts[i];
    }
    return c->contexts[0];
}

int certificates_share_tickets(struct certificates *c, const struct certificates *old)
{
    unsigned char keys[TICKET_KEY_BYTES];
    int err = 0;

    if (old && old->count) {
        if (SSL_CTX_get_tlsext_ticket_keys(old->contexts[0], keys, sizeof(keys)) != 1)
            return -EINVAL;
    } else if (RAND_bytes(keys, sizeof(keys)) != 1) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < c->count && !err; i++)
        err = SSL_CTX_set_tlsext_ticket_keys(c->contexts[i], keys, sizeof(keys)) == 1 ? 0 : -EINVAL;
    OPENSSL_cleanse(keys, sizeof(keys));
    return err;
}

void certificates_fini(struct certificates *c)
{
    for (unsigned i = 0; i < c->count; i++)
        SSL_CTX_free(c->contexts[i]);
    memset(c, 0, sizeof(*c));
}
