#include "edge/gate.h"

#include "base/log.h"
#include "base/slab.h"
#include "edge/front.h"
#include "edge/refuse.h"

#define CALM_MS 1000 /* nobody has waited for this long: the crowd is over */
#define HELLO_MAX                                                                                  \
    16384U /* what one who waits may have sent; there is nothing to say before we do */

struct waiter {
    enum {
        WAITER_WAITING,
        WAITER_CALLED, /* its ClientHello will be offered again at the end of this turn */
        WAITER_GONE,   /* its conn is somebody else's */
    } state;
    struct list link; /* in the gate's waiting */
    struct edge *edge;
    struct conn *conn; /* ours until GONE */
    struct stream_request request;
    int64_t since_ms;
    size_t seen; /* bytes it has sent */
    struct grave grave;
};

static const struct conn_ops waiter_ops;

static void free_grave(struct grave *g)
{
    slab_free(LIST_OWNER(g, struct waiter, grave));
}

/* Is no longer counted among those who wait.  The crowd is not over yet with the last of them. */
static void step_out(struct waiter *w)
{
    struct gate *g = &w->edge->gate;

    if (w->state != WAITER_WAITING)
        return;
    list_remove(&w->link);
    g->pending--;
    tally_sub(&w->edge->tally, TALLY_HANDSHAKES_WAITING);
    if (list_is_empty(&g->waiting))
        loop_start_deadline(w->edge->loop, &g->next, CALM_MS);
}

/* Lets go of the conn, which the caller gives to somebody else. */
static struct conn *leave(struct waiter *w)
{
    struct conn *conn = w->conn;

    step_out(w);
    w->state = WAITER_GONE;
    w->conn = NULL;
    tally_sub(&w->edge->tally, TALLY_PENDING);
    loop_bury(w->edge->loop, &w->grave);
    return conn;
}

/* Of one refusal the log says nothing: the crowd's last line has their number. */
static void refuse(struct edge *e, struct conn *conn)
{
    e->gate.refused++;
    tally_add(&e->tally, TALLY_REFUSED_HANDSHAKES_PENDING);
    refuse_tls(conn, REFUSE_ALERT_INTERNAL_ERROR);
}

static void call(struct waiter *w)
{
    step_out(w);
    w->state = WAITER_CALLED;
    conn_update(w->conn);
}

/* The first of those who wait may begin, has waited too long, or stays.  Returns whether it went.
 */
static bool serve_first(struct edge *e)
{
    struct gate *g = &e->gate;
    const struct gate_limits *limits = &e->rules->gate;
    struct waiter *w = LIST_OWNER(g->waiting.next, struct waiter, link);

    if (list_is_empty(&g->waiting))
        return false;
    if (e->loop->now_ms - w->since_ms >= limits->wait_ms)
        refuse(e, leave(w));
    else if (bucket_take(&g->bucket, &limits->rate, e->loop->now_ms))
        call(w);
    else
        return false;
    return true;
}

static void start_next(struct edge *e)
{
    struct gate *g = &e->gate;
    const struct gate_limits *limits = &e->rules->gate;
    const struct waiter *first = LIST_OWNER(g->waiting.next, struct waiter, link);
    int64_t wait_ms, left_ms;

    if (list_is_empty(&g->waiting)) {
        loop_start_deadline(e->loop, &g->next, CALM_MS);
        return;
    }
    wait_ms = bucket_wait_ms(&g->bucket, &limits->rate, e->loop->now_ms);
    left_ms = first->since_ms + limits->wait_ms - e->loop->now_ms;
    loop_start_deadline(e->loop, &g->next, wait_ms < left_ms ? wait_ms : left_ms);
}

static void see_crowd(struct edge *e)
{
    struct gate *g = &e->gate;

    if (g->state == GATE_CROWDED)
        return;
    g->state = GATE_CROWDED;
    g->since_ms = e->loop->now_ms;
    g->waited = g->refused = 0;
    log_event(LOG_WARN, "handshakes_wait", LOG_UINT("worker", e->worker),
              LOG_UINT("per_second", e->rules->gate.rate.per_s));
}

static void on_next(struct deadline *d)
{
    struct gate *g = LIST_OWNER(d, struct gate, next);
    struct edge *e = LIST_OWNER(g, struct edge, gate);

    if (list_is_empty(&g->waiting)) {
        g->state = GATE_CALM;
        log_event(LOG_WARN, "handshakes_flow", LOG_UINT("worker", e->worker),
                  LOG_UINT("waited", g->waited), LOG_UINT("refused", g->refused),
                  LOG_INT("ms", e->loop->now_ms - g->since_ms));
        return;
    }
    while (serve_first(e)) {
    }
    start_next(e);
}

/* conn_ops.room: more than a ClientHello is not to be expected, but an end is. */
static size_t room(void *owner)
{
    const struct waiter *w = owner;

    return w->state == WAITER_CALLED || w->seen < HELLO_MAX ? HELLO_MAX : 0;
}

/* conn_ops.on_bytes: when it is called, this is where TLS can begin. */
static size_t on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct waiter *w = owner;

    (void)in;
    w->seen = len;
    if (w->state == WAITER_CALLED)
        front_start(w->edge, leave(w), &w->request, FRONT_TLS);
    return 0;
}

static void on_drain(void *owner)
{
    (void)owner;
}

static void on_eof(void *owner)
{
    conn_close(leave(owner));
}

static void on_lost(void *owner, int err)
{
    (void)err;
    conn_close(leave(owner));
}

static const struct conn_ops waiter_ops = {
    .room = room,
    .on_bytes = on_bytes,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_lost = on_lost,
};

/* Returns whether there was memory for it. */
static bool wait(struct edge *e, struct conn *conn, const struct stream_request *request)
{
    struct waiter *w = slab_zalloc(sizeof(*w));

    if (!w)
        return false;
    w->edge = e;
    w->conn = conn;
    w->request = *request;
    w->since_ms = e->loop->now_ms;
    w->grave.free = free_grave;
    list_push(&e->gate.waiting, &w->link);
    e->gate.pending++;
    e->gate.waited++;
    tally_add(&e->tally, TALLY_PENDING);
    tally_add(&e->tally, TALLY_HANDSHAKES_WAITED);
    tally_add(&e->tally, TALLY_HANDSHAKES_WAITING);
    conn_set_owner(conn, &waiter_ops, w);
    return true;
}

void gate_init(struct gate *g, const struct gate_limits *limits, int64_t now_ms)
{
    *g = (struct gate){.state = GATE_CALM};
    bucket_init(&g->bucket, &limits->rate, now_ms);
    list_init(&g->waiting);
    deadline_init(&g->next, on_next);
}

void gate_enter(struct edge *e, struct conn *conn, const struct stream_request *request)
{
    struct gate *g = &e->gate;
    const struct gate_limits *limits = &e->rules->gate;

    if (list_is_empty(&g->waiting) && bucket_take(&g->bucket, &limits->rate, e->loop->now_ms)) {
        front_start(e, conn, request, FRONT_TLS);
        return;
    }
    see_crowd(e);
    if (g->pending >= limits->pending_max || !wait(e, conn, request))
        refuse(e, conn);
    if (g->pending <= 1)
        start_next(e);
}

void gate_close_all(struct edge *e)
{
    LIST_EACH (&e->gate.waiting, link)
        conn_close(leave(LIST_OWNER(link, struct waiter, link)));
    deadline_stop(&e->gate.next);
}
