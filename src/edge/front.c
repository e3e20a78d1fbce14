#include "edge/front.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/slab.h"
#include "edge/names.h"
#include "edge/refuse.h"
#include "proto/http_body.h"
#include "proto/ws_handshake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BODY_MAX 16384U /* of a request; no route of ours wants it */
#define REQUEST_MAX (HTTP_HEAD_MAX + BODY_MAX)
#define QUEUE_HIGH 262144U  /* responses that wait; further requests do too */
#define TAKEN_LEAST 262144U /* what who is behind must take in http_idle */
#define ALLOW_SIZE 128U

enum front_state {
    FRONT_OPEN,  /* waits for a request, or for the rest of one */
    FRONT_TAKEN, /* its conn is somebody else's */
};

struct front {
    enum front_state state;
    struct list link; /* in the edge's fronts */
    struct edge *edge;
    struct conn *conn; /* ours until TAKEN */
    enum front_kind kind;
    enum { FRONT_CONTINUE_DUE, FRONT_CONTINUE_SENT } continued;
    struct address peer;
    struct deadline idle;   /* by then a whole request must be here, and answers must be taken */
    int64_t quiet_since_ms; /* see hear() */
    uint64_t taken;         /* conn_wire_out() when it was started */
    size_t seen;            /* bytes of a request that was not whole when it was looked at */
    size_t due;             /* ... and how many it will be whole with, or 0 if that is not known */
    enum { FRONT_HANDSHAKE_DUE, FRONT_HANDSHAKE_COUNTED } handshake;
    struct grave grave;
};

static const struct conn_ops front_ops;

static void free_grave(struct grave *g)
{
    slab_free(LIST_OWNER(g, struct front, grave));
}

/* Has been heard of: the edge's fronts stand in the order in which that was. */
static void hear(struct front *f)
{
    f->quiet_since_ms = f->edge->loop->now_ms;
    list_remove(&f->link);
    list_push(&f->edge->fronts, &f->link);
}

static void start_idle(struct front *f, int64_t in_ms)
{
    f->taken = conn_wire_out(f->conn);
    loop_start_deadline(f->edge->loop, &f->idle, in_ms);
}

/* Once, when it is known how it went or will not be known any more. */
static void count_handshake(struct front *f)
{
    struct tally *tally = &f->edge->tally;

    if (f->handshake == FRONT_HANDSHAKE_COUNTED)
        return;
    f->handshake = FRONT_HANDSHAKE_COUNTED;
    switch (conn_handshake(f->conn)) {
    case CONN_HANDSHAKE_UNDER_WAY: tally_add(tally, TALLY_HANDSHAKES_FAILED); return;
    case CONN_HANDSHAKE_RESUMED: tally_add(tally, TALLY_HANDSHAKES_RESUMED); break;
    case CONN_HANDSHAKE_DONE: break;
    }
    tally_add(tally, TALLY_HANDSHAKES);
}

static struct conn *leave(struct front *f)
{
    struct conn *conn = f->conn;

    count_handshake(f);
    f->state = FRONT_TAKEN;
    f->conn = NULL;
    tally_sub(&f->edge->tally, TALLY_PENDING);
    deadline_stop(&f->idle);
    list_remove(&f->link);
    loop_bury(f->edge->loop, &f->grave);
    return conn;
}

static bool is_closing(const struct front *f, const struct http_head *head)
{
    return !head->keep_alive || head->wants_upgrade || f->edge->state == EDGE_DRAINING;
}

/* The field lines that describe a body; a response that has none (RFC 9110 8.6) has none of them.
 */
static void write_body_fields(char *out, size_t size, const struct front_response *response)
{
    out[0] = '\0';
    if (response->status != 204 && response->status != 304)
        (void)snprintf(out, size, "Content-Type: %s\r\nContent-Length: %zu\r\n",
                       response->type ? response->type : "text/plain; charset=utf-8",
                       response->body.len);
}

