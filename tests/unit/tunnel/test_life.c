#include "tunnel/life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>

enum event {
    EVENT_VISITOR_EOF,
    EVENT_VISITOR_LOST,
    EVENT_DEVICE_END,
    EVENT_DEVICE_ERROR,
    EVENT_TUNNEL_LOST,
    EVENT_STOP,
    EVENT_QUIET,
    EVENT_LINGER_OVER,
    EVENT_DRAINED,
    EVENT_BYTES_SENT,   /* from the device, and the visitor's socket took them all */
    EVENT_BYTES_QUEUED, /* from the device, and some had to wait */
    EVENTS
};

static const char *const event_name[EVENTS] = {
    "visitor_eof", "visitor_lost", "device_end", "device_error", "tunnel_lost",  "stop",
    "quiet",       "linger_over",  "drained",    "bytes_sent",   "bytes_queued",
};

/* What ended the device's answer, the first that came. */
enum cause { CAUSE_NONE, CAUSE_END, CAUSE_CUT_UNBEGUN, CAUSE_CUT };

/* One stream with all that surrounds it, as its owner would see it. */
struct world {
    struct life life;
    enum life_answer answer;
    enum cause cause;
    bool device_over; /* it has ended, failed or gone: there is nobody to tell */
    bool tunnel_lost;
    bool visitor_eof;
    bool visitor_lost;
    bool quiet_runs;
    bool linger_runs;
    int told; /* ends and errors sent to the device */
    int shuts;
    int resets;
    bool freed;
};

static unsigned pass_on(struct world *w, enum event event)
{
    switch (event) {
    case EVENT_VISITOR_EOF: return life_on_visitor_eof(&w->life);
    case EVENT_VISITOR_LOST: return life_on_visitor_lost(&w->life);
    case EVENT_DEVICE_END: return life_on_device_end(&w->life, w->answer);
    case EVENT_DEVICE_ERROR: return life_on_device_error(&w->life, w->answer);
    case EVENT_TUNNEL_LOST: return life_on_tunnel_lost(&w->life, w->answer);
    case EVENT_STOP: return life_on_stop(&w->life, w->answer);
    case EVENT_QUIET: return life_on_quiet(&w->life, w->answer);
    case EVENT_LINGER_OVER: return life_on_linger_over(&w->life);
    case EVENT_DRAINED: return life_on_drained(&w->life);
    case EVENT_BYTES_SENT:
    case EVENT_BYTES_QUEUED:
    case EVENTS: break;
    }
    return 0;
}

/* Whether the world could bring `event` about now. */
static bool may_come(const struct world *w, enum event event)
{
    bool from_device =
        event == EVENT_DEVICE_END || event == EVENT_DEVICE_ERROR || event == EVENT_TUNNEL_LOST;
    bool bytes = event == EVENT_BYTES_SENT || event == EVENT_BYTES_QUEUED;

    if (from_device)
        return !w->tunnel_lost;
    if (bytes) /* the mux drops those of a stream that has ended */
        return !w->device_over && !w->told &&
               (event == EVENT_BYTES_QUEUED || w->answer != LIFE_ANSWER_QUEUED);
    return true;
}

static void note_cause(struct world *w, enum event event)
{
    if (w->cause != CAUSE_NONE)
        return;
    if (event == EVENT_DEVICE_END)
        w->cause = CAUSE_END;
    if (event == EVENT_DEVICE_ERROR || event == EVENT_TUNNEL_LOST || event == EVENT_STOP)
        w->cause = w->answer == LIFE_ANSWER_NONE ? CAUSE_CUT_UNBEGUN : CAUSE_CUT;
}

/* What `event` itself says, before anything is done about it. */
static void note_event(struct world *w, enum event event)
{
    note_cause(w, event);
    w->device_over |=
        event == EVENT_DEVICE_END || event == EVENT_DEVICE_ERROR || event == EVENT_TUNNEL_LOST;
    w->tunnel_lost |= event == EVENT_TUNNEL_LOST;
    w->visitor_eof |= event == EVENT_VISITOR_EOF;
    w->visitor_lost |= event == EVENT_VISITOR_LOST;
    if (event == EVENT_BYTES_QUEUED)
        w->answer = LIFE_ANSWER_QUEUED;
    if (event == EVENT_BYTES_SENT || (event == EVENT_DRAINED && w->answer == LIFE_ANSWER_QUEUED))
        w->answer = LIFE_ANSWER_SENT;
    if (event == EVENT_QUIET)
        w->quiet_runs = false;
    if (event == EVENT_LINGER_OVER)
        w->linger_runs = false;
}

