/* tally.h - what one worker has done and whom it has turned away, counted by reason.
 *
 * A counter has one writer, as in meter.h; totals over workers are made by the reader.  A name is
 * both what the API calls a counter and, of a refusal, what the log gives as the reason.
 *
 * Threads: written by one loop, read by any thread.
 */
#ifndef RVPN_METER_TALLY_H
#define RVPN_METER_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

enum tally_id {
    TALLY_ACCEPTED,           /* connections taken from the kernel, refused ones included */
    TALLY_PENDING,            /* a gauge: unrouted, or with the relay itself and no device */
    TALLY_VISITORS_MOVED,     /* given to another worker */
    TALLY_VISITORS_RETRIED,   /* routed again, since their device had gone */
    TALLY_HANDSHAKES,         /* TLS with the relay itself, seen through to the end */
    TALLY_HANDSHAKES_RESUMED, /* ... of those, with a ticket */
    TALLY_HANDSHAKES_FAILED,
    TALLY_HANDSHAKES_WAITED,  /* that could not begin at once */
    TALLY_HANDSHAKES_WAITING, /* a gauge */

    /* Refusals of visitors, and of connections of which nobody knows yet. */
    TALLY_REFUSED_UNKNOWN_NAME,
    TALLY_REFUSED_DEVICE_AWAY,
    TALLY_REFUSED_DEVICE_FULL, /* streams_max */
    TALLY_REFUSED_NAME_TOO_LONG,
    TALLY_REFUSED_NOT_UNDERSTOOD,
    TALLY_REFUSED_NOT_PASSABLE,
    TALLY_REFUSED_TOO_SLOW,
    TALLY_REFUSED_DRAINING,
    TALLY_REFUSED_VISITORS_MAX,
    TALLY_REFUSED_NO_RESOURCES, /* an allocation or a socket call has failed */
    TALLY_REFUSED_MEMORY,       /* memory_limit */
    TALLY_REFUSED_DESCRIPTORS,
    TALLY_REFUSED_HANDSHAKES_PENDING,
    TALLY_REFUSED_ADDRESS_CONNECTIONS,
    TALLY_REFUSED_ADDRESS_HANDSHAKES,
    TALLY_REFUSED_TOKEN_STREAMS,

    /* Refusals of devices. */
    TALLY_REFUSED_TUNNELS_MAX,
    TALLY_REFUSED_TOKEN_TUNNELS,
    TALLY_REFUSED_NO_TOKEN, /* in time */
    TALLY_REFUSED_BAD_TOKEN,
    TALLY_REFUSED_BAD_NAME, /* no name or port of the token may be served */
    TALLY_REFUSED_NAME_TAKEN,
    TALLY_REFUSED_PORT_UNAVAILABLE,
    TALLY_REFUSED_TOO_MANY_NAMES,
    TALLY_REFUSED_FOREIGN_PAGE,
    TALLY_IDS
};

#define TALLY_REFUSED_FIRST TALLY_REFUSED_UNKNOWN_NAME

/* All zero is a fresh one. */
struct tally {
    _Atomic uint64_t count[TALLY_IDS];
};

extern const char *const tally_name[TALLY_IDS];

static inline uint64_t tally_read(const struct tally *t, enum tally_id id)
{
    return atomic_load_explicit(&t->count[id], memory_order_relaxed);
}

/* The writer's two. */
static inline void tally_add(struct tally *t, enum tally_id id)
{
    atomic_store_explicit(&t->count[id], tally_read(t, id) + 1, memory_order_relaxed);
}

static inline void tally_sub(struct tally *t, enum tally_id id)
{
    atomic_store_explicit(&t->count[id], tally_read(t, id) - 1, memory_order_relaxed);
}

/* Adds every counter of `t` to sum[]. */
void tally_sum(const struct tally *t, uint64_t sum[TALLY_IDS]);

#endif
