#include "tunnel/mux.h"

#include "base/slab.h"
#include "net/conn.h"
#include "proto/control.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_TRIES 64

_Static_assert(LOOP_HEADROOM >= MPROXY_HEAD_MAX + WS_HEAD_MAX, "heads fit in front of the bytes");

static struct slice key_slice(const struct mproxy_key *key)
{
    return slice_of(key->bytes, sizeof(key->bytes));
}

void mux_init(struct mux *m, const struct mux_ops *ops, struct gather *gather, enum dialect d)
{
    *m = (struct mux){.ops = ops, .gather = gather, .dialect = d};
    mproxy_decoder_init(&m->decoder, MUX_BODY_MAX, gather->head);
    map_init(&m->streams);
    quarantine_init(&m->ended);
}

void mux_fini(struct mux *m)
{
    map_fini(&m->streams);
    quarantine_fini(&m->ended);
    slab_free(m->cut);
    m->cut = NULL;
    free(m->control);
    m->control = NULL;
}

void mux_trim(struct mux *m)
{
    quarantine_release_due(&m->ended, m->now_ms);
}

static int write_frame(struct mux *m, uint8_t *start, size_t head_len, size_t len)
{
    size_t ws_len = ws_head_len(head_len + len);

    (void)ws_write_head(start - ws_len, WS_OP_BINARY, head_len + len);
    m->frames_out++;
    return m->ops->write(m, start - ws_len, ws_len + head_len + len);
}

static size_t data_head_len(const struct mux_stream *ms, size_t len)
{
    size_t head_len = mproxy_template_head_len(&ms->head, MPROXY_DATA, (uint32_t)len);

    return ws_head_len(head_len + len) + head_len;
}

size_t mux_fit(const struct mux_stream *ms, size_t room, size_t begun, size_t unit)
{
    size_t head_len = data_head_len(ms, room);
    size_t over = (begun + head_len + room) % unit, saved;

    if (begun + head_len + room < unit || over > room / 2)
        return room;
    saved = head_len - data_head_len(ms, room - over); /* a shorter frame has shorter heads */
    return saved < over ? room - over + saved : room;
}

int mux_write_data(struct mux *m, struct mux_stream *ms, uint8_t *bytes, size_t len)
{
    size_t head_len = mproxy_template_head_len(&ms->head, MPROXY_DATA, (uint32_t)len);

    (void)mproxy_template_write(&ms->head, MPROXY_DATA, (uint32_t)len, bytes - head_len);
    return write_frame(m, bytes - head_len, head_len, len);
}

/* A frame with a body that is short and needs no headroom of its own. */
static int write_small(struct mux *m, const struct mproxy_template *head, enum mproxy_kind kind,
                       struct slice body)
{
    uint8_t frame[WS_HEAD_MAX + MPROXY_HEAD_MAX + 128];
    uint8_t *start = frame + WS_HEAD_MAX;
    size_t head_len = mproxy_template_write(head, kind, (uint32_t)body.len, start);

    if (body.len)
        memcpy(start + head_len, body.ptr, body.len);
    return write_frame(m, start, head_len, body.len);
}

int mux_write_end(struct mux *m, struct mux_stream *ms, enum mproxy_kind kind)
{
    return write_small(m, &ms->head, kind, slice_of(" ", dialect_end_len(m->dialect)));
}

int mux_write_pause(struct mux *m, struct mux_stream *ms, enum mproxy_kind kind, uint64_t done)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)done);

    return write_small(m, &ms->head, kind, slice_of(digits, (size_t)len));
}

/* One message of two frames: data without bytes, and behind it the `end` of a stream that never
 * was, because packers before 2.0 handle an empty frame only when the next byte arrives. */
int mux_write_silent_open(struct mux *m, struct mux_stream *ms)
{
    uint8_t frame[WS_HEAD_MAX + 2 * MPROXY_HEAD_MAX + 1];
    uint8_t *start = frame + WS_HEAD_MAX;
    struct mproxy_route nobody = {
        .key = mproxy_key_ipv4((const uint8_t[4]){0, 0, 0, 0}, ++m->silent_opens),
        .service = slice_text("tcp"),
        .fields = dialect_fields(m->dialect),
    };
    struct mproxy_template end;
    size_t len;
    int err = mproxy_template_init(&end, &nobody, 1);

    if (err)
        return err;
    len = mproxy_template_write(&ms->head, MPROXY_DATA, 0, start);
    len += mproxy_template_write(&end, MPROXY_END, 1, start + len);
    start[len++] = ' ';
    m->frames_out++;
    return write_frame(m, start, len, 0);
}

