/* fair_device.c - the TLS end of a measurement of fairness: a device, or a plain TLS server.
 *
 *     cc -O2 bench/fair_device.c -lssl -lcrypto -o fair_device
 *     ./fair_device tunnel PORT RATE TOKEN TUNNELS
 *     ./fair_device serve PORT RATE CERTIFICATE KEY
 *
 * Loopback only.  `tunnel` opens TUNNELS tunnels to a relay; each visitor is a stream of one of
 * them.  `serve` accepts; each connection is a visitor, brought by a TLS proxy.  A visitor that
 * begins with "GET /read" is sent bytes without end, one that begins with "POST" is only read, any
 * other is sent 64 bytes for each 64 bytes.
 *
 * What it sends is fair, or it would be what is measured: answers first, then one piece of 16 KiB
 * for each reader in turn; the kernel holds little that is unsent.  RATE is in bytes a second, of
 * what is sent without end and of what is read, each; the kernel takes little in advance then, as
 * behind a slow link.  0: as fast as it goes.  Prints "ready".
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINKS_MAX 256U
#define TALKS_MAX 256U
#define IN_BYTES (1U << 20)
#define OUT_BYTES (1U << 20)
#define PIECE_BYTES 16384U
#define PIECES_AT_ONCE 4U
#define ASK_BYTES 64U
#define UNSENT_BYTES 32768
#define SLOW_BYTES 16384 /* SO_RCVBUF, with a rate */
#define SLACK_SECONDS 0.002

enum { BINARY = 2, PONG = 10 }; /* of RFC 6455 */

/* One visitor. */
struct talk {
    char cid[256]; /* family,address,port */
    enum { TALK_NONE, TALK_ASKS, TALK_READS, TALK_WRITES } what;
    bool is_paused;
    uint64_t asked;
};

/* One TLS connection: a tunnel, or one visitor. */
struct link {
    int fd;
    SSL *ssl;
    bool is_tunnel;
    size_t in_len, out_len, out_at;
    unsigned talk_count, turn;
    struct talk talks[TALKS_MAX];
    uint8_t in[IN_BYTES];
    uint8_t out[OUT_BYTES];
};

static struct link *links[LINKS_MAX];
static unsigned link_count;
static SSL_CTX *context;
static double rate, started;
static double sent, taken; /* bytes */
static uint8_t piece[PIECE_BYTES];
static char answer[ASK_BYTES + 1];

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "fair_device: %s: %s\n", what, errno ? strerror(errno) : "unexpected");
    exit(1);
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put(struct link *l, const void *bytes, size_t len)
{
    if (len > OUT_BYTES - l->out_len)
        die("nobody reads the answers");
    memcpy(l->out + l->out_len, bytes, len);
    l->out_len += len;
}

/* The mask is zero: what it costs is not the question here. */
static void put_message(struct link *l, uint8_t opcode, const void *head, size_t head_len,
                        const void *body, size_t body_len)
{
    uint64_t len = head_len + body_len;
    uint8_t ws[8] = {0x80 | opcode, (uint8_t)(0x80 | len)};
    size_t at = 2;

    if (len >= 126) { /* below 64 KiB */
        ws[1] = 0x80 | 126;
        ws[2] = (uint8_t)(len >> 8);
        ws[3] = (uint8_t)len;
        at = 4;
    }
    put(l, ws, at + 4);
    put(l, head, head_len);
    if (body_len)
        put(l, body, body_len);
}

static void say(struct link *l, const struct talk *t, const void *bytes, size_t len)
{
    char head[160] = "\xfe";

    if (!l->is_tunnel) {
        put(l, bytes, len);
        return;
    }
    head[1] = (char)snprintf(head + 2, sizeof(head) - 2, "%s,%zu,http", t->cid, len);
    put_message(l, BINARY, head, (size_t)(uint8_t)head[1] + 2, bytes, len);
}

static void hear(struct link *l, struct talk *t, const uint8_t *bytes, size_t len)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";

    if (t->what == TALK_NONE && len > 9) {
        t->what = memcmp(bytes, "POST", 4) == 0        ? TALK_WRITES
                  : memcmp(bytes, "GET /read", 9) == 0 ? TALK_READS
                                                       : TALK_ASKS;
        if (t->what == TALK_READS)
            say(l, t, head, sizeof(head) - 1);
    }
    if (t->what != TALK_ASKS)
        return;
    for (t->asked += len; t->asked >= ASK_BYTES; t->asked -= ASK_BYTES)
        say(l, t, answer, ASK_BYTES);
}

