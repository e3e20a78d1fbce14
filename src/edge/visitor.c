#include "edge/visitor.h"

#include "base/log.h"
#include "base/slab.h"
#include "edge/front.h"
#include "edge/names.h"
#include "edge/redirect.h"
#include "edge/routing.h"
#include "edge/visitor_body.h"

#include <errno.h>
#include <unistd.h>

static const struct conn_ops visitor_ops;

static void free_grave(struct grave *g)
{
    slab_free(LIST_OWNER(g, struct visitor, grave));
}

struct conn *visitor_leave(struct visitor *v)
{
    struct conn *conn = v->conn;

    v->state = VISITOR_GONE;
    v->conn = NULL;
    tally_sub(&v->edge->tally, TALLY_PENDING);
    deadline_stop(&v->sniff_by);
    task_cancel(&v->again);
    list_remove(&v->link);
    loop_bury(v->edge->loop, &v->grave);
    return conn;
}

void visitor_refuse(struct visitor *v, const struct refusal *r)
{
    refusal_note(v->edge, v->id, &v->request, r->why);
    if (v->request.lost) /* that device may have done what it was asked: 503 would deny it */
        refusal_tell_unserved(visitor_leave(v), v->request.service);
    else
        refusal_tell(visitor_leave(v), &v->request, r);
}

/* Whoever is not here is told so in the clear: where the redirect leads, he could only be cut off.
 */
static bool is_redirected(const struct visitor *v, const struct http_head *head)
{
    return redirect_wants(v->edge->rules, head) && routing_has_device(v);
}

/* Whether a stream would let the request pass; if not, the visitor is told so here, in HTTP. */
static bool is_passable(const struct visitor *v, const uint8_t *in, size_t len)
{
    struct http_guard guard;

    http_guard_init(&guard, &v->request.host);
    return http_guard_feed(&guard, in, len) > 0;
}

static size_t take_http(struct visitor *v, uint8_t *in, size_t len)
{
    struct http_head head;
    struct stream *st;

    if (http_head_parse(in, len, &head) <= 0)
        return 0; /* cannot be: sniff() has read it */
    if (is_redirected(v, &head)) {
        redirect_tell(visitor_leave(v), &v->request.host, &head);
        return len;
    }
    if (!is_passable(v, in, len)) {
        refusal_note(v->edge, v->id, &v->request, TALLY_REFUSED_NOT_PASSABLE);
        refuse_http(visitor_leave(v), 400, "The relay cannot pass this request on.", NULL);
        return len;
    }
    st = routing_start(v, in, len);
    return st ? stream_on_bytes(st, in, len) : len;
}

static size_t take_routed(struct visitor *v, uint8_t *in, size_t len)
{
    struct stream *st = routing_start(v, in, len);

    return st ? stream_on_bytes(st, in, len) : len;
}

/* To the relay itself; what it has sent is offered again to its new owner. */
static size_t take_own(struct visitor *v, enum front_kind kind)
{
    struct edge *e = v->edge;

    v->request.service = kind == FRONT_TLS ? STREAM_HTTPS : STREAM_HTTP;
    if (v->doom)
        visitor_refuse(v, v->doom);
    else if (kind == FRONT_PLAIN)
        front_start(e, visitor_leave(v), &v->request, kind);
    else if (quota_take_handshake(e->quota, &v->request.visitor, e->loop->now_ms))
        gate_enter(e, visitor_leave(v), &v->request);
    else
        visitor_refuse(v, &refusal_handshakes);
    return 0;
}

static size_t refuse_bad(struct visitor *v, const struct sniffed *found, size_t len)
{
    if (found->kind == SNIFFED_TLS || found->kind == SNIFFED_HTTP)
        v->request.service = found->kind == SNIFFED_TLS ? STREAM_HTTPS : STREAM_HTTP;
    refusal_note(v->edge, v->id, &v->request, TALLY_REFUSED_NOT_UNDERSTOOD);
    switch (found->kind) {
    case SNIFFED_TLS: refuse_tls(visitor_leave(v), REFUSE_ALERT_DECODE_ERROR); break;
    case SNIFFED_HTTP:
        refuse_http(visitor_leave(v), refuse_status(found->err),
                    "The relay does not understand this request.", NULL);
        break;
    case SNIFFED_OTHER:
    case SNIFFED_UNKNOWN: refuse_other(visitor_leave(v)); break;
    }
    return len;
}

