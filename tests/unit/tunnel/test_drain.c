#include "tunnel/drain.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct drain d;

static int set_up(void **state)
{
    (void)state;
    d = (struct drain){0};
    return 0;
}

/* Takes `rate` bytes a millisecond, a note each, and is never empty. */
static uint64_t run(int64_t from_ms, unsigned ms, uint64_t sent, unsigned rate)
{
    for (unsigned i = 0; i <= ms; i++)
        drain_note(&d, from_ms + i, sent + (uint64_t)i * rate, 1000, true);
    return sent + (uint64_t)ms * rate;
}

static void nothing_is_known_at_first_nor_of_who_is_never_behind(void **state)
{
    (void)state;
    assert_true(drain_bytes(&d, 5) == SIZE_MAX);
    for (unsigned i = 0; i < 100; i++)
        drain_note(&d, i, i * UINT64_C(1000000), 0, i % 2);
    assert_true(drain_bytes(&d, 5) == SIZE_MAX);
}

static void the_rate_is_what_was_taken_from_a_queue_that_was_never_empty(void **state)
{
    (void)state;
    (void)run(1000, 200, 0, 12500);
    assert_in_range(drain_bytes(&d, 5), 60000, 65000);
}

static void it_follows_a_link_that_gets_slower_or_faster(void **state)
{
    uint64_t sent;

    (void)state;
    sent = run(0, 200, 0, 100000);
    assert_in_range(drain_bytes(&d, 1), 95000, 105000);
    sent = run(201, 200, sent, 1000);
    assert_in_range(drain_bytes(&d, 1), 1000, 2000);
    (void)run(402, 200, sent, 100000);
    assert_in_range(drain_bytes(&d, 1), 95000, 105000);
}

static void idle_time_is_not_slowness(void **state)
{
    uint64_t sent;

    (void)state;
    sent = run(0, 200, 0, 10000);
    drain_note(&d, 201, sent + 1000, 0, false);
    (void)run(100000, 200, sent + 1000, 10000);
    assert_in_range(drain_bytes(&d, 1), 9500, 10500);
}

static void a_queue_that_runs_empty_too_soon_was_too_short(void **state)
{
    uint64_t sent;

    (void)state;
    sent = run(0, 200, 0, 1000);
    assert_in_range(drain_bytes(&d, 10), 9500, 10500);
    drain_note(&d, 201, sent, 0, true);
    assert_in_range(drain_bytes(&d, 10), 19000, 21000);
    for (unsigned i = 0; i < 100; i++)
        drain_note(&d, 202, sent, 0, true);
    assert_true(drain_bytes(&d, 10) > UINT64_C(1000000000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_at_first_nor_of_who_is_never_behind),
        TEST(the_rate_is_what_was_taken_from_a_queue_that_was_never_empty),
        TEST(it_follows_a_link_that_gets_slower_or_faster),
        TEST(idle_time_is_not_slowness),
        TEST(a_queue_that_runs_empty_too_soon_was_too_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
