/* conn_body.h - what a conn is made of: private to conn.c, outlet.c and intake.c.
 *
 * Threads: belongs to the conn's loop.
 */
#ifndef RVPN_NET_CONN_BODY_H
#define RVPN_NET_CONN_BODY_H

#include "base/buf.h"
#include "net/conn.h"
#include "net/tls.h"

/* What it costs beside its queues: itself, its owner and what the system's heap adds; and an SSL
 * with its buffers. */
#define CONN_FIXED_BYTES 2048U
#define CONN_TLS_BYTES 24576U
#define CONN_HANDSHAKE_BYTES 40960U /* more, until the handshake is done */

enum conn_state {
    CONN_OPEN,
    CONN_LOST,      /* on_lost() is due at the end of the turn, or has been told */
    CONN_FINISHING, /* no owner any more; see conn_finish() */
    CONN_CLOSED     /* waits for its grave */
};

enum conn_sending {
    CONN_SENDING,
    CONN_ENDING, /* FIN follows the last queued byte */
    CONN_ENDED
};

struct conn {
    int fd;
    struct watch watch; /* of fd, until the conn is lost */
    struct loop *loop;
    const struct conn_ops *ops;
    void *owner;
    enum conn_state state;
    enum conn_sending sending;
    enum { CONN_PASSING, CONN_SETTLED } stay;
    enum {
        CONN_RECEIVING,
        CONN_EOF_DUE, /* the other end has ended; the owner has yet to take what is kept */
        CONN_EOF
    } receiving;
    enum { CONN_ENDS_WITH_FIN, CONN_ENDS_WITH_RESET } manner;
    int lost_err;
    int64_t reset_by_ms;  /* ENDED with a reset to come */
    struct tls *tls;      /* NULL: plain */
    size_t tls_bytes;     /* what that is taken to cost now */
    struct buf out;       /* what the socket has not taken; ciphertext under TLS */
    struct buf unsealed;  /* TLS: plaintext of this turn, up to one record */
    struct buf kept;      /* what the owner has not taken */
    struct task turn;     /* flush, offer again, tell of a loss: at the end of this turn */
    struct ticket ticket; /* for the conn itself; may be empty */
    struct deadline finish_by;
    size_t drain_from; /* FINISHING: what was queued when finish_by was started */
    struct grave grave;
    uint64_t wire_in, wire_out;
};

static inline bool conn_is_alive(const struct conn *c)
{
    return c->state == CONN_OPEN || c->state == CONN_FINISHING;
}

/* Whether its turn has been asked for; interest is looked at there then. */
static inline bool conn_has_turn(const struct conn *c)
{
    return !list_is_empty(&c->turn.link);
}

/* Computes the interest in reading and writing from the queues and the owner's room.  One without
 * room is watched on until it has something to read. */
void conn_set_interest(struct conn *c);

/* How long it waits for the other end's FIN when it is finishing. */
int64_t conn_linger_ms(const struct conn *c);

/* The connection is no good any more: on_lost(err) is due, or it closes if it is finishing. */
void conn_lose(struct conn *c, int err);

#endif