static size_t take_found(struct visitor *v, const struct sniffed *found, uint8_t *in, size_t len)
{
    v->request.service = found->kind == SNIFFED_TLS ? STREAM_HTTPS : STREAM_HTTP;
    v->request.host = found->host;
    if (names_is_own(v->edge->rules, &found->host))
        return take_own(v, found->kind == SNIFFED_TLS ? FRONT_TLS : FRONT_PLAIN);
    if (v->doom) {
        visitor_refuse(v, v->doom);
        return len;
    }
    return found->kind == SNIFFED_TLS ? take_routed(v, in, len) : take_http(v, in, len);
}

static size_t sniff_and_route(struct visitor *v, uint8_t *in, size_t len)
{
    struct sniffed found;

    if (v->seen && len < v->edge->rules->sniff_bytes && !sniff_is_due(&v->last, in, v->seen, len))
        return 0;
    switch (sniff(in, len, &found)) {
    case SNIFF_MORE:
        if (len < v->edge->rules->sniff_bytes) {
            v->last = found;
            v->seen = len;
            return 0;
        }
        found.err = -EMSGSIZE;
        return refuse_bad(v, &found, len);
    case SNIFF_FOUND: return take_found(v, &found, in, len);
    case SNIFF_NO_HOST: return take_own(v, found.kind == SNIFFED_TLS ? FRONT_TLS : FRONT_PLAIN);
    case SNIFF_BAD: return refuse_bad(v, &found, len);
    }
    return len;
}

static size_t room(void *owner)
{
    const struct visitor *v = owner;

    switch (v->state) {
    case VISITOR_SNIFFING: return v->edge->rules->sniff_bytes;
    case VISITOR_RETURNED: return CONN_READ_MAX;
    case VISITOR_ROUTED:
    case VISITOR_GONE: break;
    }
    return 0;
}

static size_t on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct visitor *v = owner;

    switch (v->state) {
    case VISITOR_SNIFFING: return sniff_and_route(v, in, len);
    case VISITOR_RETURNED: return take_routed(v, in, len);
    case VISITOR_ROUTED:
    case VISITOR_GONE: break;
    }
    return 0;
}

static void on_drain(void *owner)
{
    (void)owner;
}

static void on_eof(void *owner)
{
    conn_close(visitor_leave(owner));
}

static void on_lost(void *owner, int err)
{
    (void)err;
    conn_close(visitor_leave(owner));
}

static const struct conn_ops visitor_ops = {
    .room = room,
    .on_bytes = on_bytes,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_lost = on_lost,
};

/* Only who has begun to speak HTTP can be told.  The others are owed nothing, no linger either. */
static void on_sniff_by(struct deadline *d)
{
    struct visitor *v = LIST_OWNER(d, struct visitor, sniff_by);

    refusal_note(v->edge, v->id, &v->request, TALLY_REFUSED_TOO_SLOW);
    if (v->seen && v->last.kind == SNIFFED_HTTP)
        refuse_http(visitor_leave(v), 408, "The request took too long to arrive.", NULL);
    else
        conn_close(visitor_leave(v));
}

/* One that had sent nothing: else it has been routed when its bytes were offered. */
static void on_again(struct task *t)
{
    struct visitor *v = LIST_OWNER(t, struct visitor, again);

    if (v->state == VISITOR_RETURNED)
        (void)routing_start(v, NULL, 0);
}

/* Of zeroed memory; its conn is the caller's to give. */
static void init(struct visitor *v, struct edge *e, const struct stream_request *request)
{
    v->edge = e;
    v->id = edge_new_id(e);
    v->request = *request;
    v->came_ms = e->loop->now_ms;
    v->grave.free = free_grave;
    deadline_init(&v->sniff_by, on_sniff_by);
    task_init(&v->again, on_again);
    list_push(&e->visitors, &v->link);
    tally_add(&e->tally, TALLY_PENDING);
}

