/* shortage.h - who is let in while descriptors or memory run out, and who has to go.
 *
 * Visitors of devices are turned away first; devices and the relay's own pages go on until nothing
 * is left.  It is logged when that begins and when it is over.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_SHORTAGE_H
#define RVPN_EDGE_SHORTAGE_H

#include "edge/refusal.h"

void shortage_init(struct edge *e);

/* What a visitor of a device, or a device, is to be refused with; NULL if there is enough. */
const struct refusal *shortage_for_visitor(struct edge *e);
const struct refusal *shortage_for_device(struct edge *e);

/* listener.on_trouble() of every port: drops who has taken a connection and says nothing.  `port`
 * is for the log. */
void shortage_on_trouble(struct edge *e, const struct listener *l, uint16_t port, int err);

#endif
