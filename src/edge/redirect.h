/* redirect.h - clear HTTP for a device's name, sent to HTTPS where the operator wants that.
 *
 * Threads: belongs to the conn's loop.
 */
#ifndef RVPN_EDGE_REDIRECT_H
#define RVPN_EDGE_REDIRECT_H

#include "edge/edge.h"
#include "proto/http_head.h"

/* Whether such a request is: ACME's challenges stay in the clear. */
bool redirect_wants(const struct edge_rules *rules, const struct http_head *head);

/* Takes `conn`: 308 to the same port, since every port of the relay speaks TLS as well; 80 stands
 * for 443. */
void redirect_tell(struct conn *conn, const struct hostname *host, const struct http_head *head);

#endif
