#include "edge/device.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/slab.h"
#include "edge/admission.h"
#include "edge/credential.h"
#include "edge/origin.h"
#include "edge/ports.h"
#include "edge/shortage.h"
#include "edge/takeover.h"
#include "edge/visitor.h"
#include "proto/control.h"
#include "proto/ws_handshake.h"

#include <errno.h>
#include <stdio.h>

struct device {
    struct edge *edge;
    struct session *session;
    struct deadline auth_by; /* running while it has no token */
    uint64_t id;             /* its key in the edge's map */
    struct grave grave;
};

static const struct session_ops session_ops;

static const struct admission_refusal refusal_pairing = {
    "this relay does not pair devices; use a token", "E_NOT_SUPPORTED", TALLY_REFUSED_NO_TOKEN};

static void free_grave(struct grave *g)
{
    slab_free(LIST_OWNER(g, struct device, grave));
}

static struct slice key_of(const uint64_t *id)
{
    return slice_of(id, sizeof(*id));
}

struct session *device_session(struct edge *e, uint64_t session_id)
{
    struct device *d = map_find(&e->devices, key_of(&session_id));

    return d ? d->session : NULL;
}

static void send_reply(struct device *d, int64_t id, const struct admission_refusal *r)
{
    uint8_t json[512];
    ssize_t len = r ? control_write_error(json, sizeof(json), id, admission_fault(r))
                    : control_write_ok(json, sizeof(json), id);

    if (len > 0)
        session_send_control(d->session, json, (size_t)len);
}

/* The time without a token runs while it has none. */
static void mind_auth_by(struct device *d)
{
    if (d->session->grant_count > 0)
        deadline_stop(&d->auth_by);
    else if (!deadline_is_running(&d->auth_by))
        loop_start_deadline(d->edge->loop, &d->auth_by, d->edge->rules->auth_timeout_ms);
}

/* What follows an attempt to add a token. */
static const struct admission_refusal *see_added(struct device *d,
                                                 const struct admission_refusal *r)
{
    if (r)
        tally_add(&d->edge->tally, r->why);
    mind_auth_by(d);
    return r;
}

static const struct admission_refusal *add_token(struct device *d, struct slice token,
                                                 enum admission_greeting greeting)
{
    return see_added(d, admission_add_token(d->edge, d->session, token, greeting));
}

static const struct admission_refusal *delete_token(struct device *d, struct slice token)
{
    const struct admission_refusal *r = admission_delete_token(d->edge, d->session, token);

    mind_auth_by(d);
    return r;
}

static void refuse_command(struct device *d, const struct control *control)
{
    char message[128], name[64];
    struct admission_refusal r = {.message = message, .code = "E_UNKNOWN_COMMAND"};

    (void)snprintf(message, sizeof(message), "unknown command \"%s\"",
                   slice_write(control->command, name, sizeof(name)));
    send_reply(d, control->id, &r);
}

/* session_ops.on_control */
static void on_control(void *owner, const struct control *control)
{
    struct device *d = owner;

    switch (control->kind) {
    case CONTROL_ADD_TOKEN:
        send_reply(d, control->id, add_token(d, control->token, ADMISSION_GREETED));
        return;
    case CONTROL_AUTH:
        send_reply(d, control->id,
                   control->token.len ? add_token(d, control->token, ADMISSION_GREETED)
                                      : &refusal_pairing);
        return;
    case CONTROL_DELETE_TOKEN: send_reply(d, control->id, delete_token(d, control->token)); return;
    case CONTROL_UNKNOWN: refuse_command(d, control); return;
    case CONTROL_OK:
    case CONTROL_ERROR: return; /* answers to hello and grant */
    }
}

/* session_ops.on_claimed */
static int on_claimed(void *owner, const struct claim *claim)
{
    struct device *d = owner;
    int err = takeover_start(d->edge, claim);

    return !err && claim->port ? ports_open(d->edge, claim->port) : err;
}

/* session_ops.on_released */
static void on_released(void *owner, const struct claim *claim)
{
    struct device *d = owner;

    if (claim->port)
        ports_close(d->edge, claim->port);
}

/* session_ops.on_unserved */
static void on_unserved(void *owner, struct conn *visitor, enum stream_service service,
                        const struct hold *hold)
{
    struct device *d = owner;

    if (!hold || visitor_retry(d->edge, visitor, hold))
        refusal_tell_unserved(visitor, service);
}

