#include "tunnel/mux.h"

#include "net/conn.h"
#include "proto/control.h"
#include "proto/ws.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct gather gather;
static struct mux mux;
static char written[262400]; /* what write() was given, and the last of it */
static size_t written_len;
static unsigned writes;
static char story[8192]; /* what came up */

static void tell(const char *text, size_t len)
{
    size_t at = strlen(story);

    assert_true(at + len + 1 < sizeof(story));
    memcpy(story + at, text, len);
    story[at + len] = '\0';
}

static int write_message(struct mux *m, const uint8_t *message, size_t len)
{
    (void)m;
    assert_true(len <= sizeof(written));
    memcpy(written, message, len);
    written_len = len;
    writes++;
    return 0;
}

static void on_data(struct mux_stream *ms, const struct iovec *iov, unsigned count)
{
    char port[8];

    (void)snprintf(port, sizeof(port), "<%u:", ms->key.bytes[16] << 8 | ms->key.bytes[17]);
    tell(port, strlen(port));
    for (unsigned i = 0; i < count; i++)
        tell(iov[i].iov_base, iov[i].iov_len);
    tell(">", 1);
}

static void on_signal(struct mux_stream *ms, enum mproxy_kind kind)
{
    static const char *const words[] = {[MPROXY_END] = "END",
                                        [MPROXY_ERROR] = "ERROR",
                                        [MPROXY_PAUSE] = "PAUSE",
                                        [MPROXY_RESUME] = "RESUME",
                                        [MPROXY_CONNECTION] = NULL};

    tell(words[kind], strlen(words[kind]));
    if (kind == MPROXY_END)
        mux_remove(&mux, ms);
}

static void on_control(struct mux *m, const uint8_t *json, size_t len)
{
    (void)m;
    tell("{", 1);
    tell((const char *)json, len);
    tell("}", 1);
}

static const struct mux_ops ops = {
    .write = write_message,
    .on_data = on_data,
    .on_signal = on_signal,
    .on_control = on_control,
};

static int start(enum dialect dialect)
{
    gather_init(&gather);
    mux_init(&mux, &ops, &gather, dialect);
    mux.now_ms = 1000;
    written_len = writes = 0;
    memset(story, 0, sizeof(story));
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return start(DIALECT_CONTROL);
}

static int tear_down(void **state)
{
    (void)state;
    mux_fini(&mux);
    return 0;
}

static int add(struct mux_stream *ms, const char *visitor, const char *name)
{
    struct address a;
    struct mux_route route = {.visitor = &a, .service = slice_text("https"), .service_port = 443};

    assert_int_equal(address_parse(slice_text(visitor), &a), 0);
    route.name = slice_text(name);
    return mux_add(&mux, ms, &route);
}

static int feed_text(const char *text, size_t len)
{
    int err = mux_feed(&mux, (const uint8_t *)text, len);

    mux_deliver(&mux);
    return err;
}

/* Appends a frame with a body to `to`; returns its length. */
static size_t frame(char *to, const char *cid, const char *word, const char *body)
{
    int head = snprintf(to + 2, 256, "%s,%zu,%s", cid, strlen(body), word);

    to[0] = '\xfe';
    to[1] = (char)head;
    (void)slice_write(slice_text(body), to + 2 + head, strlen(body) + 1);
    return 2 + (size_t)head + strlen(body);
}

static void feed(const char *cid, const char *word, const char *body)
{
    char text[1024];

    assert_int_equal(feed_text(text, frame(text, cid, word, body)), 0);
}

#define A "IPv4,9.8.7.6,1000"
#define B "IPv4,9.8.7.6,1001"

