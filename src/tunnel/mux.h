/* mux.h - many streams in one M-PROXY byte stream: frames to streams, streams to frames.
 *
 * Does no I/O: it is fed the payload of WebSocket messages and hands on what it finds; what it
 * writes, WebSocket head included, goes out through its owner's write().
 *
 * Threads: belongs to its loop.
 * Memory:  keeps each mux_stream (part of a stream) from mux_add() until mux_remove().
 * Errors:  0 or -Exxx.
 * Units:   bytes.
 */
#ifndef RVPN_TUNNEL_MUX_H
#define RVPN_TUNNEL_MUX_H

#include "base/map.h"
#include "net/address.h"
#include "proto/mproxy.h"
#include "tunnel/dialect.h"
#include "tunnel/gather.h"
#include "tunnel/quarantine.h"

#define MUX_BODY_MAX 1073741823U /* bytes a device may announce for one frame; never buffered */
#define MUX_CID_MAX 72U

/* What the mux knows of one stream. */
struct mux_stream {
    struct mproxy_key key;
    struct mproxy_template head;
    struct lane lane;
};

struct mux;

/* What comes up.  All but write() come from mux_feed() and mux_deliver() only. */
struct mux_ops {
    /* Takes a copy of one WebSocket message to the device. */
    int (*write)(struct mux *m, const uint8_t *message, size_t len);

    /* The bytes that have been gathered for one stream, in order. */
    void (*on_data)(struct mux_stream *ms, const struct iovec *iov, unsigned count);

    /* END, ERROR, PAUSE or RESUME from the device; after the data that came before it.  The
     * stream may be removed and freed. */
    void (*on_signal)(struct mux_stream *ms, enum mproxy_kind kind);

    /* A whole control message: JSON, lent. */
    void (*on_control)(struct mux *m, const uint8_t *json, size_t len);
};

struct mux {
    const struct mux_ops *ops;
    struct gather *gather;
    enum dialect dialect;
    struct mproxy_decoder decoder;
    uint8_t *cut;       /* the part of a header that has come, or NULL */
    struct map streams; /* by key */
    struct quarantine ended;
    struct mux_stream *current; /* whom the frame being read is for; NULL: nobody */
    enum mproxy_kind kind;      /* of the frame being read */
    uint8_t cid[MUX_CID_MAX];   /* of `current`, to know it again without parsing */
    size_t cid_len;
    uint8_t *control; /* a control message that is not all here yet, or NULL */
    size_t control_len;
    uint64_t frames_in, frames_out;
    unsigned delivered;    /* lanes, by mux_deliver(); the owner sets it back */
    uint16_t silent_opens; /* the port of the stream that never was; see the .c file */
    int64_t now_ms;        /* the owner sets it before mux_feed(), _trim(), _add(), _remove() */
};

void mux_init(struct mux *m, const struct mux_ops *ops, struct gather *gather, enum dialect d);
void mux_fini(struct mux *m);

/* Reads bytes of the device's M-PROXY stream.  Data is only gathered: mux_deliver() hands it on.
 * in[] must stay until then.  Returns 0, or -EPROTO, -EMSGSIZE, -ENOMEM: close the tunnel. */
int mux_feed(struct mux *m, const uint8_t *in, size_t len);
void mux_deliver(struct mux *m);

/* Gives back what is held for a while only; to be called now and then. */
void mux_trim(struct mux *m);

/* Where a stream leads. */
struct mux_route {
    const struct address *visitor;
    struct slice service; /* "http", "https", "tcp" */
    uint16_t service_port;
    struct slice name;
};

/* Gives the stream a key of its own, the visitor's address and port if they are free.
 * -EMSGSIZE: the name is too long for a header; -EADDRNOTAVAIL; -ENOMEM. */
int mux_add(struct mux *m, struct mux_stream *ms, const struct mux_route *route);

/* Ends its key's use; it goes into quarantine. */
void mux_remove(struct mux *m, struct mux_stream *ms);

/* The most of `room` bytes that, sent as one data frame behind `begun` bytes, end where a unit of
 * `unit` bytes does; `room` where that would be less than half of it. */
size_t mux_fit(const struct mux_stream *ms, size_t room, size_t begun, size_t unit);

/* Sends bytes[0..len) as one data frame; LOOP_HEADROOM bytes in front of them are overwritten. */
int mux_write_data(struct mux *m, struct mux_stream *ms, uint8_t *bytes, size_t len);

/* Sends END or ERROR. */
int mux_write_end(struct mux *m, struct mux_stream *ms, enum mproxy_kind kind);

/* Sends PAUSE or RESUME; `done` (bytes so far) is for the device's log. */
int mux_write_pause(struct mux *m, struct mux_stream *ms, enum mproxy_kind kind, uint64_t done);

/* Opens the device's local connection though the visitor is silent; see docs/protocol.md. */
int mux_write_silent_open(struct mux *m, struct mux_stream *ms);

/* Sends a control message. */
int mux_write_control(struct mux *m, const uint8_t *json, size_t len);

#endif
