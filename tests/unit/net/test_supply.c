#include "net/supply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void descriptors_are_short_when_only_the_reserve_is_left(void **state)
{
    struct supply s = {.descriptors_max = 10, .descriptors_reserved = 3};

    (void)state;
    for (unsigned i = 0; i < 7; i++)
        supply_take_descriptor(&s);
    assert_int_equal(supply_descriptors(&s), SUPPLY_AMPLE);
    supply_take_descriptor(&s);
    assert_int_equal(supply_descriptors(&s), SUPPLY_SHORT);
    supply_take_descriptor(&s);
    supply_take_descriptor(&s);
    assert_int_equal(supply_descriptors(&s), SUPPLY_SPENT);
    supply_give_descriptor(&s);
    assert_int_equal(supply_descriptors(&s), SUPPLY_SHORT);
    assert_int_equal(supply_read_descriptors(&s), 9);
}

static void only_who_settles_counts_against_the_next_one(void **state)
{
    struct supply s = {.descriptors_max = 10, .descriptors_reserved = 3};

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        supply_take_descriptor(&s);
    for (unsigned i = 0; i < 7; i++) {
        assert_true(supply_may_settle(&s));
        supply_settle(&s);
    }
    assert_false(supply_may_settle(&s));
    supply_unsettle(&s);
    assert_true(supply_may_settle(&s));
}

static void without_limits_there_is_always_enough(void **state)
{
    struct supply s = {0};

    (void)state;
    supply_take_descriptor(&s);
    supply_take_descriptor(NULL);
    supply_give_descriptor(NULL);
    supply_settle(NULL);
    supply_unsettle(NULL);
    assert_true(supply_may_settle(NULL));
    assert_true(supply_may_settle(&s));
    assert_int_equal(supply_descriptors(&s), SUPPLY_AMPLE);
    assert_int_equal(supply_descriptors(NULL), SUPPLY_AMPLE);
    assert_int_equal(supply_tell_memory(&s, 0, SIZE_MAX / 2), SIZE_MAX / 2);
    assert_int_equal(supply_memory(&s, SUPPLY_SPENT), SUPPLY_AMPLE);
    assert_int_equal(supply_memory(NULL, SUPPLY_SPENT), SUPPLY_AMPLE);
}

static void memory_is_the_sum_of_what_the_loops_say(void **state)
{
    struct supply s = {.memory_max = 1000};
    size_t a = 0, b = 0;

    (void)state;
    a = supply_tell_memory(&s, a, 700);
    b = supply_tell_memory(&s, b, 200);
    assert_int_equal(supply_read_memory(&s), 900);
    a = supply_tell_memory(&s, a, 100);
    b = supply_tell_memory(&s, b, 0);
    assert_int_equal(supply_read_memory(&s), 100);
    assert_int_equal(a + b, 100);
}

static void a_level_is_left_below_where_it_is_entered(void **state)
{
    static const struct {
        size_t held;
        enum supply_level before, after;
    } rows[] = {
        {799, SUPPLY_AMPLE, SUPPLY_AMPLE}, {800, SUPPLY_AMPLE, SUPPLY_SHORT},
        {899, SUPPLY_SHORT, SUPPLY_SHORT}, {900, SUPPLY_SHORT, SUPPLY_OUT},
        {999, SUPPLY_OUT, SUPPLY_OUT},     {1000, SUPPLY_AMPLE, SUPPLY_SPENT},
        {950, SUPPLY_SPENT, SUPPLY_SPENT}, {949, SUPPLY_SPENT, SUPPLY_OUT},
        {850, SUPPLY_OUT, SUPPLY_OUT},     {849, SUPPLY_OUT, SUPPLY_SHORT},
        {750, SUPPLY_SHORT, SUPPLY_SHORT}, {749, SUPPLY_SHORT, SUPPLY_AMPLE},
        {0, SUPPLY_SPENT, SUPPLY_AMPLE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct supply s = {.memory_max = 1000};

        (void)supply_tell_memory(&s, 0, rows[i].held);
        assert_int_equal(supply_memory(&s, rows[i].before), rows[i].after);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_are_short_when_only_the_reserve_is_left),
        cmocka_unit_test(only_who_settles_counts_against_the_next_one),
        cmocka_unit_test(without_limits_there_is_always_enough),
        cmocka_unit_test(memory_is_the_sum_of_what_the_loops_say),
        cmocka_unit_test(a_level_is_left_below_where_it_is_entered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
