#include "load_handshake.h"

#include "load.h"
#include "load_loop.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <time.h>

#define WIRE_BYTES 65536

static SSL_SESSION *session;
static int64_t server_ns;
static uint64_t resumed;

/* Of this process: what others take of the core meanwhile does not count. */
static int64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static SSL_CTX *new_context(const SSL_METHOD *method)
{
    SSL_CTX *c = SSL_CTX_new(method);

    if (!c)
        die("TLS");
    (void)SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION);
    (void)SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256");
    return c;
}

/* One flight of the server's; its time is what is asked for. */
static void step_server(SSL *server)
{
    int64_t from = cpu_ns();

    (void)SSL_do_handshake(server);
    server_ns += cpu_ns() - from;
}

static void shake(SSL_CTX *server_context, SSL_CTX *device_context)
{
    int64_t from = cpu_ns();
    SSL *server = SSL_new(server_context), *device = SSL_new(device_context);
    BIO *near, *far;
    char byte;

    if (!server || !device || BIO_new_bio_pair(&near, WIRE_BYTES, &far, WIRE_BYTES) != 1)
        die("TLS");
    SSL_set_bio(server, near, near);
    SSL_set_accept_state(server);
    server_ns += cpu_ns() - from;
    SSL_set_bio(device, far, far);
    SSL_set_connect_state(device);
    if (options.resumes && session)
        (void)SSL_set_session(device, session);
    for (int turn = 0; !SSL_is_init_finished(device) || !SSL_is_init_finished(server); turn++) {
        (void)SSL_do_handshake(device);
        step_server(server);
        if (turn == 10)
            die("no handshake in memory");
    }
    (void)SSL_read(device, &byte, 1); /* its tickets */
    resumed += (uint64_t)SSL_session_reused(server);
    from = cpu_ns();
    SSL_set_shutdown(server, SSL_SENT_SHUTDOWN);
    SSL_free(server);
    server_ns += cpu_ns() - from;
    SSL_set_shutdown(device, SSL_SENT_SHUTDOWN); /* or its session were no longer good */
    SSL_free(device);
}

int handshakes_in_memory(void)
{
    SSL_CTX *server = new_context(TLS_server_method()), *device = new_context(TLS_client_method());
    int64_t end = now_ns() + (int64_t)(options.seconds * 1e9);
    uint64_t count = 0;

    if (!options.certificate || !options.key ||
        SSL_CTX_use_certificate_chain_file(server, options.certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(server, options.key, SSL_FILETYPE_PEM) != 1)
        die("--certificate and --key are wanted");
    (void)SSL_CTX_set_session_id_context(server, (const unsigned char *)"load", 4);
    (void)SSL_CTX_set_session_cache_mode(device,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(device, keep_session);
    (void)SSL_CTX_set_session_cache_mode(server, SSL_SESS_CACHE_OFF);
    shake(server, device);
    for (server_ns = 0, resumed = 0; now_ns() < end; count++)
        shake(server, device);
    (void)printf("{\"requests\":%ju,\"resumed\":%ju,\"us_per_request\":%.3f,"
                 "\"per_second\":%.1f}\n",
                 (uintmax_t)count, (uintmax_t)resumed, (double)server_ns / 1e3 / (double)count,
                 (double)count * 1e9 / (double)server_ns);
    return 0;
}
