#include "admin/websocket.h"

static const struct conn_ops websocket_conn_ops;

/* The conn has been let go of before. */
static void end(struct websocket *w, const char *why)
{
    w->state = WEBSOCKET_GONE;
    w->conn = NULL;
    deadline_stop(&w->ping);
    list_remove(&w->link);
    tally_sub(&w->edge->tally, TALLY_PENDING);
    w->ops->on_end(w, why);
}

/* Whatever goes wrong with a write comes up as on_lost(). */
static void write_frame(struct websocket *w, uint8_t *head, size_t head_len, struct slice payload)
{
    struct iovec iov[2] = {{head, head_len}, {(void *)(uintptr_t)payload.ptr, payload.len}};

    (void)conn_writev(w->conn, iov, 2);
}

void websocket_send(struct websocket *w, enum ws_opcode opcode, enum websocket_part part,
                    struct slice payload)
{
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = ws_write_head(head, opcode, payload.len);

    if (part == WEBSOCKET_MORE)
        head[0] &= 0x7F; /* FIN, RFC 6455 5.2 */
    if (w->state == WEBSOCKET_OPEN)
        write_frame(w, head, head_len, payload);
}

void websocket_send_text(struct websocket *w, const char *text)
{
    websocket_send(w, WS_OP_TEXT, WEBSOCKET_LAST, slice_text(text));
}

/* The relay ends TCP first, as RFC 6455 7.1.1 wants it; what still comes, the other end's Close
 * with it, is swallowed for a moment. */
static void finish(struct websocket *w, uint16_t code, const char *reason, const char *why)
{
    uint8_t frame[WS_CLOSE_MAX];
    size_t len = ws_write_close(frame, code, slice_text(reason));

    (void)conn_write(w->conn, frame, len);
    w->code = code;
    conn_finish(w->conn);
    end(w, why);
}

void websocket_close(struct websocket *w, uint16_t code, const char *why)
{
    if (w->state == WEBSOCKET_OPEN)
        finish(w, code, why, why);
}

static void on_event(struct websocket *w, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_NONE:
    case WS_PONG: break;
    case WS_DATA: w->ops->on_piece(w, event); break;
    case WS_PING: websocket_send(w, WS_OP_PONG, WEBSOCKET_LAST, event->span); break;
    case WS_CLOSE: finish(w, event->code, "", "closed by the other end"); break;
    }
}

static const char *why_failed(uint16_t code)
{
    switch (code) {
    case WS_CODE_TOO_BIG: return "message too big";
    case WS_CODE_BAD_UTF8: return "text is not UTF-8";
    default: return "protocol error";
    }
}

static size_t room(void *owner)
{
    const struct websocket *w = owner;

    return conn_queued(w->conn) < WEBSOCKET_QUEUE_MAX ? CONN_READ_MAX : 0;
}

static void hear(struct websocket *w)
{
    w->heard_ms = w->edge->loop->now_ms;
    w->liveness = WEBSOCKET_QUIET;
}

static size_t on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct websocket *w = owner;
    size_t at = 0;

    hear(w);
    while (at < len && w->state == WEBSOCKET_OPEN) {
        struct ws_event event;
        ssize_t used = ws_decoder_feed(&w->decoder, in + at, len - at, &event);

        if (used < 0) {
            websocket_close(w, w->decoder.close_code, why_failed(w->decoder.close_code));
            break;
        }
        at += (size_t)used;
        on_event(w, &event);
    }
    return len;
}

/* No sign of life: it may only be the kernel that has taken the bytes. */
static void on_drain(void *owner)
{
    const struct websocket *w = owner;

    conn_update(w->conn);
}

static void on_eof(void *owner)
{
    struct websocket *w = owner;

    conn_finish(w->conn);
    end(w, "ended without a Close");
}

static void on_lost(void *owner, int err)
{
    struct websocket *w = owner;

    (void)err;
    conn_close(w->conn);
    end(w, "connection lost");
}

static const struct conn_ops websocket_conn_ops = {
    .room = room,
    .on_bytes = on_bytes,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_lost = on_lost,
};

/* Runs lazily: what was heard since only moves the next ping. */
static void on_ping(struct deadline *d)
{
    struct websocket *w = LIST_OWNER(d, struct websocket, ping);
    const struct session_limits *limits = &w->edge->rules->limits;
    int64_t due_ms = w->heard_ms + limits->pulse.interval_ms - w->edge->loop->now_ms;

    if (w->liveness == WEBSOCKET_PINGED) {
        conn_reset(w->conn);
        end(w, "no pong");
    } else if (due_ms > 0) {
        loop_start_deadline(w->edge->loop, d, due_ms);
    } else {
        websocket_send(w, WS_OP_PING, WEBSOCKET_LAST, slice_of(NULL, 0));
        w->liveness = WEBSOCKET_PINGED;
        loop_start_deadline(w->edge->loop, d, limits->pulse.timeout_ms);
    }
}

void websocket_init(struct websocket *w, struct edge *e, struct conn *conn,
                    const struct websocket_ops *ops, uint64_t message_max)
{
    *w = (struct websocket){.state = WEBSOCKET_OPEN, .edge = e, .conn = conn, .ops = ops};
    w->id = edge_new_id(e);
    ws_decoder_init(&w->decoder, WS_FROM_DEVICE, WS_TEXT_CHECKED, message_max);
    deadline_init(&w->ping, on_ping);
    list_init(&w->link);
    list_push(&e->sockets, &w->link);
    tally_add(&e->tally, TALLY_PENDING);
    conn_set_owner(conn, &websocket_conn_ops, w);
    hear(w);
    loop_start_deadline(e->loop, &w->ping, e->rules->limits.pulse.interval_ms);
}
