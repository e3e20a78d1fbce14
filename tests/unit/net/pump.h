/* pump.h - turns a loop by hand, so that a test needs no thread and no sleep.
 *
 * Time stands still but for what skip_ms() adds, and while pump_until() waits: a busy machine
 * changes nothing.  Link with --wrap=clock_now_ms.
 */
#ifndef RVPN_TESTS_UNIT_NET_PUMP_H
#define RVPN_TESTS_UNIT_NET_PUMP_H

#include "net/loop.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define PUMP_MS 20000 /* how long anything may take on a busy machine */

static int64_t skipped_ms;

int64_t __real_clock_now_ms(void);
int64_t __wrap_clock_now_ms(void);

int64_t __wrap_clock_now_ms(void)
{
    return 1000000 + skipped_ms;
}

static inline void skip_ms(int64_t by)
{
    skipped_ms += by;
}

static void open_stopper(struct parcel *p, void *receiver)
{
    (void)p;
    if (receiver)
        loop_stop(receiver);
}

/* One turn, without waiting.  The loop's receiver is the loop. */
static inline void pump(struct loop *l)
{
    struct parcel stopper = {.open = open_stopper};

    list_init(&stopper.link);
    mailbox_send(&l->mailbox, &stopper);
    l->state = LOOP_RUNNING;
    loop_run(l);
}

static inline void pump_times(struct loop *l, unsigned turns)
{
    while (turns--)
        pump(l);
}

/* After some turns in vain: a moment for the kernel, in which the loop's time passes too. */
static inline void pump_patiently(unsigned turns)
{
    if (turns > 20) {
        (void)poll(NULL, 0, 1);
        skip_ms(1);
    }
}

/* Turns until `done`; fails the test when that takes too long. */
static inline void pump_until(struct loop *l, bool (*done)(void *arg), void *arg)
{
    int64_t give_up = __real_clock_now_ms() + PUMP_MS;

    for (unsigned turns = 0; !done(arg); turns++) {
        pump(l);
        pump_patiently(turns);
        assert_true(__real_clock_now_ms() < give_up);
    }
}

#endif
