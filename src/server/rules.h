/* rules.h - what the configuration says, in the edge's terms.
 *
 * Threads: main thread, before the workers start.
 */
#ifndef RVPN_SERVER_RULES_H
#define RVPN_SERVER_RULES_H

#include "edge/edge.h"
#include "server/config.h"

/* Limits of the whole relay are shared out evenly among `workers`.  Keeps `config`.
 * Returns 0, or -ENOMEM. */
int rules_init(struct edge_rules *rules, const struct config *config, unsigned workers);
void rules_fini(struct edge_rules *rules);

#endif
