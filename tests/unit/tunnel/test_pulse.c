#include "tunnel/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct pulse_limits limits = {.interval_ms = 30000, .timeout_ms = 10000};

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
    assert_int_equal(look_at(&p, idle_at(41000), &again_ms), PULSE_DEAD);
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
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_DEAD);
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
    assert_int_equal(look_at(&p, sight, &again_ms), PULSE_DEAD);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(silence_is_pinged_after_the_interval_and_dead_after_the_timeout),
        cmocka_unit_test(a_word_after_the_ping_starts_the_silence_anew),
        cmocka_unit_test(a_ping_behind_bytes_that_get_on_is_waited_for),
        cmocka_unit_test(a_ping_that_stood_behind_nothing_is_not_waited_for),
        cmocka_unit_test(a_tunnel_that_is_not_read_gets_pongs_and_is_never_silent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
