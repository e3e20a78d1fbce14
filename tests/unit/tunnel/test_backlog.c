#include "tunnel/backlog.h"

#include "rig.h"

#define BULK 8000000U

static struct rig *rig;

static int set_up(void **state)
{
    (void)state;
    rig = rig_new(DIALECT_CONTROL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_free(rig);
    return 0;
}

/* Instead of the device that set_up() made. */
static void use_dialect(enum dialect dialect)
{
    rig_free(rig);
    rig = rig_new(dialect);
}

static void a_slow_visitor_pauses_its_stream_and_resumes_it(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    size_t at = 0;

    (void)state;
    while (rig_count(rig, MPROXY_PAUSE, v->cid) == 0) {
        rig_say_bulk(rig, v, at, 60000);
        at += 60000;
        rig_turn(rig);
        assert_true(at < BULK);
    }
    assert_true(at > 1000000 && at < 2000000);
    assert_true(rig->frames[rig->frame_count - 1].body_len > 0); /* crashes 0.20 if empty */
    rig_turns(rig, 20);
    assert_int_equal(rig_count(rig, MPROXY_RESUME, v->cid), 0);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_RESUME, v->cid) == 1);
    RIG_UNTIL(rig, v->in.len == at + 5);
    wire_check(v->in.bytes + 5, at, 0);
    assert_int_equal(rig_count(rig, MPROXY_PAUSE, v->cid), 1);
    assert_int_equal(rig->session->blocked, 0);
}

/* Sends until the tunnel is not read any more; returns how much. */
static size_t block(const struct rig_visitor *v)
{
    size_t at = 0;

    while (rig->session->blocked == 0) {
        rig_say_bulk(rig, v, at, 60000);
        at += 60000;
        rig_turn(rig);
        assert_true(at < BULK);
    }
    return at;
}

static void a_device_that_cannot_pause_is_not_read_meanwhile(void **state)
{
    struct rig_visitor *v, *other;
    size_t at;

    (void)state;
    use_dialect(DIALECT_FIRST);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    other = rig_visit_flowing(rig, STREAM_HTTPS);
    at = block(v);
    assert_true(at > 3000000 && at < 4000000);
    assert_int_equal(rig->session->mux.dialect, DIALECT_FIRST);
    rig_say_data(rig, other, "late");
    rig_turns(rig, 20);
    wire_read(&other->in);
    assert_int_equal(other->in.len, 5);
    assert_int_equal(rig_count(rig, MPROXY_PAUSE, NULL), 0);
    RIG_UNTIL(rig, v->in.len == at + 5 && other->in.len == 9);
    wire_check(v->in.bytes + 5, at, 0);
    assert_int_equal(rig->session->blocked, 0);
    assert_int_equal(rig_count(rig, MPROXY_RESUME, NULL), 0);
}

/* Sends to all visitors in turn, until the device is asked to pause or is not read. */
static void say_bulk_to_all(struct rig_visitor *const v[], unsigned count)
{
    for (size_t at = 0; at < BULK; at += 20000)
        for (unsigned i = 0; i < count; i++) {
            if (rig->session->blocked || rig_count(rig, MPROXY_PAUSE, NULL))
                return;
            rig_say_bulk(rig, v[i], at, 20000);
            rig_turns(rig, 3);
        }
}

static void many_slow_visitors_of_a_tunnel_may_have_less_each(void **state)
{
    struct rig_visitor *v[6];

    (void)state;
    rig->setting.limits.backlog = 1000000;
    for (unsigned i = 0; i < 6; i++)
        v[i] = rig_visit_flowing(rig, STREAM_HTTPS);
    say_bulk_to_all(v, 6);
    assert_int_equal(rig_count(rig, MPROXY_PAUSE, NULL), 6);
    assert_true(rig->session->backlog.bytes < 1100000);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_RESUME, NULL) == 6 && !rig->session->backlog.bytes);
    assert_int_equal(rig->session->backlog.level, SUPPLY_AMPLE);
    assert_int_equal(rig->session->blocked, 0);
}

static void and_whose_device_cannot_pause_is_not_read_sooner(void **state)
{
    struct rig_visitor *v[6];

    (void)state;
    use_dialect(DIALECT_FIRST);
    rig->setting.limits.backlog = 1000000;
    for (unsigned i = 0; i < 6; i++)
        v[i] = rig_visit_flowing(rig, STREAM_HTTPS);
    say_bulk_to_all(v, 6);
    assert_true(rig->session->blocked > 0);
    assert_true(rig->session->backlog.bytes > 2000000 && rig->session->backlog.bytes < 2500000);
    for (unsigned i = 0; i < 6; i++)
        assert_true(conn_queued(v[i]->stream->visitor) < 1000000);
    wire_reset(v[0]->fd); /* one that leaves is not waited for */
    v[0]->fd = -1;
    RIG_UNTIL(rig, rig->session->blocked == 0 && rig->session->backlog.bytes == 0);
}

static void the_loss_of_a_blocking_visitor_unblocks(void **state)
{
    struct rig_visitor *v, *other;

    (void)state;
    use_dialect(DIALECT_FIRST);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    other = rig_visit_flowing(rig, STREAM_HTTPS);
    (void)block(v);
    rig_say_data(rig, other, "late");
    wire_reset(v->fd);
    v->fd = -1;
    RIG_UNTIL(rig, other->in.len == 9);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_ERROR, v->cid) == 1);
    assert_int_equal(rig->session->blocked, 0);
}

