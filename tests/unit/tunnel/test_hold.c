#include "tunnel/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct hold *hold_of(enum stream_service service, const void *bytes, size_t len)
{
    struct stream_request request = {.service = service, .port = 443};
    struct hold *h = hold_add(hold_new(&request), bytes, len);

    assert_non_null(h);
    return h;
}

static bool is_repeatable(enum stream_service service, const void *bytes, size_t len)
{
    struct hold *h = hold_of(service, bytes, len);
    bool yes = hold_is_repeatable(h);

    free(h);
    return yes;
}

static void it_keeps_request_and_bytes_in_order(void **state)
{
    struct hold *h = hold_of(STREAM_TCP, "hello ", 6);

    (void)state;
    h = hold_add(h, "world", 5);
    assert_non_null(h);
    assert_int_equal(h->request.port, 443);
    assert_int_equal(h->len, 11);
    assert_memory_equal(h->bytes, "hello world", 11);
    free(h);
}

static void one_byte_too_many_lets_go_of_all(void **state)
{
    static const uint8_t bytes[HOLD_MAX];
    struct hold *h = hold_of(STREAM_TCP, bytes, HOLD_MAX);

    (void)state;
    h = hold_add(h, bytes, 0);
    assert_non_null(h);
    assert_null(hold_add(h, bytes, 1));
}

static void requests_that_may_be_repeated_are_known_by_their_method(void **state)
{
#define HEAD " / HTTP/1.1\r\nHost: a.example\r\n"
    static const struct {
        const char *bytes;
        bool repeatable;
    } rows[] = {
        {"GET" HEAD "\r\n", true},
        {"HEAD" HEAD "\r\n", true},
        {"OPTIONS" HEAD "\r\n", true},
        {"TRACE" HEAD "\r\n", true},
        {"PUT" HEAD "Content-Length: 5\r\n\r\nhello", true},
        {"PUT" HEAD "Content-Length: 500\r\n\r\nhel", true}, /* the rest is still to come */
        {"DELETE" HEAD "\r\n", true},
        {"POST" HEAD "Content-Length: 0\r\n\r\n", false},
        {"PATCH" HEAD "Content-Length: 0\r\n\r\n", false},
        {"LOCK" HEAD "\r\n", false},
        {"GET" HEAD "\r\nGET" HEAD "\r\n", true},
        {"GET" HEAD "\r\nPOST" HEAD "Content-Length: 0\r\n\r\n", false},
        {"PUT" HEAD "Content-Length: 2\r\n\r\nhiPOST" HEAD "\r\n", false},
        {"PUT" HEAD "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET" HEAD "\r\n", true},
        {"GET" HEAD "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", true},
        {"GET" HEAD "\r\nGET / HT", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (is_repeatable(STREAM_HTTP, rows[i].bytes, strlen(rows[i].bytes)) != rows[i].repeatable)
            fail_msg("%s", rows[i].bytes);
    }
}

static void a_client_hello_may_be_repeated_but_not_early_data(void **state)
{
    static const uint8_t hello[] = {22, 3, 1, 0, 3, 1, 23, 23, 22, 3, 1, 0, 1, 23};
    static const uint8_t early[] = {22, 3, 1, 0, 1, 1, 20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 9, 0};

    (void)state;
    for (size_t len = 1; len <= sizeof(hello); len++)
        assert_true(is_repeatable(STREAM_HTTPS, hello, len));
    for (size_t len = 1; len <= sizeof(early); len++)
        assert_int_equal(is_repeatable(STREAM_HTTPS, early, len), len <= 12);
}

static void of_raw_tcp_nothing_may_be_repeated(void **state)
{
    (void)state;
    assert_false(is_repeatable(STREAM_TCP, "GET", 3));
    assert_true(is_repeatable(STREAM_TCP, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_request_and_bytes_in_order),
        cmocka_unit_test(one_byte_too_many_lets_go_of_all),
        cmocka_unit_test(requests_that_may_be_repeated_are_known_by_their_method),
        cmocka_unit_test(a_client_hello_may_be_repeated_but_not_early_data),
        cmocka_unit_test(of_raw_tcp_nothing_may_be_repeated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
