/* gather.h - the bytes of one wake-up, sorted by stream, so that each visitor gets one send.
 *
 * Spans point into the loop's plain scratch; nothing is copied.  One gather serves a whole worker:
 * it is empty between wake-ups.
 *
 * Threads: belongs to its loop.
 * Memory:  lanes live in their streams; a lane leaves with gather_leave() before it is freed.
 */
#ifndef RVPN_TUNNEL_GATHER_H
#define RVPN_TUNNEL_GATHER_H

#include "base/list.h"
#include "base/slice.h"
#include "proto/mproxy.h"

#include <sys/uio.h>

#define GATHER_SPANS 4096U
#define GATHER_IOV 512U /* spans of one lane that are given out at once */

struct gather_span {
    struct slice bytes;
    uint32_t next; /* of the same lane; 0 ends it */
};

struct gather {
    struct gather_span spans[GATHER_SPANS]; /* [0] is not used */
    uint32_t used;
    struct list touched;           /* lanes with spans, in order of their first */
    uint8_t head[MPROXY_HEAD_MAX]; /* a frame's, if it comes in parts */
};

struct lane {
    struct list link;
    uint32_t first, last; /* 0: none */
};

void gather_init(struct gather *g);
void lane_init(struct lane *l);

/* Whether another span fits; if not, take all first. */
bool gather_has_room(const struct gather *g);

/* Adds `bytes` to the lane; one that continues the lane's last span just makes it longer. */
void gather_add(struct gather *g, struct lane *l, struct slice bytes);

/* Takes the lane's first spans into iov[0..GATHER_IOV); 0 when it is empty, and then it has left
 * the touched ones. */
unsigned gather_take(struct gather *g, struct lane *l, struct iovec iov[GATHER_IOV]);

/* The first touched lane, or NULL: then the gather is empty again. */
struct lane *gather_next(struct gather *g);

/* Forgets the lane's spans. */
void gather_leave(struct lane *l);

#endif
