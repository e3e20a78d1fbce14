#include "tunnel/session.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/slab.h"
#include "tunnel/queue.h"
#include "tunnel/tenure.h"

#include <errno.h>

#define ANSWERS_MAX 262144U          /* to the device's own frames, above tunnel.high */
#define ANSWERS_UNTRUSTED_MAX 16384U /* ... and in all to one without a token */

/* A wake-up decrypts so much for few visitors, and the recv() that passes it is its last: more does
 * not stay in the core's second cache.  For a crowd it is as much as pace.h lets it be, or each
 * visitor's send would be small, and that costs more. */
#define WAKE_BYTES 655360U
#define CROWD_LANES 32U

static const struct conn_ops device_ops;
static const struct mux_ops mux_ops;

static struct session *of_mux(struct mux *m)
{
    return LIST_OWNER(m, struct session, mux);
}

static void count_wire(struct session *s)
{
    meter_set(&s->seat.meter, METER_WIRE_FROM_DEVICE, conn_wire_in(s->conn));
    meter_set(&s->seat.meter, METER_WIRE_TO_DEVICE, conn_wire_out(s->conn));
    meter_set(&s->seat.meter, METER_FRAMES_FROM_DEVICE, s->mux.frames_in);
    meter_set(&s->seat.meter, METER_FRAMES_TO_DEVICE, s->mux.frames_out);
    meter_set(&s->seat.meter, METER_QUEUED_TO_DEVICE, conn_queued(s->conn));
}

static void set_state(struct session *s, enum session_state next)
{
    log_event(LOG_DEBUG, "session_state", LOG_UINT("tunnel", s->seat.id), LOG_INT("from", s->state),
              LOG_INT("to", next));
    s->state = next;
}

bool session_is_open(const struct session *s)
{
    return s->state == SESSION_OPEN && s->grant_count > 0;
}

bool session_has_room(const struct session *s)
{
    return s->stream_count < s->setting->limits.streams_max;
}

uint64_t session_admit(struct session *s, struct stream *st)
{
    list_push(&s->streams, &st->link);
    s->stream_count++;
    return ++s->last_stream;
}

void session_forget(struct session *s, struct stream *st)
{
    list_remove(&st->link);
    s->stream_count--;
    s->ended_ms = s->setting->loop->now_ms;
    if (s->stream_count == 0 && s->state == SESSION_OPEN)
        s->ops->on_end(s->owner, SESSION_END_STREAMS, "last_stream");
}

void session_on_memory(struct session *s)
{
    LIST_EACH (&s->streams, link)
        stream_on_memory(LIST_OWNER(link, struct stream, link));
    if (s->conn) {
        conn_update(s->conn);
        queue_let_on(s);
    }
}

void session_block(struct session *s)
{
    s->blocked++;
    loop_start_deadline(s->setting->loop, &s->ping, pulse_on_blocked(&s->pulse));
}

void session_unblock(struct session *s)
{
    s->blocked--;
    if (s->blocked || !s->conn)
        return;
    loop_start_deadline(
        s->setting->loop, &s->ping,
        pulse_on_unblocked(&s->pulse, &s->setting->limits.pulse, s->setting->loop->now_ms));
    conn_update(s->conn);
}

static void free_grave(struct grave *g)
{
    struct session *s = LIST_OWNER(g, struct session, grave);

    mux_fini(&s->mux);
    slab_free(s->grants);
    slab_free(s);
}

/* Everything but the conn, which the caller closes or finishes. */
static struct conn *let_go(struct session *s, const char *why)
{
    struct conn *conn = s->conn;

    count_wire(s);
    set_state(s, SESSION_GONE);
    s->conn = NULL;
    s->mux.now_ms = s->setting->loop->now_ms;
    LIST_EACH (&s->streams, link)
        stream_on_tunnel_lost(LIST_OWNER(link, struct stream, link));
    (void)session_drop_grant(s, NULL, clock_unix());
    registry_leave(s->setting->registry, &s->seat);
    deadline_stop(&s->ping);
    deadline_stop(&s->expiry);
    deadline_stop(&s->goodbye);
    s->ops->on_end(s->owner, SESSION_END_SELF, why);
    loop_bury(s->setting->loop, &s->grave);
    return conn;
}

void session_drop(struct session *s, const char *why)
{
    if (s->state != SESSION_GONE)
        conn_close(let_go(s, why));
}

/* Sends Close as the last thing. */
static void close_with(struct session *s, uint16_t code, struct slice reason, const char *why)
{
    uint8_t frame[WS_HEAD_MAX + WS_CLOSE_MAX];

    if (s->state == SESSION_GONE)
        return;
    (void)conn_write(s->conn, frame, ws_write_close(frame, code, reason));
    conn_finish(let_go(s, why));
}

