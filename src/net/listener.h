/* listener.h - a listening TCP socket on one loop.
 *
 * Every worker has one of its own for the same address (SO_REUSEPORT): the kernel shares the
 * visitors out.  When descriptors run out it stops accepting and tries again by itself.
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
    struct deadline retry; /* running while accepting is paused */
    struct address bound;

    /* A connection has come; `fd` is non-blocking and the callee's to close. */
    void (*on_accept)(struct listener *l, int fd, const struct address *peer);

    /* accept() failed for want of a resource; accepting goes on in LISTENER_RETRY_MS. */
    void (*on_trouble)(struct listener *l, int err);
};

#define LISTENER_RETRY_MS 100

/* Opens, binds and watches.  The caller has set the two callbacks.  Port 0 takes a free one, which
 * is in l->bound afterwards; [::] is 0.0.0.0 where IPv6 is absent. */
int listener_start(struct listener *l, struct loop *loop, const struct address *at);

/* -EADDRINUSE if somebody listens on *at, even one who would share it: another relay, who would
 * take a part of our visitors.  To be asked before the first listener of ours is there. */
int listener_probe(const struct address *at);

/* Accepts a zeroed or stopped listener. */
void listener_stop(struct listener *l);

#endif
