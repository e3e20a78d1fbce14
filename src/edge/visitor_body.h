/* visitor_body.h - what a visitor is made of: private to visitor.c and routing.c.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_VISITOR_BODY_H
#define RVPN_EDGE_VISITOR_BODY_H

#include "edge/refusal.h"
#include "proto/sniff.h"

enum visitor_state {
    VISITOR_SNIFFING, /* reading first bytes; ends by sniff_by */
    VISITOR_RETURNED, /* its tunnel is lost; routed again at the end of the turn */
    VISITOR_ROUTED,   /* it is known where it goes */
    VISITOR_GONE,     /* its conn is somebody else's */
};

struct visitor {
    enum visitor_state state;
    struct list link; /* in the edge's visitors */
    struct edge *edge;
    struct conn *conn; /* ours until GONE */
    uint64_t id;       /* for logs */
    struct stream_request request;
    struct sniffed last;      /* SNIFFING: how far the last look got, at ... */
    size_t seen;              /* ... so many bytes */
    struct deadline sniff_by; /* running while SNIFFING */
    int64_t came_ms;
    struct task again; /* RETURNED */
    unsigned moves;
    const struct refusal *doom; /* what it will be told, wherever it wants to go; or NULL */
    struct grave grave;
};

/* Takes `fd` and `ticket`.  NULL if that failed, which has been logged. */
struct visitor *visitor_new(struct edge *e, int fd, const struct stream_request *request,
                            struct ticket ticket);

/* Lets go of the conn, which the caller gives to somebody else.  The visitor is in its grave then,
 * and whole until the turn ends. */
struct conn *visitor_leave(struct visitor *v);

/* Leaves it with `r`, or, if it has lost a device before, as one that was not served. */
void visitor_refuse(struct visitor *v, const struct refusal *r);

/* Whether the worker has all the visitors it may have: devices have a limit of their own. */
bool visitor_is_full(const struct edge *e);

#endif
