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

/* A visitor that another worker has routed to here. */
struct visitor_parcel {
    struct parcel parcel;
    int fd;
    uint64_t session_id;
    struct stream_request request;
    unsigned moves;       /* how often it has been handed over */
    struct ticket ticket; /* of the conn */
    size_t len;
    uint8_t bytes[]; /* what it has sent so far */
};

/* parcel.open of such a parcel; `receiver` is the edge it has come to. */
void visitor_open_parcel(struct parcel *parcel, void *receiver);

/* Closes the unrouted ones. */
void visitor_close_all(struct edge *e);

/* Drops those, `most` at most, that came before `before_ms` and have not said yet where they want
 * to go. */
void visitor_drop_silent(struct edge *e, int64_t before_ms, unsigned most);

/* Routes a visitor again that has lost its tunnel, at the end of the loop's turn.  Takes `conn` if
 * it returns 0; -ESHUTDOWN while the relay drains, -ENOMEM, -EMSGSIZE. */
int visitor_retry(struct edge *e, struct conn *conn, const struct hold *hold);

/* Tells a visitor that its device could not serve it.  Takes it. */
void visitor_refuse_unserved(struct conn *conn, enum stream_service service);

#endif