static void note_due(struct world *w, unsigned due)
{
    w->told += !!(due & LIFE_SEND_END) + !!(due & LIFE_SEND_ERROR);
    w->shuts += !!(due & LIFE_SHUT_VISITOR);
    w->resets += !!(due & LIFE_RESET_VISITOR);
    w->quiet_runs |= !!(due & LIFE_START_QUIET);
    w->linger_runs |= !!(due & LIFE_START_LINGER);
    w->freed |= !!(due & LIFE_FREE);
}

/* Each returns the rule that is broken, or NULL. */
static const char *broken_to_device(const struct world *w, enum event event, unsigned due)
{
    if (w->told > 1)
        return "the device is told of the end once";
    if ((due & (LIFE_SEND_END | LIFE_SEND_ERROR)) && w->device_over)
        return "nothing is said to a device that has ended or gone";
    if ((due & LIFE_SEND_END) && event != EVENT_QUIET && event != EVENT_STOP)
        return "only quiet and stop become an end";
    if ((due & LIFE_SEND_ERROR) && event != EVENT_VISITOR_LOST)
        return "only a lost visitor becomes an error";
    if (w->freed && !w->told && !w->device_over)
        return "no stream is freed behind the device's back";
    return NULL;
}

static const char *broken_to_visitor(const struct world *w, unsigned due)
{
    bool last_word = due & (LIFE_SHUT_VISITOR | LIFE_RESET_VISITOR);

    if (w->shuts + w->resets > 1)
        return "the visitor gets one last word";
    if (last_word && w->answer == LIFE_ANSWER_QUEUED)
        return "the last word comes behind the last queued byte";
    if (w->resets && w->cause != CAUSE_CUT)
        return "only a cut answer ends in a reset";
    if (w->shuts && w->cause == CAUSE_CUT)
        return "a cut answer does not look whole";
    if (w->freed && !w->visitor_lost && w->shuts + w->resets != 1)
        return "no visitor is closed without a last word";
    if (w->freed && !w->visitor_lost && w->answer == LIFE_ANSWER_QUEUED)
        return "no queued byte is dropped while the visitor is there";
    return NULL;
}

static const char *broken_timer(const struct world *w, unsigned due)
{
    if ((due & LIFE_START_LINGER) && (!(due & LIFE_SHUT_VISITOR) || w->visitor_eof))
        return "the linger follows the FIN, if the visitor may still send";
    if ((due & LIFE_START_QUIET) && (!w->visitor_eof || w->device_over || w->told))
        return "the quiet timer runs for a half-closed visitor only";
    if ((due & LIFE_FREE) && (due & (LIFE_START_LINGER | LIFE_START_QUIET)))
        return "no timer is started on a freed stream";
    if (!w->freed && w->visitor_eof && w->cause == CAUSE_NONE && !w->quiet_runs)
        return "a half-closed stream has its timer running";
    if (!w->freed && w->shuts && !w->linger_runs)
        return "a stream that was shut has its timer running";
    return NULL;
}

/* Lets `event` happen.  Returns the rule that is broken, or NULL. */
static const char *happen(struct world *w, enum event event)
{
    const char *broken;
    unsigned due;

    note_event(w, event);
    due = pass_on(w, event);
    note_due(w, due);
    if (w->freed != (w->life.state == LIFE_GONE))
        return "gone is freed, and freed is gone";
    broken = broken_to_device(w, event, due);
    if (!broken)
        broken = broken_to_visitor(w, due);
    return broken ? broken : broken_timer(w, due);
}

/* From wherever it is, a stream must come to its end in each of these ways. */
static const enum event endings[][4] = {
    {EVENT_VISITOR_LOST, EVENTS},
    {EVENT_TUNNEL_LOST, EVENT_DRAINED, EVENT_LINGER_OVER, EVENTS},
    {EVENT_STOP, EVENT_DRAINED, EVENT_LINGER_OVER, EVENTS},
    {EVENT_VISITOR_EOF, EVENT_DRAINED, EVENT_QUIET, EVENTS},
    {EVENT_DEVICE_END, EVENT_DRAINED, EVENT_VISITOR_EOF, EVENTS},
};

static const char *broken_ending(const struct world *from)
{
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        struct world w = *from;

        for (const enum event *e = endings[i]; *e != EVENTS && !w.freed; e++) {
            const char *broken = may_come(&w, *e) ? happen(&w, *e) : NULL;

            if (broken)
                return broken;
        }
        if (!w.freed && !(w.tunnel_lost && endings[i][0] == EVENT_DEVICE_END))
            return "every stream comes to its end";
    }
    return NULL;
}

#define DEPTH 7

static enum event path[DEPTH];
static unsigned long tried;

static void fail_with(const char *broken, int len)
{
    for (int i = 0; i < len; i++)
        print_error("%s ", event_name[path[i]]);
    print_error("\n");
    fail_msg("broken: %s", broken);
}

