/* turns.h - whose visitor is read next, where many have more to say than one device takes.
 *
 * Deficit round robin, over bytes that stand unread in the visitors' sockets: in each round each
 * stream may have one quantum read, less what it read too much in the round before.  The queue to
 * the device has two marks: below the low one nobody need wait, above the high one nobody is read.
 * In between, who has used up his quantum waits until the queue is below the low mark again; then
 * those that wait go on, as many as fill it.
 *
 * Who has sent little of late does not wait behind the others: a stream has its quantum of a round
 * whenever it comes, waits in a line of its own, which has every other turn, and may have a few
 * bytes read even above the high mark, unless it read more than that in the round before.
 *
 * The quantum is an equal share of what lies between the marks, among those that read in the last
 * round: few read much at a time, many take quick turns.
 *
 * Threads: belongs to its session's loop.
 * Memory:  owns nothing.
 * Units:   bytes.
 */
#ifndef RVPN_TUNNEL_TURNS_H
#define RVPN_TUNNEL_TURNS_H

#include "base/list.h"

#include <stdint.h>

#define TURNS_LEAST 4096U         /* less room is no room, less credit is none */
#define TURNS_STEP 16384U         /* quanta are multiples of that: full TLS records */
#define TURNS_QUANTUM_MIN 32768U  /* what each may read in a round */
#define TURNS_QUANTUM_MAX 262144U /* one recv() */
#define TURNS_SPARE 4096U         /* what each may read above the high mark, in a round */
#define TURNS_SPARE_SUM 65536U    /* ... and all together, until the queue is low again */

struct turns_marks {
    size_t low, high; /* low < high */
};

/* One stream's part; turn_init() before use. */
struct turn {
    struct list link; /* in one of the lines while it waits */
    enum {
        TURN_FRESH, /* what it may read is its due for having come */
        TURN_GIVEN, /* it has waited for it */
    } kind;
    enum { TURN_READS_DUE, TURN_READS_SPARE } reads;
    int64_t credit;      /* what it may still read in `round`; below 0 if it read too much */
    int64_t spare;       /* ... while the queue is above the high mark */
    uint64_t round;      /* 0: none yet */
    uint64_t read_round; /* the last in which it read */
};

struct turns {
    struct turns_marks marks; /* may be changed at any time */
    struct list fresh;        /* wait, with credit for having come */
    struct list given;        /* had a turn, and found no room */
    struct list spent;        /* wait for their next turn */
    enum { TURNS_FROM_FRESH, TURNS_FROM_OLD } last;
    enum {
        TURNS_OPEN,
        TURNS_CLOSING, /* who was fresh at the end of the round is served before it ends */
    } state;
    uint64_t round;
    unsigned readers;          /* in this round */
    const struct turn *reader; /* the last; only compared */
    uint64_t reader_since;     /* the round in which it was the last to begin */
    size_t quantum;            /* of this round */
    int64_t spare;             /* what all together may still read above the high mark */
};

void turns_init(struct turns *ts, struct turns_marks marks);
void turn_init(struct turn *t);

/* How many bytes may be read for `t` while `queued` wait for the device.  0: it waits from now on,
 * until turns_next() gives it or turn_leave(). */
size_t turns_room(struct turns *ts, struct turn *t, size_t queued);

/* `len` bytes have been read for `t`; may be more than there was room for. */
void turns_charge(struct turns *ts, struct turn *t, size_t len);

/* The queue is down to `queued`, and `given` bytes of room have been given away since.  Returns who
 * is next: it waits no more, and *given has grown by what it may read.  NULL: nobody, or what has
 * been given would fill the queue, or it is not low.  An empty queue is given to all that wait:
 * nothing would ask again. */
struct turn *turns_next(struct turns *ts, size_t queued, size_t *given);

bool turns_has_waiting(const struct turns *ts);

/* It has nothing to read any more. */
void turn_leave(struct turn *t);

#endif
