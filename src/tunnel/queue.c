#include "tunnel/queue.h"

#include "tunnel/session.h"

#define QUEUE_MS 2         /* what waits for a device takes so long, but for ... */
#define QUEUE_LEAST 32768U /* ... so much */
#define UNSENT_MS 1        /* the same with the kernel, which is first to be sent */
#define UNSENT_LEAST 16384U
#define UNSENT_MAX 131072U

void queue_init(struct session *s)
{
    turns_init(&s->turns, s->setting->limits.tunnel);
    conn_limit_unsent(s->conn, UNSENT_MAX);
    s->unsent_limit = UNSENT_MAX;
}

/* Less than configured while memory is short, and for a device that is slow. */
static struct turns_marks tunnel_marks(const struct session *s)
{
    struct turns_marks marks = s->setting->limits.tunnel;
    size_t high = drain_bytes(&s->drain, QUEUE_MS);

    switch (loop_memory_level(s->setting->loop)) {
    case SUPPLY_AMPLE: break;
    case SUPPLY_SHORT: marks = (struct turns_marks){marks.low / 2, marks.high / 2}; break;
    case SUPPLY_OUT:
    case SUPPLY_SPENT: return (struct turns_marks){TURNS_QUANTUM_MIN / 2, TURNS_QUANTUM_MIN};
    }
    if (high < QUEUE_LEAST)
        high = QUEUE_LEAST;
    if (high < marks.high)
        marks = (struct turns_marks){marks.low < high / 2 ? marks.low : high / 2, high};
    return marks;
}

/* Looks how fast the device takes what is sent, and leaves the kernel as much as it sends soon. */
static void look_at_drain(struct session *s)
{
    size_t queued = conn_queued(s->conn), unsent;
    unsigned limit = UNSENT_LEAST;

    drain_note(&s->drain, s->setting->loop->now_ms, conn_wire_out(s->conn), queued,
               turns_has_waiting(&s->turns));
    unsent = drain_bytes(&s->drain, UNSENT_MS);
    while (limit < unsent && limit < UNSENT_MAX)
        limit *= 2;
    if (limit != s->unsent_limit)
        conn_limit_unsent(s->conn, limit);
    s->unsent_limit = limit;
}

size_t queue_room(struct session *s, struct turn *t)
{
    s->turns.marks = tunnel_marks(s);
    return turns_room(&s->turns, t, s->conn ? conn_queued(s->conn) : SIZE_MAX);
}

void queue_let_on(struct session *s)
{
    size_t queued = conn_queued(s->conn), given = 0;
    struct turn *t;

    s->turns.marks = tunnel_marks(s);
    while ((t = turns_next(&s->turns, queued, &given)))
        stream_on_room(LIST_OWNER(t, struct stream, turn));
}

void queue_on_drain(struct session *s)
{
    look_at_drain(s);
    queue_let_on(s);
}

void queue_took(struct session *s, struct turn *t, size_t len)
{
    turns_charge(&s->turns, t, len);
    if (s->conn && conn_queued(s->conn) == 0) /* sent at once: no on_drain() follows */
        queue_let_on(s);
}

uint64_t queue_mark(const struct session *s)
{
    return s->conn ? conn_wire_out(s->conn) + conn_queued(s->conn) : 0;
}

bool queue_has_passed(const struct session *s, uint64_t mark)
{
    return !s->conn || conn_wire_out(s->conn) >= mark;
}

bool queue_had_sent(const struct session *s, uint64_t mark)
{
    return meter_read(&s->seat.meter, METER_WIRE_TO_DEVICE) > mark; /* counted when it was lost */
}
