#include "edge/visitor.h"

#include "base/clock.h"
#include "base/log.h"
#include "edge/device.h"
#include "edge/front.h"
#include "edge/names.h"
#include "edge/redirect.h"
#include "edge/refusal.h"
#include "edge/shortage.h"
#include "proto/sniff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOVES_MAX 3 /* between workers, while sessions come and go under its feet */

enum visitor_state {
    VISITOR_SNIFFING, /* reading first bytes; ends by sniff_by */
    VISITOR_RETURNED, /* its tunnel is lost; routed again at the end of the turn */
    VISITOR_ROUTED,   /* it is known where it goes */
    VISITOR_GONE,     /* its conn is somebody else's */
};

struct visitor {
    enum visitor_state state;
    struct list link; /* in the edge's visitors */
    struct edge *edge;
    struct conn *conn; /* ours until GONE */
    uint64_t id;       /* for logs */
    struct stream_request request;
    struct sniffed last;      /* SNIFFING: how far the last look got, at ... */
    size_t seen;              /* ... so many bytes */
    struct deadline sniff_by; /* running while SNIFFING */
    int64_t came_ms;
    struct task again; /* RETURNED */
    unsigned moves;
    const struct refusal *doom; /* what it will be told, wherever it wants to go; or NULL */
    struct grave grave;
};

static const struct conn_ops visitor_ops;

static void free_grave(struct grave *g)
{
    free(LIST_OWNER(g, struct visitor, grave));
}

/* Lets go of the conn, which the caller gives to somebody else. */
static struct conn *leave(struct visitor *v)
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

static void refuse(struct visitor *v, const struct refusal *r)
{
    refusal_note(v->edge, v->id, &v->request, r->why);
    if (v->request.lost) /* that device may have done what it was asked: 503 would deny it */
        visitor_refuse_unserved(leave(v), v->request.service);
    else /* it is in its grave, and whole until the turn ends */
        refusal_tell(leave(v), &v->request, r);
}

static void refuse_away(struct visitor *v, int64_t last_seen_unix)
{
    int64_t ago = clock_unix() - last_seen_unix;
    char sentence[256];
    struct refusal away = {TALLY_REFUSED_DEVICE_AWAY, 503, REFUSE_ALERT_INTERNAL_ERROR, 10,
                           sentence};

    (void)snprintf(sentence, sizeof(sentence),
                   "The device that serves %%s is away. It was last seen %lld second%s ago.",
                   (long long)ago, ago == 1 ? "" : "s");
    refuse(v, &away);
}

void visitor_refuse_unserved(struct conn *conn, enum stream_service service)
{
    if (service == STREAM_HTTP)
        refuse_http(conn, 502, "The device could not reach the service behind it.", NULL);
    else
        conn_reset(conn);
}

/* Another worker has the device: the connection moves there, with what it has sent. */
static void move(struct visitor *v, const struct route *to, const uint8_t *in, size_t len)
{
    struct visitor_parcel *p = malloc(sizeof(*p) + len);
    struct edge *e = v->edge;

    if (!p) {
        refuse(v, &refusal_trouble);
        return;
    }
    *p = (struct visitor_parcel){
        .parcel.open = visitor_open_parcel,
        .session_id = to->session_id,
        .request = v->request,
        .moves = v->moves + 1,
        .len = len,
    };
    if (len)
        memcpy(p->bytes, in, len);
    tally_add(&e->tally, TALLY_VISITORS_MOVED);
    p->ticket = conn_take_ticket(v->conn);
    p->fd = conn_detach(leave(v));
    loop_take_descriptor(e->loop); /* until it is a conn again */
    mailbox_send(&e->workers[to->worker].loop->mailbox, &p->parcel);
}

/* So that a visitor whose machine has vanished is found, whether or not it was owed bytes. */
static void mind_vanishing(struct visitor *v)
{
    int64_t stall_ms = v->edge->rules->limits.visitor_stall_ms;

    conn_set_patience(v->conn, stall_ms > CONN_KEEPALIVE_MS ? stall_ms : CONN_KEEPALIVE_MS);
    conn_start_keepalive(v->conn);
}

/* One more stream of the token by which the name is served. */
static enum quota_answer take_stream(struct edge *e, const struct session *s,
                                     const struct claim *claim, struct ticket *out)
{
    const struct grant *g = session_grant_of(s, claim);

    *out = (struct ticket){NULL, NULL};
    return g ? quota_take_stream(e->quota, (struct quota_token){g->subject, g->token_id}, out)
             : QUOTA_WITHIN;
}

