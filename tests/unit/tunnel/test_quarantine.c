#include "tunnel/quarantine.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct quarantine quarantine;

static struct mproxy_key key_of(unsigned n)
{
    uint8_t address[4] = {10, (uint8_t)(n >> 24), (uint8_t)(n >> 16), 1};

    return mproxy_key_ipv4(address, (uint16_t)n);
}

static void add(unsigned n, int64_t now_ms)
{
    struct mproxy_key key = key_of(n);

    quarantine_add(&quarantine, &key, now_ms);
}

static bool has(unsigned n, int64_t now_ms)
{
    struct mproxy_key key = key_of(n);

    return quarantine_has(&quarantine, &key, now_ms);
}

static int set_up(void **state)
{
    (void)state;
    quarantine_init(&quarantine);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    quarantine_fini(&quarantine);
    quarantine_fini(&(struct quarantine){0});
    return 0;
}

static void a_key_stays_for_its_time_and_no_longer(void **state)
{
    (void)state;
    add(1, 1000);
    add(2, 1500);
    add(1, 1600); /* is there already: its time runs on */
    assert_true(has(1, 1000));
    assert_false(has(3, 1000));
    assert_true(has(1, 999 + QUARANTINE_MS));
    assert_false(has(1, 1000 + QUARANTINE_MS));
    assert_true(has(2, 1000 + QUARANTINE_MS));
    assert_false(has(2, 1500 + QUARANTINE_MS));
    assert_int_equal(quarantine.by_key.count, 0);
    add(1, 200000);
    assert_true(has(1, 200001));
}

static void keys_whose_time_is_over_hold_no_memory_once_that_is_looked_at(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 100; n++)
        add(n, 1000 + n);
    quarantine_release_due(&quarantine, 1049 + QUARANTINE_MS);
    assert_int_equal(quarantine.by_key.count, 50);
    quarantine_release_due(&quarantine, 1099 + QUARANTINE_MS);
    assert_int_equal(quarantine.by_key.count, 0);
    assert_null(quarantine.by_key.slots);
}

static void past_its_size_the_oldest_leaves_early(void **state)
{
    (void)state;
    for (unsigned n = 0; n < QUARANTINE_MAX + 10; n++)
        add(n, 1000);
    assert_int_equal(quarantine.by_key.count, QUARANTINE_MAX);
    assert_false(has(9, 1000));
    assert_true(has(10, 1000));
    assert_true(has(QUARANTINE_MAX + 9, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_stays_for_its_time_and_no_longer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            keys_whose_time_is_over_hold_no_memory_once_that_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(past_its_size_the_oldest_leaves_early, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
