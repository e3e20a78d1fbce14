#include "tunnel/backlog.h"

#include "tunnel/session.h"

static const struct session_limits *limits_of(const struct stream *st)
{
    return &st->session->setting->limits;
}

/* How it is with memory: the relay's, or what this tunnel may have of it. */
static enum supply_level level_of(const struct stream *st)
{
    enum supply_level relay = loop_memory_level(st->session->setting->loop);
    enum supply_level tunnel = st->session->backlog.level;

    return relay > tunnel ? relay : tunnel;
}

/* While memory is short the device pauses sooner, and who cannot pause is blocked sooner; when it
 * is spent nothing more is read for whoever has not taken what there is. */
static struct flow_marks marks_of(const struct stream *st)
{
    const struct flow_marks *marks = &limits_of(st)->stream;
    size_t least = BUF_CHUNK_SMALL;
    size_t hard = dialect_has_pause(st->session->mux.dialect) ? marks->hard : marks->high;

    switch (level_of(st)) {
    case SUPPLY_AMPLE: break;
    case SUPPLY_SHORT: return (struct flow_marks){marks->low / 2, marks->low, hard};
    case SUPPLY_OUT: return (struct flow_marks){least / 2, least, hard};
    case SUPPLY_SPENT: return (struct flow_marks){least / 2, least, least};
    }
    return *marks;
}

static void do_flow(struct stream *st, unsigned due)
{
    struct mux *mux = &st->session->mux;

    if (due & FLOW_SEND_PAUSE && dialect_has_pause(mux->dialect))
        (void)mux_write_pause(mux, &st->mux, MPROXY_PAUSE, st->to_visitor);
    if (due & FLOW_SEND_RESUME && dialect_has_pause(mux->dialect))
        (void)mux_write_pause(mux, &st->mux, MPROXY_RESUME, st->to_visitor);
    if (due & FLOW_BLOCK)
        session_block(st->session);
    if (due & FLOW_UNBLOCK)
        session_unblock(st->session);
}

/* Bytes that the visitor's socket has taken. */
static uint64_t taken(const struct stream *st)
{
    return st->to_visitor - conn_queued(st->visitor);
}

static void start_stall(struct stream *st)
{
    st->stall_from = taken(st);
    loop_start_deadline(st->session->setting->loop, &st->stall, limits_of(st)->visitor_stall_ms);
}

static void mind_flow(struct stream *st)
{
    struct flow_marks marks = marks_of(st);

    do_flow(st, flow_on_queued(&st->flow, &marks, conn_queued(st->visitor)));
}

/* A level is left only some way below where it is entered. */
static enum supply_level next_level(const struct backlog *b, size_t limit)
{
    if (b->bytes > 2 * limit)
        return SUPPLY_SPENT;
    if (b->bytes > limit)
        return b->level == SUPPLY_SPENT ? SUPPLY_SPENT : SUPPLY_OUT;
    if (b->bytes > limit / 2)
        return b->level == SUPPLY_AMPLE ? SUPPLY_AMPLE : SUPPLY_OUT;
    return SUPPLY_AMPLE;
}

/* `waiting` bytes wait for the visitor now.  Where that changes how much the others may have, all
 * of them are looked at. */
static void count_waiting(struct stream *st, size_t waiting)
{
    struct session *s = st->session;
    enum supply_level before = s->backlog.level;

    s->backlog.bytes += waiting - st->waiting;
    st->waiting = waiting;
    meter_set(&s->seat.meter, METER_QUEUED_TO_VISITOR, s->backlog.bytes);
    s->backlog.level = next_level(&s->backlog, s->setting->limits.backlog);
    if (s->backlog.level != before)
        session_on_memory(s);
}

void backlog_look(struct stream *st)
{
    size_t queued = conn_queued(st->visitor);

    if (queued == 0)
        deadline_stop(&st->stall);
    else if (!deadline_is_running(&st->stall))
        start_stall(st);
    count_waiting(st, queued);
    mind_flow(st);
}

/* Any byte counts, but from who holds up the others of its tunnel. */
static bool takes_enough(const struct stream *st)
{
    return st->flow.state != FLOW_BLOCKED ||
           taken(st) - st->stall_from >= limits_of(st)->stream.low;
}

void backlog_on_taken(struct stream *st)
{
    backlog_look(st);
    if (conn_queued(st->visitor) && takes_enough(st))
        start_stall(st);
}

void backlog_on_memory(struct stream *st)
{
    mind_flow(st);
}

void backlog_end(struct stream *st)
{
    do_flow(st, flow_on_end(&st->flow));
    count_waiting(st, st->visitor ? conn_queued(st->visitor) : 0);
}
