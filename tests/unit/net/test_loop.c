#include "net/loop.h"

#include "base/clock.h"
#include "pump.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop loop;
static char story[64]; /* what has happened, a letter each */

static void tell(char what)
{
    size_t len = strlen(story);

    assert_true(len + 1 < sizeof(story));
    story[len] = what;
}

static int set_up(void **state)
{
    (void)state;
    memset(story, 0, sizeof(story));
    return loop_init(&loop, &loop);
}

static int tear_down(void **state)
{
    (void)state;
    loop_fini(&loop);
    loop_fini(&loop); /* as on a loop whose loop_init() failed */
    return 0;
}

struct tomb {
    struct grave grave;
    struct task task;
};

static void dig(struct grave *g)
{
    tell('g');
    free(LIST_OWNER(g, struct tomb, grave));
}

static void run_last(struct task *t)
{
    (void)t;
    tell('2');
}

static struct task second;

static void run_first(struct task *t)
{
    struct tomb *tomb = LIST_OWNER(t, struct tomb, task);

    tell('1');
    task_init(&second, run_last);
    loop_defer(&loop, &second);
    loop_defer(&loop, &second);
    loop_bury(&loop, &tomb->grave);
}

static void on_deadline(struct deadline *d)
{
    (void)d;
    tell('d');
}

static void on_readable(struct watch *w, unsigned ready)
{
    char byte;
    struct tomb *tomb = calloc(1, sizeof(*tomb));

    assert_true(ready & LOOP_READ);
    assert_int_equal(read(w->fd, &byte, 1), 1);
    tell('r');
    tomb->grave.free = dig;
    task_init(&tomb->task, run_first);
    loop_defer(&loop, &tomb->task);
}

static void open_parcel(struct parcel *p, void *receiver)
{
    (void)p;
    if (receiver)
        tell('p');
}

static void a_turn_opens_mail_reads_runs_deadlines_then_tasks_then_buries(void **state)
{
    int ends[2];
    struct watch w = {.on_ready = on_readable};
    struct parcel p = {.open = open_parcel};
    struct deadline d;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(loop_watch(&loop, &w, ends[0], LOOP_READ), 0);
    deadline_init(&d, on_deadline);
    list_init(&p.link);
    mailbox_send(&loop.mailbox, &p);
    loop_start_deadline(&loop, &d, 5);
    assert_int_equal(write(ends[1], "x", 1), 1);
    skip_ms(30);
    pump(&loop);
    assert_string_equal(story, "prd12g");
    pump(&loop);
    assert_string_equal(story, "prd12g");
    loop_unwatch(&loop, &w);
    assert_int_equal(w.fd, -1);
    loop_unwatch(&loop, &w);
    loop_set_interest(&loop, &w, LOOP_READ);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static struct watch pair[2];

static void unwatch_the_other(struct watch *w, unsigned ready)
{
    (void)ready;
    tell('u');
    loop_unwatch(&loop, w == &pair[0] ? &pair[1] : &pair[0]);
}

static void a_watch_that_was_dropped_earlier_in_the_turn_is_not_called(void **state)
{
    int ends[2][2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends[i]), 0);
        pair[i].on_ready = unwatch_the_other;
        assert_int_equal(loop_watch(&loop, &pair[i], ends[i][0], LOOP_READ), 0);
        assert_int_equal(write(ends[i][1], "x", 1), 1);
    }
    pump(&loop);
    assert_string_equal(story, "u");
    for (int i = 0; i < 2; i++) {
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
}

static void on_hangup(struct watch *w, unsigned ready)
{
    tell(ready & LOOP_HANGUP ? 'h' : ready & LOOP_WRITE ? 'w' : 'r');
    loop_unwatch(&loop, w);
}

