#include "page.h"

#include "admin/echo.h"
#include "admin/routes.h"

/* A page whose WebSocket echoes. */
static struct page *echoing(void)
{
    struct page *p = page_new();

    assert_int_equal(echo_open(&p->edge, page_connect(p)), 0);
    assert_int_equal(tally_read(&p->edge.tally, TALLY_PENDING), 1);
    return p;
}

static void a_message_comes_back(void **state)
{
    struct page *p = echoing();
    const struct frame *f;

    (void)state;
    page_say_text(p, "hello");
    page_hears_text(p, "hello");
    page_say(p, FIN_BIT | WS_OP_BINARY, "\0\xFF", 2);
    f = page_hear(p);
    assert_int_equal(f->opcode, WS_OP_BINARY);
    assert_memory_equal(f->payload, "\0\xFF", 2);
    page_say_text(p, "");
    page_hears_text(p, "");
    page_free(p);
}

static void fragments_come_back_as_fragments(void **state)
{
    static const struct {
        unsigned first;
        const char *text;
    } rows[] = {
        {WS_OP_TEXT, "one"},
        {WS_OP_CONTINUATION, "two"},
        {FIN_BIT | WS_OP_CONTINUATION, ""},
        {FIN_BIT | WS_OP_TEXT, "next"},
    };
    struct page *p = echoing();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct frame *f;

        page_say(p, rows[i].first, rows[i].text, strlen(rows[i].text));
        page_say(p, FIN_BIT | WS_OP_PING, "in between", 10);
        f = page_hear(p);
        assert_int_equal(f->is_fin, (rows[i].first & FIN_BIT) != 0);
        assert_int_equal(f->opcode, rows[i].first & 0x0FU);
        assert_string_equal((const char *)f->payload, rows[i].text);
        assert_int_equal(page_hear(p)->opcode, WS_OP_PONG);
    }
    page_free(p);
}

static void a_frame_may_come_byte_by_byte(void **state)
{
    /* RFC 6455 5.7: "Hello", masked */
    static const uint8_t frame[] = {0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D,
                                    0x7F, 0x9F, 0x4D, 0x51, 0x58};
    struct page *p = echoing();
    char text[6] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(frame); i++) {
        page_send(p, frame + i, 1);
        page_turn(p, 1);
    }
    while (strlen(text) < 5) {
        const struct frame *f = page_hear(p);

        memcpy(text + strlen(text), f->payload, f->len);
        assert_int_equal(f->is_fin, strlen(text) == 5);
    }
    assert_string_equal(text, "Hello");
    page_free(p);
}

static void a_ping_is_answered_with_its_payload(void **state)
{
    struct page *p = echoing();
    const struct frame *f;

    (void)state;
    page_say(p, FIN_BIT | WS_OP_PING, "are you there", 13);
    f = page_hear(p);
    assert_int_equal(f->opcode, WS_OP_PONG);
    assert_string_equal((const char *)f->payload, "are you there");
    page_free(p);
}

static void a_close_is_answered_with_its_code_and_the_relay_hangs_up(void **state)
{
    static const struct {
        const char *payload;
        size_t len;
        unsigned code;
    } rows[] = {
        {"\x03\xE8", 2, 1000}, {"\x0F\xA0why", 5, 4000}, {"", 0, WS_CODE_NONE},
        {"\x03", 1, 1002},     {"\x03\xEE", 2, 1002},    {"\x03\xE8\xFF", 3, 1007},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct page *p = echoing();

        page_say(p, FIN_BIT | WS_OP_CLOSE, rows[i].payload, rows[i].len);
        page_say_text(p, "too late");
        page_hears_close(p, rows[i].code);
        page_free(p);
    }
}