static void on_goodbye(struct deadline *d)
{
    struct session *s = LIST_OWNER(d, struct session, goodbye);
    struct slice reason = slice_text(s->goodbye_code == WS_CODE_NORMAL ? "" : s->goodbye_why);

    close_with(s, s->goodbye_code, reason, s->goodbye_why);
}

void session_leave(struct session *s, uint16_t code, const char *why)
{
    int64_t wait_ms;

    if (s->state != SESSION_OPEN)
        return;
    set_state(s, SESSION_LEAVING);
    s->goodbye_code = code;
    s->goodbye_why = why;
    s->mux.now_ms = s->setting->loop->now_ms;
    (void)session_drop_grant(s, NULL, clock_unix());
    LIST_EACH (&s->streams, link)
        stream_stop(LIST_OWNER(link, struct stream, link));
    wait_ms = s->ended_ms + SESSION_GOODBYE_MS - s->mux.now_ms;
    if (s->stream_count)
        wait_ms = SESSION_GOODBYE_MS;
    loop_start_deadline(s->setting->loop, &s->goodbye, wait_ms > 0 ? wait_ms : 0);
}

static void write_message(struct session *s, enum ws_opcode opcode, struct slice bytes)
{
    uint8_t head[WS_HEAD_MAX];
    size_t head_len = ws_write_head(head, opcode, bytes.len);
    struct iovec iov[2] = {{head, head_len}, {(void *)(uintptr_t)bytes.ptr, bytes.len}};

    if (s->conn)
        (void)conn_writev(s->conn, iov, 2);
}

/* mux_ops.write */
static int write_binary(struct mux *m, const uint8_t *message, size_t len)
{
    struct session *s = of_mux(m);
    int err = s->conn ? conn_write(s->conn, message, len) : -ESHUTDOWN;

    if (!err && !conn_is_tls(s->conn)) /* sent by now; TLS tells with on_drain() */
        count_wire(s);
    else if (!err)
        meter_set(&s->seat.meter, METER_QUEUED_TO_DEVICE, conn_queued(s->conn));
    return err;
}

void session_send_text(struct session *s, const uint8_t *text, size_t len)
{
    write_message(s, WS_OP_TEXT, slice_of(text, len));
}

void session_send_control(struct session *s, const uint8_t *json, size_t len)
{
    (void)mux_write_control(&s->mux, json, len);
}

static void on_data(struct mux_stream *ms, const struct iovec *iov, unsigned count)
{
    stream_on_data(LIST_OWNER(ms, struct stream, mux), iov, count);
}

static void on_signal(struct mux_stream *ms, enum mproxy_kind kind)
{
    stream_on_signal(LIST_OWNER(ms, struct stream, mux), kind);
}

static void on_control(struct mux *m, const uint8_t *json, size_t len)
{
    struct session *s = of_mux(m);
    struct control_fault fault = {slice_text("received bad command"), slice_text("E_BAD_COMMAND")};
    uint8_t reply[128];
    struct control control;
    ssize_t reply_len;

    if (s->state != SESSION_OPEN)
        return;
    if (control_parse(json, len, &control)) {
        reply_len = control_write_error(reply, sizeof(reply), 0, fault);
        if (reply_len > 0)
            session_send_control(s, reply, (size_t)reply_len);
        return;
    }
    s->ops->on_control(s->owner, &control);
    control_fini(&control);
}

static const struct mux_ops mux_ops = {
    .write = write_binary,
    .on_data = on_data,
    .on_signal = on_signal,
    .on_control = on_control,
};

static void on_ws_ping(struct session *s, struct slice bytes)
{
    write_message(s, WS_OP_PONG, bytes);
    if (pulse_on_ping(&s->pulse))
        loop_start_deadline(s->setting->loop, &s->ping, 0);
}

static void on_ws_pong(struct session *s, struct slice bytes)
{
    if (pulse_on_pong(&s->pulse, bytes))
        registry_trust(s->setting->registry, &s->seat,
                       s->setting->loop->now_ms + s->setting->limits.pulse.probe_ms);
}

static int take_event(struct session *s, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_DATA: return mux_feed(&s->mux, event->span.ptr, event->span.len);
    case WS_PING: on_ws_ping(s, event->span); return 0;
    case WS_PONG: on_ws_pong(s, event->span); return 0;
    case WS_CLOSE:
        mux_deliver(&s->mux);
        close_with(s, event->code, slice_of(NULL, 0), "device_close");
        return 0;
    case WS_NONE: break;
    }
    return 0;
}

/* conn_ops.on_bytes */
static size_t on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct session *s = owner;
    size_t at = 0;
    int err = 0;

    s->mux.now_ms = s->setting->loop->now_ms;
    s->mux.delivered = 0;
    pulse_on_heard(&s->pulse, s->mux.now_ms);
    while (at < len && !err && s->state != SESSION_GONE) {
        struct ws_event event;
        ssize_t used = ws_decoder_feed(&s->ws, in + at, len - at, &event);

        if (used < 0) {
            mux_deliver(&s->mux);
            close_with(s, s->ws.close_code, slice_of(NULL, 0), "bad_websocket");
            break;
        }
        at += (size_t)used;
        err = take_event(s, &event);
    }
    mux_deliver(&s->mux);
    if (err)
        close_with(s, WS_CODE_PROTOCOL, slice_text("broken M-PROXY frame"), "bad_frame");
    if (s->conn)
        count_wire(s);
    return len;
}