void front_respond(const struct front_request *request, const struct front_response *response)
{
    struct front *f = request->front;
    bool closing = is_closing(f, request->head);
    bool behind = f->state == FRONT_OPEN && conn_queued(f->conn);
    char date[CLOCK_HTTP_SIZE], fields[256], head[4096];
    struct slice body = {NULL, 0};
    int len;

    if (f->state != FRONT_OPEN)
        return;
    write_body_fields(fields, sizeof(fields), response);
    clock_write_http(date);
    len = snprintf(head, sizeof(head),
                   "HTTP/1.1 %d %s\r\nDate: %s\r\n%sX-Content-Type-Options: nosniff\r\n"
                   "Referrer-Policy: no-referrer\r\n%sConnection: %s\r\n\r\n",
                   response->status, refuse_reason(response->status), date, fields,
                   response->headers ? response->headers : "", closing ? "close" : "keep-alive");
    if (len >= (int)sizeof(head)) { /* our own field lines are too long */
        conn_close(leave(f));
        return;
    }
    if (fields[0] && !slice_is_text(request->head->method, "HEAD"))
        body = response->body;
    if (conn_writev(f->conn,
                    (struct iovec[]){{head, (size_t)len}, {(void *)(uintptr_t)body.ptr, body.len}},
                    2))
        conn_close(leave(f)); /* what follows a missing answer would be taken for it */
    else if (closing)
        conn_finish(leave(f));
    else if (!behind) /* to ask again is no way to stay without reading */
        start_idle(f, f->edge->rules->http_idle_ms);
}

void front_respond_page(const struct front_request *request, int status, const char *sentence,
                        const char *headers)
{
    char page[REFUSE_PAGE_MAX];
    size_t len = refuse_write_page(page, status, sentence);
    struct front_response response = {.status = status,
                                      .type = "text/html; charset=utf-8",
                                      .headers = headers,
                                      .body = slice_of(page, len)};

    front_respond(request, &response);
}

void front_respond_json(const struct front_request *request, char *text)
{
    if (text)
        front_respond(request, &(struct front_response){.status = 200,
                                                        .type = "application/json; charset=utf-8",
                                                        .headers = "Cache-Control: no-store\r\n",
                                                        .body = slice_text(text)});
    else
        front_refuse_busy(request, 503, "The relay is out of memory.");
    free(text);
}

void front_refuse(const struct front_request *request, int status, const char *sentence)
{
    front_respond_page(request, status, sentence, "Cache-Control: no-store\r\n");
}

void front_refuse_busy(const struct front_request *request, int status, const char *sentence)
{
    char headers[80];

    (void)snprintf(headers, sizeof(headers), "Cache-Control: no-store\r\nRetry-After: %d\r\n",
                   refuse_retry_s(request->edge->retries++));
    front_respond_page(request, status, sentence, headers);
}

static struct slice field_value(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_head_field(head, name);

    return field ? field->value : slice_of(NULL, 0);
}

struct conn *front_take_websocket(const struct front_request *request)
{
    const struct http_head *head = request->head;
    struct ws_request wanted = {.upgrade = field_value(head, "Upgrade"),
                                .connection = field_value(head, "Connection"),
                                .key = field_value(head, "Sec-WebSocket-Key"),
                                .version = field_value(head, "Sec-WebSocket-Version")};
    uint8_t answer[WS_HANDSHAKE_SIZE];
    ssize_t len;

    switch (ws_handshake_judge(&wanted)) {
    case WS_VERDICT_UPGRADE: break;
    case WS_VERDICT_BAD_VERSION:
        front_respond_page(request, 426, "Only version 13 of WebSocket is spoken here.",
                           "Sec-WebSocket-Version: 13\r\nUpgrade: websocket\r\n");
        return NULL;
    case WS_VERDICT_PLAIN:
    case WS_VERDICT_BAD: front_refuse(request, 400, "This is no WebSocket handshake."); return NULL;
    }
    len = ws_handshake_write(wanted.key, answer);
    if (len < 0) {
        front_refuse(request, 500, "The relay cannot compute a WebSocket key.");
        return NULL;
    }
    (void)conn_write(request->front->conn, answer, (size_t)len);
    return leave(request->front);
}

static bool is_websocket(const struct http_head *head)
{
    return slice_is_text(head->method, "GET") && head->wants_upgrade &&
           http_head_has_token(head, "Upgrade", "websocket");
}

