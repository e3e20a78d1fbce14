/* pump.c - the plain end of a measured transfer: cheap enough not to be what is measured.
 *
 *     cc -O2 bench/pump.c -o pump
 *     ./pump (connect|listen) PORT say TEXT [skip-head] (read|write) BYTES CHUNK
 *     ./pump (connect|listen) PORT say TEXT ask ANSWER_BYTES CONNECTIONS REQUESTS
 *
 * Loopback only.  `say` is sent first on each connection; may be "".  `skip-head` passes over what
 * comes until an empty line.  `read` compares BYTES with the pattern that device.mjs makes as well;
 * `write` sends BYTES of it, CHUNK at a time, and waits for an answer.  `ask` says TEXT again and
 * again, REQUESTS times over all connections, each time once ANSWER_BYTES have come back.
 * Prints "listening", "moving" and the seconds it took; on failure says why and exits with 1.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PERIOD (16U << 20)
#define READ_BYTES 262144U
#define CONNECTIONS_MAX 1024U

struct job {
    bool listens;
    bool skips_head;
    uint16_t port;
    const char *say;
    const char *what;
    uint64_t bytes; /* or of one answer */
    size_t chunk;   /* or how many connections */
    uint64_t requests;
};

static uint8_t pattern[PERIOD + READ_BYTES];
static uint8_t in[READ_BYTES];

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "pump: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static void tell(const char *what)
{
    (void)printf("%s\n", what);
    (void)fflush(stdout);
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_pattern(void)
{
    for (uint32_t i = 0; i < PERIOD / 4; i++) {
        uint32_t word = i * 2654435761U ^ i >> 7;

        memcpy(pattern + (size_t)i * 4, &word, 4);
    }
    memcpy(pattern + PERIOD, pattern, READ_BYTES); /* what wraps round is compared at once */
}

static int open_listener(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&to, sizeof(to)) == -1 || listen(fd, 1024) == -1)
        die("listen");
    tell("listening");
    return fd;
}

static int open_connection(const struct job *j, int listener)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(j->port)};
    int fd = j->listens ? accept(listener, NULL, NULL) : socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd == -1 || (!j->listens && connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1))
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void send_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;

    while (len) {
        ssize_t sent = send(fd, at, len, MSG_NOSIGNAL);

        if (sent == -1)
            die("send");
        at += sent;
        len -= (size_t)sent;
    }
}

static size_t receive(int fd, size_t max)
{
    ssize_t got = recv(fd, in, max, 0);

    if (got <= 0)
        die("ended before its time");
    return (size_t)got;
}

static void skip_head(int fd)
{
    unsigned matched = 0;

    while (matched < 4) {
        (void)receive(fd, 1);
        matched = in[0] == (uint8_t) "\r\n\r\n"[matched] ? matched + 1 : in[0] == '\r';
    }
}

static void read_pattern(int fd, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes;) {
        size_t got = receive(fd, bytes - at < READ_BYTES ? (size_t)(bytes - at) : READ_BYTES);

        if (memcmp(in, pattern + at % PERIOD, got) != 0)
            die("bytes");
        at += got;
    }
}

static void write_pattern(int fd, uint64_t bytes, size_t chunk)
{
    for (uint64_t at = 0; at < bytes; at += chunk)
        send_all(fd, pattern + at % PERIOD, bytes - at < chunk ? (size_t)(bytes - at) : chunk);
    (void)receive(fd, 1);
}

/* One request on each connection, then as many more as `more`, each when an answer has come. */
static void ask_all(const struct job *j, struct pollfd *polls, uint64_t more)
{
    static uint64_t have[CONNECTIONS_MAX];
    uint64_t open = j->chunk;

    for (size_t i = 0; i < j->chunk; i++)
        send_all(polls[i].fd, j->say, strlen(j->say));
    while (open) {
        if (poll(polls, j->chunk, 30000) <= 0)
            die("poll");
        for (size_t i = 0; i < j->chunk; i++) {
            if (!polls[i].revents)
                continue;
            have[i] += receive(polls[i].fd, (size_t)(j->bytes - have[i]));
            if (have[i] < j->bytes)
                continue;
            have[i] = 0;
            if (more)
                send_all(polls[i].fd, j->say, strlen(j->say));
            open -= !more;
            more -= !!more;
        }
    }
}

/* Connecting, handshakes and the first answers come before the measuring. */
static double ask(const struct job *j, int listener)
{
    static struct pollfd polls[CONNECTIONS_MAX];
    double from;

    for (size_t i = 0; i < j->chunk; i++)
        polls[i] = (struct pollfd){.fd = open_connection(j, listener), .events = POLLIN};
    ask_all(j, polls, 0);
    tell("moving");
    from = now();
    ask_all(j, polls, j->requests - j->chunk);
    return now() - from;
}

static double transfer(const struct job *j, int listener)
{
    int fd = open_connection(j, listener);
    double from = now();

    tell("moving");
    send_all(fd, j->say, strlen(j->say));
    if (j->skips_head)
        skip_head(fd);
    if (strcmp(j->what, "read") == 0)
        read_pattern(fd, j->bytes);
    else
        write_pattern(fd, j->bytes, j->chunk);
    (void)close(fd);
    return now() - from;
}

static struct job read_job(int argc, char **argv)
{
    struct job j = {0};
    int at = 5;

    if (argc < 8)
        die("too few arguments");
    j.listens = strcmp(argv[1], "listen") == 0;
    j.port = (uint16_t)strtoul(argv[2], NULL, 10);
    j.say = argv[4];
    j.skips_head = strcmp(argv[at], "skip-head") == 0;
    at += j.skips_head;
    j.what = argv[at++];
    j.bytes = strtoull(argv[at++], NULL, 10);
    j.chunk = at < argc ? strtoull(argv[at++], NULL, 10) : 0;
    j.requests = at < argc ? strtoull(argv[at], NULL, 10) : 0;
    if (j.chunk == 0 ||
        (strcmp(j.what, "ask") == 0 && (j.chunk > CONNECTIONS_MAX || j.requests < j.chunk)))
        die("arguments");
    return j;
}

int main(int argc, char **argv)
{
    struct job j = read_job(argc, argv);
    int listener;

    make_pattern();
    listener = j.listens ? open_listener(j.port) : -1;
    (void)printf("%.6f\n", strcmp(j.what, "ask") == 0 ? ask(&j, listener) : transfer(&j, listener));
    return 0;
}
