#include "load_loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 512
#define DEAD_MAX 65536U
#define ADDRESSES 250U

void (*loop_at_end)(void);

static int epoll_fd = -1;
static void *dead[DEAD_MAX];
static unsigned dead_count;

void die(const char *what, ...)
{
    int err = errno;
    va_list args;

    va_start(args, what);
    (void)fprintf(stderr, "load: ");
    (void)vfprintf(stderr, what, args);
    (void)fprintf(stderr, "%s%s\n", err ? ": " : "", err ? strerror(err) : "");
    va_end(args);
    _exit(1);
}

int64_t now_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void source_watch(struct source *s, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    if (epoll_fd == -1 && (epoll_fd = epoll_create1(EPOLL_CLOEXEC)) == -1)
        die("epoll");
    if (s->events == events)
        return;
    if (epoll_ctl(epoll_fd, s->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->fd, &e) == -1)
        die("watch");
    s->events = events;
}

void source_close(struct source *s, enum closing how)
{
    struct linger linger = {.l_onoff = 1};

    if (how == CLOSING_RESET)
        (void)setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)close(s->fd);
    s->fd = -1;
    s->events = 0;
}

static struct sockaddr_in loopback(uint32_t host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

    at.sin_addr.s_addr = htonl(UINT32_C(127) << 24 | host);
    return at;
}

static int make_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1)
        die("socket");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

int dial(uint16_t port)
{
    static uint32_t turn;
    struct sockaddr_in from = loopback(2 + turn++ % ADDRESSES, 0), to = loopback(1, port);
    int fd = make_socket();

    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&from, sizeof(from)) == -1)
        die("bind");
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1 && errno != EINPROGRESS)
        die("connect to %u", port);
    return fd;
}

int dial_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == -1 ? errno : err;
}

int listen_on(uint16_t port)
{
    struct sockaddr_in at = loopback(1, port);
    int fd = make_socket();

    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == -1 || listen(fd, 4096) == -1)
        die("listen on %u", port);
    return fd;
}

void loop_free_later(void *memory)
{
    if (dead_count == DEAD_MAX)
        die("too many ends in one turn");
    dead[dead_count++] = memory;
}

void loop_turn(int wait_ms)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(epoll_fd, events, EVENTS_MAX, wait_ms);

    if (count == -1 && errno != EINTR)
        die("wait");
    for (int i = 0; i < count; i++) {
        struct source *s = events[i].data.ptr;

        if (s->fd != -1)
            s->on_events(s, events[i].events);
    }
    if (loop_at_end)
        loop_at_end();
    while (dead_count)
        free(dead[--dead_count]);
}
