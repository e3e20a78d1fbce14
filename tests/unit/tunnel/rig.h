/* rig.h - one session on a loop of its own, with a scripted device and visitors at plain sockets.
 *
 * The device is bytes: frames built by hand, masked; what it hears is taken apart with the same
 * decoders that agents use.  Link with --wrap for clock_now_ms, clock_unix and clock_unix_ms.
 */
#ifndef RVPN_TESTS_UNIT_TUNNEL_RIG_H
#define RVPN_TESTS_UNIT_TUNNEL_RIG_H

#include "tunnel/session.h"

#include "base/log.h"
#include "tunnel/hold.h"

#include "../net/pump.h"
#include "../net/wire.h"

#include <stdio.h>

#define RIG_FRAMES 2000
#define RIG_VISITORS 80
#define RIG_EVENTS 64

int64_t __real_clock_unix_ms(void);
int64_t __wrap_clock_unix(void);
int64_t __wrap_clock_unix_ms(void);

int64_t __wrap_clock_unix_ms(void)
{
    static int64_t start_ms;

    if (!start_ms)
        start_ms = __real_clock_unix_ms();
    return start_ms + skipped_ms;
}

int64_t __wrap_clock_unix(void)
{
    return __wrap_clock_unix_ms() / 1000;
}

/* A frame as the device heard it. */
struct rig_frame {
    enum mproxy_kind kind;
    unsigned message; /* the WebSocket message it began in */
    char cid[72], service[16], port[8], name[80];
    size_t body_len;
};

struct rig_visitor {
    int fd; /* its own end */
    struct wire_log in;
    struct stream *stream;
    char cid[72];
    uint8_t *heard; /* what the device was sent for it */
    size_t heard_len, heard_size;
};

struct rig {
    struct loop loop;
    struct gather gather;
    struct session_setting setting;
    struct session *session; /* NULL once it has ended */
    int device;              /* its end of the tunnel */
    struct wire_log wire;    /* raw, what it was sent */
    size_t wire_at;          /* of which is taken apart */
    struct ws_decoder ws;
    struct mproxy_decoder mproxy;
    uint8_t mproxy_head[MPROXY_HEAD_MAX];
    unsigned messages, pings, pongs;
    char ping[8];   /* what the last one held */
    int close_code; /* 0: no Close yet */
    char close_why[126], text[256];
    struct rig_frame frames[RIG_FRAMES];
    unsigned frame_count;
    char control[4096]; /* the last control message */
    size_t control_len;
    struct rig_visitor visitors[RIG_VISITORS];
    unsigned visitor_count;

    /* What the owner was told. */
    struct control last_control;
    unsigned controls;
    char claimed[RIG_EVENTS][80], released[RIG_EVENTS][80];
    unsigned claimed_count, released_count, refuse_claim; /* the nth on_claimed() from now fails */
    unsigned unserved;
    unsigned visitors_lost; /* how many tunnels the next visitors have lost before */
    bool held;              /* whether the last of them may be retried, and with what */
    struct stream_request held_request;
    size_t held_len;
    uint8_t held_bytes[HOLD_MAX];
    unsigned ends[SESSION_END_SELF + 1];
    char end_why[64];
    void (*on_end)(struct rig *r, enum session_end what); /* or NULL */
    struct meter last_meter;                              /* the session's, at its end */
    int fds_before;
};

/* --- the session's owner --- */

static void rig_on_control(void *owner, const struct control *control)
{
    struct rig *r = owner;

    r->controls++;
    r->last_control = *control;
}

static void rig_note_claim(char text[80], const struct claim *c)
{
    if (c->port)
        (void)snprintf(text, 80, ":%u", c->port);
    else
        (void)snprintf(text, 80, "%.79s", c->host);
}

static int rig_on_claimed(void *owner, const struct claim *c)
{
    struct rig *r = owner;

    if (r->refuse_claim && --r->refuse_claim == 0)
        return -EACCES;
    rig_note_claim(r->claimed[r->claimed_count++ % RIG_EVENTS], c);
    return 0;
}