/* Gives the conn to a stream of `s`.  Returns the stream, or NULL if the visitor was refused. */
static struct stream *splice(struct visitor *v, struct session *s)
{
    struct claim *claim = s && session_is_open(s) ? session_claim_for(s, &v->request) : NULL;
    struct ticket ticket;
    struct stream *st;
    int err;

    if (!claim) {
        refuse_away(v, clock_unix());
        return NULL;
    }
    if (!session_has_room(s)) {
        meter_add(&s->seat.meter, METER_STREAMS_REFUSED, 1);
        meter_add(&claim->meter, METER_STREAMS_REFUSED, 1);
        refuse(v, &refusal_full);
        return NULL;
    }
    if (take_stream(v->edge, s, claim, &ticket)) {
        ticket_give_back(&ticket);
        refuse(v, &refusal_streams);
        return NULL;
    }
    mind_vanishing(v);
    err = stream_open(s, claim, &v->request, v->conn, &st);
    if (err) {
        ticket_give_back(&ticket);
        refuse(v, err == -EMSGSIZE ? &refusal_long_name : &refusal_trouble);
        return NULL;
    }
    stream_hold(st, ticket);
    (void)leave(v);
    return st;
}

static enum registry_answer find(const struct visitor *v, struct route *out)
{
    struct registry *registry = v->edge->setting.registry;

    if (v->request.service == STREAM_TCP)
        return registry_find_port(registry, v->request.port, out);
    return registry_find(registry, hostname_slice(&v->request.host), out);
}

/* Only newcomers are asked for: others have a place already, here or where they come from. */
static const struct refusal *shortage_for(const struct visitor *v)
{
    return v->moves || v->request.lost ? NULL : shortage_for_visitor(v->edge);
}

/* Finds the device and gives the visitor to it, here or on another worker.  Returns the stream if
 * it is here. */
static struct stream *route(struct visitor *v, const uint8_t *in, size_t len)
{
    struct edge *e = v->edge;
    struct route to = {0};
    const struct refusal *shortage = shortage_for(v);

    v->state = VISITOR_ROUTED;
    if (shortage) {
        refuse(v, shortage);
        return NULL;
    }
    switch (find(v, &to)) {
    case REGISTRY_UNKNOWN: refuse(v, &refusal_unknown); return NULL;
    case REGISTRY_AWAY: refuse_away(v, to.last_seen_unix); return NULL;
    case REGISTRY_FOUND: break;
    }
    if (to.worker == e->worker)
        return splice(v, device_session(e, to.session_id));
    if (v->moves >= MOVES_MAX)
        refuse_away(v, clock_unix());
    else
        move(v, &to, in, len);
    return NULL;
}

/* Whoever is not here is told so in the clear: where the redirect leads, he could only be cut off.
 */
static bool is_redirected(const struct visitor *v, const struct http_head *head)
{
    struct route to;

    return redirect_wants(v->edge->rules, head) && find(v, &to) == REGISTRY_FOUND;
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
        redirect_tell(leave(v), &v->request.host, &head);
        return len;
    }
    if (!is_passable(v, in, len)) {
        refusal_note(v->edge, v->id, &v->request, TALLY_REFUSED_NOT_PASSABLE);
        refuse_http(leave(v), 400, "The relay cannot pass this request on.", NULL);
        return len;
    }
    st = route(v, in, len);
    return st ? stream_on_bytes(st, in, len) : len;
}

static size_t take_routed(struct visitor *v, uint8_t *in, size_t len)
{
    struct stream *st = route(v, in, len);

    return st ? stream_on_bytes(st, in, len) : len;
}

/* To the relay itself; what it has sent is offered again to its new owner. */
static size_t take_own(struct visitor *v, enum front_kind kind)
{
    struct edge *e = v->edge;

    v->request.service = kind == FRONT_TLS ? STREAM_HTTPS : STREAM_HTTP;
    if (v->doom)
        refuse(v, v->doom);
    else if (kind == FRONT_PLAIN)
        front_start(e, leave(v), &v->request, kind);
    else if (quota_take_handshake(e->quota, &v->request.visitor, e->loop->now_ms))
        gate_enter(e, leave(v), &v->request);
    else
        refuse(v, &refusal_handshakes);
    return 0;
}

