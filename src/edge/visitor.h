/* visitor.h - an accepted connection until it is spliced to a device, taken by the relay itself,
 * moved to the device's worker, or refused.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_VISITOR_H
#define RVPN_EDGE_VISITOR_H

#include "edge/edge.h"
#include "tunnel/hold.h"

enum visitor_kind {
    VISITOR_ON_SHARED_PORT, /* its first bytes say where it wants to go */
    VISITOR_ON_OWN_PORT,    /* the port says it */
};

/* Takes `fd`, which has come in on `port`. */
void visitor_accept(struct edge *e, int fd, const struct address *peer, uint16_t port,
                    enum visitor_kind kind);

/* Closes the unrouted ones. */
void visitor_close_all(struct edge *e);

/* Drops those, `most` at most, that came before `before_ms` and have not said yet where they want
 * to go. */
void visitor_drop_silent(struct edge *e, int64_t before_ms, unsigned most);

/* Routes a visitor again that has lost its tunnel, at the end of the loop's turn.  Takes `conn` if
 * it returns 0; -ESHUTDOWN while the relay drains, -ENOMEM, -EMSGSIZE. */
int visitor_retry(struct edge *e, struct conn *conn, const struct hold *hold);

#endif
