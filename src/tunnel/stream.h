/* stream.h - one visitor's connection, spliced to a device's tunnel.
 *
 * Bytes flow both ways until life.h says it is over; flow.h says when the device must pause.  This
 * is the only place where payload is counted.
 *
 * Threads: belongs to its session's loop.
 * Memory:  made and owned by its session; frees itself when its life is over.
 * Errors:  0 or -Exxx.
 * Units:   bytes, milliseconds.
 */
#ifndef RVPN_TUNNEL_STREAM_H
#define RVPN_TUNNEL_STREAM_H

#include "net/conn.h"
#include "proto/http_guard.h"
#include "tunnel/claim.h"
#include "tunnel/flow.h"
#include "tunnel/life.h"
#include "tunnel/mux.h"
#include "tunnel/turns.h"

struct hold;
struct session;

/* What waits for all visitors of one tunnel. */
struct backlog {
    size_t bytes;
    enum supply_level level; /* as with memory: AMPLE, OUT past the limit, SPENT past twice that */
};

#define STREAM_TRIES_MAX 2U /* tunnels that one visitor is given to: the first one, and a retry */

enum stream_service { STREAM_HTTP, STREAM_HTTPS, STREAM_TCP };

extern const char *const stream_service_name[];

/* A visitor that has said where it wants to go. */
struct stream_request {
    enum stream_service service;
    struct hostname host;   /* not for TCP */
    struct address visitor; /* where it comes from */
    uint16_t port;          /* of ours, to which it came */
    unsigned lost;          /* tunnels that have been lost under it */
};

enum stream_state {
    STREAM_SILENT,  /* no frame of it has been sent */
    STREAM_ALONE,   /* the first frame is out and nothing may follow it yet */
    STREAM_FLOWING, /* frames go freely */
    STREAM_PARTING, /* the visitor is gone; END follows once the first frame has been alone */
    STREAM_STATES
};

struct stream {
    struct mux_stream mux;
    struct list link; /* in the session's streams */
    struct turn turn; /* towards the device */
    struct session *session;
    struct claim *claim;  /* whose counters it adds to; NULL once it is taken from the session */
    struct conn *visitor; /* NULL once it is given away or closed */
    struct http_guard *guard; /* of HTTP only */
    struct hold *hold; /* what may be sent again; NULL once the answer begins, or if it may not */
    enum stream_state state;
    enum { STREAM_DEVICE_TAKES, STREAM_DEVICE_PAUSED } device;
    enum { STREAM_ASKED, STREAM_ANSWERED } talk; /* who spoke last */
    enum mproxy_kind farewell;                   /* PARTING: END or ERROR */
    struct life life;
    struct flow flow;
    struct deadline timer; /* SILENT: speak first; ALONE, PARTING: may go on; else quiet */
    struct deadline stall; /* runs while bytes wait for the visitor */
    uint64_t id;           /* for logs; unique in its session */
    uint64_t start_mark;   /* where its first byte begins on the wire; see queue_mark() */
    uint64_t first_mark;   /* ALONE, PARTING: the end of the first frame */
    uint64_t eof_mark;     /* once the visitor has ended: the end of its last frame */
    uint64_t stall_from;   /* what the visitor had taken when `stall` was started */
    uint64_t to_device, to_visitor;
    uint64_t dropped; /* of to_visitor: what the visitor never took */
    size_t waiting;   /* for the visitor, as counted in the session's backlog */
    int64_t opened_ms;
    enum stream_service service;
    uint16_t port;        /* of ours */
    const char *why;      /* what began its end, for the log */
    struct ticket ticket; /* given back when it ends; may be empty */
    struct grave grave;
};

/* Takes `visitor` and splices it.  The bytes it has sent already come through its conn, or
 * stream_on_bytes().  Returns 0; -EMSGSIZE the name is too long to be carried, -EADDRNOTAVAIL,
 * -ENOMEM: the visitor is still the caller's then. */
int stream_open(struct session *s, struct claim *claim, const struct stream_request *request,
                struct conn *visitor, struct stream **out);

/* Gives `ticket` to the stream, which gives it back when it ends. */
void stream_hold(struct stream *st, struct ticket ticket);

/* What its session tells it. */
void stream_on_data(struct stream *st, const struct iovec *iov, unsigned count);
void stream_on_signal(struct stream *st, enum mproxy_kind kind);
void stream_on_tunnel_lost(struct stream *st);
void stream_stop(struct stream *st);

/* How it is with memory has changed: see loop_memory_level(). */
void stream_on_memory(struct stream *st);

/* There is room in the tunnel again. */
void stream_on_room(struct stream *st);

/* Its conn_ops.on_bytes(), for whoever has read its first bytes.  0 while there is no room: its
 * conn keeps them then, and offers them in turn. */
size_t stream_on_bytes(struct stream *st, uint8_t *in, size_t len);

/* For its own parts: backlog and ending. */
void stream_set_state(struct stream *st, enum stream_state next);
void stream_count(struct stream *st, enum meter_id id, uint64_t by);

#endif
