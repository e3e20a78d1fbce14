#include "tunnel/stream.h"

#include "base/log.h"
#include "base/slab.h"
#include "tunnel/backlog.h"
#include "tunnel/ending.h"
#include "tunnel/hold.h"
#include "tunnel/queue.h"
#include "tunnel/session.h"

#include <errno.h>

const char *const stream_service_name[] = {
    [STREAM_HTTP] = "http",
    [STREAM_HTTPS] = "https",
    [STREAM_TCP] = "tcp",
};

static const struct conn_ops visitor_ops;

static struct loop *loop_of(const struct stream *st)
{
    return st->session->setting->loop;
}

static const struct session_limits *limits_of(const struct stream *st)
{
    return &st->session->setting->limits;
}

void stream_count(struct stream *st, enum meter_id id, uint64_t by)
{
    meter_add(&st->session->seat.meter, id, by);
    if (st->claim)
        meter_add(&st->claim->meter, id, by);
}

void stream_set_state(struct stream *st, enum stream_state next)
{
    log_event(LOG_DEBUG, "stream_state", LOG_UINT("stream", st->id), LOG_INT("from", st->state),
              LOG_INT("to", next));
    st->state = next;
}

static void free_grave(struct grave *g)
{
    struct stream *st = LIST_OWNER(g, struct stream, grave);

    slab_free(st->guard);
    slab_free(st->hold);
    slab_free(st);
}

static void drop_hold(struct stream *st)
{
    slab_free(st->hold);
    st->hold = NULL;
}

/* What is read fills TLS records, if it is that much. */
static size_t fit_records(const struct stream *st, size_t room)
{
    const struct conn *conn = st->session->conn;

    if (room == 0 || !conn)
        return room;
    return mux_fit(&st->mux, room, conn_record_begun(conn), CONN_RECORD_BYTES);
}

/* conn_ops.room */
static size_t room(void *owner)
{
    struct stream *st = owner;

    if (st->life.state != LIFE_OPEN)
        return CONN_READ_MAX; /* read and dropped */
    if (st->state == STREAM_ALONE || st->device == STREAM_DEVICE_PAUSED ||
        (st->guard && http_guard_is_waiting(st->guard)))
        return 0;
    return fit_records(st, queue_room(st->session, &st->turn));
}

static void start_alone(struct stream *st)
{
    loop_start_deadline(loop_of(st), &st->timer, DIALECT_ALONE_MS);
}

static void sent_first(struct stream *st)
{
    stream_set_state(st, STREAM_ALONE);
    st->first_mark = queue_mark(st->session);
    start_alone(st);
}

/* Whether the first frame still waits behind others: its time alone has not begun then. */
static bool is_first_queued(const struct stream *st)
{
    return (st->state == STREAM_ALONE || st->state == STREAM_PARTING) &&
           !queue_has_passed(st->session, st->first_mark);
}

/* Opens the device's local connection before the visitor has spoken.  Returns whether it could. */
static bool open_silently(struct stream *st)
{
    struct mux *mux = &st->session->mux;

    if (st->service != STREAM_TCP || !dialect_has_silent_open(mux->dialect) ||
        mux_write_silent_open(mux, &st->mux))
        return false;
    sent_first(st);
    return true;
}

/* Of a visitor that has not said a word the device need not hear, unless it may be its turn. */
static void see_visitor_eof(struct stream *st, const char *why)
{
    ending_note(st, why);
    st->eof_mark = queue_mark(st->session);
    if (st->state == STREAM_SILENT && !open_silently(st))
        (void)ending_do(st, life_on_visitor_lost(&st->life));
    else
        (void)ending_do(st, life_on_visitor_eof(&st->life));
}

/* conn_ops.on_bytes */
static size_t on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct stream *st = owner;
    size_t pass;

    if (st->life.state != LIFE_OPEN)
        return len;
    if (len > CONN_READ_MAX) /* what one header can announce; the rest is offered again */
        len = CONN_READ_MAX;
    pass = len;
    if (st->guard) {
        ssize_t allowed = http_guard_feed(st->guard, in, len);

        if (allowed < 0) {
            drop_hold(st); /* what is dropped here must not be overlooked there */
            see_visitor_eof(st, "other_host_or_bad_request");
            return len;
        }
        pass = (size_t)allowed;
    }
    if (pass == 0)
        return 0;
    if (st->hold)
        st->hold = hold_add(st->hold, in, pass);
    if (st->to_device == 0)
        st->start_mark = queue_mark(st->session);
    if (mux_write_data(&st->session->mux, &st->mux, in, pass))
        return pass; /* the tunnel is lost, and says so soon; what is left goes along to the next */
    st->to_device += pass;
    queue_took(st->session, &st->turn, pass);
    st->talk = STREAM_ASKED;
    stream_count(st, METER_PAYLOAD_TO_DEVICE, pass);
    if (st->state == STREAM_SILENT)
        sent_first(st);
    return pass;
}

