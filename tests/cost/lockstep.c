#include "lockstep.h"

#include "auth/jwt.h"
#include "server/capacity.h"
#include "server/rules.h"
#include "server/trust_load.h"
#include "server/worker.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <valgrind/callgrind.h>

#define SOCKET_BUFFER (1 << 20) /* what is sent in one turn fits */
#define ACCEPTED_MAX 4096

/* Of the relay's calls, those that are ours. */
int __real_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout);
int __real_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags);
int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags);
ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags);
int64_t __wrap_clock_now_ms(void);
int64_t __wrap_clock_now_ns(void);
void *__real_memcpy(void *to, const void *from, size_t len);
void *__wrap_memcpy(void *to, const void *from, size_t len);
void *__real_memmove(void *to, const void *from, size_t len);
void *__wrap_memmove(void *to, const void *from, size_t len);
void *__wrap___memcpy_chk(void *to, const void *from, size_t len, size_t room);
void *__wrap___memmove_chk(void *to, const void *from, size_t len, size_t room);

static struct {
    struct config *config;
    struct edge_rules rules;
    struct supply supply;
    struct trust *trust;
    struct edge edge;
    struct worker worker;
    uint16_t port;
    int64_t now_ms;
    enum { PREPARING, MEASURING } phase;
    enum { NOT_COUNTED, COUNTED } counted;
    struct lockstep_counts counts;
    struct {
        struct sockaddr_in from;
        int fd;
    } accepted[ACCEPTED_MAX];
    unsigned accepted_count;
} relay = {.now_ms = 1000000};

void lockstep_fail(const char *what)
{
    (void)fprintf(stderr, "cost: %s\n", what);
    exit(1);
}

int64_t __wrap_clock_now_ms(void)
{
    return relay.now_ms;
}

int64_t __wrap_clock_now_ns(void)
{
    return relay.now_ms * 1000000;
}

ssize_t __wrap_getrandom(void *out, size_t size, unsigned flags)
{
    (void)flags;
    memset(out, 0x5a, size);
    return (ssize_t)size;
}

void *__wrap_memcpy(void *to, const void *from, size_t len)
{
    relay.counts.copied += relay.counted == COUNTED ? len : 0;
    return __real_memcpy(to, from, len);
}

void *__wrap_memmove(void *to, const void *from, size_t len)
{
    relay.counts.copied += relay.counted == COUNTED ? len : 0;
    return __real_memmove(to, from, len);
}

/* What _FORTIFY_SOURCE makes of those where it knows the room. */
void *__wrap___memcpy_chk(void *to, const void *from, size_t len, size_t room)
{
    if (len > room)
        abort();
    return __wrap_memcpy(to, from, len);
}

void *__wrap___memmove_chk(void *to, const void *from, size_t len, size_t room)
{
    if (len > room)
        abort();
    return __wrap_memmove(to, from, len);
}

int __wrap_accept4(int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    int got = __real_accept4(fd, peer, len, flags);

    if (got != -1 && peer->sa_family == AF_INET) {
        unsigned i = relay.accepted_count++ % ACCEPTED_MAX;

        relay.accepted[i].fd = got;
        memcpy(&relay.accepted[i].from, peer, sizeof(relay.accepted[i].from));
    }
    return got;
}

int lockstep_accepted(const struct sockaddr_in *from)
{
    for (unsigned i = 0; i < relay.accepted_count && i < ACCEPTED_MAX; i++) {
        const struct sockaddr_in *at = &relay.accepted[i].from;

        if (at->sin_addr.s_addr == from->sin_addr.s_addr && at->sin_port == from->sin_port)
            return relay.accepted[i].fd;
    }
    lockstep_fail("the relay has not accepted a connection");
}

static void set_counted(unsigned counted)
{
    if (counted == relay.counted)
        return;
    relay.counted = counted;
    CALLGRIND_TOGGLE_COLLECT;
}

/* A turn counts when it has something to do; the first that has nothing is the last. */
int __wrap_epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    int count;

    set_counted(NOT_COUNTED);
    count = __real_epoll_wait(fd, events, max, 0);
    if (count == 0 && timeout != 0) {
        loop_stop(&relay.worker.loop);
    } else if (relay.phase == MEASURING) {
        relay.counts.turns++;
        set_counted(COUNTED);
    }
    return count;
}

