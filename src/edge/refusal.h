/* refusal.h - why a visitor is turned away: counted, logged, and told to it in its own protocol.
 *
 * Threads: belongs to the edge's loop.
 */
#ifndef RVPN_EDGE_REFUSAL_H
#define RVPN_EDGE_REFUSAL_H

#include "edge/edge.h"
#include "edge/refuse.h"

struct refusal {
    enum tally_id why;
    int status; /* of HTTP */
    enum refuse_alert alert;
    int retry_s;          /* Retry-After, or 0 for none */
    const char *sentence; /* %s is the host, or "the relay" */
};

extern const struct refusal refusal_unknown;
extern const struct refusal refusal_full;
extern const struct refusal refusal_trouble;
extern const struct refusal refusal_visitors;
extern const struct refusal refusal_descriptors;
extern const struct refusal refusal_memory;
extern const struct refusal refusal_long_name;
extern const struct refusal refusal_connections; /* of one address */
extern const struct refusal refusal_handshakes;  /* of one address */
extern const struct refusal refusal_streams;     /* of one token */

/* Counts and logs it; `visitor` is the number it has in the log. */
void refusal_note(struct edge *e, uint64_t visitor, const struct stream_request *request,
                  enum tally_id why);

/* As refusal_note(), before anything is known of a visitor but the port it has come to. */
void refusal_note_unseen(struct edge *e, uint16_t port, enum tally_id why);

/* Takes `conn`. */
void refusal_tell(struct conn *conn, const struct stream_request *request, const struct refusal *r);

/* Tells a visitor that its device could not serve it.  Takes `conn`. */
void refusal_tell_unserved(struct conn *conn, enum stream_service service);

#endif