/* Not read while a visitor is too far behind; nor while the device leaves unread what it is told,
 * answers to its own frames among it, which nothing else bounds. */
static size_t room(void *owner)
{
    const struct session *s = owner;
    size_t unread_max =
        s->grant_count ? s->setting->limits.tunnel.high + ANSWERS_MAX : ANSWERS_UNTRUSTED_MAX;

    if (s->blocked || conn_queued(s->conn) > unread_max)
        return 0;
    return s->mux.delivered < CROWD_LANES ? WAKE_BYTES : SIZE_MAX;
}

static void on_drain(void *owner)
{
    struct session *s = owner;

    count_wire(s);
    conn_update(s->conn);
    queue_on_drain(s);
}

static void on_eof(void *owner)
{
    session_drop(owner, "device_end");
}

static void on_lost(void *owner, int err)
{
    session_drop(owner, err == -EPROTO ? "bad_tls" : "device_lost");
}

static const struct conn_ops device_ops = {
    .room = room,
    .on_bytes = on_bytes,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_lost = on_lost,
};

static struct pulse_sight sight_of(const struct session *s)
{
    return (struct pulse_sight){
        .now_ms = s->setting->loop->now_ms,
        .reading = s->blocked ? PULSE_IS_BLOCKED : PULSE_IS_READ,
        .sent = conn_wire_out(s->conn),
        .delivered = conn_delivered(s->conn),
        .queued = conn_queued(s->conn),
    };
}

void session_probe(struct session *s)
{
    struct pulse_sight sight;

    if (s->state != SESSION_OPEN)
        return;
    sight = sight_of(s);
    loop_start_deadline(s->setting->loop, &s->ping,
                        pulse_start_probe(&s->pulse, &s->setting->limits.pulse, &sight));
    write_message(s, WS_OP_PING, slice_of(&s->pulse.probe, sizeof(s->pulse.probe)));
    log_event(LOG_DEBUG, "session_probe", LOG_UINT("tunnel", s->seat.id));
}

static void on_ping(struct deadline *d)
{
    struct session *s = LIST_OWNER(d, struct session, ping);
    struct pulse_sight sight = sight_of(s);
    int64_t again_ms;

    s->mux.now_ms = sight.now_ms;
    mux_trim(&s->mux);
    switch (pulse_look(&s->pulse, &s->setting->limits.pulse, &sight, &again_ms)) {
    case PULSE_WAIT: break;
    case PULSE_SEND_PING: write_message(s, WS_OP_PING, slice_of(NULL, 0)); break;
    case PULSE_SEND_PONG: write_message(s, WS_OP_PONG, slice_of(NULL, 0)); break;
    case PULSE_SILENT: session_drop(s, "device_silent"); return;
    case PULSE_REPLACED: session_drop(s, "takeover"); return;
    }
    loop_start_deadline(s->setting->loop, &s->ping, again_ms);
}

static void fill_seat(struct seat *seat, const struct session_peer *peer)
{
    seat->id = peer->id;
    seat->worker = peer->worker;
    seat->since_unix = peer->now_unix;
    seat->peer = peer->address;
    seat_init(seat);
}

int session_new(const struct session_setting *setting, const struct session_peer *peer,
                const struct session_ops *ops, void *owner, struct conn *conn, struct session **out)
{
    struct session *s = slab_zalloc(sizeof(*s));

    if (!s)
        return -ENOMEM;
    fill_seat(&s->seat, peer);
    s->setting = setting;
    s->ops = ops;
    s->owner = owner;
    s->conn = conn;
    s->grave.free = free_grave;
    pulse_init(&s->pulse, setting->loop->now_ms);
    s->ended_ms = setting->loop->now_ms - SESSION_GOODBYE_MS;
    list_init(&s->streams);
    deadline_init(&s->ping, on_ping);
    tenure_init(s);
    deadline_init(&s->goodbye, on_goodbye);
    ws_decoder_init(&s->ws, WS_FROM_DEVICE, WS_TEXT_REFUSED, 0);
    mux_init(&s->mux, &mux_ops, setting->gather, peer->dialect);
    registry_join(setting->registry, &s->seat);
    loop_start_deadline(setting->loop, &s->ping, setting->limits.pulse.interval_ms);
    queue_init(s);
    conn_stop_keepalive(conn); /* the pulse finds out */
    conn_set_patience(conn, setting->limits.pulse.interval_ms + setting->limits.pulse.timeout_ms);
    conn_set_owner(conn, &device_ops, s);
    conn_settle(conn);
    *out = s;
    return 0;
}
