/* drain.h - how fast a device takes what is sent to it, and so how much may wait for it.
 *
 * What waits is first come first served, in front of whatever else comes: on a slow link a queue of
 * a mebibyte is seconds.  So a queue is measured in time: its bytes are what the device takes in
 * some milliseconds.  The rate is what was sent while the queue was never empty.  A queue that ran
 * empty while there was more to send was too short: twice the rate is assumed from there on.
 *
 * Threads: belongs to its session's loop.
 * Units:   bytes, milliseconds.
 */
#ifndef RVPN_TUNNEL_DRAIN_H
#define RVPN_TUNNEL_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DRAIN_LOOK_MS 10 /* the rate is taken over so long at least */

struct drain {
    uint64_t rate; /* bytes a second; 0: not known yet */
    enum { DRAIN_EMPTY, DRAIN_BUSY } state;
    int64_t from_ms; /* BUSY: since when, or since the last look */
    uint64_t from_bytes;
};

/* The socket has taken `sent` bytes in all, `queued` are left, and `has_more` says whether visitors
 * wait for room. */
void drain_note(struct drain *d, int64_t now_ms, uint64_t sent, size_t queued, bool has_more);

/* What the device takes in `ms`; SIZE_MAX while that is not known. */
size_t drain_bytes(const struct drain *d, int64_t ms);

#endif