int mux_write_control(struct mux *m, const uint8_t *json, size_t len)
{
    uint8_t *frame;
    uint8_t *start;
    size_t head_len;
    int err;

    if (!dialect_has_control(m->dialect))
        return 0;
    frame = malloc(WS_HEAD_MAX + MPROXY_CONTROL_HEAD_MAX + len);
    if (!frame)
        return -ENOMEM;
    start = frame + WS_HEAD_MAX;
    head_len = mproxy_write_control_head(start, (uint32_t)len);
    memcpy(start + head_len, json, len);
    err = write_frame(m, start, head_len, len);
    free(frame);
    return err;
}

static bool is_free(struct mux *m, const struct mproxy_key *key)
{
    return !map_find(&m->streams, key_slice(key)) && !quarantine_has(&m->ended, key, m->now_ms);
}

static struct mproxy_key key_of(const struct address *visitor, uint16_t port)
{
    if (visitor->sa.sa_family == AF_INET)
        return mproxy_key_ipv4((const uint8_t *)&visitor->in.sin_addr, port);
    return mproxy_key_ipv6(visitor->in6.sin6_addr.s6_addr, port);
}

/* The visitor's own port, or one a stride away if that is taken: to the device it is opaque. */
static int pick_key(struct mux *m, const struct address *visitor, struct mproxy_key *out)
{
    unsigned port = address_port(visitor);

    for (unsigned i = 0; i < KEY_TRIES; i++, port = (port + 7919) & 0xffff) {
        struct mproxy_key key = key_of(visitor, (uint16_t)port);

        if (port && is_free(m, &key)) {
            *out = key;
            return 0;
        }
    }
    return -EADDRNOTAVAIL;
}

int mux_add(struct mux *m, struct mux_stream *ms, const struct mux_route *route)
{
    struct address nowhere = {.in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT}};
    struct mproxy_route r = {.service = route->service,
                             .service_port = route->service_port,
                             .name = route->name,
                             .fields = dialect_fields(m->dialect)};
    int err = pick_key(m, route->visitor, &r.key);

    if (!err)
        err = mproxy_template_init(&ms->head, &r, CONN_READ_MAX);
    if (err == -EMSGSIZE) { /* a long name: "::" and a port take the place of a long address */
        address_set_port(&nowhere, address_port(route->visitor));
        err = pick_key(m, &nowhere, &r.key);
        if (!err)
            err = mproxy_template_init(&ms->head, &r, CONN_READ_MAX);
    }
    if (err)
        return err;
    ms->key = r.key;
    lane_init(&ms->lane);
    return map_put(&m->streams, key_slice(&ms->key), ms);
}

void mux_remove(struct mux *m, struct mux_stream *ms)
{
    gather_leave(&ms->lane);
    if (m->current == ms) {
        m->current = NULL;
        m->cid_len = 0;
    }
    (void)map_remove(&m->streams, key_slice(&ms->key));
    quarantine_add(&m->ended, &ms->key, m->now_ms);
}

static void deliver_lane(struct mux *m, struct lane *lane)
{
    struct mux_stream *ms = LIST_OWNER(lane, struct mux_stream, lane);
    struct iovec iov[GATHER_IOV];
    unsigned count;

    while ((count = gather_take(m->gather, lane, iov)))
        m->ops->on_data(ms, iov, count);
}

void mux_deliver(struct mux *m)
{
    struct lane *lane;

    while ((lane = gather_next(m->gather))) {
        deliver_lane(m, lane);
        m->delivered++;
    }
}

/* The device sends data for a stream we do not have: tell it, so that it closes its local
 * connection.  What ended a moment ago it will hear of anyway. */