static void each_dialect_hears_its_own_headers(void **state)
{
    static const struct {
        enum dialect dialect;
        const char *data, *end, *pause;
    } rows[] = {
        {DIALECT_FIRST,
         "\x82\x35\xfe\x2e" A ",5,https,443,name.example.com"
         "hello",
         "\x82\x2f\xfe\x2c" A ",1,end,443,name.example.com"
         " ",
         NULL},
        {DIALECT_CONTROL,
         "\x82\x35\xfe\x2e" A ",5,https,443,name.example.com"
         "hello",
         "\x82\x2f\xfe\x2c" A ",1,end,443,name.example.com"
         " ",
         "\x82\x33\xfe\x2e" A ",3,pause,443,name.example.com"
         "123"},
        {DIALECT_GO,
         "\x82\x35\xfe\x2e" A ",5,https,443,name.example.com"
         "hello",
         "\x82\x2e\xfe\x2c" A ",0,end,443,name.example.com", NULL},
        {DIALECT_GO_2017,
         "\x82\x20\xfe\x19" A ",5,https"
         "hello",
         "\x82\x19\xfe\x17" A ",0,end", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t bytes[LOOP_HEADROOM + 6];
        struct mux_stream ms;

        (void)start(rows[i].dialect);
        assert_int_equal(add(&ms, "9.8.7.6:1000", "name.example.com"), 0);
        (void)slice_write(slice_text("hello"), (char *)bytes + LOOP_HEADROOM, 6);
        assert_int_equal(mux_write_data(&mux, &ms, bytes + LOOP_HEADROOM, 5), 0);
        assert_int_equal(written_len, strlen(rows[i].data));
        assert_memory_equal(written, rows[i].data, written_len);
        assert_int_equal(mux_write_end(&mux, &ms, MPROXY_END), 0);
        assert_int_equal(written_len, strlen(rows[i].end));
        assert_memory_equal(written, rows[i].end, written_len);
        if (rows[i].pause) {
            assert_int_equal(mux_write_pause(&mux, &ms, MPROXY_PAUSE, 123), 0);
            assert_int_equal(written_len, strlen(rows[i].pause));
            assert_memory_equal(written, rows[i].pause, written_len);
        }
        assert_int_equal(mux.frames_out, rows[i].pause ? 3 : 2);
        mux_remove(&mux, &ms);
        mux_fini(&mux);
    }
    (void)start(DIALECT_FIRST);
}

static void what_fits_ends_where_a_unit_does(void **state)
{
    static const size_t rooms[] = {32768, 40000, 65536, 65600, 98400, 131072, 262144};
    static uint8_t bytes[LOOP_HEADROOM + 262144];
    static const size_t unit = 16384;
    struct mux_stream ms;

    (void)state;
    assert_int_equal(add(&ms, "9.8.7.6:1000", "name.example.com"), 0);
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]) * 3; i++) {
        size_t begun = i % 3 * 8000;
        size_t len = mux_fit(&ms, rooms[i / 3], begun, unit);

        assert_true(len <= rooms[i / 3] && rooms[i / 3] - len < unit);
        assert_int_equal(mux_write_data(&mux, &ms, bytes + LOOP_HEADROOM, len), 0);
        assert_int_equal((begun + written_len) % unit, 0);
    }
    /* Where a few bytes less make the heads shorter by more. */
    for (size_t room = 65450; room < 65550; room++)
        for (size_t begun = 16300; begun < unit; begun++)
            assert_true(mux_fit(&ms, room, begun, unit) <= room);
    assert_int_equal(mux_fit(&ms, 4096, 0, unit), 4096);
    assert_int_equal(mux_fit(&ms, 4096, 16300, unit), 4096);
    mux_remove(&mux, &ms);
}

/* Packers before 2.0 act on an empty frame only when the next byte is there. */
static void a_silent_open_is_an_empty_frame_with_another_behind_it(void **state)
{
    struct mux_stream ms;
    static const char first[] = "\xfe\x27" A ",0,https,443,a.example";

    (void)state;
    assert_int_equal(add(&ms, "9.8.7.6:1000", "a.example"), 0);
    assert_int_equal(mux_write_silent_open(&mux, &ms), 0);
    assert_int_equal(writes, 1);
    assert_int_equal((uint8_t)written[0], 0x82);
    assert_int_equal((uint8_t)written[1], written_len - 2);
    assert_memory_equal(written + 2, first, 41);
    assert_int_equal((uint8_t)written[43], 0xfe);
    assert_int_equal((uint8_t)written[44], written_len - 46);
    assert_memory_equal(written + 45, "IPv4,0.0.0.0,", 13);
    assert_non_null(memmem(written + 45, written_len - 45, ",1,end", 6));
    assert_int_equal(written[written_len - 1], ' ');
    assert_int_equal(mux.frames_out, 2);
    mux_remove(&mux, &ms);
}