static void log_end(const struct device *d, const char *why)
{
    const struct seat *seat = &d->session->seat;
    char peer[ADDRESS_TEXT_MAX];

    address_write(&seat->peer, peer);
    log_event(LOG_INFO, "tunnel_end", LOG_UINT("tunnel", seat->id), LOG_STR("peer", peer),
              LOG_UINT("wire_from_device", meter_read(&seat->meter, METER_WIRE_FROM_DEVICE)),
              LOG_UINT("wire_to_device", meter_read(&seat->meter, METER_WIRE_TO_DEVICE)),
              LOG_UINT("payload_to_device", meter_read(&seat->meter, METER_PAYLOAD_TO_DEVICE)),
              LOG_UINT("payload_to_visitor", meter_read(&seat->meter, METER_PAYLOAD_TO_VISITOR)),
              LOG_UINT("payload_dropped", meter_read(&seat->meter, METER_PAYLOAD_DROPPED)),
              LOG_UINT("streams", meter_read(&seat->meter, METER_STREAMS)),
              LOG_INT("seconds", clock_unix() - seat->since_unix), LOG_STR("why", why));
}

static void forget(struct device *d, const char *why)
{
    log_end(d, why);
    deadline_stop(&d->auth_by);
    (void)map_remove(&d->edge->devices, key_of(&d->id));
    d->edge->device_count--;
    loop_bury(d->edge->loop, &d->grave);
}

static void leave_for_token(struct device *d)
{
    static const struct admission_refusal expired = {.message = "access token has expired",
                                                     .code = "E_TOKEN_EXPIRED"};

    send_reply(d, 0, &expired);
    log_event(LOG_INFO, "token_expired", LOG_UINT("tunnel", d->id));
    if (d->session->grant_count == 0)
        session_leave(d->session, WS_CODE_POLICY, "token expired");
}

/* session_ops.on_end */
static void on_end(void *owner, enum session_end what, const char *why)
{
    struct device *d = owner;

    switch (what) {
    case SESSION_END_TOKEN: leave_for_token(d); return;
    case SESSION_END_STREAMS:
        if (d->edge->state == EDGE_DRAINING)
            session_leave(d->session, WS_CODE_GOING_AWAY, "relay is stopping");
        return;
    case SESSION_END_SELF: forget(d, why); return;
    }
}

static const struct session_ops session_ops = {
    .on_control = on_control,
    .on_claimed = on_claimed,
    .on_released = on_released,
    .on_unserved = on_unserved,
    .on_end = on_end,
};

static void on_auth_by(struct deadline *deadline)
{
    struct device *d = LIST_OWNER(deadline, struct device, auth_by);

    tally_add(&d->edge->tally, TALLY_REFUSED_NO_TOKEN);
    session_leave(d->session, WS_CODE_POLICY, "no token");
}

/* Which age the upgrade request shows; see docs/protocol.md. */
static enum dialect dialect_of(const struct http_head *head)
{
    const struct http_field *agent = http_head_field(head, "User-Agent");
    static const char go[] = "Go-http-client/";
    static const char version[] = "versions=v1";

    if (!agent || agent->value.len < sizeof(go) - 1 ||
        memcmp(agent->value.ptr, go, sizeof(go) - 1) != 0)
        return DIALECT_FIRST;
    if (head->query.len && memmem(head->query.ptr, head->query.len, version, sizeof(version) - 1))
        return DIALECT_GO;
    return DIALECT_GO_2017;
}

static int start_session(struct device *d, const struct front_request *request, struct conn *conn)
{
    struct edge *e = request->edge;
    struct session_peer peer = {.id = d->id,
                                .worker = e->worker,
                                .address = request->peer,
                                .dialect = dialect_of(request->head),
                                .now_unix = clock_unix()};
    char text[ADDRESS_TEXT_MAX];
    int err = map_put(&e->devices, key_of(&d->id), d);

    if (err)
        return err;
    err = session_new(&e->setting, &peer, &session_ops, d, conn, &d->session);
    if (err) {
        (void)map_remove(&e->devices, key_of(&d->id));
        return err;
    }
    e->device_count++;
    address_write(&peer.address, text);
    log_event(LOG_INFO, "tunnel_start", LOG_UINT("tunnel", d->id), LOG_STR("peer", text),
              LOG_INT("dialect", peer.dialect), LOG_UINT("worker", e->worker));
    return 0;
}

static struct device *device_new(const struct front_request *request, struct conn *conn)
{
    struct device *d = slab_zalloc(sizeof(*d));

    if (d) {
        d->edge = request->edge;
        d->id = edge_new_id(request->edge);
        d->grave.free = free_grave;
        deadline_init(&d->auth_by, on_auth_by);
    }
    if (!d || start_session(d, request, conn)) {
        slab_free(d);
        conn_close(conn);
        return NULL;
    }
    return d;
}