static void try_all(const struct world *from, int at)
{
    const char *broken = broken_ending(from);

    if (broken)
        fail_with(broken, at);
    for (unsigned e = 0; at < DEPTH && e < EVENTS; e++) {
        struct world w = *from;

        if (!may_come(from, (enum event)e))
            continue;
        path[at] = (enum event)e;
        tried++;
        broken = happen(&w, (enum event)e);
        if (broken)
            fail_with(broken, at + 1);
        if (!w.freed)
            try_all(&w, at + 1);
    }
}

static void no_sequence_of_seven_events_breaks_a_rule(void **state)
{
    struct world w = {0};

    (void)state;
    tried = 0;
    try_all(&w, 0);
    print_message("%lu sequences\n", tried);
    assert_true(tried > 100000);
}

static void a_visitors_fin_waits_for_the_answer_and_then_both_are_closed(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_visitor_eof(&l), LIFE_START_QUIET);
    assert_int_equal(life_on_quiet(&l, LIFE_ANSWER_QUEUED), LIFE_START_QUIET);
    assert_int_equal(life_on_device_end(&l, LIFE_ANSWER_SENT), LIFE_SHUT_VISITOR | LIFE_FREE);
}

static void a_fin_that_stays_unanswered_becomes_an_end(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_visitor_eof(&l), LIFE_START_QUIET);
    assert_int_equal(life_on_quiet(&l, LIFE_ANSWER_NONE),
                     LIFE_SEND_END | LIFE_SHUT_VISITOR | LIFE_FREE);
}

static void a_devices_end_becomes_a_fin_after_the_last_queued_byte_not_before(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_device_end(&l, LIFE_ANSWER_QUEUED), 0);
    assert_int_equal(life_on_drained(&l), LIFE_SHUT_VISITOR | LIFE_START_LINGER);
    assert_int_equal(life_on_linger_over(&l), LIFE_FREE);
}

static void an_answer_cut_by_the_device_ends_in_a_reset_after_its_queued_bytes(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_device_error(&l, LIFE_ANSWER_QUEUED), 0);
    assert_int_equal(life_on_visitor_eof(&l), 0);
    assert_int_equal(life_on_drained(&l), LIFE_RESET_VISITOR | LIFE_FREE);
}

static void an_error_before_any_answer_is_a_plain_close(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_device_error(&l, LIFE_ANSWER_NONE),
                     LIFE_SHUT_VISITOR | LIFE_START_LINGER);
    assert_int_equal(life_on_visitor_lost(&l), LIFE_FREE);
}

static void a_whole_answer_survives_the_loss_of_its_tunnel(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_device_end(&l, LIFE_ANSWER_QUEUED), 0);
    assert_int_equal(life_on_tunnel_lost(&l, LIFE_ANSWER_QUEUED), 0);
    assert_int_equal(life_on_drained(&l), LIFE_SHUT_VISITOR | LIFE_START_LINGER);
    assert_int_equal(life_on_visitor_eof(&l), LIFE_FREE);
}

static void a_lost_visitor_is_an_error_to_a_live_device_and_nothing_to_one_that_ended(void **state)
{
    struct life live = {0}, ended = {0};

    (void)state;
    assert_int_equal(life_on_visitor_lost(&live), LIFE_SEND_ERROR | LIFE_FREE);
    assert_int_equal(life_on_device_end(&ended, LIFE_ANSWER_QUEUED), 0);
    assert_int_equal(life_on_visitor_lost(&ended), LIFE_FREE);
}

static void
a_stop_ends_the_stream_at_both_ends_and_the_devices_late_end_changes_nothing(void **state)
{
    struct life l = {0};

    (void)state;
    assert_int_equal(life_on_stop(&l, LIFE_ANSWER_QUEUED), LIFE_SEND_END);
    assert_int_equal(life_on_device_end(&l, LIFE_ANSWER_QUEUED), 0);
    assert_int_equal(life_on_drained(&l), LIFE_RESET_VISITOR | LIFE_FREE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_sequence_of_seven_events_breaks_a_rule),
        cmocka_unit_test(a_visitors_fin_waits_for_the_answer_and_then_both_are_closed),
        cmocka_unit_test(a_fin_that_stays_unanswered_becomes_an_end),
        cmocka_unit_test(a_devices_end_becomes_a_fin_after_the_last_queued_byte_not_before),
        cmocka_unit_test(an_answer_cut_by_the_device_ends_in_a_reset_after_its_queued_bytes),
        cmocka_unit_test(an_error_before_any_answer_is_a_plain_close),
        cmocka_unit_test(a_whole_answer_survives_the_loss_of_its_tunnel),
        cmocka_unit_test(a_lost_visitor_is_an_error_to_a_live_device_and_nothing_to_one_that_ended),
        cmocka_unit_test(
            a_stop_ends_the_stream_at_both_ends_and_the_devices_late_end_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
