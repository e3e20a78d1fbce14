#include "tunnel/ending.h"

#include "base/log.h"
#include "tunnel/backlog.h"
#include "tunnel/session.h"

/* After a visitor's FIN, how long a device that has answered may be quiet before it is over, if its
 * tunnel has more than FEW streams: on a quieter one an answer may pause for as long as any. */
#define ANSWERED_QUIET_MS 5000
#define FEW 64U

static struct loop *loop_of(const struct stream *st)
{
    return st->session->setting->loop;
}

void ending_note(struct stream *st, const char *why)
{
    if (!st->why)
        st->why = why;
}

enum life_answer ending_answer(const struct stream *st)
{
    if (st->to_visitor == 0)
        return LIFE_ANSWER_NONE;
    return st->visitor && conn_queued(st->visitor) ? LIFE_ANSWER_QUEUED : LIFE_ANSWER_SENT;
}

static void uncount_open(struct stream *st)
{
    meter_sub(&st->session->seat.meter, METER_STREAMS_OPEN, 1);
    if (st->claim)
        meter_sub(&st->claim->meter, METER_STREAMS_OPEN, 1);
}

static void log_end(const struct stream *st)
{
    log_event(LOG_INFO, "stream_end", LOG_UINT("tunnel", st->session->seat.id),
              LOG_UINT("stream", st->id), LOG_STR("service", stream_service_name[st->service]),
              LOG_STR("name", st->claim ? st->claim->host : ""), LOG_UINT("port", st->port),
              LOG_UINT("to_device", st->to_device), LOG_UINT("to_visitor", st->to_visitor),
              LOG_UINT("dropped", st->dropped), LOG_INT("ms", loop_of(st)->now_ms - st->opened_ms),
              LOG_STR("why", st->why));
}

static void drop_visitor(struct stream *st)
{
    st->dropped = conn_queued(st->visitor);
    stream_count(st, METER_PAYLOAD_DROPPED, st->dropped);
    conn_close(st->visitor);
    st->visitor = NULL;
}

void ending_free(struct stream *st)
{
    if (st->visitor)
        drop_visitor(st);
    backlog_end(st);
    log_end(st);
    deadline_stop(&st->timer);
    deadline_stop(&st->stall);
    turn_leave(&st->turn);
    uncount_open(st);
    ticket_give_back(&st->ticket);
    st->session->mux.now_ms = loop_of(st)->now_ms;
    mux_remove(&st->session->mux, &st->mux);
    session_forget(st->session, st);
    loop_bury(loop_of(st), &st->grave);
}

static void farewell(struct stream *st, enum mproxy_kind kind)
{
    if (st->state == STREAM_SILENT)
        return; /* the device has never heard of it */
    if (st->state == STREAM_ALONE) {
        st->farewell = kind;
        stream_set_state(st, STREAM_PARTING); /* the timer that runs says when */
        return;
    }
    (void)mux_write_end(&st->session->mux, &st->mux, kind);
}

void ending_start_quiet(struct stream *st)
{
    int64_t quiet_ms = st->session->setting->limits.half_close_ms;

    if (st->state != STREAM_FLOWING)
        return;
    if (st->talk == STREAM_ANSWERED && quiet_ms > ANSWERED_QUIET_MS &&
        st->session->stream_count > FEW)
        quiet_ms = ANSWERED_QUIET_MS;
    loop_start_deadline(loop_of(st), &st->timer, quiet_ms);
}

bool ending_do(struct stream *st, unsigned due)
{
    if (due & LIFE_SEND_END)
        farewell(st, MPROXY_END);
    if (due & LIFE_SEND_ERROR)
        farewell(st, MPROXY_ERROR);
    if (due & (LIFE_SHUT_VISITOR | LIFE_RESET_VISITOR) && st->visitor) {
        if (due & LIFE_SHUT_VISITOR)
            conn_finish(st->visitor);
        else
            conn_finish_reset(st->visitor);
        st->visitor = NULL;
    }
    if (due & LIFE_START_QUIET)
        ending_start_quiet(st);
    if (due & LIFE_START_LINGER) /* conn_finish() lingers by itself */
        due |= life_on_linger_over(&st->life);
    if (!(due & LIFE_FREE))
        return false;
    if (st->state != STREAM_PARTING) {
        ending_free(st);
        return true;
    }
    if (st->visitor)
        drop_visitor(st);
    return false;
}