/* A token in the URL that is no good: one line of JSON as text, then Close, as the oldest clients
 * know it; a control frame they would take for success. */
static void turn_away(struct device *d, const struct admission_refusal *r)
{
    uint8_t json[512];
    ssize_t len = control_write_text_error(json, sizeof(json), admission_fault(r));

    if (len > 0)
        session_send_text(d->session, json, (size_t)len);
    session_leave(d->session, WS_CODE_NORMAL, "bad_token");
}

/* Tokens in a field come from clients that understand HTTP: they are refused in HTTP.  If one is
 * not, *claims is what it says. */
static bool is_refused_in_http(const struct front_request *request, enum credential where,
                               struct slice token, struct claims *claims)
{
    struct tally *tally = &request->edge->tally;

    switch (where == CREDENTIAL_BAD ? -EKEYREJECTED
                                    : admission_judge(request->edge, token, claims)) {
    case 0: return false;
    case -EACCES:
        tally_add(tally, TALLY_REFUSED_NAME_TAKEN);
        front_refuse(request, 409, "A name of this token is served by somebody else.");
        return true;
    case -EDQUOT:
        tally_add(tally, TALLY_REFUSED_TOKEN_TUNNELS);
        front_refuse_busy(request, 429,
                          "This token has as many tunnels as it may have (E_TOO_MANY_TUNNELS).");
        return true;
    default:
        tally_add(tally, TALLY_REFUSED_BAD_TOKEN);
        front_refuse(request, 401, "The token is not good.");
        return true;
    }
}

static bool is_refused(const struct front_request *request, enum credential where,
                       struct slice token, struct claims *claims)
{
    struct edge *e = request->edge;
    struct registry *registry = e->setting.registry;

    if (origin_is_foreign(request->head)) {
        tally_add(&e->tally, TALLY_REFUSED_FOREIGN_PAGE);
        front_refuse(request, 403, "Pages of other sites may not open a tunnel.");
        return true;
    }
    if (e->state == EDGE_DRAINING || registry_count(registry).sessions >= e->rules->tunnels_max) {
        tally_add(&e->tally,
                  e->state == EDGE_DRAINING ? TALLY_REFUSED_DRAINING : TALLY_REFUSED_TUNNELS_MAX);
        front_refuse_busy(request, 503, "The relay takes no more devices right now.");
        return true;
    }
    if (shortage_for_device(e)) {
        tally_add(&e->tally, TALLY_REFUSED_MEMORY);
        front_refuse_busy(request, 503, "The relay has no memory for another device right now.");
        return true;
    }
    return (where == CREDENTIAL_HEADER || where == CREDENTIAL_BAD) &&
           is_refused_in_http(request, where, token, claims);
}

static const struct admission_refusal *let_in(struct device *d, struct slice token,
                                              struct claims *claims)
{
    if (!claims->subject) /* not verified yet */
        return add_token(d, token, ADMISSION_GREETING_DUE);
    return see_added(d, admission_add_claims(d->edge, d->session, claims, ADMISSION_GREETING_DUE));
}

void device_start(const struct front_request *request)
{
    char scratch[JWS_MAX + 1];
    struct slice token = {NULL, 0};
    struct claims claims = {0};
    enum credential where = credential_find(request->head, &token, scratch);
    const struct admission_refusal *r;
    struct conn *conn;
    struct device *d;

    if (is_refused(request, where, token, &claims))
        return;
    conn = front_take_websocket(request);
    d = conn ? device_new(request, conn) : NULL;
    if (!d) {
        claims_fini(&claims);
        return;
    }
    if (where == CREDENTIAL_NONE) {
        mind_auth_by(d);
        admission_greet(d->session);
        return;
    }
    r = let_in(d, token, &claims);
    if (r)
        turn_away(d, r);
}

void device_drain_all(struct edge *e)
{
    size_t at = 0;
    struct device *d;

    while ((d = map_next(&e->devices, &at))) {
        if (d->session->stream_count == 0)
            session_leave(d->session, WS_CODE_GOING_AWAY, "relay is stopping");
    }
}

void device_on_memory_all(struct edge *e)
{
    size_t at = 0;
    struct device *d;

    while ((d = map_next(&e->devices, &at)))
        session_on_memory(d->session);
}

void device_leave_all(struct edge *e, uint16_t code, const char *why)
{
    size_t at = 0;
    struct device *d;

    while ((d = map_next(&e->devices, &at)))
        session_leave(d->session, code, why);
}
