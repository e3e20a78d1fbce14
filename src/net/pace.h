/* pace.h - how much a loop takes on in one turn, so that nobody waits long for the next.
 *
 * A turn is bounded in bytes: each connection that is ready may read its share.  And in time: when
 * a turn took too long, the next takes fewer events, as many as would have fitted; what is left
 * over comes in the turn after, since epoll goes round among what is ready.
 *
 * Threads: belongs to its loop.
 * Units:   bytes, nanoseconds.
 */
#ifndef RVPN_NET_PACE_H
#define RVPN_NET_PACE_H

#include <stddef.h>
#include <stdint.h>

#define PACE_EVENTS_MAX 256U
#define PACE_EVENTS_MIN 8U
#define PACE_BYTES 1048576U       /* read in one turn, by all together */
#define PACE_SHARE_MIN 65536U     /* ... but so much by each */
#define PACE_ALONE_BYTES 2097152U /* ... and so much by one alone whose owner has room for it */
#define PACE_SLOW_NS 2000000      /* a turn that takes longer is too long */
#define PACE_QUICK_NS 1000000     /* ... and after a shorter one there may be more in the next */

struct pace {
    unsigned events; /* at most so many in the next turn */
    unsigned ready;  /* in this turn */
    size_t share;    /* of each of them */
    int64_t from_ns;
};

void pace_init(struct pace *p);

/* A turn begins, with `ready` events. */
void pace_begin(struct pace *p, unsigned ready, int64_t now_ns);
void pace_end(struct pace *p, int64_t now_ns);

#endif