struct visitor *visitor_new(struct edge *e, int fd, const struct stream_request *request,
                            struct ticket ticket)
{
    struct visitor *v = slab_zalloc(sizeof(*v));

    if (!v || conn_new(e->loop, fd, &visitor_ops, v, &v->conn)) {
        slab_free(v);
        refusal_note_unseen(e, request->port, TALLY_REFUSED_NO_RESOURCES);
        ticket_give_back(&ticket);
        (void)close(fd);
        return NULL;
    }
    conn_hold(v->conn, ticket);
    init(v, e, request);
    return v;
}

int visitor_retry(struct edge *e, struct conn *conn, const struct hold *hold)
{
    struct visitor *v;
    int err;

    if (e->state == EDGE_DRAINING)
        return -ESHUTDOWN;
    err = conn_preload(conn, slice_of(hold->bytes, hold->len));
    if (err)
        return err;
    v = slab_zalloc(sizeof(*v));
    if (!v)
        return -ENOMEM;
    init(v, e, &hold->request);
    v->request.lost++;
    v->state = VISITOR_RETURNED;
    v->conn = conn;
    conn_set_owner(conn, &visitor_ops, v);
    loop_defer(e->loop, &v->again);
    tally_add(&e->tally, TALLY_VISITORS_RETRIED);
    log_event(LOG_INFO, "visitor_retried", LOG_UINT("visitor", v->id),
              LOG_STR("service", stream_service_name[v->request.service]),
              LOG_SLICE("host", hostname_slice(&v->request.host)),
              LOG_UINT("port", v->request.port), LOG_UINT("bytes", hold->len));
    return 0;
}

bool visitor_is_full(const struct edge *e)
{
    return e->loop->conns - e->device_count >= e->rules->visitors_max;
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(fd);
}

/* Its first bytes have often come along: that saves waiting for the loop to say so. */
static void start_sniffing(struct visitor *v)
{
    conn_look(v->conn);
    if (v->state == VISITOR_SNIFFING)
        loop_start_deadline(v->edge->loop, &v->sniff_by, v->edge->rules->sniff_timeout_ms);
}

void visitor_accept(struct edge *e, int fd, const struct address *peer, uint16_t port,
                    enum visitor_kind kind)
{
    struct stream_request request = {.service = STREAM_TCP, .visitor = *peer, .port = port};
    enum quota_answer answer;
    struct ticket ticket;
    struct visitor *v;

    tally_add(&e->tally, TALLY_ACCEPTED);
    if (e->state == EDGE_DRAINING || visitor_is_full(e)) {
        refusal_note_unseen(e, port,
                            e->state == EDGE_DRAINING ? TALLY_REFUSED_DRAINING
                                                      : TALLY_REFUSED_VISITORS_MAX);
        (void)close(fd);
        return;
    }
    answer = quota_take_connection(e->quota, peer, &ticket);
    if (answer == QUOTA_FAR_OVER) {
        ticket_give_back(&ticket);
        refusal_note_unseen(e, port, TALLY_REFUSED_ADDRESS_CONNECTIONS);
        reset(fd);
        return;
    }
    v = visitor_new(e, fd, &request, ticket);
    if (!v)
        return;
    v->doom = answer == QUOTA_OVER ? &refusal_connections : NULL;
    if (kind == VISITOR_ON_OWN_PORT && v->doom)
        visitor_refuse(v, v->doom);
    else if (kind == VISITOR_ON_OWN_PORT)
        (void)routing_start(v, NULL, 0);
    else
        start_sniffing(v);
}

void visitor_drop_silent(struct edge *e, int64_t before_ms, unsigned most)
{
    LIST_EACH (&e->visitors, link) { /* the oldest first */
        struct visitor *v = LIST_OWNER(link, struct visitor, link);

        if (!most-- || v->came_ms > before_ms)
            return;
        refusal_note(e, v->id, &v->request, TALLY_REFUSED_DESCRIPTORS);
        conn_close(visitor_leave(v));
    }
}

void visitor_close_all(struct edge *e)
{
    LIST_EACH (&e->visitors, link)
        conn_close(visitor_leave(LIST_OWNER(link, struct visitor, link)));
}