static void rig_on_released(void *owner, const struct claim *c)
{
    struct rig *r = owner;

    rig_note_claim(r->released[r->released_count++ % RIG_EVENTS], c);
}

static void rig_on_unserved(void *owner, struct conn *visitor, enum stream_service service,
                            const struct hold *hold)
{
    struct rig *r = owner;

    (void)service;
    r->unserved++;
    r->held = hold != NULL;
    if (hold) {
        r->held_request = hold->request;
        r->held_len = hold->len;
        memcpy(r->held_bytes, hold->bytes, hold->len);
    }
    (void)conn_write(visitor, "502", 3);
    conn_finish(visitor);
}

static void rig_on_end(void *owner, enum session_end what, const char *why)
{
    struct rig *r = owner;

    assert_non_null(r->session);
    r->ends[what]++;
    (void)snprintf(r->end_why, sizeof(r->end_why), "%s", why);
    if (what == SESSION_END_SELF) {
        for (unsigned i = 0; i < METER_IDS; i++)
            meter_set(&r->last_meter, (enum meter_id)i,
                      meter_read(&r->session->seat.meter, (enum meter_id)i));
        r->session = NULL;
    }
    if (r->on_end)
        r->on_end(r, what);
}

static const struct session_ops rig_ops = {
    .on_control = rig_on_control,
    .on_claimed = rig_on_claimed,
    .on_released = rig_on_released,
    .on_unserved = rig_on_unserved,
    .on_end = rig_on_end,
};

/* --- what the device hears --- */

static inline void rig_copy(char *to, size_t size, struct slice from)
{
    assert_true(from.len < size);
    (void)slice_write(from, to, size);
}

static inline struct rig_visitor *rig_visitor_of(struct rig *r, const char *cid)
{
    for (unsigned i = r->visitor_count; i-- > 0;) {
        if (strcmp(r->visitors[i].cid, cid) == 0)
            return &r->visitors[i];
    }
    return NULL;
}

static inline void rig_hear_head(struct rig *r, const struct mproxy_head *head)
{
    struct rig_frame *f = &r->frames[r->frame_count++];

    assert_true(r->frame_count < RIG_FRAMES);
    *f = (struct rig_frame){
        .kind = head->kind, .message = r->messages, .body_len = (size_t)head->body_len};
    rig_copy(f->cid, sizeof(f->cid), head->cid);
    rig_copy(f->service, sizeof(f->service), head->service);
    rig_copy(f->port, sizeof(f->port), head->service_port);
    rig_copy(f->name, sizeof(f->name), head->name);
    if (head->kind == MPROXY_CONTROL)
        r->control_len = 0;
}

static inline void rig_hear_body(struct rig *r, struct slice span)
{
    const struct rig_frame *f = &r->frames[r->frame_count - 1];
    struct rig_visitor *v = rig_visitor_of(r, f->cid);

    if (f->kind == MPROXY_CONTROL) {
        assert_true(r->control_len + span.len < sizeof(r->control));
        memcpy(r->control + r->control_len, span.ptr, span.len);
        r->control_len += span.len;
        r->control[r->control_len] = '\0';
    }
    if (f->kind != MPROXY_DATA || !v)
        return;
    if (v->heard_len + span.len > v->heard_size) {
        v->heard_size = (v->heard_len + span.len) * 2;
        v->heard = realloc(v->heard, v->heard_size);
        assert_non_null(v->heard);
    }
    memcpy(v->heard + v->heard_len, span.ptr, span.len);
    v->heard_len += span.len;
}

static inline void rig_hear_mproxy(struct rig *r, const uint8_t *in, size_t len)
{
    while (len) {
        struct mproxy_event event;
        ssize_t used = mproxy_decoder_feed(&r->mproxy, in, len, &event);

        assert_true(used > 0);
        if (event.kind == MPROXY_HEAD)
            rig_hear_head(r, &event.head);
        else if (event.kind == MPROXY_BODY)
            rig_hear_body(r, event.span);
        in += used;
        len -= (size_t)used;
    }
}

