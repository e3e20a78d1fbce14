#include "tunnel/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct pulse_limits limits = {
    .interval_ms = 30000, .timeout_ms = 10000, .probe_ms = 1000};

/* A look at `now_ms` at a socket that has taken and delivered all. */
static struct pulse_sight idle_at(int64_t now_ms)
{
    return (struct pulse_sight){.now_ms = now_ms, .sent = 100, .delivered = 100};
}

static enum pulse_due look_at(struct pulse *p, struct pulse_sight sight, int64_t *again_ms)
{
    *again_ms = -1;
    return pulse_look(p, &limits, &sight, again_ms);
}

static void silence_is_pinged_after_the_interval_and_dead_after_the_timeout(void **state)
{
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 1000);
    assert_int_equal(look_at(&p, idle_at(30999), &again_ms), PULSE_WAIT);
    assert_int_equal(again_ms, 1);
    assert_int_equal(look_at(&p, idle_at(31000), &again_ms), PULSE_SEND_PING);
    assert_int_equal(again_ms, 10000);
    assert_int_equal(look_at(&p, idle_at(41000), &again_ms), PULSE_SILENT);
}

static void a_word_after_the_ping_starts_the_silence_anew(void **state)
{
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    assert_int_equal(look_at(&p, idle_at(30000), &again_ms), PULSE_SEND_PING);
    pulse_on_heard(&p, 39999);
    assert_int_equal(look_at(&p, idle_at(40000), &again_ms), PULSE_WAIT);
    assert_int_equal(again_ms, 29999);
    assert_int_equal(look_at(&p, idle_at(69999), &again_ms), PULSE_SEND_PING);
}

static void a_ping_behind_bytes_that_get_on_is_waited_for(void **state)
{
    struct pulse_sight sight = {.now_ms = 30000, .sent = 500, .delivered = 400, .queued = 50};
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_SEND_PING);
    sight.delivered = 401;
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_WAIT);
    assert_int_equal(again_ms, 10000);
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_SILENT);
}

/* What it may still be about to say is not for the ping's delivery to wait for. */
static void a_ping_that_stood_behind_nothing_is_not_waited_for(void **state)
{
    struct pulse_sight sight = idle_at(30000);
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_SEND_PING);
    sight.sent = sight.delivered = 102;
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_SILENT);
}

static void a_tunnel_that_is_not_read_gets_pongs_and_is_never_silent(void **state)
{
    struct pulse_sight sight = idle_at(0);
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    assert_int_equal(look_at(&p, idle_at(30000), &again_ms), PULSE_SEND_PING);
    assert_int_equal(pulse_on_blocked(&p), PULSE_PONG_MS);
    sight.reading = PULSE_IS_BLOCKED;
    for (sight.now_ms = 35000; sight.now_ms < 200000; sight.now_ms += again_ms)
        assert_int_equal(look_at(&p, sight, &again_ms), PULSE_SEND_PONG);
    assert_int_equal(look_at(&p, idle_at(200000), &again_ms), PULSE_SEND_PING);
}

/* They have a clock of their own, so their silence says more. */
static void a_device_that_pings_by_itself_is_asked_sooner(void **state)
{
    static const struct pulse_limits hasty = {.interval_ms = 500, .timeout_ms = 100};
    struct pulse_sight sight = idle_at(500);
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    assert_true(pulse_on_ping(&p));
    assert_false(pulse_on_ping(&p));
    assert_int_equal(pulse_look(&p, &hasty, &sight, &again_ms), PULSE_SEND_PING);
    pulse_on_heard(&p, 500);
    assert_int_equal(look_at(&p, idle_at(20499), &again_ms), PULSE_WAIT);
    assert_int_equal(again_ms, 1);
    assert_int_equal(look_at(&p, idle_at(20500), &again_ms), PULSE_SEND_PING);
    assert_int_equal(again_ms, 10000);
}

static struct slice number_of(const struct pulse *p)
{
    return slice_of(&p->probe, sizeof(p->probe));
}