static void a_broken_frame_ends_it_with_the_right_code(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        unsigned code;
    } rows[] = {
        {"\x81\x05Hello", 7, 1002},           /* not masked */
        {"\xC1\x80\0\0\0\0", 6, 1002},        /* a reserved bit */
        {"\x83\x80\0\0\0\0", 6, 1002},        /* a reserved opcode */
        {"\x80\x80\0\0\0\0", 6, 1002},        /* goes on with nothing */
        {"\x09\x80\0\0\0\0", 6, 1002},        /* a ping in fragments */
        {"\x81\x82\0\0\0\0\xC3\x28", 8, 1007} /* not UTF-8 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct page *p = echoing();

        page_send(p, rows[i].bytes, rows[i].len);
        page_hears_close(p, rows[i].code);
        page_free(p);
    }
}

static void who_answers_pings_stays_and_who_does_not_is_dropped(void **state)
{
    struct page *p = page_new();

    (void)state;
    p->rules.limits.pulse.interval_ms = 20;
    p->rules.limits.pulse.timeout_ms = 60;
    assert_int_equal(echo_open(&p->edge, page_connect(p)), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(page_hear(p)->opcode, WS_OP_PING);
        page_say(p, FIN_BIT | WS_OP_PONG, "", 0);
    }
    assert_int_equal(page_hear(p)->opcode, WS_OP_PING);
    for (int i = 0; i < 10 && p->state == PAGE_OPEN; i++)
        page_turn(p, 200);
    assert_int_equal(p->state, PAGE_ENDED);
    assert_int_equal(tally_read(&p->edge.tally, TALLY_PENDING), 0);
    page_free(p);
}

static void a_hang_up_without_close_ends_it(void **state)
{
    struct page *p = echoing();

    (void)state;
    page_say(p, WS_OP_TEXT, "half a mess", 11);
    (void)page_hear(p);
    page_free(p);
}

static void the_relays_goodbye_is_1001(void **state)
{
    struct page *p = echoing();

    (void)state;
    page_turn(p, 1);
    admin_close_all(&p->edge);
    assert_int_equal(tally_read(&p->edge.tally, TALLY_PENDING), 0);
    page_hears_close(p, WS_CODE_GOING_AWAY);
    page_free(p);
}

/* Sends as much as the relay takes of in[*at..len). */
static void send_some(struct page *p, const uint8_t *in, size_t *at, size_t len)
{
    ssize_t sent = *at < len ? send(p->fd, in + *at, len - *at, MSG_NOSIGNAL) : 0;

    *at += sent > 0 ? (size_t)sent : 0;
}

static void who_does_not_read_is_not_read_and_loses_nothing(void **state)
{
    enum { MESSAGES = 200, BODY = 60000, EACH = 4 + BODY };
    struct page *p = echoing();
    const struct websocket *w = LIST_OWNER(p->edge.sockets.next, struct websocket, link);
    size_t in_len = (size_t)MESSAGES * (EACH + 4), at = 0, heard = 0;
    uint8_t *in = calloc(1, in_len);

    (void)state;
    assert_non_null(in);
    for (size_t i = 0; i < MESSAGES; i++) { /* the key is 0 */
        (void)ws_write_head_masked(in + i * (EACH + 4), WS_OP_BINARY, BODY, (uint8_t[4]){0});
        memset(in + i * (EACH + 4) + 8, (int)i + 1, BODY);
    }
    loop_set_interest(&p->loop, &p->watch, 0);
    for (size_t before = 1; before != at;) {
        before = at;
        send_some(p, in, &at, in_len);
        page_turn(p, 30);
        assert_true(conn_queued(w->conn) <= WEBSOCKET_QUEUE_MAX + CONN_READ_MAX + 1024);
    }
    assert_true(at < in_len / 2);
    loop_set_interest(&p->loop, &p->watch, LOOP_READ);
    for (size_t sum = 0; heard < (size_t)MESSAGES * BODY; heard += sum) {
        struct frame f;

        send_some(p, in, &at, in_len);
        page_turn(p, PAGE_PATIENCE_MS);
        for (sum = 0; page_take(p, &f); sum += f.len)
            for (size_t i = 0; i < f.len; i++)
                assert_int_equal(f.payload[i], (heard + sum + i) / BODY + 1);
    }
    free(in);
    page_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back),
        cmocka_unit_test(fragments_come_back_as_fragments),
        cmocka_unit_test(a_frame_may_come_byte_by_byte),
        cmocka_unit_test(a_ping_is_answered_with_its_payload),
        cmocka_unit_test(a_close_is_answered_with_its_code_and_the_relay_hangs_up),
        cmocka_unit_test(a_broken_frame_ends_it_with_the_right_code),
        cmocka_unit_test(who_answers_pings_stays_and_who_does_not_is_dropped),
        cmocka_unit_test(a_hang_up_without_close_ends_it),
        cmocka_unit_test(the_relays_goodbye_is_1001),
        cmocka_unit_test(who_does_not_read_is_not_read_and_loses_nothing),
    };

    return cmocka_run_group_tests_name("admin/websocket", tests, NULL, NULL);
}
