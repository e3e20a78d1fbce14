/* conn.h - one TCP connection on one loop, plain or TLS, as a pair of byte pipes.
 *
 * The owner asks by calling down (conn_*) and hears by events coming up (its conn_ops).  No event
 * is delivered inside a conn_* call: events come from the loop only, so the owner is never
 * re-entered.  A plain conn sends at once what it is given; a TLS conn gathers what a whole turn
 * of the loop writes, so that small frames share records and one system call.
 *
 * Bytes come in through the loop's scratch, not through memory of the conn: an idle one holds
 * none.  What the owner does not take is kept and offered again, in front of what came since.
 *
 * Threads: belongs to the loop it was made on; call it from there only.
 * Memory:  after conn_close(), conn_finish() or conn_detach() the pointer is dead to the owner at
 *          once; the loop frees the conn at the end of a turn.
 * Errors:  0 on success, -Exxx on failure.
 * Units:   bytes as the owner sees them, above TLS, but for the wire counts.
 */
#ifndef RVPN_NET_CONN_H
#define RVPN_NET_CONN_H

#include "base/ticket.h"
#include "net/address.h"
#include "net/loop.h"

#include <openssl/ssl.h>
#include <sys/uio.h>

#define CONN_READ_MAX 262144U    /* one recv() of a plain conn */
#define CONN_RECORD_BYTES 16384U /* the largest TLS record's plaintext (RFC 8446 5.1) */
#define CONN_KEPT_MAX 524288U    /* most bytes an owner may leave untaken */
#define CONN_IOV_MAX 1024U       /* most entries of one conn_writev() */
#define CONN_LINGER_MS 2000      /* how long conn_finish() waits for the other end's FIN */
#define CONN_SHORT_LINGER_MS 200 /* ... while descriptors are short */
#define CONN_DRAIN_MS 60000 /* ... and before that, for it to take all that is queued, or ... */
#define CONN_DRAIN_LEAST 1048576 /* ... so much of it, and then as long again */
#define CONN_IDLE_S 60           /* conn_inherit(): of silence, before the first probe ... */
#define CONN_PROBE_S 15          /* ... between probes, and behind the last ... */
#define CONN_PROBES 4            /* ... of so many */
#define CONN_KEEPALIVE_MS (INT64_C(1000) * (CONN_IDLE_S + CONN_PROBE_S * CONN_PROBES))
#define CONN_QUEUE_MAX 67108864 /* a backstop: owners keep to marks far below */

struct conn; /* private to conn.c */

struct conn_ops {
    /* The most bytes the owner would take now; 0 stops reading until conn_update(). */
    size_t (*room)(void *owner);

    /* Bytes have come; in[] is lent for the call, may be written to, and has LOOP_HEADROOM
     * writable bytes in front.  Returns how many were taken.  The rest is offered again at once
     * if some were taken and room() says so, else with what comes next. */
    size_t (*on_bytes)(void *owner, uint8_t *in, size_t len);

    void (*on_drain)(void *owner);         /* conn_queued() has fallen */
    void (*on_eof)(void *owner);           /* there is no more to come than what is kept */
    void (*on_lost)(void *owner, int err); /* the last event; `err` is -Exxx; close it now */
};

/* Tells a listening socket what its connections are to begin with, so that nobody has to say it for
 * each of them: they send without delay (TCP_NODELAY), are asked whether they are still there when
 * they are silent, and are lost after CONN_KEEPALIVE_MS of that or as conn_set_patience() says.
 * With a patience below that, Linux takes the first probe without an answer for the last, and a
 * lost packet ends the conn: conn_stop_keepalive() then. */
int conn_inherit(int listening, int64_t patience_ms);

/* Takes over `fd`, which must be non-blocking, and stores the conn in *out.
 * On failure `fd` is still the caller's and *out is untouched. */
int conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner, struct conn **out);

/* Receives what may have come before the conn was there, without waiting for the loop to say so.
 * Events come up from this call: it is made from an event of the loop's, after whatever else its
 * caller does. */
