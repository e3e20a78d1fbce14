#include "edge/routing.h"

#include "base/clock.h"
#include "edge/device.h"
#include "edge/shortage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MOVES_MAX 3 /* between workers, while sessions come and go under its feet */

/* A visitor that is given to another worker. */
struct arrival {
    struct parcel parcel;
    int fd;
    uint64_t session_id;
    struct stream_request request;
    unsigned moves;       /* how often it has been handed over */
    struct ticket ticket; /* of the conn */
    size_t len;
    uint8_t bytes[]; /* what it has sent so far */
};

static void open_arrival(struct parcel *parcel, void *receiver);

static enum registry_answer find(const struct visitor *v, struct route *out)
{
    struct registry *registry = v->edge->setting.registry;

    if (v->request.service == STREAM_TCP)
        return registry_find_port(registry, v->request.port, out);
    return registry_find(registry, hostname_slice(&v->request.host), out);
}

bool routing_has_device(const struct visitor *v)
{
    struct route to;

    return find(v, &to) == REGISTRY_FOUND;
}

static void refuse_away(struct visitor *v, int64_t last_seen_unix)
{
    int64_t now = clock_unix(), ago = now > last_seen_unix ? now - last_seen_unix : 0;
    char sentence[256];
    struct refusal away = {TALLY_REFUSED_DEVICE_AWAY, 503, REFUSE_ALERT_INTERNAL_ERROR, 10,
                           sentence};

    (void)snprintf(sentence, sizeof(sentence),
                   "The device that serves %%s is away. It was last seen %lld second%s ago.",
                   (long long)ago, ago == 1 ? "" : "s");
    visitor_refuse(v, &away);
}

/* Another worker has the device: the connection moves there, with what it has sent. */
static void move(struct visitor *v, const struct route *to, const uint8_t *in, size_t len)
{
    struct arrival *p = malloc(sizeof(*p) + len);
    struct edge *e = v->edge;

    if (!p) {
        visitor_refuse(v, &refusal_trouble);
        return;
    }
    *p = (struct arrival){
        .parcel.open = open_arrival,
        .session_id = to->session_id,
        .request = v->request,
        .moves = v->moves + 1,
        .len = len,
    };
    if (len)
        memcpy(p->bytes, in, len);
    tally_add(&e->tally, TALLY_VISITORS_MOVED);
    p->ticket = conn_take_ticket(v->conn);
    p->fd = conn_detach(visitor_leave(v));
    loop_take_descriptor(e->loop); /* until it is a conn again */
    mailbox_send(&e->workers[to->worker].loop->mailbox, &p->parcel);
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
        visitor_refuse(v, &refusal_full);
        return NULL;
    }
    if (take_stream(v->edge, s, claim, &ticket)) {
        ticket_give_back(&ticket);
        visitor_refuse(v, &refusal_streams);
        return NULL;
    }
    err = stream_open(s, claim, &v->request, v->conn, &st);
    if (err) {
        ticket_give_back(&ticket);
        visitor_refuse(v, err == -EMSGSIZE ? &refusal_long_name : &refusal_trouble);
        return NULL;
    }
    stream_hold(st, ticket);
    (void)visitor_leave(v);
    return st;
}

/* Only newcomers are asked for: others have a place already, here or where they come from. */
static const struct refusal *shortage_for(const struct visitor *v)
{
    return v->moves || v->request.lost ? NULL : shortage_for_visitor(v->edge);
}

struct stream *routing_start(struct visitor *v, const uint8_t *in, size_t len)
{
    struct edge *e = v->edge;
    struct route to = {0};
    const struct refusal *shortage = shortage_for(v);

    v->state = VISITOR_ROUTED;
    if (shortage) {
        visitor_refuse(v, shortage);
        return NULL;
    }
    switch (find(v, &to)) {
    case REGISTRY_UNKNOWN: visitor_refuse(v, &refusal_unknown); return NULL;
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

/* parcel.open; `receiver` is the edge it has come to. */
static void open_arrival(struct parcel *parcel, void *receiver)
{
    struct arrival *p = LIST_OWNER(parcel, struct arrival, parcel);
    struct edge *e = receiver;
    struct visitor *v = NULL;
    struct session *s;
    bool full = e && visitor_is_full(e);

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
            visitor_refuse(v, &refusal_visitors);
        else if (conn_preload(v->conn, slice_of(p->bytes, p->len)))
            visitor_refuse(v, &refusal_trouble);
        else if (s && session_is_open(s))
            (void)splice(v, s);
        else /* it has gone meanwhile; there may be another one */
            (void)routing_start(v, p->bytes, p->len);
    }
    if (e)
        loop_give_descriptor(e->loop);
    free(p);
}
