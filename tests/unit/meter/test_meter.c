#include "meter/meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

static void a_zeroed_meter_reads_zero_everywhere(void **state)
{
    struct meter m = {0};

    (void)state;
    for (unsigned id = 0; id < METER_IDS; id++)
        assert_int_equal(meter_read(&m, (enum meter_id)id), 0);
}

static void each_counter_is_its_own(void **state)
{
    struct meter m = {0};

    (void)state;
    for (unsigned id = 0; id < METER_IDS; id++)
        meter_add(&m, (enum meter_id)id, 100 + id);
    meter_add(&m, METER_PAYLOAD_TO_DEVICE, UINT64_C(1) << 40);
    meter_sub(&m, METER_STREAMS_OPEN, 7);
    meter_set(&m, METER_WIRE_TO_DEVICE, 3);

    for (unsigned id = 0; id < METER_IDS; id++) {
        uint64_t want = 100 + id;

        if (id == METER_PAYLOAD_TO_DEVICE)
            want += UINT64_C(1) << 40;
        if (id == METER_STREAMS_OPEN)
            want -= 7;
        if (id == METER_WIRE_TO_DEVICE)
            want = 3;
        assert_int_equal(meter_read(&m, (enum meter_id)id), want);
    }
}

static void every_counter_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < METER_IDS; a++) {
        assert_non_null(meter_name[a]);
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(meter_name[a], meter_name[b]);
    }
}

static void a_sum_adds_to_what_is_there(void **state)
{
    struct meter m[2] = {0};
    uint64_t sum[METER_IDS] = {[METER_STREAMS] = 1000};

    (void)state;
    meter_add(&m[0], METER_STREAMS, 5);
    meter_add(&m[1], METER_STREAMS, 6);
    meter_add(&m[1], METER_FRAMES_TO_DEVICE, 9);
    meter_sum(&m[0], sum);
    meter_sum(&m[1], sum);
    assert_int_equal(sum[METER_STREAMS], 1011);
    assert_int_equal(sum[METER_FRAMES_TO_DEVICE], 9);
    assert_int_equal(sum[METER_STREAMS_REFUSED], 0);
}

#define ROUNDS 200000U

static void *count_up(void *arg)
{
    struct meter *m = arg;

    for (unsigned i = 0; i < ROUNDS; i++)
        meter_add(m, METER_PAYLOAD_TO_VISITOR, 3);
    return NULL;
}

static void a_reader_on_another_thread_sees_it_grow_and_ends_with_the_exact_count(void **state)
{
    struct meter m = {0};
    pthread_t writer;
    uint64_t seen = 0;

    (void)state;
    assert_int_equal(pthread_create(&writer, NULL, count_up, &m), 0);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t now = meter_read(&m, METER_PAYLOAD_TO_VISITOR);

        assert_true(now >= seen && now % 3 == 0);
        seen = now;
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    assert_int_equal(meter_read(&m, METER_PAYLOAD_TO_VISITOR), 3 * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zeroed_meter_reads_zero_everywhere),
        cmocka_unit_test(each_counter_is_its_own),
        cmocka_unit_test(every_counter_has_a_name_of_its_own),
        cmocka_unit_test(a_sum_adds_to_what_is_there),
        cmocka_unit_test(a_reader_on_another_thread_sees_it_grow_and_ends_with_the_exact_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
