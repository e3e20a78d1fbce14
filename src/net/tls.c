#include "net/tls.h"

#include "base/slab.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>

#define RECORD_HEAD 5U /* RFC 8446 5.1: type, version, length */

static BIO_METHOD *method;
static pthread_once_t method_once = PTHREAD_ONCE_INIT;

static void *crypto_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return size ? slab_alloc(size) : NULL;
}

static void crypto_free(void *piece, const char *file, int line)
{
    (void)file;
    (void)line;
    slab_free(piece);
}

static void *crypto_resize(void *piece, size_t size, const char *file, int line)
{
    if (size)
        return slab_resize(piece, size);
    crypto_free(piece, file, line);
    return NULL;
}

void tls_use_slabs(void)
{
    CRYPTO_malloc_fn now = NULL;

    CRYPTO_get_mem_functions(&now, NULL, NULL);
    if (now == CRYPTO_malloc)
        (void)CRYPTO_set_mem_functions(crypto_alloc, crypto_resize, crypto_free);
}

/* How many of the next `len` bytes belong to the record that they begin with or go on with. */
static size_t to_record_end(struct tls *t, size_t len)
{
    size_t at = 0, body;

    for (; t->head_len < RECORD_HEAD && at < len; at++)
        if (t->head_len++ >= RECORD_HEAD - 2) /* its last two are the length */
            t->body_left = t->body_left << 8 | t->in[at];
    if (t->head_len < RECORD_HEAD)
        return at;
    body = t->body_left < len - at ? t->body_left : len - at;
    t->body_left -= body;
    if (t->body_left == 0)
        t->head_len = 0;
    return at + body;
}

/* A record at a time: what OpenSSL reads ahead it moves to the front of its buffer for each. */
static int bio_read(BIO *bio, char *out, size_t size, size_t *done)
{
    struct tls *t = BIO_get_data(bio);
    size_t len = to_record_end(t, t->in_len < size ? t->in_len : size);

    BIO_clear_retry_flags(bio);
    if (len == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(out, t->in, len);
    t->in += len;
    t->in_len -= len;
    *done = len;
    return 1;
}

static int bio_write(BIO *bio, const char *bytes, size_t len, size_t *done)
{
    struct tls *t = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (buf_put(t->out, bytes, len))
        return 0;
    *done = len;
    return 1;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "rvpn");
    if (!method)
        return;
    (void)BIO_meth_set_read_ex(method, bio_read);
    (void)BIO_meth_set_write_ex(method, bio_write);
    (void)BIO_meth_set_ctrl(method, bio_ctrl);
}

int tls_init(struct tls *t, SSL_CTX *context, struct buf *out)
{
    BIO *bio;

    *t = (struct tls){.out = out};
    (void)pthread_once(&method_once, make_method);
    bio = method ? BIO_new(method) : NULL;
    t->ssl = SSL_new(context);
    if (!bio || !t->ssl) {
        BIO_free(bio);
        SSL_free(t->ssl);
        t->ssl = NULL;
        return -ENOMEM;
    }
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_read_ahead(t->ssl, 1); /* or it reads a record's head by itself */
    SSL_set_accept_state(t->ssl);
    return 0;
}

void tls_fini(struct tls *t)
{
    SSL_free(t->ssl);
    t->ssl = NULL;
}

void tls_feed(struct tls *t, const uint8_t *bytes, size_t len)
{
    t->in = bytes;
    t->in_len = len;
}

/* Before 3.0.14 SSL_free_buffers() freed a record's head too, of which OpenSSL still waits for the
 * body (CVE-2024-4741). */
static void release_buffers(struct tls *t)
{
    (void)SSL_set_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS);
    if (t->head_len == 0)
        (void)SSL_free_buffers(t->ssl);
}

ssize_t tls_take(struct tls *t, uint8_t *out, size_t size)
{
    size_t total = 0;

    (void)SSL_clear_mode(t->ssl, SSL_MODE_RELEASE_BUFFERS); /* until there is no more to read */
    ERR_clear_error(); /* SSL_get_error() would take an old one of somebody else for its own */
    while (total < size) {
        size_t got;

        if (SSL_read_ex(t->ssl, out + total, size - total, &got)) {
            total += got;
            continue;
        }
        release_buffers(t);
        if (total) { /* an end or an error will still be there next time */
            ERR_clear_error();
            break;
        }
        switch (SSL_get_error(t->ssl, 0)) {
        case SSL_ERROR_WANT_READ: return 0;
        case SSL_ERROR_ZERO_RETURN: return -ESHUTDOWN;
        default: ERR_clear_error(); return -EPROTO;
        }
    }
    return (ssize_t)total;
}

int tls_seal(struct tls *t, const uint8_t *bytes, size_t len)
{
    size_t done;

    if (len == 0)
        return 0;
    ERR_clear_error();
    if (SSL_write_ex(t->ssl, bytes, len, &done) && done == len)
        return 0;
    ERR_clear_error();
    return SSL_is_init_finished(t->ssl) ? -ENOMEM : -EPROTO;
}

void tls_shut(struct tls *t)
{
    if (SSL_is_init_finished(t->ssl) && SSL_shutdown(t->ssl) < 0)
        ERR_clear_error();
}

bool tls_is_ready(const struct tls *t)
{
    return SSL_is_init_finished(t->ssl);
}

bool tls_is_resumed(const struct tls *t)
{
    return SSL_session_reused(t->ssl);
}

const char *tls_name(const struct tls *t)
{
    return SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
}