size_t stream_on_bytes(struct stream *st, uint8_t *in, size_t len)
{
    return room(st) ? on_bytes(st, in, len) : 0;
}

/* conn_ops.on_eof */
static void on_eof(void *owner)
{
    struct stream *st = owner;

    see_visitor_eof(st, st->state == STREAM_SILENT ? "visitor_silent" : "visitor_end");
}

/* conn_ops.on_lost */
static void on_lost(void *owner, int err)
{
    struct stream *st = owner;

    (void)err;
    ending_note(st, "visitor_lost");
    (void)ending_do(st, life_on_visitor_lost(&st->life));
}

static void on_stall(struct deadline *d)
{
    struct stream *st = LIST_OWNER(d, struct stream, stall);

    ending_note(st, "visitor_stalled");
    (void)ending_do(st, life_on_visitor_lost(&st->life));
}

/* conn_ops.on_drain */
static void on_drain(void *owner)
{
    struct stream *st = owner;

    backlog_on_taken(st);
    if (conn_queued(st->visitor) == 0)
        (void)ending_do(st, life_on_drained(&st->life));
}

static const struct conn_ops visitor_ops = {
    .room = room,
    .on_bytes = on_bytes,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_lost = on_lost,
};

/* The device has answered the first frame, or has had long enough for it. */
static void let_flow(struct stream *st)
{
    deadline_stop(&st->timer);
    stream_set_state(st, STREAM_FLOWING);
    if (st->life.state == LIFE_HALF)
        ending_start_quiet(st);
    if (st->visitor)
        conn_update(st->visitor);
}

/* As long as the request is on its way the device is not quiet, but has yet to hear it. */
static void see_quiet(struct stream *st)
{
    if (queue_has_passed(st->session, st->eof_mark))
        (void)ending_do(st, life_on_quiet(&st->life, ending_answer(st)));
    else
        ending_start_quiet(st);
}

static void on_timer(struct deadline *d)
{
    struct stream *st = LIST_OWNER(d, struct stream, timer);

    if (is_first_queued(st)) {
        start_alone(st);
        return;
    }
    switch (st->state) {
    case STREAM_SILENT: (void)open_silently(st); return;
    case STREAM_ALONE: let_flow(st); return;
    case STREAM_FLOWING: see_quiet(st); return;
    case STREAM_PARTING:
        (void)mux_write_end(&st->session->mux, &st->mux, st->farewell);
        ending_free(st);
        return;
    case STREAM_STATES: return;
    }
}

void stream_on_data(struct stream *st, const struct iovec *iov, unsigned iov_count)
{
    size_t total = 0;

    if (!st->visitor || st->life.state > LIFE_HALF) /* what comes behind the end is nobody's */
        return;
    if (st->state == STREAM_ALONE)
        let_flow(st);
    drop_hold(st);
    for (unsigned i = 0; i < iov_count; i++)
        total += iov[i].iov_len;
    if (st->guard && http_guard_is_waiting(st->guard)) {
        for (unsigned i = 0; i < iov_count; i++)
            http_guard_on_answer(st->guard, slice_of(iov[i].iov_base, iov[i].iov_len));
        conn_update(st->visitor);
    }
    if (conn_writev(st->visitor, iov, iov_count))
        return; /* on_lost() follows */
    st->to_visitor += total;
    st->talk = STREAM_ANSWERED;
    stream_count(st, METER_PAYLOAD_TO_VISITOR, total);
    if (st->life.state == LIFE_HALF)
        ending_start_quiet(st);
    if (conn_queued(st->visitor) || deadline_is_running(&st->stall))
        backlog_look(st);
}

static void see_device_end(struct stream *st)
{
    ending_note(st, "device_end");
    backlog_end(st);
    (void)ending_do(st, life_on_device_end(&st->life, ending_answer(st)));
}

/* The visitor that has not had a byte is tried again with `hold`, or told why in its own language.
 */
static void give_up_unserved(struct stream *st, const struct hold *hold)
{
    const struct session *s = st->session;

    if (st->to_visitor == 0 && st->visitor && st->life.state <= LIFE_HALF) {
        s->ops->on_unserved(s->owner, st->visitor, st->service, hold);
        st->visitor = NULL;
    }
}