static struct talk *find_talk(struct link *l, const char *cid)
{
    for (unsigned i = 0; i < l->talk_count; i++)
        if (strcmp(l->talks[i].cid, cid) == 0)
            return &l->talks[i];
    if (l->talk_count == TALKS_MAX)
        die("too many visitors");
    l->talks[l->talk_count] = (struct talk){.what = TALK_NONE};
    (void)snprintf(l->talks[l->talk_count].cid, sizeof(l->talks[0].cid), "%s", cid);
    return &l->talks[l->talk_count++];
}

/* 0xfe, length, "family,address,port,bodylen,service,...", body. */
static void take_frame(struct link *l, const uint8_t *frame, size_t len)
{
    char head[256], *at = head, *fields[5] = {head};
    struct talk *t;

    if (len < 2 || frame[0] != 0xfe || len < 2U + frame[1])
        die("no frame");
    memcpy(head, frame + 2, frame[1]);
    head[frame[1]] = 0;
    for (unsigned i = 1; i < 5 && at; i++)
        if ((at = strchr(at, ',')))
            fields[i] = ++at;
    if (!fields[4] || fields[0][0] == ',') /* control */
        return;
    fields[3][-1] = 0;
    fields[4][strcspn(fields[4], ",")] = 0;
    t = find_talk(l, head);
    if (strcmp(fields[4], "pause") == 0 || strcmp(fields[4], "resume") == 0)
        t->is_paused = fields[4][0] == 'p';
    else if (strcmp(fields[4], "end") == 0 || strcmp(fields[4], "error") == 0)
        *t = l->talks[--l->talk_count];
    else
        hear(l, t, frame + 2 + frame[1], len - 2 - frame[1]);
}

/* Takes one WebSocket message from in[0..len).  Returns its length, or 0 if it is not whole. */
static size_t take_message(struct link *l, const uint8_t *in, size_t len)
{
    size_t head = 2, body = 0;

    if (len < 2)
        return 0;
    head += (in[1] & 127U) == 126 ? 2U : (in[1] & 127U) == 127 ? 8U : 0U;
    if (len < head)
        return 0;
    for (size_t i = 2; i < head; i++)
        body = body << 8 | in[i];
    if (head == 2)
        body = in[1] & 127U;
    if (head + body > IN_BYTES)
        die("message too long");
    if (len < head + body)
        return 0;
    if (in[0] == 0x82)
        take_frame(l, in + head, body);
    else if (in[0] == 0x89)
        put_message(l, PONG, in + head, body, NULL, 0);
    else if (in[0] == 0x88)
        die("the relay closes");
    return head + body;
}

static void take(struct link *l)
{
    size_t at = 0, used = 1;

    if (!l->is_tunnel) {
        hear(l, &l->talks[0], l->in, l->in_len);
        l->in_len = 0;
        return;
    }
    while (at < l->in_len && (used = take_message(l, l->in + at, l->in_len - at)))
        at += used;
    memmove(l->in, l->in + at, l->in_len - at);
    l->in_len -= at;
}

/* Returns whether the connection is still there. */
static bool receive(struct link *l)
{
    int got;

    ERR_clear_error(); /* SSL_get_error() would take that of another connection for its own */
    got = SSL_read(l->ssl, l->in + l->in_len, (int)(IN_BYTES - l->in_len));
    if (got <= 0)
        return SSL_get_error(l->ssl, got) == SSL_ERROR_WANT_READ;
    l->in_len += (size_t)got;
    taken += got;
    take(l);
    return true;
}

/* What was not used in time is lost but for a little. */
static bool may(double *used)
{
    double due = (now() - started) * rate;

    if (*used < due - rate * SLACK_SECONDS)
        *used = due - rate * SLACK_SECONDS;
    return rate == 0 || *used < due;
}

static struct talk *next_reader(struct link *l)
{
    for (unsigned i = 0; i < l->talk_count; i++) {
        struct talk *t = &l->talks[l->turn++ % l->talk_count];

        if (t->what == TALK_READS && !t->is_paused)
            return t;
    }
    return NULL;
}

static void send_some(struct link *l)
{
    for (unsigned pieces = 0; pieces < PIECES_AT_ONCE;) {
        struct talk *t;
        int done;

        if (l->out_at == l->out_len) {
            l->out_at = l->out_len = 0;
            t = may(&sent) ? next_reader(l) : NULL;
            if (!t)
                return;
            say(l, t, piece, PIECE_BYTES);
            sent += PIECE_BYTES;
            pieces++;
        }
        done = SSL_write(l->ssl, l->out + l->out_at, (int)(l->out_len - l->out_at));
        if (done <= 0)
            return;
        l->out_at += (size_t)done;
    }
}

