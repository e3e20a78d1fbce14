#include "edge/admission.h"

#include "base/clock.h"
#include "base/log.h"
#include "edge/names.h"
#include "edge/takeover.h"
#include "proto/control.h"

#include <errno.h>
#include <stdlib.h>

#define MESSAGE_MAX 65536U /* of one control message to a device */

static const struct admission_refusal refusal_token = {"invalid access token", "E_INVALID_TOKEN",
                                                       TALLY_REFUSED_BAD_TOKEN};
static const struct admission_refusal refusal_absent = {"specified token not present",
                                                        "E_INVALID_TOKEN", TALLY_REFUSED_BAD_TOKEN};
static const struct admission_refusal refusal_name = {"invalid server name", "E_INVALID_NAME",
                                                      TALLY_REFUSED_BAD_NAME};
static const struct admission_refusal refusal_taken = {"name is served by somebody else",
                                                       "E_NAME_TAKEN", TALLY_REFUSED_NAME_TAKEN};
static const struct admission_refusal refusal_port = {"port cannot be opened", "E_PORT_UNAVAILABLE",
                                                      TALLY_REFUSED_PORT_UNAVAILABLE};
static const struct admission_refusal refusal_many = {"too many tokens or names", "E_TOO_MANY",
                                                      TALLY_REFUSED_TOO_MANY_NAMES};

static const struct admission_refusal refusal_tunnels = {
    "too many tunnels of this token", "E_TOO_MANY_TUNNELS", TALLY_REFUSED_TOKEN_TUNNELS};

struct control_fault admission_fault(const struct admission_refusal *r)
{
    return (struct control_fault){slice_text(r->message), slice_text(r->code)};
}

void admission_greet(struct session *s)
{
    uint8_t json[256];
    ssize_t len = control_write_hello(json, sizeof(json));

    if (len > 0)
        session_send_control(s, json, (size_t)len);
}

/* The first second in which the grant is over: as late as a new token of that age would be taken,
 * or the device would come back with it at once. */
static int64_t end_of(const struct edge *e, const struct claims *claims)
{
    return claims->expires_at ? claims->expires_at + e->trust->rules.leeway : 0;
}

/* What the token is good for, in the tunnel's terms; names and ports that no device may have are
 * left out. */
static struct grant *grant_of(const struct edge *e, const struct session *s,
                              const struct claims *claims)
{
    struct grant *g =
        grant_new(claims->subject, claims->token_id, claims->label, end_of(e, claims));
    struct hostname host;
    int err = g ? 0 : -ENOMEM;

    for (size_t i = 0; i < claims->host_count && !err; i++) {
        if (hostname_parse_pattern(slice_text(claims->hosts[i]), &host) == 0 &&
            names_may_serve(e->rules, &host))
            err = grant_add_host(g, hostname_slice(&host));
        else
            log_event(LOG_WARN, "name_refused", LOG_UINT("tunnel", s->seat.id),
                      LOG_STR("host", claims->hosts[i]));
    }
    for (size_t i = 0; i < claims->port_count && !err; i++) {
        if (names_may_open(e->rules, claims->ports[i]))
            err = grant_add_port(g, claims->ports[i]);
        else
            log_event(LOG_WARN, "port_refused", LOG_UINT("tunnel", s->seat.id),
                      LOG_UINT("port", claims->ports[i]));
    }
    if (err) {
        grant_free(g);
        return NULL;
    }
    return g;
}

static void log_granted(const struct session *s, const struct grant *g)
{
    log_event(LOG_INFO, "token_added", LOG_UINT("tunnel", s->seat.id),
              LOG_STR("subject", g->subject), LOG_STR("label", g->label),
              LOG_UINT("names", g->host_count), LOG_STR("first", g->host_count ? g->hosts[0] : ""),
              LOG_UINT("ports", g->port_count), LOG_INT("expires_at", g->expires_at));
}

static const struct admission_refusal *refusal_of(const struct session *s, const struct grant *g,
                                                  int err, size_t refused)
{
    if (err == -EACCES && refused < g->host_count)
        log_event(LOG_WARN, "name_taken", LOG_UINT("tunnel", s->seat.id),
                  LOG_STR("host", g->hosts[refused]), LOG_STR("subject", g->subject));
    else
        log_event(LOG_WARN, "token_refused", LOG_UINT("tunnel", s->seat.id),
                  LOG_STR("subject", g->subject), LOG_STR("why", strerror(-err)));
    return err == -EDQUOT ? &refusal_many : err == -EACCES ? &refusal_taken : &refusal_port;
}

