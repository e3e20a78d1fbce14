/* docs/protocol.md, tests/vectors/protocol.hex and the relay say the same bytes. */
#include "net/loop.h"
#include "proto/control.h"
#include "proto/ws.h"
#include "tunnel/mux.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define DOCUMENT RVPN_VECTORS "/../../docs/protocol.md"
#define VECTORS RVPN_VECTORS "/protocol.hex"
#define FRAMES_MAX 64U
#define FRAME_MAX 512U
#define NAME_MAX_LEN 32U

struct frame {
    char name[NAME_MAX_LEN];
    uint8_t bytes[FRAME_MAX];
    size_t len;
};

struct frames {
    struct frame at[FRAMES_MAX];
    size_t count;
};

static struct frames document, vectors;

static struct frame *add_frame(struct frames *f, const char *name, size_t name_len)
{
    struct frame *frame = &f->at[f->count++];

    assert_true(f->count <= FRAMES_MAX && name_len < NAME_MAX_LEN);
    (void)slice_write(slice_of(name, name_len), frame->name, sizeof(frame->name));
    return frame;
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the pairs of digits of `text`, up to its end or a `|`. */
static void add_hex(struct frame *frame, const char *text)
{
    for (; *text && *text != '|' && *text != '\n'; text++) {
        int high = digit_of(text[0]);
        int low = high < 0 ? -1 : digit_of(text[1]);

        if (*text == ' ')
            continue;
        if (low < 0 || frame->len == FRAME_MAX)
            fail_msg("%s: not hex, or too long", frame->name);
        frame->bytes[frame->len++] = (uint8_t)((unsigned)high * 16 + (unsigned)low);
        text++;
    }
}

/* The part of a line of a block that shows its bytes as text. */
static void check_shown(const struct frame *frame, size_t from, const char *line)
{
    const char *shown = strchr(line, '|');

    assert_non_null(shown);
    for (size_t i = from; i < frame->len; i++) {
        uint8_t c = frame->bytes[i];

        assert_int_equal(*++shown, c >= ' ' && c < 0x7f && c != '|' ? c : '.');
    }
    assert_int_equal(*++shown, '|');
}

/* Blocks that begin with ```hex NAME. */
static void read_document(FILE *file)
{
    static const char fence[] = "```hex ";
    struct frame *open = NULL;
    char line[4096];

    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, fence, sizeof(fence) - 1) == 0) {
            const char *name = line + sizeof(fence) - 1;

            open = add_frame(&document, name, strcspn(name, "\n"));
        } else if (strncmp(line, "```", 3) == 0) {
            open = NULL;
        } else if (open) {
            size_t from = open->len;

            add_hex(open, line);
            check_shown(open, from, line);
        }
    }
}

/* Lines "NAME: HEX"; those that begin with # are comments. */
static void read_vectors(FILE *file)
{
    char line[4096];

    while (fgets(line, sizeof(line), file)) {
        size_t len = strcspn(line, ":");

        if (line[0] != '#')
            add_hex(add_frame(&vectors, line, len), line + len + 1);
    }
}

static int load(void **state)
{
    FILE *text = fopen(DOCUMENT, "r");
    FILE *hex = fopen(VECTORS, "r");

    (void)state;
    assert_non_null(text);
    assert_non_null(hex);
    read_document(text);
    read_vectors(hex);
    (void)fclose(text);
    (void)fclose(hex);
    return 0;
}

static const struct frame *find(const struct frames *f, const char *name)
{
    for (size_t i = 0; i < f->count; i++) {
        if (strcmp(f->at[i].name, name) == 0)
            return &f->at[i];
    }
    fail_msg("no frame is called %s", name);
    return NULL;
}

static void the_document_and_the_vectors_have_the_same_frames(void **state)
{
    (void)state;
    assert_true(document.count > 0);
    assert_int_equal(document.count, vectors.count);
    for (size_t i = 0; i < document.count; i++) {
        const struct frame *twin = find(&vectors, document.at[i].name);

        assert_int_equal(twin->len, document.at[i].len);
        assert_memory_equal(twin->bytes, document.at[i].bytes, twin->len);
    }
}

/* ---- what the relay writes */

static struct frame written; /* the last message, with the WebSocket's head */

static int keep(struct mux *m, const uint8_t *message, size_t len)
{
    (void)m;
    assert_true(len <= FRAME_MAX);
    memcpy(written.bytes, message, len);
    written.len = len;
    return 0;
}

static void ignore_data(struct mux_stream *ms, const struct iovec *iov, unsigned count)
{
    (void)ms;
    (void)iov;
    (void)count;
}

static void ignore_signal(struct mux_stream *ms, enum mproxy_kind kind)
{
    (void)ms;
    (void)kind;
}

static void ignore_control(struct mux *m, const uint8_t *json, size_t len)
{
    (void)m;
    (void)json;
    (void)len;
}

