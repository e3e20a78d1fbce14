#include "admin/demo.h"

#include "admin/websocket.h"
#include "base/clock.h"
#include "base/log.h"
#include "edge/credential.h"
#include "edge/device.h"
#include "edge/origin.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define AUTH_MAX (JWS_MAX + 64U) /* {"auth":"TOKEN"} */

enum demo_state {
    DEMO_WAITING, /* for the message with the token */
    DEMO_OPEN,    /* registered */
};

struct demo {
    struct websocket ws;
    enum demo_state state;
    enum demo_kind kind;
    char peer[ADDRESS_TEXT_MAX];
    uint64_t bytes_read, bytes_written;
    uint64_t message_len;  /* of the message that is coming in */
    struct deadline timer; /* WAITING: the end of it; OPEN: the next dwell */
    struct task report;    /* one for all messages of a turn */
    struct grave grave;
    char auth[]; /* AUTH_MAX bytes of that message, if it has to bring a token */
};

static struct demo *of_websocket(struct websocket *w)
{
    return LIST_OWNER(w, struct demo, ws);
}

static void send_report(struct task *t)
{
    struct demo *d = LIST_OWNER(t, struct demo, report);
    char text[96];

    (void)snprintf(text, sizeof(text), "{\"bytes_read\":%" PRIu64 ",\"bytes_written\":%" PRIu64 "}",
                   d->bytes_read, d->bytes_written);
    websocket_send_text(&d->ws, text);
}

static void on_dwell(struct demo *d)
{
    struct loop *loop = d->ws.edge->loop;

    websocket_send_text(&d->ws, DEMO_TEST_MESSAGE);
    d->bytes_written += sizeof(DEMO_TEST_MESSAGE) - 1;
    log_event(LOG_INFO, "dwell", LOG_UINT("visitor", d->ws.id),
              LOG_UINT("bytes_read", d->bytes_read), LOG_UINT("bytes_written", d->bytes_written));
    loop_defer(loop, &d->report);
    loop_start_deadline(loop, &d->timer, d->ws.edge->rules->dwell_ms);
}

static void on_timer(struct deadline *timer)
{
    struct demo *d = LIST_OWNER(timer, struct demo, timer);

    switch (d->state) {
    case DEMO_WAITING: websocket_close(&d->ws, WS_CODE_POLICY, "no token in time"); break;
    case DEMO_OPEN: on_dwell(d); break;
    }
}

static void register_page(struct demo *d)
{
    d->state = DEMO_OPEN;
    log_event(LOG_INFO, "register", LOG_UINT("visitor", d->ws.id), LOG_STR("peer", d->peer),
              LOG_STR("admin", d->kind == DEMO_CLIENT ? "false" : "true"));
    loop_defer(d->ws.edge->loop, &d->report);
    loop_start_deadline(d->ws.edge->loop, &d->timer, d->ws.edge->rules->dwell_ms);
}

static const char *judge_token(const struct trust *trust, struct slice token)
{
    struct claims claims;
    const char *why = "token refused";

    if (jwt_verify(trust->keyring, &trust->rules, token, clock_unix(), &claims, &why))
        return why;
    why = claims_has_scope(&claims, "admin") ? NULL : "no scope \"admin\"";
    claims_fini(&claims);
    return why;
}

/* Returns NULL if `text` brings a token that is good, else why not. */
static const char *judge_auth(const struct trust *trust, struct slice text)
{
    json_t *document = json_loadb((const char *)text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);
    const char *token = json_string_value(json_object_get(document, "auth"));
    const char *why = token ? judge_token(trust, slice_text(token)) : "no token in the message";

    json_decref(document);
    return why;
}

/* What a stranger is told is less than what the log is. */
static void on_auth(struct demo *d, struct slice text)
{
    const char *why = judge_auth(d->ws.edge->trust, text);

    if (!why) {
        register_page(d);
        return;
    }
    log_event(LOG_INFO, "admin_refused", LOG_UINT("visitor", d->ws.id), LOG_STR("peer", d->peer),
              LOG_STR("why", why));
    websocket_close(&d->ws, WS_CODE_POLICY, "token refused");
}

