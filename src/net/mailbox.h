/* mailbox.h - how one worker gives something to another: a list of parcels and a bell.
 *
 * The bell (an eventfd) is rung only if the receiver sleeps, so a busy worker is handed work for
 * the price of an uncontended lock.  Parcels open themselves on the receiving thread.
 *
 * Threads: mailbox_send() from any thread; the rest from the owner's only.
 * Memory:  a parcel is embedded in what is sent.
 */
#ifndef RVPN_NET_MAILBOX_H
#define RVPN_NET_MAILBOX_H

#include "base/list.h"

#include <pthread.h>

struct parcel {
    struct list link;

    /* Called once on the receiving thread, which owns the parcel from then on. */
    void (*open)(struct parcel *self, void *receiver);
};

struct mailbox {
    pthread_mutex_t lock;
    struct list parcels;
    enum { MAILBOX_AWAKE, MAILBOX_ASLEEP } receiver_state;
    int bell; /* eventfd */
    void *receiver;
};

int mailbox_init(struct mailbox *m, void *receiver);

/* The parcels nobody has opened are opened with a NULL receiver, to free themselves. */
void mailbox_fini(struct mailbox *m);

/* Takes `p`. */
void mailbox_send(struct mailbox *m, struct parcel *p);

/* Before sleeping: whether one may (nothing waits).  If so, the next parcel rings the bell. */
bool mailbox_may_sleep(struct mailbox *m);

/* After waking: opens all that waits. */
void mailbox_open_all(struct mailbox *m);

#endif