static const struct mux_ops ops = {keep, ignore_data, ignore_signal, ignore_control};
static struct gather gather;

static void is_named(const char *name)
{
    const struct frame *frame = find(&document, name);
    size_t head = strncmp(name, "ws-", 3) == 0 ? 0 : ws_head_len(frame->len);

    assert_int_equal(written.len, head + frame->len);
    assert_memory_equal(written.bytes + head, frame->bytes, frame->len);
}

struct scene {
    struct mux mux;
    struct mux_stream stream;
};

static void begin(struct scene *s, enum dialect dialect, const struct mux_route *route)
{
    gather_init(&gather);
    mux_init(&s->mux, &ops, &gather, dialect);
    if (route)
        assert_int_equal(mux_add(&s->mux, &s->stream, route), 0);
}

static void end(struct scene *s, const struct mux_route *route)
{
    if (route)
        mux_remove(&s->mux, &s->stream);
    mux_fini(&s->mux);
}

static struct address visitor_at(const char *text)
{
    struct address a;

    assert_int_equal(address_parse(slice_text(text), &a), 0);
    return a;
}

static void write_data(struct scene *s, struct slice body)
{
    uint8_t bytes[LOOP_HEADROOM + 16];

    memcpy(bytes + LOOP_HEADROOM, body.ptr, body.len);
    assert_int_equal(mux_write_data(&s->mux, &s->stream, bytes + LOOP_HEADROOM, body.len), 0);
}

static void streams_are_written_as_the_document_shows(void **state)
{
    static const struct {
        enum dialect dialect;
        const char *data, *end;
    } rows[] = {
        {DIALECT_FIRST, "data", "end"},
        {DIALECT_CONTROL, "data", "end"},
        {DIALECT_GO, "data", "end-go"},
        {DIALECT_GO_2017, "data-2017-go", NULL},
    };
    struct address visitor = visitor_at("203.0.113.9:40001");
    struct mux_route route = {&visitor, slice_text("https"), 443, slice_text("x.example.com")};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene s;

        begin(&s, rows[i].dialect, &route);
        write_data(&s, slice_text("hello"));
        is_named(rows[i].data);
        assert_int_equal(mux_write_end(&s.mux, &s.stream, MPROXY_END), 0);
        if (rows[i].end)
            is_named(rows[i].end);
        end(&s, &route);
    }
}

static void signals_are_written_as_the_document_shows(void **state)
{
    struct address visitor = visitor_at("203.0.113.9:40001");
    struct mux_route route = {&visitor, slice_text("https"), 443, slice_text("x.example.com")};
    struct scene s;

    (void)state;
    begin(&s, DIALECT_CONTROL, &route);
    assert_int_equal(mux_write_end(&s.mux, &s.stream, MPROXY_ERROR), 0);
    is_named("error");
    assert_int_equal(mux_write_pause(&s.mux, &s.stream, MPROXY_PAUSE, 1048601), 0);
    is_named("pause");
    assert_int_equal(mux_write_pause(&s.mux, &s.stream, MPROXY_RESUME, 1048601), 0);
    is_named("resume");
    end(&s, &route);
}

static void a_raw_tcp_stream_is_written_as_the_document_shows(void **state)
{
    struct address visitor = visitor_at("[2001:db8::7]:40002");
    struct mux_route route = {&visitor, slice_text("tcp"), 30001, slice_text("")};
    struct scene s;

    (void)state;
    begin(&s, DIALECT_CONTROL, &route);
    write_data(&s, slice_text("hi"));
    is_named("data-tcp");
    assert_int_equal(mux_write_silent_open(&s.mux, &s.stream), 0);
    is_named("silent-open");
    end(&s, &route);
}

static void data_for_no_stream_is_refused_as_the_document_shows(void **state)
{
    const struct frame *answer = find(&document, "answer");
    struct scene s;

    (void)state;
    begin(&s, DIALECT_CONTROL, NULL);
    assert_int_equal(mux_feed(&s.mux, answer->bytes, answer->len), 0);
    is_named("unknown-stream");
    end(&s, NULL);
}

static void send_control(const uint8_t *json, ssize_t len, const char *name)
{
    struct scene s;

    assert_true(len > 0);
    begin(&s, DIALECT_CONTROL, NULL);
    assert_int_equal(mux_write_control(&s.mux, json, (size_t)len), 0);
    is_named(name);
    end(&s, NULL);
}

static const struct control_fault bad_token = {
    {(const uint8_t *)"invalid access token", 20},
    {(const uint8_t *)"E_INVALID_TOKEN", 15},
};

