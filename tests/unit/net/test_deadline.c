#include "net/deadline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define TURN_MS ((int64_t)WHEEL_SLOTS * WHEEL_TICK_MS)
#define MANY 400

static struct wheel wheel;
static int64_t now_ms;

struct alarm {
    struct deadline deadline;
    int64_t due_ms; /* when the test expects it; 0: not at all */
    unsigned fired;
    struct alarm *stops;  /* another one that it stops when it fires */
    int64_t starts_in_ms; /* it starts itself again; 0: not */
};

static void on_time(struct deadline *d)
{
    struct alarm *a = LIST_OWNER(d, struct alarm, deadline);

    assert_int_not_equal(a->due_ms, 0);
    assert_true(now_ms >= a->due_ms);
    assert_false(deadline_is_running(d));
    a->fired++;
    a->due_ms = 0;
    if (a->stops) {
        deadline_stop(&a->stops->deadline);
        a->stops->due_ms = 0;
    }
    if (a->starts_in_ms) {
        a->due_ms = now_ms + a->starts_in_ms;
        deadline_start(d, &wheel, a->due_ms);
    }
}

static void start(struct alarm *a, int64_t at_ms)
{
    deadline_start(&a->deadline, &wheel, at_ms);
    a->due_ms = at_ms;
}

static void run_at(int64_t at_ms)
{
    now_ms = at_ms;
    wheel_run(&wheel, now_ms);
}

/* What the wheel does to its lists: what it costs, in steps and not in time. */
static unsigned long steps;

struct list *__real_list_take(struct list *head);
void __real_list_push(struct list *head, struct list *link);
void __real_list_remove(struct list *link);
struct list *__wrap_list_take(struct list *head);
void __wrap_list_push(struct list *head, struct list *link);
void __wrap_list_remove(struct list *link);

struct list *__wrap_list_take(struct list *head)
{
    steps++;
    return __real_list_take(head);
}

void __wrap_list_push(struct list *head, struct list *link)
{
    steps++;
    __real_list_push(head, link);
}

void __wrap_list_remove(struct list *link)
{
    steps++;
    __real_list_remove(link);
}

static int set_up(void **state)
{
    (void)state;
    now_ms = 1234567;
    wheel_init(&wheel, now_ms);
    return 0;
}

static void it_fires_once_and_neither_early_nor_a_tick_late(void **state)
{
    (void)state;
    for (int64_t in = -5; in < 60; in++) {
        struct alarm a = {0};
        int64_t from = now_ms, latest;

        deadline_init(&a.deadline, on_time);
        start(&a, from + in);
        assert_true(deadline_is_running(&a.deadline));
        latest = (in > 0 ? from + in : from) + WHEEL_TICK_MS;
        while (!a.fired) {
            assert_true(now_ms < latest);
            run_at(now_ms + 1);
        }
        for (int i = 0; i < 3; i++)
            run_at(now_ms + TURN_MS);
        assert_int_equal(a.fired, 1);
    }
}

static void moving_it_forgets_the_old_time(void **state)
{
    struct alarm a = {0};

    (void)state;
    deadline_init(&a.deadline, on_time);
    start(&a, now_ms + 50);
    start(&a, now_ms + 5000);
    run_at(now_ms + 4990);
    assert_int_equal(a.fired, 0);
    start(&a, now_ms + 20); /* and forwards */
    run_at(now_ms + 30);
    assert_int_equal(a.fired, 1);
}

static void a_stopped_one_does_not_fire_and_may_be_stopped_again(void **state)
{
    struct alarm a = {0};

    (void)state;
    deadline_init(&a.deadline, on_time);
    deadline_stop(&a.deadline);
    start(&a, now_ms + 50);
    deadline_stop(&a.deadline);
    deadline_stop(&a.deadline);
    assert_false(deadline_is_running(&a.deadline));
    run_at(now_ms + TURN_MS);
    assert_int_equal(a.fired, 0);
}

static void one_may_stop_another_of_the_same_tick_and_start_itself(void **state)
{
    struct alarm a = {0}, b = {0};

    (void)state;
    deadline_init(&a.deadline, on_time);
    deadline_init(&b.deadline, on_time);
    a.stops = &b;
    a.starts_in_ms = 100;
    start(&a, now_ms + 20);
    start(&b, now_ms + 20);
    run_at(now_ms + 40);
    assert_int_equal(a.fired, 1);
    assert_int_equal(b.fired, 0);
    run_at(now_ms + 90);
    assert_int_equal(a.fired, 1);
    run_at(now_ms + 20);
    assert_int_equal(a.fired, 2);
    a.starts_in_ms = 0;
    run_at(now_ms + 200);
    assert_int_equal(a.fired, 3);
}

static void far_beyond_one_turn_of_the_wheel_is_no_nearer(void **state)
{
    struct alarm a = {0};
    int64_t due = now_ms + 10 * TURN_MS + 5;

    (void)state;
    deadline_init(&a.deadline, on_time);
    start(&a, due);
    while (now_ms + 1000 < due) {
        run_at(now_ms + 1000);
        assert_int_equal(a.fired, 0);
    }
    run_at(due + WHEEL_TICK_MS);
    assert_int_equal(a.fired, 1);
}

static void after_a_long_sleep_all_that_is_due_fires(void **state)
{
    static struct alarm alarms[MANY];

    (void)state;
    for (int64_t i = 0; i < MANY; i++) {
        alarms[i] = (struct alarm){0};
        deadline_init(&alarms[i].deadline, on_time);
        start(&alarms[i], now_ms + i * 97);
    }
    run_at(now_ms + 5 * TURN_MS);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(alarms[i].fired, 1);
}