static void data_comes_gathered_by_stream_and_signals_behind_it(void **state)
{
    char text[1024];
    struct mux_stream a, b;
    size_t len = 0;

    (void)state;
    assert_int_equal(add(&a, "9.8.7.6:1000", "a.example"), 0);
    assert_int_equal(add(&b, "9.8.7.6:1001", "a.example"), 0);
    len += frame(text + len, A, "https", "one ");
    len += frame(text + len, B, "https", "uno ");
    len += frame(text + len, A, "", "two "); /* the Go client leaves the service out */
    len += frame(text + len, A, "end,443,x", " ");
    len += frame(text + len, B, "https,1,2,3,4", "dos");
    len += frame(text + len, B, "pause", "9");
    len += frame(text + len, B, "resume", "9");
    len += frame(text + len, A, "https", "late");
    assert_int_equal(feed_text(text, len), 0);
    assert_string_equal(story, "<1000:one two >END<1001:uno dos>PAUSERESUME");
    assert_int_equal(writes, 0); /* the late frame's stream ended a moment ago */
    assert_int_equal(mux.frames_in, 8);
    mux_remove(&mux, &b);
}

static void one_byte_at_a_time_gives_the_same_bytes(void **state)
{
    char text[1024];
    struct mux_stream a;
    size_t len = 0;

    (void)state;
    assert_int_equal(add(&a, "9.8.7.6:1000", "a.example"), 0);
    len += frame(text + len, A, "https", "abc");
    len += frame(text + len, ",,", "control", "[1,2]");
    len += frame(text + len, A, "end", "");
    for (size_t i = 0; i < len; i++)
        assert_int_equal(feed_text(text + i, 1), 0);
    assert_string_equal(story, "<1000:a><1000:b><1000:c>{[1,2]}END");
}

static void cut_anywhere_gives_the_same_story(void **state)
{
    char text[1024];
    size_t len = 0;

    (void)state;
    len += frame(text + len, A, "https", "abc");
    len += frame(text + len, ",,", "control", "[1,2]");
    len += frame(text + len, A, "end", " ");
    for (size_t cut = 0; cut <= len; cut++) {
        struct mux_stream a;

        (void)start(DIALECT_CONTROL);
        assert_int_equal(add(&a, "9.8.7.6:1000", "a.example"), 0);
        assert_int_equal(mux_feed(&mux, (uint8_t *)text, cut), 0);
        assert_int_equal(mux_feed(&mux, (uint8_t *)text + cut, len - cut), 0);
        mux_deliver(&mux);
        assert_string_equal(story, "{[1,2]}<1000:abc>END");
        mux_fini(&mux);
    }
    (void)start(DIALECT_FIRST);
}

static void more_spans_than_fit_are_handed_on_in_between(void **state)
{
    struct mux_stream a, b;
    char *text = malloc((size_t)64 * 3 * GATHER_SPANS);
    size_t len = 0, data = 0;

    (void)state;
    assert_int_equal(add(&a, "9.8.7.6:1000", "a.example"), 0);
    assert_int_equal(add(&b, "9.8.7.6:1001", "a.example"), 0);
    for (unsigned i = 0; i < 2 * GATHER_SPANS + 10; i++)
        len += frame(text + len, i % 2 ? A : B, "https", "");
    for (unsigned i = 0; i < 1000; i++)
        len += frame(text + len, i % 2 ? A : B, "https", i % 2 ? "a" : "b");
    assert_int_equal(feed_text(text, len), 0);
    for (const char *c = story; *c; c++)
        data += *c == 'a' || *c == 'b';
    assert_int_equal(data, 1000);
    /* Past GATHER_SPANS, only counted: the story has no room for so much. */
    for (unsigned round = 0; round < 5; round++) {
        memset(story, 0, sizeof(story));
        len = 0;
        for (unsigned i = 0; i < 900; i++)
            len += frame(text + len, i % 2 ? A : B, "https", "x");
        assert_int_equal(mux_feed(&mux, (uint8_t *)text, len), 0);
        assert_int_equal(gather.used, 901);
        mux_deliver(&mux);
        assert_int_equal(gather.used, 1);
    }
    free(text);
    mux_remove(&mux, &a);
    mux_remove(&mux, &b);
}

static void the_text_of_an_address_may_differ_from_ours(void **state)
{
    struct mux_stream a;

    (void)state;
    assert_int_equal(add(&a, "9.8.7.6:1000", "a.example"), 0);
    feed("IPv6,::ffff:9.8.7.6,1000", "https", "x");
    feed("ipv4,9.8.7.6,1000", "https", "y");
    feed("IPv4,9.8.7.6,01000", "end", " ");
    assert_string_equal(story, "<1000:x><1000:y>END");
}

