#include "proto/http_guard.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define GET_A "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n"
#define GET_B "GET /2 HTTP/1.1\r\nHost: b.example\r\n\r\n"
#define POST_5 "POST / HTTP/1.1\r\nHost: A.EXAMPLE:80\r\nContent-Length: 5\r\n\r\nhello"
#define POST_0 "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n"
#define CHUNKED                                                                                    \
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n"                     \
    "5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n"
#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
#define H2C                                                                                        \
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" \
    "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n"

static const struct row {
    const char *in;
    size_t pass; /* how many bytes of it pass; SIZE_MAX: all */
    enum { WAITS, REFUSED } then;
} rows[] = {
    {"", 0, WAITS},
    {GET_A, SIZE_MAX, WAITS},
    {GET_A GET_A GET_A, SIZE_MAX, WAITS},
    {GET_A POST_5 GET_A CHUNKED POST_0 GET_A, SIZE_MAX, WAITS},
    {"\r\n" GET_A, SIZE_MAX, WAITS},
    {"GET / HTTP/1.0\r\n\r\n", SIZE_MAX, WAITS},
    {"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", SIZE_MAX, WAITS},
    {"GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n", SIZE_MAX, WAITS},

    /* What is not whole waits. */
    {"GET / HTTP/1.1\r\nHost: a.exa", 0, WAITS},
    {GET_A "GET / HT", sizeof(GET_A) - 1, WAITS},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nhello", SIZE_MAX, WAITS},

    /* Another host, wherever it hides. */
    {GET_B, 0, REFUSED},
    {GET_A GET_B, sizeof(GET_A) - 1, REFUSED},
    {GET_A POST_5 GET_B GET_A, sizeof(GET_A POST_5) - 1, REFUSED},
    {CHUNKED GET_B, sizeof(CHUNKED) - 1, REFUSED},
    {GET_A "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", sizeof(GET_A) - 1, REFUSED},
    {GET_A "GET / HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n\r\n", sizeof(GET_A) - 1,
     REFUSED},

    /* What two readers might understand differently. */
    {GET_A "GET / HTTP/1.1\r\n\r\n", sizeof(GET_A) - 1, REFUSED},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET_B,
     0, REFUSED},
    {GET_A "GET / HTTP/1.1\nHost: a.example\n\n", sizeof(GET_A) - 1, REFUSED},
    {GET_A "\x16\x03\x01\x02\x00\x01", sizeof(GET_A) - 1, REFUSED},
    {GET_A "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", sizeof(GET_A) - 1, REFUSED},
    {"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", 0, REFUSED},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
     sizeof("POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n") - 1,
     REFUSED},

    /* Upgrades. */
    {UPGRADE "\x81\x01", sizeof(UPGRADE) - 1, WAITS},
    {UPGRADE GET_A, sizeof(UPGRADE) - 1, WAITS},
    {GET_A UPGRADE, sizeof(GET_A) - 1, REFUSED},
    {H2C GET_A, SIZE_MAX, WAITS},
    {H2C "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", sizeof(H2C) - 1, REFUSED},
    {"POST /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
     "Content-Length: 5\r\n\r\nhello",
     0, REFUSED},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static struct http_guard guard;

static void start(void)
{
    struct hostname host;

    assert_int_equal(hostname_parse(slice_text("a.example"), &host), 0);
    http_guard_init(&guard, &host);
}

/* Offers in[0..len) as a conn does, `step` more bytes at a time and the rest again while some pass.
 * Returns how many passed; *end is the last answer that was not a count. */
static size_t walk(const char *in, size_t len, size_t step, ssize_t *end)
{
    size_t at = 0, come = 0;

    *end = 0;
    while (come < len && *end == 0) {
        ssize_t used;

        come = len - come < step ? len : come + step;
        do {
            used = http_guard_feed(&guard, (const uint8_t *)in + at, come - at);
            if (used < 0)
                *end = used;
            else
                at += (size_t)used;
            assert_true(at <= come);
        } while (used > 0 && at < come);
    }
    return at;
}

static void check_row(size_t i, size_t step)
{
    size_t len = strlen(rows[i].in), expected = rows[i].pass == SIZE_MAX ? len : rows[i].pass;
    ssize_t end;
    size_t passed;

    start();
    passed = walk(rows[i].in, len, step, &end);
    /* A body that is no body may pass up to where that shows. */
    if (passed != expected && !(end && passed > expected && guard.body.state == HTTP_BODY_BAD))
        fail_msg("row %zu, %zu at a time: %zu bytes pass", i, step, passed);
    if (end == 0 && rows[i].then == REFUSED) /* a head is judged when it may be whole */
        end = http_guard_feed(&guard, (const uint8_t *)rows[i].in + passed, 0);
    if ((rows[i].then == REFUSED) != (end == -EPROTO))
        fail_msg("row %zu, %zu at a time: the end is %zd", i, step, end);
    if (end)
        assert_int_equal(http_guard_feed(&guard, (const uint8_t *)GET_A, 10), -EPROTO);
}

