#include "tunnel/turns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define STREAMS_MAX 64U
#define ENDLESS (UINT64_C(1) << 60)

/* One visitor and its socket. */
struct source {
    struct turn turn;
    struct list ready; /* in the world's list while it is watched and has bytes */
    uint64_t backlog;  /* unread bytes in its socket */
    uint64_t read;
    uint64_t since;   /* the tick at which the backlog came, for who sends little */
    uint64_t longest; /* ticks until it was read */
    enum { WATCHED, UNWATCHED } state;
};

/* A tunnel: visitors' sockets in the order in which epoll reports them, a queue, a device. */
struct world {
    struct turns_marks marks;
    struct turns turns;
    struct source sources[STREAMS_MAX];
    struct list ready;
    unsigned count;
    size_t queued, most_queued;
    uint64_t tick;
    uint32_t seed;
};

static struct world w;

static int set_up(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    w.marks = (struct turns_marks){.low = 524288, .high = 1048576};
    turns_init(&w.turns, w.marks);
    list_init(&w.ready);
    w.seed = 1;
    return 0;
}

static uint32_t any(uint32_t below)
{
    w.seed ^= w.seed << 13;
    w.seed ^= w.seed >> 17;
    w.seed ^= w.seed << 5;
    return w.seed % below;
}

/* epoll has what is watched and has bytes in a line, and puts it at its end. */
static void see(struct source *s)
{
    if (s->state == WATCHED && s->backlog && list_is_empty(&s->ready))
        list_push(&w.ready, &s->ready);
}

static void bring(struct source *s, uint64_t bytes)
{
    s->backlog = bytes;
    s->since = w.tick;
    see(s);
}

static void open_source(struct source *s, uint64_t backlog)
{
    *s = (struct source){.state = WATCHED};
    turn_init(&s->turn);
    list_init(&s->ready);
    bring(s, backlog);
}

static void close_source(struct source *s)
{
    turn_leave(&s->turn);
    list_remove(&s->ready);
}

static struct source *add(uint64_t backlog)
{
    assert_true(w.count < STREAMS_MAX);
    open_source(&w.sources[w.count], backlog);
    return &w.sources[w.count++];
}

static void read_some(struct source *s)
{
    size_t room = turns_room(&w.turns, &s->turn, w.queued);
    size_t got = s->backlog < room ? (size_t)s->backlog : room;

    if (got) {
        turns_charge(&w.turns, &s->turn, got);
        s->backlog -= s->backlog == ENDLESS ? 0 : got;
        s->read += got;
        w.queued += got;
        if (s->backlog == 0 && w.tick - s->since > s->longest)
            s->longest = w.tick - s->since;
    }
    if (turns_room(&w.turns, &s->turn, w.queued) == 0)
        s->state = UNWATCHED;
}

static void let_on(void)
{
    size_t given = 0;
    struct turn *t;

    while ((t = turns_next(&w.turns, w.queued, &given))) {
        struct source *s = LIST_OWNER(t, struct source, turn);

        s->state = WATCHED;
        see(s);
    }
}

/* One turn of the loop; the device takes at most `rate` bytes after it. */
static void tick(size_t rate)
{
    struct list now, *link;

    list_init(&now);
    list_move_all(&w.ready, &now);
    while ((link = list_take(&now))) {
        struct source *s = LIST_OWNER(link, struct source, ready);

        read_some(s);
        see(s);
    }
    if (w.queued > w.most_queued)
        w.most_queued = w.queued;
    if (w.queued && rate) {
        w.queued -= w.queued < rate ? w.queued : rate;
        let_on();
    }
    w.tick++;
}

static void ticks(unsigned count, size_t rate)
{
    while (count--)
        tick(rate);
}

static void spread(uint64_t *least, uint64_t *most)
{
    *least = UINT64_MAX;
    *most = 0;
    for (unsigned i = 0; i < w.count; i++) {
        if (w.sources[i].backlog != ENDLESS)
            continue;
        *least = w.sources[i].read < *least ? w.sources[i].read : *least;
        *most = w.sources[i].read > *most ? w.sources[i].read : *most;
    }
}