static void an_empty_wheel_lets_sleep_for_ever(void **state)
{
    struct alarm a = {0};

    (void)state;
    assert_int_equal(wheel_wait_ms(&wheel, now_ms), -1);
    deadline_init(&a.deadline, on_time);
    start(&a, now_ms - 1000);
    assert_true(wheel_wait_ms(&wheel, now_ms) <= WHEEL_TICK_MS);
    assert_int_equal(wheel_wait_ms(&wheel, now_ms + 1000), 0);
    run_at(now_ms + WHEEL_TICK_MS);
    assert_int_equal(a.fired, 1);
    assert_int_equal(wheel_wait_ms(&wheel, now_ms), -1);
}

/* Sleeping as long as the wheel says never makes anything a tick late. */
static void a_sleep_as_long_as_it_says_is_never_too_long(void **state)
{
    (void)state;
    for (int64_t in = 0; in < 3 * TURN_MS; in += 37) {
        struct alarm a = {0};
        int64_t from = now_ms;
        unsigned sleeps = 0;

        deadline_init(&a.deadline, on_time);
        start(&a, from + in);
        while (!a.fired) {
            int wait = wheel_wait_ms(&wheel, now_ms);

            assert_true(wait >= 0);
            assert_true(++sleeps < 20);
            run_at(now_ms + (wait ? wait : 1));
        }
        assert_true(now_ms <= from + in + WHEEL_TICK_MS);
    }
}

static void random_alarms_agree_with_a_plain_table(void **state)
{
    static struct alarm alarms[MANY];

    (void)state;
    srandom(7);
    for (int i = 0; i < MANY; i++) {
        alarms[i] = (struct alarm){0};
        deadline_init(&alarms[i].deadline, on_time);
    }
    for (int round = 0; round < 20000; round++) {
        struct alarm *a = &alarms[random() % MANY];
        long step = random() % 100;

        if (random() % 3 == 0) {
            deadline_stop(&a->deadline);
            a->due_ms = 0;
        } else {
            start(a, now_ms + random() % (random() % 10 ? 500 : 30000) + 1);
        }
        run_at(now_ms + (step < 95 ? step / 8 : random() % 20000));
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(deadline_is_running(&alarms[i].deadline), alarms[i].due_ms != 0);
            assert_true(alarms[i].due_ms == 0 || alarms[i].due_ms + WHEEL_TICK_MS > now_ms);
        }
    }
}

/* Starts `count` within a minute and lets it pass.  Returns the steps of that. */
static unsigned long steps_of_a_minute(struct alarm *alarms, unsigned count)
{
    int64_t from = now_ms;

    steps = 0;
    for (unsigned i = 0; i < count; i++) {
        deadline_init(&alarms[i].deadline, on_time);
        start(&alarms[i], from + 1 + (int64_t)i * 60000 / count);
    }
    assert_int_equal(steps, 2 * count);
    while (now_ms < from + 60000 + WHEEL_TICK_MS)
        run_at(now_ms + WHEEL_TICK_MS);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(alarms[i].due_ms, 0);
    return steps;
}

/* One that runs for a minute is passed by in each turn of the wheel, and no more often. */
static void a_hundred_thousand_cost_a_few_steps_each(void **state)
{
    enum { COUNT = 100000, TICKS = 60000 / WHEEL_TICK_MS + 2 };
    struct alarm *alarms = calloc(COUNT, sizeof(*alarms));
    unsigned long few, many, turns = 60000 / TURN_MS + 1;

    (void)state;
    assert_non_null(alarms);
    few = steps_of_a_minute(alarms, COUNT / 100);
    many = steps_of_a_minute(alarms, COUNT);
    assert_in_range(many, 1, COUNT * (2 + 2 * turns) + TICKS);
    assert_in_range(many, 1, 101 * few);
    free(alarms);
}

static void among_a_hundred_thousand_one_more_costs_as_little(void **state)
{
    enum { COUNT = 100000 };
    struct alarm *alarms = calloc(COUNT, sizeof(*alarms));

    (void)state;
    assert_non_null(alarms);
    for (unsigned i = 0; i < COUNT; i++) {
        deadline_init(&alarms[i].deadline, on_time);
        start(&alarms[i], now_ms + 5000);
    }
    steps = 0;
    start(&alarms[COUNT / 2], now_ms + 3000);
    assert_int_equal(steps, 2);
    deadline_stop(&alarms[COUNT / 2].deadline);
    assert_int_equal(steps, 3);
    run_at(now_ms + 2500); /* none is due, and none is looked at */
    assert_int_equal(steps, 3);
    free(alarms);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(it_fires_once_and_neither_early_nor_a_tick_late),
        TEST(moving_it_forgets_the_old_time),
        TEST(a_stopped_one_does_not_fire_and_may_be_stopped_again),
        TEST(one_may_stop_another_of_the_same_tick_and_start_itself),
        TEST(far_beyond_one_turn_of_the_wheel_is_no_nearer),
        TEST(after_a_long_sleep_all_that_is_due_fires),
        TEST(an_empty_wheel_lets_sleep_for_ever),
        TEST(a_sleep_as_long_as_it_says_is_never_too_long),
        TEST(random_alarms_agree_with_a_plain_table),
        TEST(a_hundred_thousand_cost_a_few_steps_each),
        TEST(among_a_hundred_thousand_one_more_costs_as_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
