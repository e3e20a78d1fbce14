/* ports.h - the raw TCP ports that this worker's devices serve: a listener each, opened with the
 * first claim on it and closed with the last.  Workers that serve the same port listen side by
 * side.
 *
 * Threads: belongs to its worker's loop.
 * Errors:  0 or -Exxx of the socket calls.
 */
#ifndef RVPN_EDGE_PORTS_H
#define RVPN_EDGE_PORTS_H

#include "edge/edge.h"

int ports_open(struct edge *e, uint16_t port);
void ports_close(struct edge *e, uint16_t port);

#endif