static void interest_is_what_was_said_last_but_a_hangup_always_tells(void **state)
{
    int ends[2];
    struct watch w = {.on_ready = on_hangup};

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(loop_watch(&loop, &w, ends[0], 0), 0);
    pump(&loop);
    assert_string_equal(story, "");
    loop_set_interest(&loop, &w, LOOP_WRITE);
    pump(&loop);
    assert_string_equal(story, "w");
    assert_int_equal(loop_watch(&loop, &w, ends[0], 0), 0);
    (void)close(ends[1]);
    pump(&loop);
    assert_string_equal(story, "wh");
    assert_int_equal(loop_watch(&loop, &w, -1, LOOP_READ), -EBADF);
    (void)close(ends[0]);
}

static void a_cancelled_task_does_not_run(void **state)
{
    (void)state;
    task_init(&second, run_last);
    loop_defer(&loop, &second);
    task_cancel(&second);
    task_cancel(&second);
    pump(&loop);
    assert_string_equal(story, "");
}

static void stop_now(struct task *t)
{
    (void)t;
    tell('s');
    loop_stop(&loop);
}

/* What is asked for before the loop runs must not wait for the first stranger's event. */
static void work_that_waits_keeps_the_loop_from_sleeping(void **state)
{
    struct task t;

    (void)state;
    task_init(&t, stop_now);
    loop_defer(&loop, &t);
    alarm(20);
    loop_run(&loop);
    alarm(0);
    assert_string_equal(story, "s");
}

static void open_and_stop(struct parcel *p, void *receiver)
{
    (void)p;
    if (receiver)
        loop_stop(receiver);
}

static struct parcel wake;

static void *send_wake(void *arg)
{
    (void)arg;
    (void)poll(NULL, 0, 20);
    mailbox_send(&loop.mailbox, &wake);
    return NULL;
}

static void a_parcel_wakes_a_loop_that_sleeps(void **state)
{
    pthread_t thread;

    (void)state;
    wake.open = open_and_stop;
    list_init(&wake.link);
    assert_int_equal(pthread_create(&thread, NULL, send_wake, NULL), 0);
    alarm(20);
    loop_run(&loop);
    alarm(0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void the_scratch_has_headroom_that_may_be_written(void **state)
{
    (void)state;
    memset(loop.plain - LOOP_HEADROOM, 1, LOOP_HEADROOM + LOOP_PLAIN_BYTES);
    memset(loop.cipher, 1, LOOP_CIPHER_BYTES);
}

#define BUSY 40U

static struct watch busy[BUSY];
static unsigned calls[BUSY];

static void take_long(struct watch *w, unsigned ready)
{
    int64_t until = clock_now_ns() + 200000;

    (void)ready;
    calls[w - busy]++;
    while (clock_now_ns() < until)
        ;
}

/* 40 times 0.2 ms are too long for one turn; what is left over comes first in the next. */
static void long_turns_are_cut_and_nobody_is_left_out(void **state)
{
    int ends[BUSY][2];
    unsigned least = UINT_MAX, most = 0;

    (void)state;
    for (unsigned i = 0; i < BUSY; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends[i]), 0);
        busy[i].on_ready = take_long;
        assert_int_equal(loop_watch(&loop, &busy[i], ends[i][0], LOOP_READ), 0);
        assert_int_equal(write(ends[i][1], "x", 1), 1);
    }
    for (unsigned turns = 0; turns < 30; turns++) {
        pump(&loop);
        assert_true(loop.pace.events < BUSY);
    }
    for (unsigned i = 0; i < BUSY; i++) {
        least = calls[i] < least ? calls[i] : least;
        most = calls[i] > most ? calls[i] : most;
        loop_unwatch(&loop, &busy[i]);
        (void)close(ends[i][0]);
        (void)close(ends[i][1]);
    }
    assert_true(least >= 3);
    assert_true(most - least <= 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_turn_opens_mail_reads_runs_deadlines_then_tasks_then_buries),
        TEST(a_watch_that_was_dropped_earlier_in_the_turn_is_not_called),
        TEST(interest_is_what_was_said_last_but_a_hangup_always_tells),
        TEST(a_cancelled_task_does_not_run),
        TEST(work_that_waits_keeps_the_loop_from_sleeping),
        TEST(a_parcel_wakes_a_loop_that_sleeps),
        TEST(the_scratch_has_headroom_that_may_be_written),
        TEST(long_turns_are_cut_and_nobody_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