void lockstep_turn(void)
{
    relay.now_ms++;
    relay.worker.loop.state = LOOP_RUNNING;
    loop_run(&relay.worker.loop);
    set_counted(NOT_COUNTED);
}

static bool is_ready(int fd)
{
    return poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 1;
}

void lockstep_wait(unsigned nth)
{
    if (nth > LOCKSTEP_PATIENCE_MS)
        lockstep_fail("what was sent did not arrive");
    if (is_ready(relay.worker.loop.epoll_fd) || nth > LOCKSTEP_PATIENCE_MS / 100)
        lockstep_turn();
    else
        (void)poll(NULL, 0, nth ? 1 : 0);
}

/* tcp(7): of a listener, tcpi_unacked says how many wait to be accepted. */
void lockstep_accept(unsigned count)
{
    int listener = relay.worker.listeners[0].watch.fd;
    struct tcp_info info = {.tcpi_unacked = 0};

    for (unsigned nth = 0; info.tcpi_unacked < count; nth++) {
        if (nth > LOCKSTEP_PATIENCE_MS ||
            getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &(socklen_t){sizeof(info)}))
            lockstep_fail("a connection did not arrive");
        (void)poll(NULL, 0, nth ? 1 : 0);
    }
    lockstep_turn();
}

void lockstep_begin(void)
{
    relay.counts = (struct lockstep_counts){.turns = 0};
    CALLGRIND_ZERO_STATS;
    relay.phase = MEASURING;
}

void lockstep_end(void)
{
    relay.phase = PREPARING;
}

struct lockstep_counts lockstep_dump(void)
{
    CALLGRIND_DUMP_STATS;
    return relay.counts;
}

/* Sockets that were accepted inherit all of this. */
static void fix_sockets(int listener)
{
    int size = SOCKET_BUFFER;

    if (setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) ||
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ||
        setsockopt(listener, IPPROTO_TCP, TCP_CONGESTION, "reno", 4))
        lockstep_fail("the listener's sockets cannot be fixed");
}

static void load(const char *state)
{
    struct config_error why;
    char yaml[512];

    (void)snprintf(yaml, sizeof(yaml),
                   "listen: ['127.0.0.1:0']\nname: [relay.test]\nstate: %s\nworkers: 1\n"
                   "http: forward\n",
                   state);
    if (config_parse(slice_text(yaml), "cost", &relay.config, &why))
        lockstep_fail(why.text);
    if (rules_init(&relay.rules, relay.config, 1) ||
        trust_load(relay.config, NULL, NULL, &relay.trust))
        lockstep_fail("the configuration cannot be used");
}

void lockstep_start(const char *state)
{
    struct edge_parts parts = {.workers = &relay.edge, .worker_count = 1};
    struct address at;

    load(state);
    at = relay.config->listen.at[0].address;
    parts.registry = registry_new();
    parts.quota = quota_new(&relay.rules.quota);
    parts.supply = &relay.supply;
    parts.rules = &relay.rules;
    parts.trust = relay.trust;
    if (!parts.registry || !parts.quota || worker_init(&relay.worker, parts, 1) ||
        worker_listen(&relay.worker, &at) ||
        capacity_measure(&relay.supply, relay.config, relay.worker.loop.epoll_fd))
        lockstep_fail("the relay cannot be started");
    relay.port = address_port(&at);
    relay.rules.own_ports[relay.rules.own_port_count++] = relay.port;
    fix_sockets(relay.worker.listeners[0].watch.fd);
}

uint16_t lockstep_port(void)
{
    return relay.port;
}

void lockstep_token(const char *host, char *out, size_t size)
{
    char subject[] = "cost";
    char *name = strdup(host);
    struct claims claims = {.subject = subject, .hosts = &name, .host_count = 1};

    if (!name || jwt_write(relay.trust->keyring, &relay.trust->rules, &claims, out, size) < 0)
        lockstep_fail("no token can be written");
    free(name);
}