static struct link *add_link(int fd)
{
    struct link *l = calloc(1, sizeof(*l));

    if (!l || link_count == LINKS_MAX)
        die("too many connections");
    l->fd = fd;
    l->ssl = SSL_new(context);
    (void)SSL_set_fd(l->ssl, fd);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_BYTES}, sizeof(int));
    links[link_count++] = l;
    return l;
}

static void remove_link(unsigned i)
{
    if (links[i]->is_tunnel)
        die("the tunnel is lost");
    SSL_free(links[i]->ssl);
    (void)close(links[i]->fd);
    free(links[i]);
    links[i] = links[--link_count];
}

static int open_socket(uint16_t port, bool listens)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (rate > 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){SLOW_BYTES}, sizeof(int));
    if (listens ? bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 1024)
                : connect(fd, (struct sockaddr *)&at, sizeof(at)))
        die("socket");
    return fd;
}

static void open_tunnel(uint16_t port, const char *token)
{
    static const char ack[] = "\xfe\x0c,,,9,control[-1,null]";
    struct link *l = add_link(open_socket(port, false));
    char head[4096];
    int len = snprintf(head, sizeof(head),
                       "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: Upgrade\r\n"
                       "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                       "Authorization: Bearer %s\r\n\r\n",
                       port, token);
    size_t got = 0;

    SSL_set_connect_state(l->ssl);
    if (SSL_write(l->ssl, head, len) != len)
        die("handshake");
    while (got < 4 || memcmp(head + got - 4, "\r\n\r\n", 4) != 0)
        if (got == sizeof(head) || SSL_read(l->ssl, head + got++, 1) != 1)
            die("upgrade");
    if (memcmp(head, "HTTP/1.1 101", 12) != 0)
        die("refused");
    l->is_tunnel = true;
    put_message(l, BINARY, ack, sizeof(ack) - 1, NULL, 0);
    (void)fcntl(l->fd, F_SETFL, O_NONBLOCK);
}

static void accept_one(int listener)
{
    struct link *l = add_link(accept4(listener, NULL, NULL, SOCK_NONBLOCK));

    SSL_set_accept_state(l->ssl);
    l->talk_count = 1;
}

static void turn(int listener)
{
    struct pollfd polls[LINKS_MAX + 1];
    unsigned count = link_count;
    bool sends = may(&sent), takes = may(&taken);

    for (unsigned i = 0; i < count; i++) {
        struct link *l = links[i];
        bool has_more = l->out_at < l->out_len || (sends && next_reader(l));

        polls[i] = (struct pollfd){.fd = l->fd, .events = takes ? POLLIN : 0};
        if (has_more)
            polls[i].events |= POLLOUT;
    }
    polls[count] = (struct pollfd){.fd = listener, .events = POLLIN};
    if (poll(polls, count + 1, sends && takes ? -1 : 1) == -1)
        die("poll");
    if (polls[count].revents)
        accept_one(listener);
    for (unsigned i = count; i-- > 0;) {
        bool is_there = true;

        if (polls[i].revents & (POLLIN | POLLHUP | POLLERR))
            do
                is_there = receive(links[i]);
            while (is_there && SSL_pending(links[i]->ssl));
        if (is_there && (polls[i].revents & POLLOUT || links[i]->out_at < links[i]->out_len))
            send_some(links[i]);
        if (!is_there)
            remove_link(i);
    }
}

static void start_context(bool serves)
{
    context = SSL_CTX_new(serves ? TLS_server_method() : TLS_client_method());
    (void)SSL_CTX_set_mode(context,
                           SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    (void)SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
}

int main(int argc, char **argv)
{
    bool serves = argc == 6 && strcmp(argv[1], "serve") == 0;
    uint16_t port = argc == 6 ? (uint16_t)strtoul(argv[2], NULL, 10) : 0;
    int listener = -1;

    if (argc != 6)
        die("arguments");
    start_context(serves);
    (void)snprintf(answer, sizeof(answer), "%-60s\r\n\r\n",
                   "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: ");
    rate = strtod(argv[3], NULL);
    started = now();
    if (serves) {
        if (SSL_CTX_use_certificate_chain_file(context, argv[4]) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, argv[5], SSL_FILETYPE_PEM) != 1)
            die("certificate");
        listener = open_socket(port, true);
    }
    for (unsigned long i = serves ? 0 : strtoul(argv[5], NULL, 10); i > 0; i--)
        open_tunnel(port, argv[4]);
    (void)printf("ready\n");
    (void)fflush(stdout);
    for (;;)
        turn(listener);
}
