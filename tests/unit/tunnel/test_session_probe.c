/* What becomes of a session whose name somebody else of its subject has claimed. */
#include "tunnel/session.h"

#include "rig.h"

static struct rig *rig;
static struct seat other; /* the device that has come back */

static int set_up(void **state)
{
    struct claim *c = claim_new_host(slice_text("a.example"), "subject");
    struct doubts doubts;

    (void)state;
    rig = rig_new(DIALECT_FIRST);
    other = (struct seat){.id = 8};
    seat_init(&other);
    registry_join(rig->setting.registry, &other);
    assert_int_equal(registry_claim(rig->setting.registry, &other, c), 0);
    registry_doubt(rig->setting.registry, c, rig->loop.now_ms, &doubts);
    assert_int_equal(doubts.count, 1);
    assert_int_equal(doubts.at[0].session_id, rig->session->seat.id);
    return 0;
}

static int tear_down(void **state)
{
    struct claim *c = LIST_OWNER(other.claims.next, struct claim, link);

    (void)state;
    registry_release(rig->setting.registry, c, 0);
    claim_free(c);
    registry_leave(rig->setting.registry, &other);
    rig_free(rig);
    return 0;
}

static uint64_t found(void)
{
    struct route route = {0};

    (void)registry_find(rig->setting.registry, slice_text("a.example"), &route);
    return route.session_id;
}

static bool is_doubted(void)
{
    return found() == other.id && found() == other.id;
}

/* Probes it, and waits until the device has been asked. */
static void probe(void)
{
    unsigned before = rig->pings;

    session_probe(rig->session);
    RIG_UNTIL(rig, rig->pings == before + 1);
}

static void answer(void)
{
    rig_say_raw(rig, WS_OP_PONG, &rig->session->pulse.probe, sizeof(rig->session->pulse.probe));
}

static void who_answers_is_trusted_again(void **state)
{
    (void)state;
    probe();
    assert_memory_equal(rig->ping, &rig->session->pulse.probe, sizeof(uint32_t));
    assert_true(is_doubted());
    answer();
    RIG_UNTIL(rig, !is_doubted());
    rig_wait(rig, 15000);
    assert_int_equal(rig->pings, 1);
    assert_non_null(rig->session);
}

static void who_does_not_is_dropped(void **state)
{
    (void)state;
    probe();
    rig_wait(rig, 900);
    assert_true(is_doubted());
    assert_non_null(rig->session);
    rig_wait(rig, 200);
    assert_null(rig->session);
    assert_string_equal(rig->end_why, "takeover");
    assert_int_equal(found(), other.id);
}

/* What a frozen program sent before it froze, say. */
static void other_words_put_off_the_end_and_not_the_doubt(void **state)
{
    (void)state;
    probe();
    for (int i = 0; i < 5; i++) {
        rig_wait(rig, 700);
        rig_say_raw(rig, i % 2 ? WS_OP_PONG : WS_OP_PING, NULL, 0);
        rig_turns(rig, 5);
        assert_true(is_doubted());
    }
    assert_non_null(rig->session);
    rig_wait(rig, 1100);
    assert_null(rig->session);
    assert_string_equal(rig->end_why, "takeover");
}

static void a_session_that_is_not_read_is_judged_when_it_is_read_again(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    uint8_t bytes[50000] = {0};

    (void)state;
    while (rig->session->blocked == 0)
        rig_say(rig, v->cid, "https", bytes, sizeof(bytes));
    session_probe(rig->session);
    answer(); /* which stands behind what is not read */
    rig_wait(rig, 12000);
    assert_int_equal(rig->session->blocked, 1);
    assert_int_equal(rig->pings, 1);
    assert_int_equal(rig->pongs, 2);
    assert_true(is_doubted());
    rig_leave(v);
    RIG_UNTIL(rig, !is_doubted());
    assert_int_equal(rig->session->blocked, 0);
    rig_wait(rig, 5000);
    assert_non_null(rig->session);
}

static void a_blocked_session_without_an_answer_ends_when_it_is_read_again(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    uint8_t bytes[50000] = {0};

    (void)state;
    session_probe(rig->session);
    while (rig->session->blocked == 0)
        rig_say(rig, v->cid, "https", bytes, sizeof(bytes));
    rig_wait(rig, 12000);
    assert_true(is_doubted());
    rig_leave(v);
    rig_wait(rig, 900);
    assert_non_null(rig->session);
    rig_wait(rig, 2000);
    assert_null(rig->session);
    assert_string_equal(rig->end_why, "takeover");
}

static void who_has_said_goodbye_is_not_asked(void **state)
{
    (void)state;
    (void)rig_visit_flowing(rig, STREAM_HTTPS);
    session_leave(rig->session, WS_CODE_GOING_AWAY, "test");
    session_probe(rig->session);
    RIG_UNTIL(rig, rig->close_code);
    assert_int_equal(rig->pings, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(who_answers_is_trusted_again),
        TEST(who_does_not_is_dropped),
        TEST(other_words_put_off_the_end_and_not_the_doubt),
        TEST(a_session_that_is_not_read_is_judged_when_it_is_read_again),
        TEST(a_blocked_session_without_an_answer_ends_when_it_is_read_again),
        TEST(who_has_said_goodbye_is_not_asked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
