/* echo.h - a WebSocket that says back whatever it hears, piece by piece, for conformance tests.
 *
 * Messages have no maximum: nothing of one is kept.  Text that is not UTF-8 ends it with 1007.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_ADMIN_ECHO_H
#define RVPN_ADMIN_ECHO_H

#include "edge/front.h"

/* The "WEBSOCKET" route of /ws/echo. */
void echo_start(const struct front_request *request);

/* Takes `conn`, on which the handshake is done.  Returns 0 or -ENOMEM. */
int echo_open(struct edge *e, struct conn *conn);

#endif