static void requests_for_the_host_pass_and_no_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        check_row(i, SIZE_MAX / 2);
}

static void cut_anywhere_and_in_pieces_as_many_pass(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t len = strlen(rows[i].in);

        if (memmem(rows[i].in, len, "\x16\x03", 2)) /* is judged when a line of it has come */
            continue;
        for (size_t step = 1; step <= len; step++)
            check_row(i, step);
    }
}

static void answer(const char *text)
{
    http_guard_on_answer(&guard, slice_text(text));
}

static void after_101_everything_passes(void **state)
{
    static const char status[] = "HTTP/1.1 101";
    ssize_t end;

    (void)state;
    for (size_t cut = 0; cut <= 12; cut++) {
        start();
        assert_int_equal(walk(UPGRADE, sizeof(UPGRADE) - 1, SIZE_MAX / 2, &end),
                         sizeof(UPGRADE) - 1);
        assert_true(http_guard_is_waiting(&guard));
        http_guard_on_answer(&guard, slice_of(status, cut));
        assert_int_equal(http_guard_is_waiting(&guard), cut < 12);
        http_guard_on_answer(&guard, slice_of(status + cut, 12 - cut));
        answer(" Switching Protocols\r\n\r\n");
        assert_false(http_guard_is_waiting(&guard));
        assert_int_equal(walk(GET_B "\xff", sizeof(GET_B), 7, &end), sizeof(GET_B));
        answer("HTTP/1.1 200 OK\r\n"); /* bytes like any other now */
        assert_int_equal(walk("\x81", 1, 1, &end), 1);
    }
}

static void after_any_other_answer_it_is_http_still(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK", "HTTP/1.1 404 N", "HTTP/1.0 400 Bad",
                                          "HTTP/2 101 What", "101010101010"};
    ssize_t end;

    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        start();
        (void)walk(UPGRADE, sizeof(UPGRADE) - 1, SIZE_MAX / 2, &end);
        answer(answers[i]);
        assert_false(http_guard_is_waiting(&guard));
        assert_int_equal(walk(GET_A GET_B, sizeof(GET_A GET_B) - 1, SIZE_MAX / 2, &end),
                         sizeof(GET_A) - 1);
        assert_int_equal(end, -EPROTO);
    }
}

static void answers_nobody_asked_for_change_nothing(void **state)
{
    ssize_t end;

    (void)state;
    start();
    answer("HTTP/1.1 101 Now\r\n\r\n");
    (void)walk(GET_A, sizeof(GET_A) - 1, SIZE_MAX / 2, &end);
    answer("HTTP/1.1 101 Now\r\n\r\n");
    (void)walk(UPGRADE, 1, 1, &end);
    assert_int_equal(walk(GET_B, sizeof(GET_B) - 1, SIZE_MAX / 2, &end), 0);
    assert_int_equal(end, -EPROTO);
}

/* The longest head there may be, one byte at a time: each byte costs little. */
static void a_long_head_may_drip(void **state)
{
    char *in = malloc(HTTP_HEAD_MAX + 100);
    int at = snprintf(in, 100, "%sGET / HTTP/1.1\r\nHost: a.example\r\nX: ", GET_A);
    ssize_t end;

    (void)state;
    memset(in + at, 'x', HTTP_HEAD_MAX);
    (void)slice_write(slice_text("\r\n\r\n"), in + HTTP_HEAD_MAX - 4, 5);
    start();
    assert_int_equal(walk(in, HTTP_HEAD_MAX, 1, &end), HTTP_HEAD_MAX);
    assert_int_equal(end, 0);
    free(in);
}

static void a_head_without_end_is_refused(void **state)
{
    char *in = malloc(HTTP_HEAD_MAX + 1);
    int at = snprintf(in, 100, "GET / HTTP/1.1\r\nHost: a.example\r\nX: ");
    ssize_t end;

    (void)state;
    memset(in + at, 'x', HTTP_HEAD_MAX + 1 - (size_t)at);
    for (size_t step = 1; step <= HTTP_HEAD_MAX; step = step * 5 + 1) {
        start();
        assert_int_equal(walk(in, HTTP_HEAD_MAX + 1, step, &end), 0);
        assert_int_equal(end, -EPROTO);
    }
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_for_the_host_pass_and_no_others),
        cmocka_unit_test(cut_anywhere_and_in_pieces_as_many_pass),
        cmocka_unit_test(after_101_everything_passes),
        cmocka_unit_test(after_any_other_answer_it_is_http_still),
        cmocka_unit_test(answers_nobody_asked_for_change_nothing),
        cmocka_unit_test(a_long_head_may_drip),
        cmocka_unit_test(a_head_without_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