static inline void rig_hear(struct rig *r)
{
    wire_read(&r->wire);
    while (r->wire_at < r->wire.len) {
        struct ws_event event;
        ssize_t used =
            ws_decoder_feed(&r->ws, r->wire.bytes + r->wire_at, r->wire.len - r->wire_at, &event);

        assert_true(used > 0);
        r->wire_at += (size_t)used;
        if (event.kind == WS_PING) {
            r->pings++;
            rig_copy(r->ping, sizeof(r->ping), event.span);
        }
        r->pongs += event.kind == WS_PONG;
        if (event.kind == WS_CLOSE) {
            r->close_code = event.code;
            rig_copy(r->close_why, sizeof(r->close_why), event.span);
        } else if (event.kind == WS_DATA && event.opcode == WS_OP_TEXT) {
            rig_copy(r->text, sizeof(r->text), event.span);
        } else if (event.kind == WS_DATA) {
            rig_hear_mproxy(r, event.span.ptr, event.span.len);
            r->messages += event.is_last;
        }
    }
}

/* How many frames of that kind the device has heard for that stream; NULL: for any. */
static inline unsigned rig_count(const struct rig *r, enum mproxy_kind kind, const char *cid)
{
    unsigned count = 0;

    for (unsigned i = 0; i < r->frame_count; i++)
        count += r->frames[i].kind == kind && (!cid || strcmp(r->frames[i].cid, cid) == 0);
    return count;
}

/* --- turning it --- */

static inline void rig_turn(struct rig *r)
{
    pump(&r->loop);
    if (r->device != -1)
        rig_hear(r);
}

/* As rig_turn(), and the visitors read too. */
static inline void rig_turn_all(struct rig *r)
{
    rig_turn(r);
    for (unsigned i = 0; i < r->visitor_count; i++) {
        if (r->visitors[i].fd != -1)
            wire_read(&r->visitors[i].in);
    }
}

static inline void rig_turns(struct rig *r, unsigned turns)
{
    while (turns--)
        rig_turn(r);
}

/* The nth turn of waiting for something that must come before `by_ms` of the machine's time. */
static inline void rig_wait_turn(struct rig *r, unsigned nth, int64_t by_ms)
{
    assert_true(__real_clock_now_ms() < by_ms);
    rig_turn_all(r);
    pump_patiently(nth);
}

#define RIG_UNTIL(r, condition)                                                                    \
    do {                                                                                           \
        int64_t by_ = __real_clock_now_ms() + PUMP_MS;                                             \
                                                                                                   \
        for (unsigned nth_ = 0; !(condition); nth_++)                                              \
            rig_wait_turn(r, nth_, by_);                                                           \
    } while (0)

/* Lets time pass, in steps that no deadline is lost between. */
static inline void rig_wait(struct rig *r, int64_t ms)
{
    for (; ms > 0; ms -= 10) {
        skip_ms(ms < 10 ? ms : 10);
        rig_turn(r);
    }
}

/* --- the device speaks --- */

static inline void rig_say_raw(struct rig *r, enum ws_opcode opcode, const void *bytes, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *message = malloc(WS_HEAD_MAX + len);
    size_t head_len = ws_write_head_masked(message, opcode, len, key);
    size_t at = 0;

    if (len)
        memcpy(message + head_len, bytes, len);
    ws_mask(message + head_len, len, key, 0);
    while (at < head_len + len) {
        ssize_t sent = send(r->device, message + at, head_len + len - at, MSG_NOSIGNAL);

        assert_true(sent > 0 || errno == EAGAIN);
        if (sent > 0)
            at += (size_t)sent;
        else
            rig_turn(r);
    }
    free(message);
}

