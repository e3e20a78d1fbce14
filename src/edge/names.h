/* names.h - which names are the relay's own, and which a token may ever serve.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_EDGE_NAMES_H
#define RVPN_EDGE_NAMES_H

#include "edge/edge.h"

/* The relay's own: those it was given, and every address. */
bool names_is_own(const struct edge_rules *rules, const struct hostname *host);

/* Whether a device may be given `host` (a pattern maybe), whatever its token says: never one of
 * the relay's own names, nor an address. */
bool names_may_serve(const struct edge_rules *rules, const struct hostname *host);

/* Whether a device may be given a raw TCP port: never one on which the relay itself answers, as
 * SO_REUSEPORT would let it share that. */
bool names_may_open(const struct edge_rules *rules, uint16_t port);

#endif
