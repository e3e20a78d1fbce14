#include "net/pace.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct pace p;

static int set_up(void **state)
{
    (void)state;
    pace_init(&p);
    return 0;
}

static void turn(unsigned ready, int64_t took_ns)
{
    pace_begin(&p, ready, 1000);
    pace_end(&p, 1000 + took_ns);
}

static void one_alone_may_read_all_and_many_share(void **state)
{
    (void)state;
    pace_begin(&p, 0, 0);
    assert_int_equal(p.share, PACE_ALONE_BYTES);
    pace_begin(&p, 1, 0);
    assert_int_equal(p.share, PACE_ALONE_BYTES);
    pace_begin(&p, 2, 0);
    assert_int_equal(p.share, PACE_BYTES / 2);
    pace_begin(&p, 8, 0);
    assert_int_equal(p.share, PACE_BYTES / 8);
    pace_begin(&p, 256, 0);
    assert_int_equal(p.share, PACE_SHARE_MIN);
}

static void after_a_long_turn_there_are_as_many_events_as_would_have_fitted(void **state)
{
    (void)state;
    turn(256, INT64_C(2) * PACE_SLOW_NS);
    assert_int_equal(p.events, 128);
    turn(128, INT64_C(4) * PACE_SLOW_NS);
    assert_int_equal(p.events, 32);
    turn(32, INT64_C(1000) * PACE_SLOW_NS);
    assert_int_equal(p.events, PACE_EVENTS_MIN);
}

static void after_short_turns_there_are_more_again(void **state)
{
    (void)state;
    turn(1, INT64_C(1) << 60); /* the machine has slept */
    assert_int_equal(p.events, PACE_EVENTS_MIN);
    for (unsigned events = PACE_EVENTS_MIN * 2; events <= PACE_EVENTS_MAX; events *= 2) {
        turn(PACE_EVENTS_MIN, 1000);
        assert_int_equal(p.events, events);
    }
    turn(256, 1000);
    assert_int_equal(p.events, PACE_EVENTS_MAX);
}

static void a_turn_of_middling_length_changes_nothing(void **state)
{
    (void)state;
    turn(100, INT64_C(2) * PACE_SLOW_NS);
    assert_int_equal(p.events, 50);
    turn(50, PACE_QUICK_NS + 1);
    assert_int_equal(p.events, 50);
    turn(50, PACE_SLOW_NS);
    assert_int_equal(p.events, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_alone_may_read_all_and_many_share, set_up),
        cmocka_unit_test_setup(after_a_long_turn_there_are_as_many_events_as_would_have_fitted,
                               set_up),
        cmocka_unit_test_setup(after_short_turns_there_are_more_again, set_up),
        cmocka_unit_test_setup(a_turn_of_middling_length_changes_nothing, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
