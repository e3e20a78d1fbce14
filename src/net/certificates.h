/* certificates.h - what the relay's own TLS offers: its certificates, chosen by the name asked
 * for, and the rules of the handshake (TLS 1.2 with AEAD suites, TLS 1.3, stateless tickets).
 *
 * Immutable once filled: a reload builds a new one with the old one's ticket keys, so that
 * resumption survives it.
 *
 * Threads: filled on one thread; then any thread.
 * Errors:  0 or -Exxx, with a sentence in why[].
 */
#ifndef RVPN_NET_CERTIFICATES_H
#define RVPN_NET_CERTIFICATES_H

#include <openssl/ssl.h>
#include <stddef.h>

#define CERTIFICATES_MAX 256
#define CERTIFICATES_WHY 512

struct certificates {
    SSL_CTX *contexts[CERTIFICATES_MAX]; /* [0] answers where no name fits */
    unsigned count;
    const char *properties; /* which providers OpenSSL is to prefer, or NULL; set before the first
                             * is added, and kept */
};

/* Adds a PEM chain and its key.  Copies what it reads. */
int certificates_add(struct certificates *c, const char *chain_file, const char *key_file,
                     char why[CERTIFICATES_WHY]);

/* Lends the context whose certificate is for `name`, the first where none is; `name` is "" where
 * none was asked for.  Connections made with it may outlive the struct. */
SSL_CTX *certificates_choose(const struct certificates *c, const char *name);

/* Shares one set of ticket keys among all contexts: `old`'s if given, else fresh ones. */
int certificates_share_tickets(struct certificates *c, const struct certificates *old);

/* Accepts a zeroed struct. */
void certificates_fini(struct certificates *c);

#endif
