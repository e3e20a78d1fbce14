/* quarantine.h - stream keys that ended a moment ago and must not be given out again yet.
 *
 * A device may still send frames for a stream it has not heard the end of; under a reused key they
 * would reach a stranger.
 *
 * Threads: belongs to its owner.
 * Units:   milliseconds of the loop's clock.
 */
#ifndef RVPN_TUNNEL_QUARANTINE_H
#define RVPN_TUNNEL_QUARANTINE_H

#include "base/list.h"
#include "base/map.h"
#include "proto/mproxy.h"

#define QUARANTINE_MS 60000
#define QUARANTINE_MAX 16384U /* past this the oldest leaves early */

struct quarantine {
    struct map by_key;
    struct list oldest_first;
};

void quarantine_init(struct quarantine *q);
void quarantine_fini(struct quarantine *q);

/* Keeps `key` out of use for QUARANTINE_MS.  Out of memory it is let go at once. */
void quarantine_add(struct quarantine *q, const struct mproxy_key *key, int64_t now_ms);

/* Forgets those whose time is over; to be called now and then, if no others come. */
void quarantine_release_due(struct quarantine *q, int64_t now_ms);

/* Whether `key` must not be given out now. */
bool quarantine_has(struct quarantine *q, const struct mproxy_key *key, int64_t now_ms);

#endif