static void control_messages_are_written_as_the_document_shows(void **state)
{
    const struct control_grant grants[] = {
        {slice_text("https"), slice_text("x.example.com"), 0},
        {slice_text("tcp"), slice_text("relay.example.org"), 30001},
    };
    const struct control_fault expired = {slice_text("access token has expired"),
                                          slice_text("E_TOKEN_EXPIRED")};
    uint8_t json[256];

    (void)state;
    send_control(json, control_write_hello(json, sizeof(json)), "hello");
    is_named("ws-hello");
    send_control(json, control_write_grant(json, sizeof(json), grants, 2), "grant");
    send_control(json, control_write_ok(json, sizeof(json), 238477492), "taken");
    send_control(json, control_write_error(json, sizeof(json), 238477492, bad_token), "refused");
    send_control(json, control_write_error(json, sizeof(json), 0, expired), "expired");
}

static void a_refusal_in_text_is_written_as_the_document_shows(void **state)
{
    uint8_t text[128];
    ssize_t len = control_write_text_error(text, sizeof(text), bad_token);

    (void)state;
    assert_true(len > 0);
    written.len = ws_write_head(written.bytes, WS_OP_TEXT, (uint64_t)len);
    memcpy(written.bytes + written.len, text, (size_t)len);
    written.len += (size_t)len;
    is_named("ws-text-refusal");
}

static void closes_are_written_as_the_document_shows(void **state)
{
    static const struct {
        const char *name;
        uint16_t code;
        const char *reason;
    } rows[] = {
        {"ws-close-refused", WS_CODE_NORMAL, ""},
        {"ws-close-stopping", WS_CODE_GOING_AWAY, "relay is stopping"},
        {"ws-close-broken", WS_CODE_PROTOCOL, "broken M-PROXY frame"},
        {"ws-close-expired", WS_CODE_POLICY, "token expired"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        written.len = ws_write_close(written.bytes, rows[i].code, slice_text(rows[i].reason));
        is_named(rows[i].name);
    }
}

/* ---- what the relay reads */

static const struct {
    const char *name;
    enum mproxy_kind kind;
    const char *cid; /* NULL: none */
    size_t body_len;
} from_device[] = {
    {"answer", MPROXY_DATA, "IPv4,203.0.113.9,40001", 5},
    {"answer-old", MPROXY_DATA, "IPv4,203.0.113.9,40001", 5},
    {"answer-go", MPROXY_DATA, "IPv4,203.0.113.9,40001", 5},
    {"end-2017", MPROXY_END, "IPv4,203.0.113.9,40001", 1},
    {"end-2018", MPROXY_END, "IPv4,203.0.113.9,40001", 1},
    {"end-2019", MPROXY_END, "IPv4,203.0.113.9,40001", 0},
    {"end-2020-go", MPROXY_END, "IPv4,203.0.113.9,40001", 0},
    {"old-ack", MPROXY_ERROR, NULL, 1},
    {"ask", MPROXY_CONTROL, NULL, 55},
    {"ack", MPROXY_CONTROL, NULL, 9},
};

/* Reads all of `frame`; its head in *head, its body's length is returned. */
static size_t read_frame(const struct frame *frame, struct mproxy_event *head)
{
    uint8_t gathered[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    size_t body = 0;

    mproxy_decoder_init(&d, MUX_BODY_MAX, gathered);
    for (size_t at = 0; at < frame->len;) {
        struct mproxy_event event;
        ssize_t used = mproxy_decoder_feed(&d, frame->bytes + at, frame->len - at, &event);

        assert_true(used > 0);
        if (event.kind == MPROXY_HEAD)
            *head = event;
        else if (event.kind == MPROXY_BODY)
            body += event.span.len;
        at += (size_t)used;
    }
    assert_int_equal(d.body_left, 0);
    return body;
}

static void frames_of_devices_are_read_as_the_document_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(from_device) / sizeof(from_device[0]); i++) {
        struct mproxy_event head = {0};
        size_t body = read_frame(find(&document, from_device[i].name), &head);

        assert_int_equal(head.kind, MPROXY_HEAD);
        assert_int_equal(head.head.kind, from_device[i].kind);
        assert_int_equal(head.head.has_cid, from_device[i].cid != NULL);
        if (from_device[i].cid)
            assert_true(slice_is_text(head.head.cid, from_device[i].cid));
        assert_int_equal(body, from_device[i].body_len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_document_and_the_vectors_have_the_same_frames),
        cmocka_unit_test(streams_are_written_as_the_document_shows),
        cmocka_unit_test(signals_are_written_as_the_document_shows),
        cmocka_unit_test(a_raw_tcp_stream_is_written_as_the_document_shows),
        cmocka_unit_test(data_for_no_stream_is_refused_as_the_document_shows),
        cmocka_unit_test(control_messages_are_written_as_the_document_shows),
        cmocka_unit_test(a_refusal_in_text_is_written_as_the_document_shows),
        cmocka_unit_test(closes_are_written_as_the_document_shows),
        cmocka_unit_test(frames_of_devices_are_read_as_the_document_says),
    };

    return cmocka_run_group_tests_name("protocol_md", tests, load, NULL);
}