static void one_alone_reads_as_fast_as_the_device_takes(void **state)
{
    struct source *s = add(ENDLESS);

    (void)state;
    ticks(1000, 200000);
    assert_true(s->read >= UINT64_C(1000) * 200000);
    assert_int_equal(w.turns.quantum, TURNS_QUANTUM_MAX);
}

static void nobody_gets_ahead_by_more_than_two_quanta(void **state)
{
    static const unsigned counts[] = {2, 3, 8, 17, 64};
    static const size_t rates[] = {1000, 30000, 131072, 500000, 3000000};

    (void)state;
    for (unsigned i = 0; i < 25; i++) {
        uint64_t least, most;

        set_up(NULL);
        for (unsigned n = 0; n < counts[i / 5]; n++)
            (void)add(ENDLESS);
        for (unsigned n = 0; n < 2000; n++) {
            tick(rates[i % 5] + any(1000));
            spread(&least, &most);
            assert_true(most - least <= UINT64_C(2) * TURNS_QUANTUM_MAX);
        }
        assert_true(w.most_queued <= w.marks.high + TURNS_SPARE_SUM);
        assert_true(least > 0 || rates[i % 5] < 30000);
    }
}

/* Jain's index over equal loads: 1 is perfect. */
static void shares_are_even_over_time(void **state)
{
    double sum = 0, squares = 0;

    (void)state;
    for (unsigned n = 0; n < 8; n++)
        (void)add(ENDLESS);
    ticks(20000, 100000);
    for (unsigned n = 0; n < 8; n++) {
        sum += (double)w.sources[n].read;
        squares += (double)w.sources[n].read * (double)w.sources[n].read;
    }
    assert_true(sum * sum / (8 * squares) > 0.9999);
}

static void who_sends_little_never_waits(void **state)
{
    struct source *little;

    (void)state;
    for (unsigned n = 0; n < 8; n++)
        (void)add(ENDLESS);
    little = add(0);
    for (unsigned n = 0; n < 5000; n++) {
        if (little->backlog == 0 && any(4) == 0)
            bring(little, 64);
        tick(20000);
    }
    assert_true(little->read > UINT64_C(64) * 500);
    assert_int_equal(little->longest, 0);
}

/* 20 KiB are more than may be read above the mark. */
static void who_sends_now_and_then_waits_for_no_more_than_the_low_mark(void **state)
{
    struct source *some;

    (void)state;
    for (unsigned n = 0; n < 40; n++)
        (void)add(ENDLESS);
    some = add(0);
    for (unsigned n = 0; n < 20000; n++) {
        if (some->backlog == 0 && w.tick > some->since + 200 && any(50) == 0)
            bring(some, 20480);
        tick(20000);
    }
    assert_true(some->read > UINT64_C(20480) * 10);
    assert_true(some->longest <= (w.marks.high - w.marks.low) / 20000 + 2);
}

static void who_reads_much_reads_no_crumbs_above_the_mark(void **state)
{
    size_t room;

    (void)state;
    for (unsigned n = 0; n < 8; n++)
        (void)add(ENDLESS);
    ticks(100, 300000);
    w.queued = w.marks.high;
    for (unsigned n = 0; n < w.count; n++) {
        struct turn *t = &w.sources[n].turn;

        turn_leave(t);
        t->round = w.turns.round - 1;
        t->spare = -1;
        room = turns_room(&w.turns, t, w.queued);
        assert_int_equal(room, 0);
    }
    assert_int_equal(turns_room(&w.turns, &add(64)->turn, w.queued), TURNS_SPARE);
}

static void quanta_are_full_records(void **state)
{
    static const struct {
        size_t high, quantum;
    } rows[] = {{16777216, 131072}, {6000000, 32768}, {7000000, 49152}, {65536, 32768}};

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        set_up(NULL);
        w.turns.marks = (struct turns_marks){rows[i].high / 2, rows[i].high};
        for (unsigned n = 0; n < 64; n++)
            (void)add(ENDLESS);
        ticks(500, 200000);
        assert_int_equal(w.turns.quantum, rows[i].quantum);
    }
}