static void the_end_of_a_blocking_stream_unblocks_and_is_delivered(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    size_t at;

    (void)state;
    rig->setting.limits.stream.hard = 1000000;
    rig->setting.limits.stream.high = 500000;
    at = block(v);
    rig_say(rig, v->cid, "end", " ", 1);
    RIG_UNTIL(rig, v->in.end == WIRE_EOF);
    assert_int_equal(v->in.len, at + 5);
    assert_int_equal(rig->session->blocked, 0);
}

static void a_stream_that_we_end_holds_up_nobody_and_is_delivered(void **state)
{
    struct rig_visitor *v;
    size_t at;

    (void)state;
    use_dialect(DIALECT_FIRST);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    at = block(v);
    assert_int_equal(session_drop_grant(rig->session, "t1", __wrap_clock_unix()), 0);
    assert_int_equal(rig->session->blocked, 0);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_true(v->in.len <= at + 5);
}

static void what_waits_behind_the_end_of_a_stream_counts_too(void **state)
{
    struct rig_visitor *v[6];

    (void)state;
    rig->setting.limits.backlog = 1000000;
    for (unsigned i = 0; i < 6; i++)
        v[i] = rig_visit_flowing(rig, STREAM_HTTPS);
    for (unsigned i = 0; i < 5; i++) {
        rig_say_bulk(rig, v[i], 0, 400000);
        rig_say(rig, v[i]->cid, "end", " ", 1);
        rig_turns(rig, 10);
    }
    assert_true(rig->session->backlog.bytes > 1000000);
    rig_say_bulk(rig, v[5], 0, 200000);
    rig_turns(rig, 10);
    assert_int_equal(rig_count(rig, MPROXY_PAUSE, v[5]->cid), 1);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_RESUME, v[5]->cid) == 1 && !rig->session->backlog.bytes);
    for (unsigned i = 0; i < 5; i++)
        RIG_UNTIL(rig, v[i]->in.end == WIRE_EOF && v[i]->in.len == 400005);
}

static void a_visitor_that_takes_nothing_is_given_up(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say_bulk(rig, v, 0, 700000);
    rig_turns(rig, 50);
    for (int i = 0; i < 6; i++) { /* that the device goes on is not the visitor's merit */
        assert_int_equal(rig_count(rig, MPROXY_ERROR, v->cid), 0);
        rig_wait(rig, 9900);
        rig_say_data(rig, v, "x");
        rig_turn(rig);
    }
    rig_wait(rig, 1000);
    assert_int_equal(rig_count(rig, MPROXY_ERROR, v->cid), 1);
    assert_int_equal(rig->session->stream_count, 0);
}

static void take_a_little(struct rig_visitor *v)
{
    size_t queued = conn_queued(v->stream->visitor);
    uint8_t bytes[30000];

    while (conn_queued(v->stream->visitor) == queued) {
        (void)recv(v->fd, bytes, sizeof(bytes), 0);
        rig_turn(rig);
    }
}

static void a_visitor_that_takes_a_little_is_not(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say_bulk(rig, v, 0, 900000);
    rig_turns(rig, 50);
    for (int i = 0; i < 4; i++) {
        for (int seconds = 0; seconds < 50; seconds += 10) {
            rig_wait(rig, 10000);
            rig_say_raw(rig, WS_OP_PONG, NULL, 0); /* the device lives */
        }
        take_a_little(v);
    }
    assert_int_equal(rig->session->stream_count, 1);
}

static void a_visitor_that_holds_up_its_tunnel_must_take_more(void **state)
{
    struct rig_visitor *v, *other;

    (void)state;
    use_dialect(DIALECT_FIRST);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    other = rig_visit_flowing(rig, STREAM_HTTPS);
    (void)block(v);
    rig_say_data(rig, other, "late");
    rig_wait(rig, 50000);
    take_a_little(v);
    assert_int_equal(rig->session->blocked, 1);
    rig_wait(rig, 9000);
    assert_int_equal(rig->session->blocked, 1);
    rig_wait(rig, 1100);
    assert_int_equal(rig->session->blocked, 0);
    assert_int_equal(rig->session->stream_count, 1);
    RIG_UNTIL(rig, other->in.len == 9);
}

static void one_that_takes_enough_may_hold_it_up(void **state)
{
    struct rig_visitor *v;
    size_t queued;

    (void)state;
    use_dialect(DIALECT_FIRST);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    (void)block(v);
    for (int i = 0; i < 4; i++) {
        rig_wait(rig, 50000);
        assert_int_equal(rig->session->blocked, 1);
        queued = conn_queued(v->stream->visitor);
        while (queued - conn_queued(v->stream->visitor) < rig->setting.limits.stream.low)
            take_a_little(v);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_slow_visitor_pauses_its_stream_and_resumes_it),
        TEST(a_device_that_cannot_pause_is_not_read_meanwhile),
        TEST(many_slow_visitors_of_a_tunnel_may_have_less_each),
        TEST(and_whose_device_cannot_pause_is_not_read_sooner),
        TEST(the_loss_of_a_blocking_visitor_unblocks),
        TEST(the_end_of_a_blocking_stream_unblocks_and_is_delivered),
        TEST(a_stream_that_we_end_holds_up_nobody_and_is_delivered),
        TEST(what_waits_behind_the_end_of_a_stream_counts_too),
        TEST(a_visitor_that_takes_nothing_is_given_up),
        TEST(a_visitor_that_takes_a_little_is_not),
        TEST(a_visitor_that_holds_up_its_tunnel_must_take_more),
        TEST(one_that_takes_enough_may_hold_it_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
