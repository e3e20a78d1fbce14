/* meter.h - the counters of one owner: a session, or one name that a session serves.
 *
 * A counter has one writer, so that counting is a plain load and store and never a locked
 * instruction.  Totals over sessions, workers or names are made by the reader, with meter_sum().
 * Payload is counted in one place only, tunnel/stream; wire bytes are what the socket moved.
 *
 * Threads: written by one loop, read by any thread.
 * Units:   bytes, frames, streams; since the meter was made.
 */
#ifndef RVPN_METER_METER_H
#define RVPN_METER_METER_H

#include <stdatomic.h>
#include <stdint.h>

enum meter_id {
    METER_WIRE_FROM_DEVICE, /* bytes of the tunnel's socket, below TLS */
    METER_WIRE_TO_DEVICE,
    METER_PAYLOAD_TO_DEVICE,  /* bytes that visitors sent and the tunnel took */
    METER_PAYLOAD_TO_VISITOR, /* bytes that devices sent and a visitor's connection took over */
    METER_PAYLOAD_DROPPED,    /* of these, what was still queued when the visitor was lost */
    METER_FRAMES_FROM_DEVICE, /* M-PROXY frames */
    METER_FRAMES_TO_DEVICE,
    METER_STREAMS,          /* opened so far */
    METER_STREAMS_OPEN,     /* a gauge: open now */
    METER_STREAMS_REFUSED,  /* visitors that were turned away for a limit */
    METER_QUEUED_TO_DEVICE, /* gauges: bytes that wait in the relay now */
    METER_QUEUED_TO_VISITOR,
    METER_IDS
};

/* All zero is a fresh one. */
struct meter {
    _Atomic uint64_t count[METER_IDS];
};

/* What each counter is called in the API, the metrics and the ledger. */
extern const char *const meter_name[METER_IDS];

static inline uint64_t meter_read(const struct meter *m, enum meter_id id)
{
    return atomic_load_explicit(&m->count[id], memory_order_relaxed);
}

/* The writer's three.  Only a gauge ever falls. */
static inline void meter_set(struct meter *m, enum meter_id id, uint64_t value)
{
#ifdef RVPN_UNMETERED /* only to measure what counting costs */
    (void)m, (void)id, (void)value;
#else
    atomic_store_explicit(&m->count[id], value, memory_order_relaxed);
#endif
}

static inline void meter_add(struct meter *m, enum meter_id id, uint64_t by)
{
    meter_set(m, id, meter_read(m, id) + by);
}

static inline void meter_sub(struct meter *m, enum meter_id id, uint64_t by)
{
    meter_set(m, id, meter_read(m, id) - by);
}

/* Adds every counter of `m` to sum[]. */
void meter_sum(const struct meter *m, uint64_t sum[METER_IDS]);

#endif
