/* routes.h - what the relay itself answers: its pages, its API, its WebSockets.
 *
 * Threads: any worker's loop.
 */
#ifndef RVPN_ADMIN_ROUTES_H
#define RVPN_ADMIN_ROUTES_H

#include "edge/front.h"

/* For edge_rules.routes.  Its last row makes a device of every WebSocket that asks for no other
 * path. */
extern const struct front_route admin_routes[];

/* Says goodbye (1001) to all WebSockets of this worker that end at the relay itself. */
void admin_close_all(struct edge *e);

#endif
