/* tls.h - one TLS connection as a record layer without a socket: ciphertext in, plaintext out, and
 * the other way round.
 *
 * OpenSSL sits behind two BIOs of our own: one serves the bytes that tls_feed() was lent, the
 * other appends to the connection's output queue.  A socket BIO would cost two reads a record, a
 * memory BIO copies and regrows.
 *
 * Threads: belongs to its loop; the context may be shared by all.
 * Errors:  0 or a count on success, -EPROTO when the other end broke TLS, -ESHUTDOWN after its
 *          close_notify, -ENOMEM.
 */
#ifndef RVPN_NET_TLS_H
#define RVPN_NET_TLS_H

#include "base/buf.h"

#include <openssl/ssl.h>

struct tls {
    SSL *ssl;
    const uint8_t *in; /* lent ciphertext that OpenSSL has not taken yet */
    size_t in_len;
    size_t head_len;  /* how many bytes of a record's head OpenSSL has taken, and ... */
    size_t body_left; /* ... of its body not yet */
    struct buf *out;
};

/* Has OpenSSL take its memory from base/slab, unless somebody gives it another already.  Main
 * thread, before OpenSSL is used at all. */
void tls_use_slabs(void);

/* The accepting side of a new connection.  Keeps `out`. */
int tls_init(struct tls *t, SSL_CTX *context, struct buf *out);
void tls_fini(struct tls *t);

/* Lends ciphertext until tls_take() has returned 0 or an error: by then all of it is taken. */
void tls_feed(struct tls *t, const uint8_t *bytes, size_t len);

/* Decrypts into out[0..size), record after record.  Returns how many bytes came out, 0 if more
 * ciphertext is needed first.  May append to the output queue (handshake, key update, alerts). */
ssize_t tls_take(struct tls *t, uint8_t *out, size_t size);

/* Encrypts all of bytes[0..len) into the output queue, in full records.  Returns 0 or -Exxx. */
int tls_seal(struct tls *t, const uint8_t *bytes, size_t len);

/* Appends close_notify. */
void tls_shut(struct tls *t);

/* Whether the handshake is done, and whether it took up an earlier one. */
bool tls_is_ready(const struct tls *t);
bool tls_is_resumed(const struct tls *t);

/* The name the other end asked for, or NULL; lent. */
const char *tls_name(const struct tls *t);

#endif
