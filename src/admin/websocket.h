/* websocket.h - a WebSocket that ends at the relay itself and not at a device: frames in and out,
 * pings, the close handshake, and an end to whoever no longer answers.
 *
 * A part of what its owner keeps for it.  All of a worker are in edge.sockets and count as
 * visitors.  As long as too much waits for the other end it is not read, so that nothing the
 * owner sends in answer can pile up.
 *
 * Threads: belongs to its worker's loop.
 * Memory:  after on_end() nothing of it is used any more, but it must stay in place until the end
 *          of the turn: loop_bury() it.
 * Units:   bytes, milliseconds.
 */
#ifndef RVPN_ADMIN_WEBSOCKET_H
#define RVPN_ADMIN_WEBSOCKET_H

#include "edge/front.h"
#include "proto/ws.h"

#define WEBSOCKET_QUEUE_MAX 262144U /* queued bytes above which it is not read */

struct websocket;

struct websocket_ops {
    /* The next piece of a message, a WS_DATA event; lent. */
    void (*on_piece)(struct websocket *w, const struct ws_event *piece);

    /* The last event.  `why` is static text. */
    void (*on_end)(struct websocket *w, const char *why);
};

enum websocket_state { WEBSOCKET_OPEN, WEBSOCKET_GONE };

struct websocket {
    enum websocket_state state;
    uint64_t id; /* as the log knows it */
    struct edge *edge;
    struct conn *conn; /* NULL when GONE */
    const struct websocket_ops *ops;
    struct ws_decoder decoder;
    int64_t heard_ms; /* when bytes last came */
    enum { WEBSOCKET_QUIET, WEBSOCKET_PINGED } liveness;
    struct deadline ping; /* the next ping, or the time for its pong */
    struct list link;     /* in edge.sockets */
    uint16_t code;        /* of the Close that ended it; 0: there was none */
};

/* Takes `conn`, on which the handshake is done.  `message_max` as ws_decoder_init() has it. */
void websocket_init(struct websocket *w, struct edge *e, struct conn *conn,
                    const struct websocket_ops *ops, uint64_t message_max);

/* Sends a message, or with WEBSOCKET_MORE a fragment of one that goes on with the next call.
 * Copies.  Nothing happens after the end. */
enum websocket_part { WEBSOCKET_LAST, WEBSOCKET_MORE };
void websocket_send(struct websocket *w, enum ws_opcode opcode, enum websocket_part part,
                    struct slice payload);
void websocket_send_text(struct websocket *w, const char *text);

/* Sends Close and ends it; on_end() is called.  `why` is static text, for the other end and for
 * the log. */
void websocket_close(struct websocket *w, uint16_t code, const char *why);

#endif
