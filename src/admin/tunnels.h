/* tunnels.h - GET /api/tunnels: who is connected, what each serves, and every counter.
 *
 * {"tunnels": [{"id", "worker", "peer", "label", "since" (ISO 8601, UTC), the counters of
 * meter_name, "names": [{"host" or "port", "subject", the counters}]}],
 *  "counts": {"tunnels", "names", "away"}, "next": only if there are more}
 *
 * One page of it at a time, so that a worker's turn and the registry's lock are not held for long
 * where there are many tunnels: those before the page cost a step each.  `next` is the `after` of
 * the next page.
 *
 * Counters are read one by one while their owners go on counting: two of them need not be of the
 * same moment.
 *
 * Threads: any.
 */
#ifndef RVPN_ADMIN_TUNNELS_H
#define RVPN_ADMIN_TUNNELS_H

#include "edge/front.h"

#define TUNNELS_PAGE 256U
#define TUNNELS_PAGE_NAMES 1024U /* no more of all its tunnels; but one tunnel is always whole */

/* Gives the document as text: free() it.  NULL when out of memory. */
char *tunnels_write(struct registry *r, uint64_t after);

/* The "GET" route; wants a token with scope "admin". */
void tunnels_serve(const struct front_request *request);

#endif