/* One frame in one message; `word` is field 5. */
static inline void rig_say(struct rig *r, const char *cid, const char *word, const void *body,
                           size_t len)
{
    uint8_t *frame = malloc(300 + len);
    int head_len = snprintf((char *)frame + 2, 256, "%s,%zu,%s", cid, len, word);

    frame[0] = 0xfe;
    frame[1] = (uint8_t)head_len;
    if (len)
        memcpy(frame + 2 + head_len, body, len);
    rig_say_raw(r, WS_OP_BINARY, frame, 2 + (size_t)head_len + len);
    free(frame);
}

static inline void rig_say_data(struct rig *r, const struct rig_visitor *v, const char *text)
{
    rig_say(r, v->cid, "https", text, strlen(text));
}

static inline void rig_say_control(struct rig *r, const char *json)
{
    rig_say(r, ",,", "control", json, strlen(json));
}

/* `len` bytes of the wire's pattern from `from` on, as frames of 60000 bytes. */
static inline void rig_say_bulk(struct rig *r, const struct rig_visitor *v, size_t from, size_t len)
{
    static uint8_t bytes[60000];

    while (len) {
        size_t part = len < sizeof(bytes) ? len : sizeof(bytes);

        wire_fill(bytes, part, from);
        rig_say(r, v->cid, "https", bytes, part);
        from += part;
        len -= part;
    }
}

/* --- set-up --- */

static inline struct session_limits rig_limits(void)
{
    return (struct session_limits){
        .stream = {.low = 100000, .high = 1000000, .hard = 3000000},
        .tunnel = {.low = 500000, .high = 1000000},
        .backlog = 100000000,
        .streams_max = 8,
        .pulse = {.interval_ms = 20000, .timeout_ms = 10000, .probe_ms = 1000},
        .visitor_stall_ms = 60000,
        .half_close_ms = 30000,
        .tcp_silence_ms = 350,
    };
}

static inline void rig_open_session(struct rig *r, enum dialect dialect)
{
    struct session_peer peer = {.id = 7, .dialect = dialect, .now_unix = __wrap_clock_unix()};
    struct conn *conn;
    int ends[2];

    wire_pair(ends);
    assert_int_equal(address_parse(slice_text("192.0.2.7:777"), &peer.address), 0);
    assert_int_equal(conn_new(&r->loop, ends[0], NULL, NULL, &conn), 0);
    r->device = ends[1];
    r->wire = (struct wire_log){.fd = ends[1]};
    ws_decoder_init(&r->ws, WS_FROM_RELAY, WS_TEXT_CHECKED, 0);
    mproxy_decoder_init(&r->mproxy, SIZE_MAX, r->mproxy_head);
    assert_int_equal(session_new(&r->setting, &peer, &rig_ops, r, conn, &r->session), 0);
}

/* A grant of names and ports, "a.example *.b.example 30001". */
static inline struct grant *rig_grant(const char *subject, const char *id, const char *what,
                                      int64_t expires_at)
{
    struct grant *g = grant_new(subject, id, NULL, expires_at);
    struct slice rest = slice_text(what);

    while (rest.len) {
        const uint8_t *blank = memchr(rest.ptr, ' ', rest.len);
        size_t len = blank ? (size_t)(blank - rest.ptr) : rest.len;
        struct slice word = slice_of(rest.ptr, len);
        uint64_t port;

        if (slice_parse_uint(word, 65535, &port) == 0)
            assert_int_equal(grant_add_port(g, (uint16_t)port), 0);
        else
            assert_int_equal(grant_add_host(g, word), 0);
        rest = slice_from(rest, len + 1);
    }
    return g;
}

static inline void rig_take_grant(struct rig *r, const char *id, const char *what,
                                  int64_t expires_at)
{
    size_t refused;

    assert_int_equal(
        session_take_grant(r->session, rig_grant("subject", id, what, expires_at), &refused), 0);
}