static bool is_method(const struct front_route *route, const struct http_head *head)
{
    if (is_websocket(head) || strcmp(route->method, "WEBSOCKET") == 0)
        return is_websocket(head) && strcmp(route->method, "WEBSOCKET") == 0;
    return slice_is_text(head->method, route->method) ||
           (slice_is_text(head->method, "HEAD") && strcmp(route->method, "GET") == 0);
}

static bool is_path(const struct front_route *route, const struct http_head *head)
{
    return strcmp(route->path, "*") == 0 || slice_is_text(head->path, route->path);
}

/* The methods that the path has, as an Allow field.  Returns whether there is any. */
static bool write_allow(const struct front_request *request, char out[ALLOW_SIZE])
{
    size_t at = 0;

    for (const struct front_route *r = request->edge->rules->routes;
         r->path && at < ALLOW_SIZE - 32; r++) {
        if (strcmp(r->method, "WEBSOCKET") == 0 || !is_path(r, request->head))
            continue;
        at += (size_t)snprintf(out + at, ALLOW_SIZE - at, "%s%.16s%s",
                               at ? ", " : "Allow: ", r->method,
                               strcmp(r->method, "GET") == 0 ? ", HEAD" : "");
    }
    (void)snprintf(out + at, ALLOW_SIZE - at, "\r\n");
    return at > 0;
}

static void dispatch(const struct front_request *request)
{
    const struct http_head *head = request->head;
    char allow[ALLOW_SIZE];

    for (const struct front_route *r = request->edge->rules->routes; r->path; r++) {
        if (is_path(r, head) && is_method(r, head)) {
            r->handle(request);
            return;
        }
    }
    if (write_allow(request, allow))
        front_respond_page(request, 405, "This page cannot be used in that way.", allow);
    else
        front_refuse(request, 404, "The relay itself has no such page.");
}

static void handle(struct front *f, const struct http_head *head)
{
    struct front_request request = {.front = f,
                                    .edge = f->edge,
                                    .head = head,
                                    .peer = f->peer,
                                    .scheme = f->kind == FRONT_TLS ? "https" : "http"};

    f->continued = FRONT_CONTINUE_DUE;
    f->seen = f->due = 0;
    hear(f);
    if (head->has_host && !names_is_own(f->edge->rules, &head->host))
        front_refuse(&request, 421, "This connection leads to the relay, not to that name.");
    else if (head->target_form == HTTP_TARGET_ASTERISK)
        front_respond(&request, &(struct front_response){.status = 204});
    else if (head->target_form == HTTP_TARGET_AUTHORITY)
        front_respond_page(&request, 405, "The relay is no forward proxy.", "Allow: GET, HEAD\r\n");
    else
        dispatch(&request);
}

static void refuse_bad(struct front *f, int err)
{
    tally_add(&f->edge->tally, TALLY_REFUSED_NOT_UNDERSTOOD);
    refuse_http(leave(f), refuse_status(err), "The relay does not understand this request.", NULL);
}

/* Whether a request that was not whole is worth another look: dripped bytes cost little then. */
static bool is_due(const struct front *f, const uint8_t *in, size_t len)
{
    if (f->seen == 0 || f->due)
        return len >= f->due;
    return len > f->seen && ((f->seen < HTTP_HEAD_MAX && len >= HTTP_HEAD_MAX) ||
                             len >= REQUEST_MAX || memchr(in + f->seen, '\n', len - f->seen));
}

/* How long a whole request at in[] is, its body included; 0 if it is not all here; -Exxx. */
static ssize_t measure(struct front *f, const uint8_t *in, size_t len, struct http_head *head)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    ssize_t head_len = http_head_parse(in, len, head);
    ssize_t body_len;
    struct http_body body;

    f->seen = len;
    if (head_len <= 0)
        return head_len;
    if (head->framing == HTTP_FRAMING_LENGTH)
        f->due = (size_t)head_len + (size_t)head->content_length;
    if (head->content_length > BODY_MAX)
        return -EFBIG;
    http_body_init(&body, head);
    body_len = http_body_feed(&body, in + head_len, len - (size_t)head_len);
    if (body_len < 0)
        return body_len;
    if (http_body_is_done(&body))
        return head_len + body_len;
    if (head->expects_continue && f->continued == FRONT_CONTINUE_DUE) {
        f->continued = FRONT_CONTINUE_SENT;
        (void)conn_write(f->conn, go_on, sizeof(go_on) - 1);
    }
    return len - (size_t)head_len >= BODY_MAX ? -EFBIG : 0;
}