static void a_crowd_of_small_ones_is_bounded_above_the_mark(void **state)
{
    (void)state;
    (void)add(ENDLESS);
    ticks(5, 400000);
    ticks(5, 0);
    for (unsigned n = 1; n < STREAMS_MAX; n++)
        (void)add(1000000);
    ticks(50, 0);
    assert_true(w.queued <= w.marks.high + TURNS_SPARE_SUM + TURNS_SPARE);
    w.most_queued = 0;
    ticks(500, 100000);
    assert_true(w.most_queued <= w.marks.high + TURNS_SPARE_SUM + TURNS_SPARE);
}

/* Newcomers all the time, each with a whole quantum: the old ones have every other turn. */
static void newcomers_do_not_starve_the_old(void **state)
{
    struct source *old;

    (void)state;
    old = add(ENDLESS);
    (void)add(ENDLESS);
    while (w.count < STREAMS_MAX)
        (void)add(0);
    for (unsigned n = 0; n < 4000; n++) {
        for (unsigned i = 2; i < w.count; i++) {
            if (w.sources[i].backlog)
                continue;
            close_source(&w.sources[i]);
            open_source(&w.sources[i], 200000);
        }
        tick(100000);
    }
    assert_true(old->read > UINT64_C(4000) * 100000 / 200);
}

static void what_was_read_too_much_is_paid_back(void **state)
{
    struct source *a = add(ENDLESS);
    struct source *b = add(ENDLESS);

    (void)state;
    ticks(10, 100000);
    turns_charge(&w.turns, &a->turn, 700000);
    a->read += 700000;
    ticks(500, 100000);
    assert_true(a->read <= b->read + UINT64_C(2) * TURNS_QUANTUM_MAX);
    assert_true(b->read <= a->read + UINT64_C(2) * TURNS_QUANTUM_MAX);
}

static void a_pause_is_nobody_elses_business(void **state)
{
    struct source *paused;
    uint64_t least, most;

    (void)state;
    for (unsigned n = 0; n < 6; n++)
        (void)add(ENDLESS);
    ticks(100, 50000);
    paused = &w.sources[2]; /* its device takes none of it; it may stand in a line */
    paused->backlog = 0;
    list_remove(&paused->ready);
    ticks(1000, 50000);
    paused->read = w.sources[1].read;
    bring(paused, ENDLESS);
    ticks(1000, 50000);
    spread(&least, &most);
    assert_true(most - least <= UINT64_C(3) * TURNS_QUANTUM_MAX);
}

static void come_or_go(struct source *s)
{
    if (any(8) == 0) {
        close_source(s);
        open_source(s, any(100000));
    } else if (s->backlog == 0) {
        bring(s, any(2) ? any(300) : any(300000));
    }
}

/* Loads, rates, comings and goings at random: whoever has something is read, some time. */
static void nobody_is_forgotten(void **state)
{
    (void)state;
    for (unsigned run = 0; run < 200; run++) {
        size_t rate;

        set_up(NULL);
        w.seed = run * 7919 + 1;
        w.turns.marks.high = 65536U << any(6);
        w.turns.marks.low = w.turns.marks.high / (2 + any(3));
        rate = 1000U << any(12);
        for (unsigned n = 1 + any(STREAMS_MAX); n > 0; n--)
            (void)add(any(2) ? 1 + any(300) : 1 + any(3000000));
        for (unsigned n = 0; n < 300; n++) {
            come_or_go(&w.sources[any(w.count)]);
            tick(any(3) ? rate : 0);
            assert_true(w.queued <= w.turns.marks.high + TURNS_SPARE_SUM + TURNS_SPARE);
        }
        ticks(400000000 / (unsigned)rate + 200, rate);
        for (unsigned n = 0; n < w.count; n++)
            assert_int_equal(w.sources[n].backlog, 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(one_alone_reads_as_fast_as_the_device_takes),
        TEST(nobody_gets_ahead_by_more_than_two_quanta),
        TEST(shares_are_even_over_time),
        TEST(who_sends_little_never_waits),
        TEST(who_sends_now_and_then_waits_for_no_more_than_the_low_mark),
        TEST(who_reads_much_reads_no_crumbs_above_the_mark),
        TEST(quanta_are_full_records),
        TEST(a_crowd_of_small_ones_is_bounded_above_the_mark),
        TEST(newcomers_do_not_starve_the_old),
        TEST(what_was_read_too_much_is_paid_back),
        TEST(a_pause_is_nobody_elses_business),
        TEST(nobody_is_forgotten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
