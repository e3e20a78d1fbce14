#include "net/listener.h"

#include "net/conn.h"

#include <errno.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64

static void try_again(struct listener *l)
{
    l->state = LISTENER_TRYING;
    task_cancel(&l->relief);
    loop_set_interest(l->loop, &l->watch, LOOP_READ);
    loop_start_deadline(l->loop, &l->retry, LISTENER_CALM_MS);
}

static void on_relief(struct task *t)
{
    try_again(LIST_OWNER(t, struct listener, relief));
}

static void on_retry(struct deadline *d)
{
    struct listener *l = LIST_OWNER(d, struct listener, retry);

    if (l->state == LISTENER_PAUSED) {
        try_again(l);
        return;
    }
    l->state = LISTENER_WELL;
    l->on_trouble(l, 0);
}

static void pause_accepting(struct listener *l, int err)
{
    loop_set_interest(l->loop, &l->watch, 0);
    loop_start_deadline(l->loop, &l->retry, LISTENER_RETRY_MS);
    loop_want_descriptor(l->loop, &l->relief);
    l->on_trouble(l, err);
    l->state = LISTENER_PAUSED;
}

/* Errors of the connection that accept() would have returned, not of the listener: accept(2). */
static bool is_passing(int err)
{
    return err == ECONNABORTED || err == EINTR || err == EPROTO || err == EPERM;
}

/* Returns the connection or -Exxx.  The last few descriptors are not for connections. */
static int accept_one(struct listener *l, struct address *peer)
{
    socklen_t len = sizeof(*peer);
    int fd;

    if (supply_descriptors(l->loop->supply) == SUPPLY_SPENT)
        return -EMFILE;
    fd = accept4(l->watch.fd, &peer->sa, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
    return fd == -1 ? -errno : fd;
}

static void on_ready(struct watch *w, unsigned ready)
{
    struct listener *l = LIST_OWNER(w, struct listener, watch);

    (void)ready;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN && l->watch.fd != -1; i++) {
        struct address peer = {0};
        int fd = accept_one(l, &peer);

        if (fd >= 0) {
            address_unmap(&peer);
            l->on_accept(l, fd, &peer);
            continue;
        }
        if (fd == -EAGAIN)
            return;
        if (!is_passing(-fd)) {
            pause_accepting(l, fd);
            return;
        }
    }
}

enum sharing { SHARED, ALONE };

/* A socket bound to *at; SHARED: others of ours may listen there too. */
static int bind_socket(const struct address *at, enum sharing sharing)
{
    int on = 1, off = 0, shared = sharing == SHARED, err;
    int fd = socket(at->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd == -1)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &shared, sizeof(shared)) == -1 ||
        (at->sa.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) == -1) ||
        bind(fd, &at->sa, address_len(at)) == -1) {
        err = -errno;
        (void)close(fd);
        return err;
    }
    return fd;
}

static int open_socket(const struct address *at, int64_t patience_ms)
{
    int fd = bind_socket(at, SHARED);
    int err = fd < 0 ? fd : conn_inherit(fd, patience_ms);

    if (!err && listen(fd, SOMAXCONN) == -1)
        err = -errno;
    if (err && fd >= 0)
        (void)close(fd);
    return err ? err : fd;
}

int listener_probe(const struct address *at)
{
    int fd = bind_socket(at, ALONE);

    if (fd >= 0)
        (void)close(fd);
    return fd == -EADDRINUSE ? fd : 0;
}

/* Where IPv6 is absent, every address is every IPv4 address. */
static int open_any4(const struct address *at, int64_t patience_ms)
{
    struct address any4 = {.in = {.sin_family = AF_INET}};

    if (at->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED(&at->in6.sin6_addr))
        return -EAFNOSUPPORT;
    address_set_port(&any4, address_port(at));
    return open_socket(&any4, patience_ms);
}

int listener_start(struct listener *l, struct loop *loop, const struct address *at)
{
    int fd = open_socket(at, l->patience_ms);
    int err;

    if (fd == -EAFNOSUPPORT)
        fd = open_any4(at, l->patience_ms);

    l->watch.fd = -1;
    if (fd < 0)
        return fd;
    l->loop = loop;
    l->watch.on_ready = on_ready;
    l->state = LISTENER_WELL;
    deadline_init(&l->retry, on_retry);
    task_init(&l->relief, on_relief);
    err = address_of_socket(fd, &l->bound);
    if (!err)
        err = loop_watch(loop, &l->watch, fd, LOOP_READ);
    if (err)
        (void)close(fd);
    else
        loop_take_descriptor(loop);
    return err;
}

void listener_stop(struct listener *l)
{
    int fd = l->watch.fd;

    if (!l->loop || fd == -1)
        return;
    deadline_stop(&l->retry);
    task_cancel(&l->relief);
    loop_unwatch(l->loop, &l->watch);
    (void)close(fd);
    loop_give_descriptor(l->loop);
}