void stream_on_signal(struct stream *st, enum mproxy_kind kind)
{
    if (st->state == STREAM_PARTING)
        return;
    if (st->state == STREAM_ALONE)
        let_flow(st);
    if (kind == MPROXY_PAUSE) {
        st->device = STREAM_DEVICE_PAUSED;
    } else if (kind == MPROXY_RESUME) {
        st->device = STREAM_DEVICE_TAKES;
        if (st->life.state == LIFE_HALF) /* it has been busy with the request until now */
            ending_start_quiet(st);
        if (st->visitor)
            conn_update(st->visitor);
    } else if (kind == MPROXY_END) {
        see_device_end(st);
    } else {
        ending_note(st, "device_error");
        give_up_unserved(st, NULL);
        backlog_end(st);
        (void)ending_do(st, life_on_device_error(&st->life, ending_answer(st)));
    }
}

/* Whether another device may get what this one has got.  Where nothing was sent there is nothing
 * behind which a visitor's end could be told again. */
static bool is_repeatable(const struct stream *st)
{
    if (!st->hold)
        return false;
    if (st->hold->len == 0)
        return st->life.state == LIFE_OPEN;
    return st->to_device == 0 || !queue_had_sent(st->session, st->start_mark) ||
           hold_is_repeatable(st->hold);
}

/* Its conn drains by itself from here on: the stream must not outlive its session. */
void stream_on_tunnel_lost(struct stream *st)
{
    ending_note(st, "tunnel_lost");
    if (st->state == STREAM_PARTING) {
        ending_free(st);
        return;
    }
    give_up_unserved(st, is_repeatable(st) ? st->hold : NULL);
    if (!ending_do(st, life_on_tunnel_lost(&st->life, LIFE_ANSWER_SENT)))
        (void)ending_do(st, life_on_drained(&st->life));
}

void stream_stop(struct stream *st)
{
    if (st->state == STREAM_PARTING)
        return;
    ending_note(st, "stopped");
    backlog_end(st);
    (void)ending_do(st, life_on_stop(&st->life, ending_answer(st)));
}

void stream_on_memory(struct stream *st)
{
    if (st->visitor)
        backlog_on_memory(st);
}

void stream_on_room(struct stream *st)
{
    if (st->visitor)
        conn_update(st->visitor);
}

void stream_hold(struct stream *st, struct ticket ticket)
{
    st->ticket = ticket;
}

static int start_guard(struct stream *st, const struct stream_request *request)
{
    if (request->service != STREAM_HTTP)
        return 0;
    st->guard = slab_alloc(sizeof(*st->guard));
    if (!st->guard)
        return -ENOMEM;
    http_guard_init(st->guard, &request->host);
    return 0;
}

int stream_open(struct session *s, struct claim *claim, const struct stream_request *request,
                struct conn *visitor, struct stream **out)
{
    struct stream *st = slab_zalloc(sizeof(*st));
    struct mux_route route = {
        .visitor = &request->visitor,
        .service = slice_text(stream_service_name[request->service]),
        .service_port = request->port,
        .name = request->service == STREAM_TCP ? slice_of(NULL, 0) : hostname_slice(&request->host),
    };
    int err = st ? start_guard(st, request) : -ENOMEM;

    if (!err) {
        s->mux.now_ms = s->setting->loop->now_ms;
        err = mux_add(&s->mux, &st->mux, &route);
    }
    if (err) {
        if (st)
            slab_free(st->guard);
        slab_free(st);
        return err;
    }
    st->session = s;
    st->claim = claim;
    st->visitor = visitor;
    st->service = request->service;
    st->port = request->port;
    if (request->lost + 1 < STREAM_TRIES_MAX)
        st->hold = hold_new(request); /* or it is not retried */
    st->id = session_admit(s, st);
    st->opened_ms = s->setting->loop->now_ms;
    st->grave.free = free_grave;
    turn_init(&st->turn);
    deadline_init(&st->timer, on_timer);
    deadline_init(&st->stall, on_stall);
    stream_count(st, METER_STREAMS, 1);
    stream_count(st, METER_STREAMS_OPEN, 1);
    if (st->service == STREAM_TCP)
        loop_start_deadline(loop_of(st), &st->timer, limits_of(st)->tcp_silence_ms);
    conn_set_owner(visitor, &visitor_ops, st);
    conn_settle(visitor);
    *out = st;
    return 0;
}