static size_t refuse_bad(struct visitor *v, const struct sniffed *found, size_t len)
{
    if (found->kind == SNIFFED_TLS || found->kind == SNIFFED_HTTP)
        v->request.service = found->kind == SNIFFED_TLS ? STREAM_HTTPS : STREAM_HTTP;
    refusal_note(v->edge, v->id, &v->request, TALLY_REFUSED_NOT_UNDERSTOOD);
    switch (found->kind) {
    case SNIFFED_TLS: refuse_tls(leave(v), REFUSE_ALERT_DECODE_ERROR); break;
    case SNIFFED_HTTP:
        refuse_http(leave(v), refuse_status(found->err),
                    "The relay does not understand this request.", NULL);
        break;
    case SNIFFED_OTHER:
    case SNIFFED_UNKNOWN: refuse_other(leave(v)); break;
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
        refuse(v, v->doom);
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
    conn_close(leave(owner));
}

static void on_lost(void *owner, int err)
{
    (void)err;
    conn_close(leave(owner));
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
        refuse_http(leave(v), 408, "The request took too long to arrive.", NULL);
    else
        conn_close(leave(v));
}

/* One that had sent nothing: else it has been routed when its bytes were offered. */
static void on_again(struct task *t)
{
    struct visitor *v = LIST_OWNER(t, struct visitor, again);

    if (v->state == VISITOR_RETURNED)
        (void)route(v, NULL, 0);
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

/* Takes `fd` and `ticket`. */
static struct visitor *visitor_new(struct edge *e, int fd, const struct stream_request *request,
                                   struct ticket ticket)
{
    struct visitor *v = calloc(1, sizeof(*v));

    if (!v || conn_new(e->loop, fd, &visitor_ops, v, &v->conn)) {
        free(v);
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
    v = calloc(1, sizeof(*v));
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

/* Devices have a limit of their own. */
static bool is_full(const struct edge *e)
{
    return e->loop->conns - e->device_count >= e->rules->visitors_max;
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    (void)close(fd);
}

void visitor_accept(struct edge *e, int fd, const struct address *peer, uint16_t port,
                    enum visitor_kind kind)
{
    struct stream_request request = {.service = STREAM_TCP, .visitor = *peer, .port = port};
    enum quota_answer answer;
    struct ticket ticket;
    struct visitor *v;

    tally_add(&e->tally, TALLY_ACCEPTED);
    if (e->state == EDGE_DRAINING || is_full(e)) {
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
        refuse(v, v->doom);
    else if (kind == VISITOR_ON_OWN_PORT)
        (void)route(v, NULL, 0);
    else
        loop_start_deadline(e->loop, &v->sniff_by, e->rules->sniff_timeout_ms);
}

/* parcel.open */
void visitor_open_parcel(struct parcel *parcel, void *receiver)
{
    struct visitor_parcel *p = LIST_OWNER(parcel, struct visitor_parcel, parcel);
    struct edge *e = receiver;
    struct visitor *v = NULL;
    struct session *s;
    bool full = e && is_full(e);

    if (e) {
        v = visitor_new(e, p->fd, &p->request, p->ticket);
    } else {
        ticket_give_back(&p->ticket);
        (void)close(p->fd);
    }
    if (v) {
        v->state = VISITOR_ROUTED;
        v->moves = p->moves;
        s = device_session(e, p->session_id);
        if (full)
            refuse(v, &refusal_visitors);
        else if (conn_preload(v->conn, slice_of(p->bytes, p->len)))
            refuse(v, &refusal_trouble);
        else if (s && session_is_open(s))
            (void)splice(v, s);
        else /* it has gone meanwhile; there may be another one */
            (void)route(v, p->bytes, p->len);
    }
    if (e)
        loop_give_descriptor(e->loop);
    free(p);
}

void visitor_drop_silent(struct edge *e, int64_t before_ms, unsigned most)
{
    LIST_EACH (&e->visitors, link) { /* the oldest first */
        struct visitor *v = LIST_OWNER(link, struct visitor, link);

        if (!most-- || v->came_ms > before_ms)
            return;
        refusal_note(e, v->id, &v->request, TALLY_REFUSED_DESCRIPTORS);
        conn_close(leave(v));
    }
}

void visitor_close_all(struct edge *e)
{
    LIST_EACH (&e->visitors, link)
        conn_close(leave(LIST_OWNER(link, struct visitor, link)));
}