static void a_probe_is_answered_by_its_own_pong_only(void **state)
{
    struct pulse_sight sight = idle_at(100);
    struct pulse p;
    int64_t again_ms;
    uint32_t first;

    (void)state;
    pulse_init(&p, 0);
    assert_false(pulse_on_pong(&p, number_of(&p)));
    assert_int_equal(pulse_start_probe(&p, &limits, &sight), 1000);
    first = p.probe;
    assert_false(pulse_on_pong(&p, slice_text("")));
    assert_false(pulse_on_pong(&p, slice_text("1234")));
    assert_true(pulse_on_pong(&p, number_of(&p)));
    assert_int_equal(look_at(&p, idle_at(5000), &again_ms), PULSE_WAIT);
    (void)pulse_start_probe(&p, &limits, &sight);
    assert_false(pulse_on_pong(&p, slice_of(&first, sizeof(first))));
    assert_true(pulse_on_pong(&p, number_of(&p)));
}

static void a_probe_waits_for_as_long_as_other_bytes_come(void **state)
{
    struct pulse_sight sight = idle_at(100);
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    (void)pulse_start_probe(&p, &limits, &sight);
    for (int64_t now_ms = 600; now_ms < 9000; now_ms += 1000) {
        pulse_on_heard(&p, now_ms);
        assert_int_equal(look_at(&p, idle_at(now_ms + 999), &again_ms), PULSE_WAIT);
        assert_int_equal(again_ms, 1);
        assert_int_equal(p.state, PULSE_PROBED);
    }
    assert_int_equal(look_at(&p, idle_at(9600), &again_ms), PULSE_REPLACED);
}

static void a_probe_behind_bytes_that_get_on_is_waited_for(void **state)
{
    struct pulse_sight sight = {.now_ms = 100, .sent = 500, .delivered = 400, .queued = 50};
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    (void)pulse_start_probe(&p, &limits, &sight);
    sight.now_ms = 1100;
    sight.delivered = 401;
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_WAIT);
    assert_int_equal(again_ms, 1000);
    sight.now_ms = 2100;
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_REPLACED);
}

static void a_probe_is_not_judged_while_nothing_is_read(void **state)
{
    struct pulse_sight sight = idle_at(100);
    struct pulse p;
    int64_t again_ms;

    (void)state;
    pulse_init(&p, 0);
    assert_int_equal(pulse_on_blocked(&p), PULSE_PONG_MS);
    sight.reading = PULSE_IS_BLOCKED;
    assert_int_equal(pulse_start_probe(&p, &limits, &sight), PULSE_PONG_MS);
    for (sight.now_ms = 5100; sight.now_ms < 60000; sight.now_ms += again_ms)
        assert_int_equal(look_at(&p, sight, &again_ms), PULSE_SEND_PONG);
    assert_int_equal(pulse_on_unblocked(&p, &limits, 60000), 1000);
    assert_int_equal(look_at(&p, idle_at(60999), &again_ms), PULSE_WAIT);
    assert_int_equal(look_at(&p, idle_at(61000), &again_ms), PULSE_REPLACED);

    pulse_init(&p, 0); /* and one that is blocked in the middle of it */
    sight = idle_at(100);
    (void)pulse_start_probe(&p, &limits, &sight);
    (void)pulse_on_blocked(&p);
    assert_int_equal(p.state, PULSE_PROBED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_pinged_after_the_interval_and_dead_after_the_timeout),
        cmocka_unit_test(a_word_after_the_ping_starts_the_silence_anew),
        cmocka_unit_test(a_ping_behind_bytes_that_get_on_is_waited_for),
        cmocka_unit_test(a_ping_that_stood_behind_nothing_is_not_waited_for),
        cmocka_unit_test(a_tunnel_that_is_not_read_gets_pongs_and_is_never_silent),
        cmocka_unit_test(a_device_that_pings_by_itself_is_asked_sooner),
        cmocka_unit_test(a_probe_is_answered_by_its_own_pong_only),
        cmocka_unit_test(a_probe_waits_for_as_long_as_other_bytes_come),
        cmocka_unit_test(a_probe_behind_bytes_that_get_on_is_waited_for),
        cmocka_unit_test(a_probe_is_not_judged_while_nothing_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
