/* takeover.h - what becomes of the sessions whose names a device claims, or would: the workers they
 * are on ask them whether they still live.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_TAKEOVER_H
#define RVPN_EDGE_TAKEOVER_H

#include "edge/edge.h"

/* A session of this worker has just claimed `claim`.  0 or -ENOMEM, and then nobody is asked. */
int takeover_start(struct edge *e, const struct claim *claim);

/* A device of the subject's `host` is refused, as its token has all the tunnels it may have: asks
 * these, so that it finds room when it comes again if some of them are what it has left behind. */
void takeover_ask_all(struct edge *e, struct slice host, const char *subject);

#endif
