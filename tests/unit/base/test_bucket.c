#include "base/bucket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct bucket_rate slow = {.per_s = 4, .burst = 2};

static void a_full_bucket_gives_its_burst_and_then_its_rate(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, &slow, 1000);
    assert_int_equal(bucket_wait_ms(&b, &slow, 1000), 0);
    assert_true(bucket_take(&b, &slow, 1000));
    assert_true(bucket_take(&b, &slow, 1000));
    assert_false(bucket_take(&b, &slow, 1000));
    assert_int_equal(bucket_wait_ms(&b, &slow, 1000), 250);
    assert_int_equal(bucket_wait_ms(&b, &slow, 1100), 150);
    assert_false(bucket_take(&b, &slow, 1249));
    assert_true(bucket_take(&b, &slow, 1250));
    assert_false(bucket_take(&b, &slow, 1250));
}

static void nothing_is_saved_beyond_the_burst(void **state)
{
    struct bucket b;
    unsigned took = 0;

    (void)state;
    bucket_init(&b, &slow, 0);
    while (bucket_take(&b, &slow, INT64_MAX / 2))
        took++;
    assert_int_equal(took, 2);
}

static void many_small_looks_find_as_many_as_one_long_one(void **state)
{
    const struct bucket_rate odd = {.per_s = 333, .burst = 1};
    struct bucket b;
    unsigned took = 0;

    (void)state;
    bucket_init(&b, &odd, 0);
    for (int64_t now_ms = 1; now_ms <= 60000; now_ms++)
        took += bucket_take(&b, &odd, now_ms);
    assert_in_range(took, 333 * 60 - 1, 333 * 60 + 1);
}

static void a_clock_that_goes_back_changes_nothing(void **state)
{
    struct bucket b;

    (void)state;
    bucket_init(&b, &slow, 1000);
    assert_true(bucket_take(&b, &slow, 1000));
    assert_true(bucket_take(&b, &slow, 900));
    assert_false(bucket_take(&b, &slow, 1000));
    assert_true(bucket_take(&b, &slow, 1250));
}

static void a_rate_of_zero_is_no_limit(void **state)
{
    const struct bucket_rate none = {.per_s = 0, .burst = 1};
    struct bucket b;

    (void)state;
    bucket_init(&b, &none, 0);
    for (int i = 0; i < 1000; i++)
        assert_true(bucket_take(&b, &none, 0));
    assert_int_equal(bucket_wait_ms(&b, &none, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_bucket_gives_its_burst_and_then_its_rate),
        cmocka_unit_test(nothing_is_saved_beyond_the_burst),
        cmocka_unit_test(many_small_looks_find_as_many_as_one_long_one),
        cmocka_unit_test(a_clock_that_goes_back_changes_nothing),
        cmocka_unit_test(a_rate_of_zero_is_no_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
