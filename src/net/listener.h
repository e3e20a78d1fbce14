/* listener.h - a listening TCP socket on one loop.
 *
 * Every worker has one of its own for the same address (SO_REUSEPORT): the kernel shares the
 * visitors out.  When descriptors or memory run out it stops accepting, and goes on when one of its
 * loop comes free, or tries again by itself.
 *
 * Threads: belongs to its loop.
 * Errors:  0 on success, -Exxx.
 */
#ifndef RVPN_NET_LISTENER_H
#define RVPN_NET_LISTENER_H

#include "net/address.h"
#include "net/loop.h"

struct listener {
    struct watch watch;
    struct loop *loop;
    enum {
        LISTENER_WELL,
        LISTENER_PAUSED, /* accepts nothing until `retry` or `relief` */
        LISTENER_TRYING, /* accepts again; is well if that goes well until `retry` */
    } state;
    struct deadline retry;
    struct task relief; /* a descriptor has come free */
    struct address bound;
    int64_t patience_ms; /* that its connections begin with: conn_inherit() */

    /* A connection has come; `fd` is non-blocking and the callee's to close. */
    void (*on_accept)(struct listener *l, int fd, const struct address *peer);

    /* Accepting has just been paused for want of a resource, each time anew: `err` is -Exxx, and
     * `state` what it was before.  Or it is well again: `err` is 0. */
    void (*on_trouble)(struct listener *l, int err);
};

#define LISTENER_RETRY_MS 100
#define LISTENER_CALM_MS 1000 /* without a failure: it is well again */

/* Opens, binds and watches.  The caller has set the two callbacks and the patience.  Port 0 takes a
 * free one, which is in l->bound afterwards; [::] is 0.0.0.0 where IPv6 is absent. */
int listener_start(struct listener *l, struct loop *loop, const struct address *at);

/* -EADDRINUSE if somebody listens on *at, even one who would share it: another relay, who would
 * take a part of our visitors.  To be asked before the first listener of ours is there. */
int listener_probe(const struct address *at);

/* Accepts a zeroed or stopped listener. */
void listener_stop(struct listener *l);

#endif