/* Tells the device what it serves by this token. */
static void send_grant(const struct edge *e, struct session *s, const struct grant *g)
{
    size_t count = g->host_count + g->port_count;
    struct control_grant *list = calloc(count, sizeof(*list));
    uint8_t *json = malloc(MESSAGE_MAX);
    ssize_t len = -1;

    if (list && json) {
        for (size_t i = 0; i < count; i++) {
            bool is_host = i < g->host_count;

            list[i] = (struct control_grant){
                .service = slice_text(is_host ? "https" : "tcp"),
                .host = is_host ? slice_text(g->hosts[i]) : hostname_slice(e->rules->names),
                .port = is_host ? 0 : g->ports[i - g->host_count],
            };
        }
        len = control_write_grant(json, MESSAGE_MAX, list, count);
    }
    if (len > 0)
        session_send_control(s, json, (size_t)len);
    free(json);
    free(list);
}

static int verify(const struct edge *e, struct slice token, struct claims *claims, const char **why)
{
    return jwt_verify(e->trust->keyring, &e->trust->rules, token, clock_unix(), claims, why);
}

static const struct admission_refusal *verify_for(const struct edge *e, const struct session *s,
                                                  struct slice token, struct claims *claims)
{
    const char *why = "";

    if (!verify(e, token, claims, &why))
        return NULL;
    log_event(LOG_WARN, "token_refused", LOG_UINT("tunnel", s->seat.id), LOG_STR("why", why));
    return &refusal_token;
}

/* One more tunnel of the grant's token, unless this is one already.  Returns whether it may be. */
static bool take_tunnel(struct edge *e, const struct session *s, struct grant *g)
{
    struct quota_token token = {g->subject, g->token_id};

    return quota_take_tunnel(e->quota, token, &g->ticket) == QUOTA_WITHIN ||
           session_has_token(s, g);
}

/* Takes `g`.  A token that was there already is told of again: that is what success looks like. */
static const struct admission_refusal *take_grant(struct edge *e, struct session *s,
                                                  struct grant *g, enum admission_greeting greeting)
{
    const struct admission_refusal *r = NULL;
    size_t refused = 0;
    int err;

    if (!take_tunnel(e, s, g)) {
        if (g->host_count)
            takeover_ask_all(e, slice_text(g->hosts[0]), g->subject);
        log_event(LOG_WARN, "token_refused", LOG_UINT("tunnel", s->seat.id),
                  LOG_STR("subject", g->subject), LOG_STR("why", refusal_tunnels.message));
        grant_free(g);
        return &refusal_tunnels;
    }
    err = session_take_grant(s, g, &refused);
    if (!err)
        log_granted(s, g);
    else if (err != -EALREADY)
        r = refusal_of(s, g, err, refused);
    if (!r && greeting == ADMISSION_GREETING_DUE)
        admission_greet(s);
    if (!r)
        send_grant(e, s, g);
    if (err)
        grant_free(g);
    return r;
}

const struct admission_refusal *admission_add_claims(struct edge *e, struct session *s,
                                                     struct claims *claims,
                                                     enum admission_greeting greeting)
{
    struct grant *g = grant_of(e, s, claims);

    claims_fini(claims);
    if (!g)
        return &refusal_many;
    if (g->host_count + g->port_count > 0)
        return take_grant(e, s, g, greeting);
    grant_free(g);
    return &refusal_name;
}

const struct admission_refusal *admission_add_token(struct edge *e, struct session *s,
                                                    struct slice token,
                                                    enum admission_greeting greeting)
{
    struct claims claims;
    const struct admission_refusal *r = verify_for(e, s, token, &claims);

    return r ? r : admission_add_claims(e, s, &claims, greeting);
}

const struct admission_refusal *admission_delete_token(struct edge *e, struct session *s,
                                                       struct slice token)
{
    struct claims claims;
    const struct admission_refusal *r;

    if (slice_is_text(token, "*")) {
        (void)session_drop_grant(s, NULL, clock_unix());
        return NULL;
    }
    r = verify_for(e, s, token, &claims);
    if (r)
        return r;
    if (session_drop_grant(s, claims.token_id, clock_unix()))
        r = &refusal_absent;
    claims_fini(&claims);
    return r;
}

int admission_judge(struct edge *e, struct slice text, struct claims *out)
{
    struct claims claims;
    struct quota_token token;
    bool taken = false, has_tunnel;

    if (verify(e, text, &claims, NULL))
        return -EKEYREJECTED;
    for (size_t i = 0; i < claims.host_count && !taken; i++)
        taken = registry_is_taken(e->setting.registry, slice_text(claims.hosts[i]), claims.subject);
    token = (struct quota_token){claims.subject, claims.token_id};
    has_tunnel = quota_has_tunnel(e->quota, token);
    if (!taken && has_tunnel) {
        *out = claims;
        return 0;
    }
    if (!taken && claims.host_count)
        takeover_ask_all(e, slice_text(claims.hosts[0]), claims.subject);
    claims_fini(&claims);
    return taken ? -EACCES : -EDQUOT;
}
