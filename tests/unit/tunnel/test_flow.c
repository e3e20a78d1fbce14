#include "tunnel/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct flow_marks marks = {.low = 10, .high = 20, .hard = 30};

struct row {
    enum flow_state from;
    size_t queued;
    enum flow_state to;
    unsigned due;
};

static const struct row rows[] = {
    {FLOW_RUNNING, 0, FLOW_RUNNING, 0},
    {FLOW_RUNNING, 20, FLOW_RUNNING, 0},
    {FLOW_RUNNING, 21, FLOW_PAUSED, FLOW_SEND_PAUSE},
    {FLOW_RUNNING, 30, FLOW_PAUSED, FLOW_SEND_PAUSE},
    {FLOW_RUNNING, 31, FLOW_BLOCKED, FLOW_SEND_PAUSE | FLOW_BLOCK},
    {FLOW_RUNNING, SIZE_MAX, FLOW_BLOCKED, FLOW_SEND_PAUSE | FLOW_BLOCK},
    {FLOW_PAUSED, 30, FLOW_PAUSED, 0},
    {FLOW_PAUSED, 31, FLOW_BLOCKED, FLOW_BLOCK},
    {FLOW_PAUSED, 20, FLOW_PAUSED, 0},
    {FLOW_PAUSED, 11, FLOW_PAUSED, 0},
    {FLOW_PAUSED, 10, FLOW_RUNNING, FLOW_SEND_RESUME},
    {FLOW_PAUSED, 0, FLOW_RUNNING, FLOW_SEND_RESUME},
    {FLOW_BLOCKED, 99, FLOW_BLOCKED, 0},
    {FLOW_BLOCKED, 21, FLOW_BLOCKED, 0},
    {FLOW_BLOCKED, 20, FLOW_PAUSED, FLOW_UNBLOCK},
    {FLOW_BLOCKED, 11, FLOW_PAUSED, FLOW_UNBLOCK},
    {FLOW_BLOCKED, 10, FLOW_RUNNING, FLOW_UNBLOCK | FLOW_SEND_RESUME},
    {FLOW_BLOCKED, 0, FLOW_RUNNING, FLOW_UNBLOCK | FLOW_SEND_RESUME},
    {FLOW_OVER, 99, FLOW_OVER, 0},
    {FLOW_OVER, 0, FLOW_OVER, 0},
};

static void each_mark_is_passed_exactly_where_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct flow f = {rows[i].from};

        assert_int_equal(flow_on_queued(&f, &marks, rows[i].queued), rows[i].due);
        assert_int_equal(f.state, rows[i].to);
    }
}

static void the_end_lifts_a_block_at_once_and_nothing_is_due_after_it(void **state)
{
    struct flow f = {FLOW_RUNNING};

    (void)state;
    assert_int_equal(flow_on_queued(&f, &marks, 31), FLOW_SEND_PAUSE | FLOW_BLOCK);
    assert_int_equal(flow_on_end(&f), FLOW_UNBLOCK);
    assert_int_equal(flow_on_queued(&f, &marks, 25), 0);
    assert_int_equal(flow_on_queued(&f, &marks, 0), 0);
    assert_int_equal(flow_on_end(&f), 0);
}

static void the_end_of_a_paused_stream_sends_no_resume(void **state)
{
    struct flow f = {FLOW_PAUSED};

    (void)state;
    assert_int_equal(flow_on_end(&f), 0);
    assert_int_equal(flow_on_queued(&f, &marks, 0), 0);
}

/* What the caller has done so far, as it would count it. */
struct done {
    int paused;
    int blocked;
};

static void check(struct done *d, unsigned due, size_t queued)
{
    if (due & FLOW_SEND_PAUSE)
        d->paused++;
    if (due & FLOW_SEND_RESUME)
        d->paused--;
    if (due & FLOW_BLOCK)
        d->blocked++;
    if (due & FLOW_UNBLOCK)
        d->blocked--;
    assert_in_range(d->paused, 0, 1);
    assert_in_range(d->blocked, 0, d->paused);
    if (queued > marks.high)
        assert_int_equal(d->paused, 1);
    if (queued <= marks.low)
        assert_int_equal(d->paused, 0);
    assert_false((due & FLOW_BLOCK) && (due & FLOW_UNBLOCK));
    assert_false((due & FLOW_SEND_PAUSE) && (due & FLOW_SEND_RESUME));
    if (queued > marks.hard)
        assert_int_equal(d->blocked, 1);
    if (queued <= marks.high)
        assert_int_equal(d->blocked, 0);
}

static void try_all(struct flow f, struct done d, int depth)
{
    static const size_t sizes[] = {0, 10, 11, 20, 21, 30, 31, 1000};

    for (size_t i = 0; depth && i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct flow next = f;
        struct done done = d;

        check(&done, flow_on_queued(&next, &marks, sizes[i]), sizes[i]);
        try_all(next, done, depth - 1);
    }
}

static void pauses_and_blocks_are_paired_over_all_sequences_of_six_sizes(void **state)
{
    (void)state;
    try_all((struct flow){FLOW_RUNNING}, (struct done){0}, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mark_is_passed_exactly_where_the_table_says),
        cmocka_unit_test(the_end_lifts_a_block_at_once_and_nothing_is_due_after_it),
        cmocka_unit_test(the_end_of_a_paused_stream_sends_no_resume),
        cmocka_unit_test(pauses_and_blocks_are_paired_over_all_sequences_of_six_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