/* A piece of the message that has to bring the token. */
static void gather_auth(struct demo *d, const struct ws_event *piece)
{
    size_t at = (size_t)d->message_len;

    if (piece->span.len > AUTH_MAX - at) {
        websocket_close(&d->ws, WS_CODE_TOO_BIG, "message too big");
        return;
    }
    if (piece->span.len)
        memcpy(d->auth + at, piece->span.ptr, piece->span.len);
    d->message_len += piece->span.len;
    if (!piece->is_last)
        return;
    on_auth(d, slice_of(d->auth, (size_t)d->message_len));
    d->message_len = 0;
    OPENSSL_cleanse(d->auth, AUTH_MAX);
}

static void count_message(struct demo *d, const struct ws_event *piece)
{
    d->message_len += piece->span.len;
    if (!piece->is_last)
        return;
    d->bytes_read += d->message_len;
    log_event(LOG_INFO, "message", LOG_UINT("visitor", d->ws.id),
              LOG_UINT("length", d->message_len), LOG_UINT("bytes_read", d->bytes_read),
              LOG_UINT("bytes_written", d->bytes_written));
    d->message_len = 0;
    loop_defer(d->ws.edge->loop, &d->report);
}

static void on_piece(struct websocket *w, const struct ws_event *piece)
{
    struct demo *d = of_websocket(w);

    switch (d->state) {
    case DEMO_WAITING: gather_auth(d, piece); break;
    case DEMO_OPEN: count_message(d, piece); break;
    }
}

static void free_demo(struct grave *g)
{
    free(LIST_OWNER(g, struct demo, grave));
}

static void on_end(struct websocket *w, const char *why)
{
    struct demo *d = of_websocket(w);

    deadline_stop(&d->timer);
    task_cancel(&d->report);
    log_event(LOG_INFO, "end", LOG_UINT("visitor", w->id), LOG_UINT("bytes_read", d->bytes_read),
              LOG_UINT("bytes_written", d->bytes_written), LOG_UINT("code", w->code),
              LOG_STR("why", why));
    loop_bury(w->edge->loop, &d->grave);
}

static const struct websocket_ops demo_ops = {.on_piece = on_piece, .on_end = on_end};

int demo_open(struct edge *e, struct conn *conn, const struct address *peer, enum demo_kind kind)
{
    size_t auth_len = kind == DEMO_ADMIN_UNKNOWN ? AUTH_MAX : 0;
    struct demo *d = calloc(1, sizeof(*d) + auth_len);

    if (!d)
        return -ENOMEM;
    d->kind = kind;
    d->grave.free = free_demo;
    address_write(peer, d->peer);
    deadline_init(&d->timer, on_timer);
    task_init(&d->report, send_report);
    websocket_init(&d->ws, e, conn, &demo_ops, DEMO_MESSAGE_MAX);
    if (kind == DEMO_ADMIN_UNKNOWN)
        loop_start_deadline(e->loop, &d->timer, e->rules->auth_timeout_ms);
    else
        register_page(d);
    return 0;
}

static void start(const struct front_request *request, enum demo_kind kind)
{
    struct edge *edge = request->edge;
    struct address peer = request->peer;
    struct conn *conn = front_take_websocket(request);

    if (conn && demo_open(edge, conn, &peer, kind))
        conn_close(conn);
}

/* The devices of 2020 to 2022 ask for paths below /ws, and say which versions they speak. */
static bool is_device(const struct front_request *request)
{
    static const char versions[] = "versions=";
    char scratch[JWS_MAX + 1];
    struct slice query = request->head->query;
    struct slice token;

    for (size_t i = 0; i + sizeof(versions) - 1 <= query.len; i++)
        if ((i == 0 || query.ptr[i - 1] == '&') &&
            memcmp(query.ptr + i, versions, sizeof(versions) - 1) == 0)
            return true;
    return credential_find(request->head, &token, scratch) != CREDENTIAL_NONE;
}

void demo_start_client(const struct front_request *request)
{
    if (is_device(request))
        device_start(request);
    else if (origin_is_foreign(request->head))
        front_refuse(request, 403, "This WebSocket is for the relay's own page.");
    else
        start(request, DEMO_CLIENT);
}

void demo_start_admin(const struct front_request *request)
{
    char scratch[JWS_MAX + 1];
    struct slice token;
    bool is_page = http_head_field(request->head, "origin") != NULL;

    if (origin_is_foreign(request->head))
        front_refuse(request, 403, "This WebSocket is for the relay's own page.");
    else if (is_page && credential_find(request->head, &token, scratch) == CREDENTIAL_NONE)
        start(request, DEMO_ADMIN_UNKNOWN);
    else if (credential_has_scope(request, "admin"))
        start(request, DEMO_ADMIN);
}
