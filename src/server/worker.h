/* worker.h - one thread of the relay: a loop, its part of the edge, and a listener for each of
 * the relay's addresses.
 *
 * Threads: made and freed by the main thread; between worker_start() and worker_join() others
 *          reach it through its mailbox only, by worker_order().
 * Errors:  0 or -Exxx.
 */
#ifndef RVPN_SERVER_WORKER_H
#define RVPN_SERVER_WORKER_H

#include "edge/edge.h"
#include "net/listener.h"

#include <pthread.h>

enum order_kind {
    ORDER_DRAIN,     /* no new visitors; stop once nothing is left */
    ORDER_DRAIN_NOW, /* the grace is over: devices are sent away */
    ORDER_STOP,      /* leave the loop, whatever is open */
    ORDER_TRUST,     /* use `trust` from now on, and send the order back */
    ORDER_KINDS
};

/* Travels by mailbox.  Each worker has one of each kind, so that none can fail for want of memory.
 */
struct order {
    struct parcel parcel;
    enum order_kind kind;
    enum { ORDER_IDLE, ORDER_GIVEN } state; /* the main thread's */
    struct worker *worker;
    const struct trust *trust;
    struct mailbox *reply_to;                                /* TRUST: where it goes back to */
    void (*on_reply)(struct parcel *parcel, void *receiver); /* ... and what opens it there */
};

struct worker {
    pthread_t thread;
    struct loop loop;
    struct edge *edge;
    struct listener *listeners;
    size_t listener_count;
    struct order orders[ORDER_KINDS];
    struct deadline gone;   /* draining: looks whether all connections are */
    struct mailbox *keeper; /* is sent `left` when the loop has been left */
    struct parcel left;
};

/* Makes the loop and the edge.  `parts` lacks only the loop. */
int worker_init(struct worker *w, struct edge_parts parts, size_t listeners);
void worker_fini(struct worker *w);

/* Listens on *at, which becomes what it was bound to: port 0 the one that was free. */
int worker_listen(struct worker *w, struct address *at);

/* When the thread ends, `left` is opened by `on_left` at the `keeper`. */
int worker_start(struct worker *w, struct mailbox *keeper,
                 void (*on_left)(struct parcel *parcel, void *receiver));
void worker_join(struct worker *w);

/* Sends a copy of `order`.  What has been ordered already is not ordered again, but for
 * ORDER_TRUST, which may be given anew once it has come back. */
void worker_order(struct worker *w, const struct order *order);

#endif