static void refuse_unknown(struct mux *m, const struct mproxy_head *head)
{
    struct control_fault fault = {slice_text("no matching connection"), slice_text("E_NO_CONN")};
    struct mproxy_route route = {
        .service = slice_text("error"), .name = head->name, .fields = dialect_fields(m->dialect)};
    struct mproxy_template reply;
    uint8_t body[96];
    ssize_t len = control_write_fault(body, sizeof(body), fault);

    if (len < 0 || mproxy_key_parse(head->address, head->port, &route.key) ||
        quarantine_has(&m->ended, &route.key, m->now_ms) ||
        mproxy_template_init(&reply, &route, sizeof(body)))
        return;
    if (dialect_end_len(m->dialect) == 0)
        len = 0;
    (void)write_small(m, &reply, MPROXY_ERROR, slice_of(body, (size_t)len));
}

/* Finds whom a frame is for.  The stream of the last frame is known again by its bytes. */
static void find_current(struct mux *m, const struct mproxy_head *head)
{
    struct mproxy_key key;

    if (m->current && slice_is_equal(head->cid, slice_of(m->cid, m->cid_len)))
        return;
    m->current = NULL;
    m->cid_len = 0;
    if (!head->has_cid || mproxy_key_parse(head->address, head->port, &key))
        return;
    m->current = map_find(&m->streams, key_slice(&key));
    if (m->current && head->cid.len <= sizeof(m->cid)) {
        memcpy(m->cid, head->cid.ptr, head->cid.len);
        m->cid_len = head->cid.len;
    }
}

static int start_control(struct mux *m, const struct mproxy_head *head)
{
    if (head->body_len > CONTROL_MAX)
        return -EMSGSIZE;
    if (m->dialect == DIALECT_FIRST)
        m->dialect = DIALECT_CONTROL;
    free(m->control);
    m->control = malloc(head->body_len + 1);
    m->control_len = 0;
    return m->control ? 0 : -ENOMEM;
}

static int on_head(struct mux *m, const struct mproxy_head *head)
{
    m->frames_in++;
    m->kind = head->kind;
    switch (head->kind) {
    case MPROXY_CONTROL: return start_control(m, head);
    case MPROXY_CONNECTION: m->current = NULL; return 0;
    case MPROXY_DATA:
        find_current(m, head);
        if (!m->current && head->has_cid)
            refuse_unknown(m, head);
        return 0;
    case MPROXY_END:
    case MPROXY_ERROR:
    case MPROXY_PAUSE:
    case MPROXY_RESUME:
        find_current(m, head);
        if (m->current) {
            struct mux_stream *ms = m->current;

            deliver_lane(m, &ms->lane);
            if (m->current == ms)
                m->ops->on_signal(ms, head->kind);
        }
        return 0;
    }
    return 0;
}

static void on_body(struct mux *m, const struct mproxy_event *event)
{
    if (m->kind == MPROXY_DATA && m->current) {
        if (!gather_has_room(m->gather))
            mux_deliver(m);
        if (m->current) /* delivering may have ended it */
            gather_add(m->gather, &m->current->lane, event->span);
        return;
    }
    if (m->kind != MPROXY_CONTROL)
        return;
    memcpy(m->control + m->control_len, event->span.ptr, event->span.len);
    m->control_len += event->span.len;
    if (!event->is_last)
        return;
    m->ops->on_control(m, m->control, m->control_len);
    free(m->control);
    m->control = NULL;
}

/* A header that comes in parts is put together in memory that all tunnels of the worker share, and
 * waits elsewhere for what is to come: few ever do. */
static void take_cut(struct mux *m)
{
    memcpy(m->decoder.head, m->cut, m->decoder.held);
    slab_free(m->cut);
    m->cut = NULL;
}

static int keep_cut(struct mux *m)
{
    m->cut = slab_alloc(m->decoder.held);
    if (!m->cut)
        return -ENOMEM;
    memcpy(m->cut, m->decoder.head, m->decoder.held);
    return 0;
}

int mux_feed(struct mux *m, const uint8_t *in, size_t len)
{
    if (m->cut)
        take_cut(m);
    while (len) {
        struct mproxy_event event;
        ssize_t used = mproxy_decoder_feed(&m->decoder, in, len, &event);
        int err = 0;

        if (used < 0)
            return (int)used;
        if (event.kind == MPROXY_HEAD)
            err = on_head(m, &event.head);
        else if (event.kind == MPROXY_BODY)
            on_body(m, &event);
        if (err)
            return err;
        in += used;
        len -= (size_t)used;
    }
    return m->decoder.held ? keep_cut(m) : 0;
}