static void a_taken_key_moves_to_another_port(void **state)
{
    struct mux_stream streams[40];

    (void)state;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(add(&streams[i], i % 2 ? "9.8.7.6:1000" : "[::ffff:9.8.7.6]:1000", "n"),
                         0);
        for (int n = 0; n < i; n++)
            assert_memory_not_equal(streams[i].key.bytes, streams[n].key.bytes, 20);
    }
    assert_int_equal(mux.streams.count, 40);
    for (int i = 0; i < 40; i++)
        mux_remove(&mux, &streams[i]);
}

static void a_key_rests_before_it_is_used_again(void **state)
{
    struct mux_stream a, b;

    (void)state;
    assert_int_equal(add(&a, "9.8.7.6:1000", "n"), 0);
    b = a;
    mux_remove(&mux, &a);
    mux.now_ms += QUARANTINE_MS - 1;
    assert_int_equal(add(&a, "9.8.7.6:1000", "n"), 0);
    assert_memory_not_equal(a.key.bytes, b.key.bytes, 20);
    mux_remove(&mux, &a);
    mux.now_ms += 1;
    assert_int_equal(add(&a, "9.8.7.6:1000", "n"), 0);
    assert_memory_equal(a.key.bytes, b.key.bytes, 20);
    mux_remove(&mux, &a);
}

static void when_every_key_is_taken_it_says_so(void **state)
{
    static struct mux_stream streams[70];
    unsigned added = 0;

    (void)state;
    while (added < 70 && add(&streams[added], "9.8.7.6:1000", "n") == 0)
        added++;
    assert_int_equal(added, 64);
    assert_int_equal(add(&streams[added], "9.8.7.6:1000", "n"), -EADDRNOTAVAIL);
    while (added--)
        mux_remove(&mux, &streams[added]);
}

static void a_long_name_takes_a_short_address(void **state)
{
    static const char visitor[] = "[1111:2222:3333:4444:5555:6666:7777:8888]:1000";
    struct mux_stream ms, other;
    char name[256];
    unsigned longest = 0, shortened = 0;

    (void)state;
    for (unsigned len = 1; len < sizeof(name); len++) {
        uint8_t bytes[LOOP_HEADROOM + 1];
        int err;

        memset(name, 'n', len);
        name[len] = '\0';
        err = add(&ms, visitor, name);
        if (err) {
            assert_int_equal(err, -EMSGSIZE);
            assert_int_equal(mux.streams.count, 0);
            continue;
        }
        longest = len;
        shortened += ms.key.bytes[0] == 0;
        assert_int_equal(mux_write_data(&mux, &ms, bytes + LOOP_HEADROOM, 1), 0);
        assert_int_equal(mux_write_end(&mux, &ms, MPROXY_ERROR), 0);
        assert_int_equal(mux_write_silent_open(&mux, &ms), 0);
        if (ms.key.bytes[0] == 0) { /* two of them still have keys of their own */
            assert_int_equal(add(&other, visitor, name), 0);
            assert_memory_not_equal(ms.key.bytes, other.key.bytes, 20);
            mux_remove(&mux, &other);
        }
        mux_remove(&mux, &ms);
        mux.now_ms += QUARANTINE_MS;
    }
    assert_true(longest > 210 && longest < 230);
    assert_true(shortened > 20);
}

static void data_for_a_stream_we_do_not_have_is_answered_once_a_frame(void **state)
{
    char expected[256];
    size_t len;

    (void)state;
    feed("IPv4,1.2.3.4,5", "https,443,a.example", "hello");
    assert_int_equal(writes, 1);
    len = 2 + frame(expected + 2, "IPv4,1.2.3.4,5", "error",
                    "{\"message\":\"no matching connection\",\"code\":\"E_NO_CONN\"}");
    assert_true(written_len > len);
    assert_memory_equal(written + 4, "IPv4,1.2.3.4,5,55,error", 23);
    assert_memory_equal(written + written_len - 55, expected + len - 55, 55);
    feed("IPv4,1.2.3.4,5", "https,443,a.example", "hello");
    assert_int_equal(writes, 2);
    for (const char *const *word =
             (const char *[]){"end", "error", "pause", "resume", "connection", "control", NULL};
         *word; word++)
        feed("IPv4,1.2.3.4,5", *word, " ");
    feed("x,y,z", "https", "no address");
    feed("IPv4,1.2.3.4,99999", "https", "no port");
    feed(",,", "https", "nobody's");
    feed("IPv4,1.2.3.4,5", "https,1,n\x80me", "not to be written");
    assert_int_equal(writes, 2);
    assert_string_equal(story, "{ }");
    start(DIALECT_GO);
    feed("IPv4,1.2.3.4,5", "", "hello");
    assert_int_equal(writes, 1);
    assert_non_null(memmem(written, written_len, ",0,error", 8));
}

