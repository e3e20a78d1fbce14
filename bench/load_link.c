#include "load_link.h"

#include "load.h"
#include "load_count.h"
#include "load_forward.h"
#include "load_talk.h"
#include "load_tunnel.h"
#include "load_visitor.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define OUT_BYTES (1U << 20)
#define OUT_SLACK (128U << 10)       /* the longest frame, encrypted */
#define OPEN_NS INT64_C(20000000000) /* the next of them, at most */
#define OPENING_MAX 64U              /* at once, but for handshakes */

/* Of the link whose turn it is: ciphertext that has come, and what is to be sent. */
static uint8_t in[SCRATCH_BYTES];
static const uint8_t *in_at;
static size_t in_left;
static uint8_t out[OUT_BYTES];
static size_t out_len;
static uint8_t plain[SCRATCH_BYTES];

static SSL_CTX *context;
static BIO_METHOD *method;
static SSL_SESSION *session;
static struct source listener;
static unsigned opening;
unsigned links_open_count;

static int read_in(BIO *b, char *bytes, int len)
{
    int count = (size_t)len < in_left ? len : (int)in_left;

    BIO_clear_retry_flags(b);
    if (count == 0) {
        BIO_set_retry_read(b);
        return -1;
    }
    memcpy(bytes, in_at, (size_t)count);
    in_at += count;
    in_left -= (size_t)count;
    return count;
}

static int write_out(BIO *b, const char *bytes, int len)
{
    (void)b;
    if ((size_t)len > OUT_BYTES - out_len)
        die("too much to send at once");
    memcpy(out + out_len, bytes, (size_t)len);
    out_len += (size_t)len;
    return len;
}

static long control_bio(BIO *b, int what, long number, void *pointer)
{
    (void)b, (void)number, (void)pointer;
    return what == BIO_CTRL_FLUSH;
}

static int keep_session(SSL *ssl, SSL_SESSION *s)
{
    (void)ssl;
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

static void start_tls(void)
{
    context = SSL_CTX_new(TLS_client_method());
    method = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "load");
    if (!context || !method)
        die("TLS");
    (void)BIO_meth_set_read(method, read_in);
    (void)BIO_meth_set_write(method, write_out);
    (void)BIO_meth_set_ctrl(method, control_bio);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    (void)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    (void)SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    (void)SSL_CTX_set_session_cache_mode(context,
                                         SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
}

static SSL *new_ssl(void)
{
    SSL *ssl = SSL_new(context);
    BIO *bio = BIO_new(method);

    if (!ssl || !bio)
        die("TLS");
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    if (options.resumes && session)
        (void)SSL_set_session(ssl, session);
    return ssl;
}

size_t hello_write(const char *name, uint8_t *hello, size_t size)
{
    SSL *ssl = new_ssl();
    size_t len;

    (void)SSL_set_tlsext_host_name(ssl, name);
    out_len = 0;
    (void)SSL_do_handshake(ssl);
    len = out_len;
    out_len = 0;
    if (len > size)
        die("a long ClientHello");
    memcpy(hello, out, len);
    SSL_free(ssl);
    return len;
}

static void keep_rest(struct link *l, const uint8_t *bytes, size_t len)
{
    if (l->rest_at) {
        memmove(l->rest, l->rest + l->rest_at, l->rest_len - l->rest_at);
        l->rest_len -= l->rest_at;
        l->rest_at = 0;
    }
    if (!l->rest || l->rest_len + len > l->rest_room) {
        l->rest_room = l->rest_len + len;
        if (!(l->rest = realloc(l->rest, l->rest_room)))
            die("memory");
    }
    memcpy(l->rest + l->rest_len, bytes, len);
    l->rest_len += len;
}

/* Returns how many bytes the kernel took. */
static size_t send_some(const struct link *l, const uint8_t *bytes, size_t len)
{
    ssize_t sent = len ? send(l->source.fd, bytes, len, MSG_NOSIGNAL) : 0;

    return sent > 0 ? (size_t)sent : 0; /* a lost connection is seen by reading it */
}

void link_flush(struct link *l)
{
    size_t sent = 0;

    if (l->rest_len)
        l->rest_at += send_some(l, l->rest + l->rest_at, l->rest_len - l->rest_at);
    if (l->rest_at == l->rest_len) {
        free(l->rest);
        l->rest = NULL;
        l->rest_at = l->rest_len = l->rest_room = 0;
        sent = send_some(l, out, out_len);
    }
    if (sent < out_len)
        keep_rest(l, out + sent, out_len - sent);
    out_len = 0;
    source_watch(&l->source, EPOLLIN | (l->rest_len || l->turn ? EPOLLOUT : 0U));
    if (!l->rest_len)
        forwards_wake();
}

void link_put(struct link *l, const uint8_t *bytes, size_t len)
{
    if (out_len > OUT_BYTES - OUT_SLACK)
        link_flush(l);
    if (!l->ssl)
        (void)write_out(NULL, (const char *)bytes, (int)len);
    else if (SSL_write(l->ssl, bytes, (int)len) != (int)len)
        die("SSL_write");
}

static void send_in_turn(struct link *l)
{
    size_t done = 0;

    while (l->turn && done < options.burst) {
        struct talk *t = l->turn;

        l->turn = t->next;
        done += talk_send_some(t, options.burst);
    }
}

void link_end(struct link *l, enum closing how)
{
    if (l->tunnel)
        tunnel_free(l);
    else if (l->talk)
        talk_free(l->talk);
    if (l->ssl)
        SSL_set_shutdown(l->ssl, SSL_SENT_SHUTDOWN); /* or its session were no longer good */
    SSL_free(l->ssl);
    free(l->rest);
    source_close(&l->source, how);
    loop_free_later(l);
}

static void dial_link(unsigned index);

/* A handshake was seen through. */
static void count_link(struct link *l)
{
    l->is_done = false;
    l->state = LINK_OPEN;
    if (options.work != WORK_HANDSHAKES) {
        links_open_count++;
        opening--;
        return;
    }
    count_request(now_ns() - l->dialled_ns);
    counts.resumed += (uint64_t)SSL_session_reused(l->ssl);
    dial_link(l->index);
    link_end(l, CLOSING_FIN);
}

static bool go_on_with_handshake(struct link *l)
{
    int done = SSL_do_handshake(l->ssl);

    if (done != 1)
        return SSL_get_error(l->ssl, done) == SSL_ERROR_WANT_READ;
    l->state = l->tunnel ? LINK_UPGRADE : LINK_OPEN;
    if (l->tunnel) {
        tunnel_ask_upgrade(l);
    } else if (options.work != WORK_HANDSHAKES) {
        l->is_done = true;
    }
    return true;
}

static bool take_plain(struct link *l, uint8_t *bytes, size_t len)
{
    if (l->tunnel)
        return tunnel_take(l, bytes, len);
    if (options.work == WORK_HANDSHAKES) {
        l->is_done = true;
        return true;
    }
    talk_take(l->talk, bytes, len);
    return true;
}

/* What came below TLS goes up.  Returns whether the link goes on. */
static bool take_wire(struct link *l)
{
    bool goes_on = true;

    ERR_clear_error();
    if (l->state == LINK_HANDSHAKE && !go_on_with_handshake(l))
        return false;
    while (goes_on && l->state > LINK_HANDSHAKE) {
        int got = SSL_read(l->ssl, plain, sizeof(plain));

        if (got <= 0)
            return SSL_get_error(l->ssl, got) == SSL_ERROR_WANT_READ;
        goes_on = take_plain(l, plain, (size_t)got);
    }
    return goes_on;
}

static bool receive(struct link *l)
{
    ssize_t got = recv(l->source.fd, in, sizeof(in), 0);

    if (got == -1 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    if (!l->ssl)
        return take_plain(l, in, (size_t)got);
    in_at = in;
    in_left = (size_t)got;
    return take_wire(l);
}

static void shut_link(struct link *l)
{
    if (l->ssl) {
        (void)SSL_shutdown(l->ssl);
        link_flush(l);
    }
    link_end(l, CLOSING_FIN);
}

static void lose_link(struct link *l)
{
    if (options.far == FAR_RELAY || l->state != LINK_OPEN || options.work == WORK_HANDSHAKES)
        die("link %u was lost in state %d", l->index, (int)l->state);
    link_end(l, CLOSING_FIN);
}

static void on_link(struct source *s, uint32_t events)
{
    struct link *l = (struct link *)s;

    if (l->state == LINK_DIALLING) {
        if (dial_error(s->fd))
            die("link %u is refused", l->index);
        l->state = LINK_HANDSHAKE;
        in_left = 0;
        (void)go_on_with_handshake(l);
    }
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR) && !receive(l)) {
        lose_link(l);
        return;
    }
    if (events & EPOLLOUT && !l->rest_len)
        send_in_turn(l);
    link_flush(l);
    if (l->is_done)
        count_link(l);
    else if (l->is_over && !l->rest_len)
        shut_link(l);
}

