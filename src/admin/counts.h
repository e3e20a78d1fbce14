/* counts.h - GET /api/relay: how many there are, what has been done, and who has been refused why.
 *
 * {"workers", "tunnels", "streams" (open), the counters of tally_name, "refused": {by reason}},
 * all of them sums over the workers.
 *
 * Threads: any.
 */
#ifndef RVPN_ADMIN_COUNTS_H
#define RVPN_ADMIN_COUNTS_H

#include "edge/front.h"

/* Gives the document as text: free() it.  NULL when out of memory. */
char *counts_write(const struct edge *e);

/* The "GET" route; wants a token with scope "admin". */
void counts_serve(const struct front_request *request);

#endif