static size_t room(void *owner)
{
    const struct front *f = owner;

    return conn_queued(f->conn) > QUEUE_HIGH ? 0 : REQUEST_MAX;
}

static size_t on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct front *f = owner;
    size_t at = 0;

    count_handshake(f);
    while (at < len && f->state == FRONT_OPEN && room(f)) {
        struct http_head head;
        ssize_t used = is_due(f, in + at, len - at) ? measure(f, in + at, len - at, &head) : 0;

        if (used == 0)
            break;
        if (used < 0) {
            refuse_bad(f, (int)used);
            break;
        }
        at += (size_t)used;
        handle(f, &head);
    }
    return at;
}

static void on_drain(void *owner)
{
    struct front *f = owner;

    conn_update(f->conn);
}

static void on_eof(void *owner)
{
    conn_finish(leave(owner)); /* what has been answered still goes out */
}

static void on_lost(void *owner, int err)
{
    struct front *f = owner;
    char peer[ADDRESS_TEXT_MAX];

    address_write(&f->peer, peer);
    log_event(LOG_DEBUG, "front_lost", LOG_STR("peer", peer), LOG_STR("why", strerror(-err)));
    conn_close(leave(f));
}

static const struct conn_ops front_ops = {
    .room = room,
    .on_bytes = on_bytes,
    .on_drain = on_drain,
    .on_eof = on_eof,
    .on_lost = on_lost,
};

/* Who takes answers, if slowly, may go on; who takes too little of them is cut off, with a break:
 * an end would make what is missing look as if it were not. */
static void mind_behind(struct front *f)
{
    if (conn_wire_out(f->conn) - f->taken >= TAKEN_LEAST)
        start_idle(f, f->edge->rules->http_idle_ms);
    else
        conn_reset(leave(f));
}

static void on_idle(struct deadline *d)
{
    struct front *f = LIST_OWNER(d, struct front, idle);

    if (conn_queued(f->conn))
        mind_behind(f);
    else if (f->seen)
        refuse_http(leave(f), 408, "The request took too long to arrive.", NULL);
    else
        conn_finish(leave(f));
}

static int start_tls(const struct edge *e, struct conn *conn, const char *name)
{
    return conn_start_tls(conn, certificates_choose(&e->trust->certificates, name));
}

void front_start(struct edge *e, struct conn *conn, const struct stream_request *request,
                 enum front_kind kind)
{
    struct front *f = slab_zalloc(sizeof(*f));

    if (!f || (kind == FRONT_TLS && start_tls(e, conn, request->host.text))) {
        slab_free(f);
        tally_add(&e->tally, TALLY_REFUSED_NO_RESOURCES);
        conn_close(conn);
        return;
    }
    f->edge = e;
    f->conn = conn;
    f->kind = kind;
    f->handshake = kind == FRONT_TLS ? FRONT_HANDSHAKE_DUE : FRONT_HANDSHAKE_COUNTED;
    f->peer = request->visitor;
    f->grave.free = free_grave;
    deadline_init(&f->idle, on_idle);
    start_idle(f, e->rules->handshake_timeout_ms);
    list_init(&f->link);
    hear(f);
    tally_add(&e->tally, TALLY_PENDING);
    conn_set_owner(conn, &front_ops, f);
}

void front_drop_silent(struct edge *e, int64_t before_ms, unsigned most)
{
    LIST_EACH (&e->fronts, link) {
        struct front *f = LIST_OWNER(link, struct front, link);

        if (!most-- || f->quiet_since_ms > before_ms)
            return;
        if (conn_queued(f->conn))
            hear(f); /* it is not its turn to speak, nor to be looked at again so soon */
        else
            conn_close(leave(f));
    }
}

void front_close_all(struct edge *e)
{
    LIST_EACH (&e->fronts, link)
        conn_finish(leave(LIST_OWNER(link, struct front, link)));
}
