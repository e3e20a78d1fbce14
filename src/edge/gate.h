/* gate.h - TLS handshakes with the relay itself, begun no faster than the relay can do them.
 *
 * Who comes faster waits in a list, first come first served: its ClientHello stays where it is and
 * nothing is computed for it.  Visitors of devices never come here: their TLS is not ours.
 *
 * Threads: belongs to its worker's loop.
 * Units:   milliseconds.
 */
#ifndef RVPN_EDGE_GATE_H
#define RVPN_EDGE_GATE_H

#include "base/bucket.h"
#include "net/conn.h"
#include "tunnel/stream.h"

struct edge;

/* Of one worker. */
struct gate_limits {
    struct bucket_rate rate; /* handshakes that may begin */
    uint32_t pending_max;    /* that may wait */
    int64_t wait_ms;         /* how long one may wait */
};

struct gate {
    enum { GATE_CALM, GATE_CROWDED } state;
    struct bucket bucket;
    struct list waiting; /* first come first */
    uint32_t pending;
    struct deadline next; /* CROWDED: when the first may begin, or has waited too long */
    /* of this crowd, for the log */
    int64_t since_ms;
    uint64_t waited, refused;
};

void gate_init(struct gate *g, const struct gate_limits *limits, int64_t now_ms);

/* Takes `conn`, which wants TLS with the relay, and whose ClientHello is being offered to the owner
 * it has: gives it to a front at once or in its turn, or refuses it. */
void gate_enter(struct edge *e, struct conn *conn, const struct stream_request *request);

/* Closes all who wait. */
void gate_close_all(struct edge *e);

#endif
