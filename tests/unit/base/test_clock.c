#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static void the_monotonic_clock_never_goes_back(void **state)
{
    int64_t ms = clock_now_ms(), ns = clock_now_ns();

    (void)state;
    for (int i = 0; i < 10000; i++) {
        int64_t next_ms = clock_now_ms(), next_ns = clock_now_ns();

        assert_true(next_ms >= ms && next_ns >= ns);
        ms = next_ms;
        ns = next_ns;
    }
}

static void milliseconds_and_nanoseconds_are_of_one_clock(void **state)
{
    int64_t before = clock_now_ms(), ns = clock_now_ns(), after = clock_now_ms();

    (void)state;
    assert_true(before <= ns / 1000000 && ns / 1000000 <= after);
}

static void unix_time_is_in_seconds_since_1970(void **state)
{
    int64_t before = clock_unix(), ms = clock_unix_ms(), after = clock_unix();

    (void)state;
    assert_true(before > INT64_C(1700000000) && before < INT64_C(10000000000));
    assert_true(before <= ms / 1000 && ms / 1000 <= after);
}

static void http_time_is_read_back_as_now(void **state)
{
    char text[CLOCK_HTTP_SIZE];
    struct tm tm = {0};
    int64_t before = clock_unix();
    const char *end;

    (void)state;
    clock_write_http(text);
    assert_int_equal(strlen(text), CLOCK_HTTP_SIZE - 1);
    end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    assert_true(end && *end == 0);
    assert_in_range(timegm(&tm), before, clock_unix());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_monotonic_clock_never_goes_back),
        cmocka_unit_test(milliseconds_and_nanoseconds_are_of_one_clock),
        cmocka_unit_test(unix_time_is_in_seconds_since_1970),
        cmocka_unit_test(http_time_is_read_back_as_now),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