static struct link *new_link(int fd, enum link_state state)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l)
        die("memory");
    l->source = (struct source){.fd = fd, .on_events = on_link};
    l->state = state;
    l->dialled_ns = now_ns();
    if (options.unsent)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &options.unsent,
                         sizeof(options.unsent));
    return l;
}

static void dial_link(unsigned index)
{
    struct link *l = new_link(dial(options.far_port), LINK_DIALLING);

    l->index = index;
    l->ssl = new_ssl();
    if (options.far == FAR_RELAY)
        l->tunnel = tunnel_new();
    else
        l->talk = talk_new(l);
    source_watch(&l->source, EPOLLOUT);
}

static void on_accept(struct source *s, uint32_t events)
{
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct link *l;

    (void)events;
    if (fd == -1)
        return;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    l = new_link(fd, LINK_OPEN);
    l->talk = talk_new(l);
    source_watch(&l->source, EPOLLIN);
}

void links_open(void)
{
    unsigned wanted = options.far == FAR_LEGS && options.work != WORK_HANDSHAKES
                          ? options.visitors + options.besides
                          : options.tunnels;
    int64_t heard_ns = now_ns();

    start_tls();
    if (options.far == FAR_SERVICE) {
        listener = (struct source){.fd = listen_on(options.far_port), .on_events = on_accept};
        source_watch(&listener, EPOLLIN);
        return;
    }
    if (options.far == FAR_NONE)
        return;
    for (unsigned dialled = 0, open = 0; links_open_count < wanted;) {
        for (; dialled < wanted && opening < OPENING_MAX; opening++)
            dial_link(dialled++);
        if (options.work == WORK_HANDSHAKES)
            return;
        loop_turn(1000);
        if (links_open_count > open)
            heard_ns = now_ns();
        open = links_open_count;
        if (now_ns() - heard_ns > OPEN_NS)
            die("a link does not open");
    }
}