void conn_look(struct conn *c);

/* It is to stay: see supply_settle(). */
void conn_settle(struct conn *c);

/* Gives the conn to another owner. */
void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner);

/* From now on the bytes are TLS, accepted with `context`, beginning with those that the on_bytes()
 * it is called from does not take. */
int conn_start_tls(struct conn *c, SSL_CTX *context);

/* Has bytes offered as if they had just come, in front of all others: those that another worker
 * has read, or that a former owner has taken in vain.  They were counted there.  An end that has
 * been told is told again, behind them.  -EMSGSIZE past CONN_KEPT_MAX, -ENOMEM. */
int conn_preload(struct conn *c, struct slice bytes);

/* How far TLS has got. */
enum conn_handshake {
    CONN_HANDSHAKE_UNDER_WAY,
    CONN_HANDSHAKE_DONE,
    CONN_HANDSHAKE_RESUMED, /* done, with a ticket of an earlier one */
};
enum conn_handshake conn_handshake(const struct conn *c); /* of a conn that is TLS */

/* The name asked for in the TLS handshake; NULL if none or not TLS.  Lent. */
const char *conn_tls_name(const struct conn *c);
bool conn_is_tls(const struct conn *c);

/* Sends or queues a copy of the bytes.  Returns 0; -ENOBUFS past CONN_QUEUE_MAX (nothing is queued
 * then); -ESHUTDOWN after conn_shut() or when the conn is lost. */
int conn_write(struct conn *c, const void *bytes, size_t len);
int conn_writev(struct conn *c, const struct iovec *iov, unsigned count);

size_t conn_queued(const struct conn *c);

/* How much of a TLS record of CONN_RECORD_BYTES has been written and waits for the rest: to fill
 * records saves time.  0 of a conn that is plain. */
size_t conn_record_begun(const struct conn *c);

/* Gives `ticket` to the conn, which gives it back when it is closed: also when it closes by itself,
 * long after its owner has let go of it. */
void conn_hold(struct conn *c, struct ticket ticket);

/* Takes it out again, before conn_detach(). */
struct ticket conn_take_ticket(struct conn *c);

/* The owner's room() has changed. */
void conn_update(struct conn *c);

/* Ends our half once the queue is empty. */
void conn_shut(struct conn *c);

/* Loses the conn (-ETIMEDOUT) once the other end's system has acknowledged nothing of what was sent
 * for `ms`.  Linux counts a system whose program leaves its window closed for so long among these,
 * though it answers (TCP_USER_TIMEOUT). */
void conn_set_patience(struct conn *c, int64_t ms);

/* Leaves no more than `bytes` to the kernel that it has not sent yet; what is more is queued here,
 * and on_drain() says when there is room.  Otherwise the kernel takes megabytes, first come first
 * served. */
void conn_limit_unsent(struct conn *c, unsigned bytes);

/* Who has another way to find out about a silent other end needs none of the system's. */
void conn_stop_keepalive(struct conn *c);

/* Drops both halves and whatever is queued. */
void conn_close(struct conn *c);

/* As conn_close(), with a TCP reset, so that the other end sees a break and not an end. */
void conn_reset(struct conn *c);

/* Lets go of the conn: it sends what is queued, ends its half, swallows what still comes for a
 * moment so that nothing in flight is destroyed, and closes by itself.  Who takes too little of
 * what is queued is reset. */
void conn_finish(struct conn *c);

/* As conn_finish(), but ends with a reset once the queue is empty. */
void conn_finish_reset(struct conn *c);

/* Lets go of the conn and returns its fd, unwatched and now the caller's, with nothing queued or
 * kept: to move a connection to another worker. */
int conn_detach(struct conn *c);

/* Bytes moved by recv() and send(), below TLS. */
uint64_t conn_wire_in(const struct conn *c);
uint64_t conn_wire_out(const struct conn *c);

/* Of conn_wire_out(), what the other end's kernel has acknowledged. */
uint64_t conn_delivered(const struct conn *c);

#endif