static void a_control_message_may_come_in_pieces_and_many(void **state)
{
    char text[1024];
    size_t len = frame(text, ",,", "control", "[1,\"hello\"]");

    (void)state;
    (void)start(DIALECT_FIRST);
    assert_int_equal(feed_text(text, 15), 0);
    assert_string_equal(story, "");
    assert_int_equal(feed_text(text + 15, len - 15), 0);
    assert_string_equal(story, "{[1,\"hello\"]}");
    assert_int_equal(mux.dialect, DIALECT_CONTROL);
    assert_null(mux.control);
    feed(",,", "control", "");
    feed(",,", "control", "[2]");
    assert_string_equal(story, "{[1,\"hello\"]}{[2]}");
    assert_int_equal(feed_text(text, 15), 0); /* and none is left behind if it never ends */
}

static void what_is_too_long_or_broken_ends_it(void **state)
{
    char text[64];
    int head = snprintf(text + 2, 62, ",,,%u,control", CONTROL_MAX + 1);

    (void)state;
    text[0] = '\xfe';
    text[1] = (char)head;
    assert_int_equal(feed_text(text, 2 + (size_t)head), -EMSGSIZE);
    mux_fini(&mux);
    (void)start(DIALECT_CONTROL);
    head = snprintf(text + 2, 62, "%s,%u,https", A, MUX_BODY_MAX + 1);
    text[1] = (char)head;
    assert_int_equal(feed_text(text, 2 + (size_t)head), -EMSGSIZE);
    mux_fini(&mux);
    (void)start(DIALECT_CONTROL);
    assert_int_equal(feed_text("GET", 3), -EPROTO);
    assert_int_equal(feed_text("\xfe", 1), -EPROTO);
}

static void control_is_written_to_who_understands_it(void **state)
{
    (void)state;
    assert_int_equal(mux_write_control(&mux, (const uint8_t *)"[1]", 3), 0);
    assert_int_equal(written_len, 2 + 2 + 12 + 3 - 0);
    assert_memory_equal(written, "\x82\x11\xfe\x0c,,,3,control[1]", 19);
    start(DIALECT_GO);
    assert_int_equal(mux_write_control(&mux, (const uint8_t *)"[1]", 3), 0);
    assert_int_equal(writes, 0);
}

static void a_stream_removed_in_the_middle_of_its_frame_hears_no_more(void **state)
{
    char text[256];
    struct mux_stream a, b;
    size_t len = frame(text, A, "https", "0123456789");

    (void)state;
    assert_int_equal(add(&a, "9.8.7.6:1000", "n"), 0);
    assert_int_equal(mux_feed(&mux, (uint8_t *)text, len - 5), 0);
    mux_remove(&mux, &a);
    mux_deliver(&mux);
    assert_int_equal(add(&b, "9.8.7.6:1001", "n"), 0);
    assert_int_equal(feed_text(text + len - 5, 5), 0);
    feed(B, "https", "mine");
    assert_string_equal(story, "<1001:mine>");
    mux_remove(&mux, &b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_dialect_hears_its_own_headers),
        TEST(what_fits_ends_where_a_unit_does),
        TEST(a_silent_open_is_an_empty_frame_with_another_behind_it),
        TEST(data_comes_gathered_by_stream_and_signals_behind_it),
        TEST(one_byte_at_a_time_gives_the_same_bytes),
        TEST(cut_anywhere_gives_the_same_story),
        TEST(more_spans_than_fit_are_handed_on_in_between),
        TEST(the_text_of_an_address_may_differ_from_ours),
        TEST(a_taken_key_moves_to_another_port),
        TEST(a_key_rests_before_it_is_used_again),
        TEST(when_every_key_is_taken_it_says_so),
        TEST(a_long_name_takes_a_short_address),
        TEST(data_for_a_stream_we_do_not_have_is_answered_once_a_frame),
        TEST(a_control_message_may_come_in_pieces_and_many),
        TEST(what_is_too_long_or_broken_ends_it),
        TEST(control_is_written_to_who_understands_it),
        TEST(a_stream_removed_in_the_middle_of_its_frame_hears_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
