/* deadline.h - "call me at this time", by the thousand: a hashed timing wheel.
 *
 * Starting and stopping are O(1).  A deadline fires once, at or up to WHEEL_TICK_MS after its
 * time, from wheel_run() only; it may start itself again or free its owner there.
 *
 * Threads: a wheel and its deadlines belong to one loop.
 * Memory:  a deadline lives in its owner, who stops it before freeing it.
 * Units:   milliseconds on the monotonic clock.
 */
#ifndef RVPN_NET_DEADLINE_H
#define RVPN_NET_DEADLINE_H

#include "base/list.h"

#include <stdint.h>

#define WHEEL_SLOTS 1024
#define WHEEL_TICK_MS 10

struct deadline {
    struct list link;
    int64_t at_ms;
    void (*on_time)(struct deadline *d);
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t used[WHEEL_SLOTS / 64]; /* a bit for each slot that may hold deadlines */
    int64_t tick;                    /* the last tick that has been run */
};

void wheel_init(struct wheel *w, int64_t now_ms);

/* Calls what is due. */
void wheel_run(struct wheel *w, int64_t now_ms);

/* How long one may sleep from now_ms on: 0 or more, -1 for as long as one likes.  Never too long;
 * may be too short, by one turn of the wheel at a time. */
int wheel_wait_ms(const struct wheel *w, int64_t now_ms);

void deadline_init(struct deadline *d, void (*on_time)(struct deadline *d));

/* Starts it, or moves it if it is running. */
void deadline_start(struct deadline *d, struct wheel *w, int64_t at_ms);
void deadline_stop(struct deadline *d);
bool deadline_is_running(const struct deadline *d);

#endif