/* A device that serves a.example and port 30001. */
static inline struct rig *rig_new(enum dialect dialect)
{
    struct rig *r = calloc(1, sizeof(*r));

    log_init(LOG_ERROR, LOG_TEXT);
    r->fds_before = wire_count_fds();
    assert_int_equal(loop_init(&r->loop, &r->loop), 0);
    gather_init(&r->gather);
    r->setting = (struct session_setting){
        .loop = &r->loop, .registry = registry_new(), .gather = &r->gather, .limits = rig_limits()};
    rig_open_session(r, dialect);
    rig_take_grant(r, "t1", "a.example 30001", 0);
    return r;
}

static inline struct stream_request rig_request(enum stream_service service, unsigned number)
{
    struct stream_request request = {.service = service, .port = 443};

    assert_int_equal(address_parse(slice_text("9.8.7.6:0"), &request.visitor), 0);
    address_set_port(&request.visitor, (uint16_t)(1000 + number));
    if (service == STREAM_TCP)
        request.port = 30001;
    else
        assert_int_equal(hostname_parse(slice_text("a.example"), &request.host), 0);
    return request;
}

/* A visitor that has been routed to the session. */
static inline struct rig_visitor *rig_visit(struct rig *r, enum stream_service service)
{
    struct rig_visitor *v = &r->visitors[r->visitor_count];
    struct stream_request request = rig_request(service, r->visitor_count++);
    struct claim *claim = session_claim_for(r->session, &request);
    struct conn *conn;
    int ends[2];

    assert_non_null(claim);
    request.lost = r->visitors_lost;
    wire_pair(ends);
    /* Little stays with the kernel, so that what a visitor does not take is the stream's. */
    assert_int_equal(setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &(int){16384}, sizeof(int)), 0);
    assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int)), 0);
    v->fd = ends[1];
    v->in = (struct wire_log){.fd = ends[1]};
    (void)snprintf(v->cid, sizeof(v->cid), "IPv4,9.8.7.6,%u", address_port(&request.visitor));
    assert_int_equal(conn_new(&r->loop, ends[0], NULL, NULL, &conn), 0);
    assert_int_equal(stream_open(r->session, claim, &request, conn, &v->stream), 0);
    return v;
}

/* A visitor whose first frame the device has heard and answered, so that all flows. */
static inline struct rig_visitor *rig_visit_flowing(struct rig *r, enum stream_service service)
{
    struct rig_visitor *v = rig_visit(r, service);

    wire_text(v->fd, "hello");
    RIG_UNTIL(r, v->heard_len == 5);
    rig_say_data(r, v, "world");
    RIG_UNTIL(r, v->in.len == 5);
    return v;
}

static inline void rig_leave(struct rig_visitor *v)
{
    (void)close(v->fd);
    v->fd = -1;
}

/* Ends everything; neither memory, descriptors nor open streams may be left. */
static inline void rig_free(struct rig *r)
{
    int fds_before = r->fds_before;

    if (r->session)
        session_drop(r->session, "test");
    assert_int_equal(r->ends[SESSION_END_SELF], 1);
    assert_int_equal(meter_read(&r->last_meter, METER_STREAMS_OPEN), 0);
    if (r->device != -1)
        (void)close(r->device);
    wire_free(&r->wire);
    for (unsigned i = 0; i < r->visitor_count; i++) {
        if (r->visitors[i].fd != -1)
            (void)close(r->visitors[i].fd);
        wire_free(&r->visitors[i].in);
        free(r->visitors[i].heard);
    }
    for (int i = 0; i < 4; i++) {
        skip_ms(CONN_DRAIN_MS + CONN_LINGER_MS);
        pump_times(&r->loop, 2);
    }
    assert_int_equal(r->loop.pool.held_bytes, 0);
    assert_int_equal(registry_count(r->setting.registry).sessions, 0);
    assert_int_equal(registry_count(r->setting.registry).names, 0);
    registry_free(r->setting.registry);
    loop_fini(&r->loop);
    free(r);
    assert_int_equal(wire_count_fds(), fds_before);
}

#endif
