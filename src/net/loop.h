/* loop.h - one thread's epoll loop: readiness, deadlines, a mailbox, and work kept for the end of
 * a turn.
 *
 * A turn is: wait; open the mailbox; call each ready watch; run the deadlines that are due; run
 * the end-of-turn tasks (connections flush what the whole turn has queued) until there are none;
 * free what was buried.  So an object closed in the middle of a turn stays valid memory until
 * its end, and a stale event for it finds a dead watch.  pace.h says how much a turn takes on.
 *
 * The loop also owns what a worker needs once and not per connection: the scratch buffers of the
 * data path and the pool that all queues on this thread draw from.
 *
 * Threads: belongs to one thread; others reach it only by mailbox_send(&loop->mailbox, ...).
 * Errors:  0 on success, -Exxx.
 */
#ifndef RVPN_NET_LOOP_H
#define RVPN_NET_LOOP_H

#include "base/buf.h"
#include "base/list.h"
#include "net/deadline.h"
#include "net/mailbox.h"
#include "net/pace.h"
#include "net/supply.h"

#include <stdint.h>

#define LOOP_CIPHER_BYTES 262144U /* one recv() of a TLS connection */
#define LOOP_PLAIN_BYTES 2359296U /* what one wake-up decrypts at most, and one recv() more */
#define LOOP_HEADROOM 512U        /* writable bytes in front of the plain scratch */

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

struct watch {
    int fd; /* -1: not watched */
    unsigned interest;
    void (*on_ready)(struct watch *w, unsigned ready);
};

/* Something to be done once at the end of this turn. */
struct task {
    struct list link;
    void (*run)(struct task *t);
};

/* Something to be freed when the turn is over. */
struct grave {
    struct list link;
    void (*free)(struct grave *g);
};

struct loop {
    int epoll_fd;
    int64_t now_ms; /* read once per turn */
    enum { LOOP_RUNNING, LOOP_STOPPING } state;
    struct pace pace;
    struct wheel wheel;
    struct mailbox mailbox;
    struct watch bell;
    struct list tasks;
    struct list graves;
    struct list wanting;   /* tasks that wait for a descriptor */
    struct supply *supply; /* of the process; NULL: without limits */
    struct pool pool;
    size_t fixed_bytes; /* what connections cost beside their queues */
    struct {
        size_t told_bytes;   /* to the supply */
        size_t told_queues;  /* ... of these, in queues */
        size_t peak_bytes;   /* most that was held since memory was last given back */
        size_t lately_bytes; /* most since trim_at_ms was set */
        int64_t trim_at_ms;  /* 0: nothing to give back */
        enum supply_level level;
    } memory;
    void (*on_memory_level)(void *receiver); /* it has changed; NULL: nobody minds */
    unsigned conns;  /* open on this loop, those that finish by themselves included */
    uint8_t *cipher; /* LOOP_CIPHER_BYTES */
    uint8_t *plain;  /* LOOP_PLAIN_BYTES, with LOOP_HEADROOM writable bytes in front */
};

/* `receiver` is given to each parcel that the loop's mailbox opens. */
int loop_init(struct loop *l, void *receiver);
void loop_fini(struct loop *l);

/* Turns until loop_stop(). */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);

/* Watches `fd`; keeps `w`.  loop_set_interest() is cheap where nothing changes. */
int loop_watch(struct loop *l, struct watch *w, int fd, unsigned interest);
void loop_set_interest(struct loop *l, struct watch *w, unsigned interest);
void loop_unwatch(struct loop *l, struct watch *w);

/* The same of a descriptor that is closed next: it leaves epoll with that, as it has no duplicate,
 * and needs no system call of its own here. */
void loop_unwatch_closing(struct watch *w);

void task_init(struct task *t, void (*run)(struct task *t));

/* Has `t` run at the end of this turn; once, however often it is asked for. */
void loop_defer(struct loop *l, struct task *t);
void task_cancel(struct task *t);

/* Has `t` run at the end of the turn in which a connection of this loop gives its descriptor back.
 */
void loop_want_descriptor(struct loop *l, struct task *t);
void loop_take_descriptor(struct loop *l);
void loop_give_descriptor(struct loop *l);

/* What this loop's connections and queues hold, and how it is with all loops together. */
size_t loop_memory(const struct loop *l);
enum supply_level loop_memory_level(const struct loop *l);

/* Takes `g`. */
void loop_bury(struct loop *l, struct grave *g);

/* deadline_start(), counted from now. */
void loop_start_deadline(struct loop *l, struct deadline *d, int64_t in_ms);

#endif
