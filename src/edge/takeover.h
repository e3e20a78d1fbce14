/* takeover.h - what becomes of the sessions whose names a device claims: the workers they are on
 * ask them whether they still live.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_TAKEOVER_H
#define RVPN_EDGE_TAKEOVER_H

#include "edge/edge.h"

/* A session of this worker has just claimed `claim`.  0 or -ENOMEM, and then nobody is asked. */
int takeover_start(struct edge *e, const struct claim *claim);

#endif
