#include "tunnel/stream.h"

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

static void the_first_frame_says_where_to(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);
    const struct rig_frame *f = &rig->frames[0];

    (void)state;
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    assert_int_equal(f->kind, MPROXY_DATA);
    assert_string_equal(f->cid, "IPv4,9.8.7.6,1000");
    assert_string_equal(f->service, "https");
    assert_string_equal(f->port, "443");
    assert_string_equal(f->name, "a.example");
    v = rig_visit(rig, STREAM_TCP);
    wire_text(v->fd, "x");
    RIG_UNTIL(rig, v->heard_len == 1);
    assert_string_equal(rig->frames[1].service, "tcp");
    assert_string_equal(rig->frames[1].port, "30001");
    assert_string_equal(rig->frames[1].name, "");
}

static void the_first_frame_is_alone_until_it_is_answered(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    wire_text(v->fd, " there");
    rig_wait(rig, 90);
    assert_int_equal(v->heard_len, 5);
    rig_say_data(rig, v, "yes?");
    RIG_UNTIL(rig, v->heard_len == 11);
    assert_memory_equal(v->heard, "hello there", 11);
    assert_int_equal(rig->frame_count, 2);
    assert_int_equal(rig->frames[1].message, rig->frames[0].message + 1);
    RIG_UNTIL(rig, v->in.len == 4);
    wire_text(v->fd, "!"); /* from here on all flows */
    RIG_UNTIL(rig, v->heard_len == 12);
}

static void or_for_a_tenth_of_a_second(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    wire_text(v->fd, " there");
    rig_wait(rig, 90);
    assert_int_equal(v->heard_len, 5);
    rig_wait(rig, 30);
    RIG_UNTIL(rig, v->heard_len == 11);
}

static void that_time_does_not_run_while_it_waits_behind_others(void **state)
{
    struct rig_visitor *a = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *b = rig_visit(rig, STREAM_HTTPS);
    static uint8_t bytes[BULK];

    (void)state;
    while (conn_queued(rig->session->conn) < 65536) { /* the device does not read */
        (void)send(a->fd, bytes, 65536, MSG_NOSIGNAL);
        pump(&rig->loop);
    }
    wire_text(b->fd, "hello");
    for (int i = 0; i < 30; i++) {
        skip_ms(10);
        pump(&rig->loop);
    }
    wire_text(b->fd, " there");
    for (int i = 0; i < 5; i++)
        pump(&rig->loop);
    RIG_UNTIL(rig, b->heard_len > 0);
    assert_int_equal(b->heard_len, 5);
    RIG_UNTIL(rig, b->heard_len == 11);
}

static void a_device_that_needs_no_pause_gets_none(void **state)
{
    struct rig_visitor *v;

    (void)state;
    use_dialect(DIALECT_GO);
    v = rig_visit(rig, STREAM_HTTPS);
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    wire_text(v->fd, " there");
    RIG_UNTIL(rig, v->heard_len == 11);
}

static void the_end_is_held_back_behind_a_lone_first_frame(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    wire_reset(v->fd);
    v->fd = -1;
    rig_wait(rig, 90);
    assert_int_equal(rig_count(rig, MPROXY_ERROR, v->cid), 0);
    rig_wait(rig, 30);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_ERROR, v->cid) == 1);
    assert_int_equal(rig->session->stream_count, 0);
    assert_int_equal(rig->frames[1].body_len, 1);
}

/* To these devices END closes both ways: they would drop the answer. */
static void a_visitors_end_is_not_told_before_the_device_is_quiet(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "?");
    RIG_UNTIL(rig, v->heard_len == 6);
    (void)shutdown(v->fd, SHUT_WR);
    rig_wait(rig, 29000);
    assert_int_equal(rig_count(rig, MPROXY_END, v->cid), 0);
    rig_say_data(rig, v, " is round");
    RIG_UNTIL(rig, v->in.len == 14);
    rig_wait(rig, 29000); /* the answer pauses */
    rig_say_data(rig, v, "ish");
    RIG_UNTIL(rig, v->in.len == 17);
    rig_wait(rig, 29000);
    assert_int_equal(rig_count(rig, MPROXY_END, v->cid), 0);
    rig_say_raw(rig, WS_OP_PONG, NULL, 0);
    rig_wait(rig, 1100);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_END, v->cid) == 1);
    RIG_UNTIL(rig, v->in.end == WIRE_EOF);
    assert_int_equal(v->in.len, 17);
}

static void on_a_busy_tunnel_a_device_that_has_answered_is_quiet_sooner(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *asked = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    while (rig->session->stream_count <= 64)
        (void)rig_visit(rig, STREAM_HTTPS);
    wire_text(asked->fd, "?");
    RIG_UNTIL(rig, asked->heard_len == 6);
    (void)shutdown(asked->fd, SHUT_WR);
    (void)shutdown(v->fd, SHUT_WR);
    rig_wait(rig, 4800);
    assert_int_equal(rig_count(rig, MPROXY_END, NULL), 0);
    rig_wait(rig, 300);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_END, v->cid) == 1);
    rig_wait(rig, 10000);
    assert_int_equal(rig_count(rig, MPROXY_END, asked->cid), 0);
}

static void a_visitor_that_ends_while_alone_may_still_be_answered(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "hello");
    (void)shutdown(v->fd, SHUT_WR);
    RIG_UNTIL(rig, v->heard_len == 5);
    rig_wait(rig, 20000);
    rig_say_data(rig, v, "world");
    rig_say(rig, v->cid, "end", " ", 1);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(v->in.end, WIRE_EOF);
    assert_int_equal(v->in.len, 5);
    assert_int_equal(rig_count(rig, MPROXY_END, NULL), 0);
}

static void let_go_on(const struct rig_visitor *v)
{
    rig_say_data(rig, v, "go on");
    RIG_UNTIL(rig, v->in.len == 5);
}

/* The whole upload counts, however late there is room for it. */
static void all_that_a_visitor_sent_before_its_end_reaches_the_device(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);
    static uint8_t bytes[BULK];
    size_t at = 0;

    (void)state;
    wire_fill(bytes, BULK, 0);
    while (at < BULK) {
        ssize_t sent = send(v->fd, bytes + at, BULK - at, MSG_NOSIGNAL);

        at += sent > 0 ? (size_t)sent : 0;
        rig_turn(rig);
        if (v->heard_len && v->in.len == 0)
            let_go_on(v);
    }
    (void)shutdown(v->fd, SHUT_WR);
    RIG_UNTIL(rig, v->heard_len == BULK);
    wire_check(v->heard, BULK, 0);
}

static void a_device_that_has_yet_to_hear_the_request_is_not_quiet(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    static uint8_t bytes[20000];

    (void)state;
    assert_int_equal(setsockopt(rig->device, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int)), 0);
    while (conn_queued(rig->session->conn) == 0) {
        (void)send(v->fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        pump(&rig->loop); /* the device does not read */
    }
    (void)shutdown(v->fd, SHUT_WR);
    while (v->stream->life.state != LIFE_HALF)
        pump(&rig->loop);
    for (int seconds = 0; seconds < 60; seconds++) { /* twice half_close_ms */
        rig_say_raw(rig, WS_OP_PONG, NULL, 0);
        skip_ms(1000);
        pump(&rig->loop);
    }
    assert_true(conn_queued(rig->session->conn) > 0);
    assert_int_equal(v->stream->life.state, LIFE_HALF);
    RIG_UNTIL(rig, conn_queued(rig->session->conn) == 0);
    rig_wait(rig, 31000);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_END, v->cid) == 1);
}

static void a_devices_end_is_a_fin_behind_the_last_byte(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say_bulk(rig, v, 0, 900000);
    rig_say(rig, v->cid, "end", " ", 1);
    rig_turns(rig, 20);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(v->in.end, WIRE_EOF);
    assert_int_equal(v->in.len, 900005);
    wire_check(v->in.bytes + 5, 900000, 0);
    assert_int_equal(rig_count(rig, MPROXY_END, NULL) + rig_count(rig, MPROXY_ERROR, NULL), 0);
    assert_int_equal(rig->session->stream_count, 0);
    assert_int_equal(rig->ends[SESSION_END_STREAMS], 1);
}

static void an_error_before_any_byte_gives_the_visitor_to_the_owner(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    rig_say(rig, v->cid, "error", " ", 1);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(rig->unserved, 1);
    assert_false(rig->held); /* the device is there, and has said no */
    assert_int_equal(v->in.len, 3);
    assert_int_equal(v->in.end, WIRE_EOF);
    assert_int_equal(rig->session->stream_count, 0);
}

static void an_error_later_breaks_the_answer_behind_its_last_byte(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say_bulk(rig, v, 0, 900000);
    rig_say(rig, v->cid, "error", " ", 1);
    rig_turns(rig, 20);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(v->in.end, WIRE_RESET);
    assert_int_equal(v->in.len, 900005);
    assert_int_equal(rig->unserved, 0);
}

static void a_pause_of_the_device_stops_reading_the_visitor(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *other = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say(rig, v->cid, "pause", "5", 1);
    rig_turns(rig, 20);
    wire_text(v->fd, "held");
    wire_text(other->fd, "free");
    RIG_UNTIL(rig, other->heard_len == 9);
    rig_turns(rig, 20);
    assert_int_equal(v->heard_len, 5);
    rig_say(rig, v->cid, "resume", "5", 1);
    RIG_UNTIL(rig, v->heard_len == 9);
}

static void a_slow_device_holds_its_visitors_and_nothing_grows(void **state)
{
    struct rig_visitor *a = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *b = rig_visit_flowing(rig, STREAM_HTTPS);
    static uint8_t bytes[BULK];
    size_t at[2] = {0, 0}, most = 0;

    (void)state;
    wire_fill(bytes, BULK, 0);
    for (int quiet = 0; quiet < 400; quiet++) {
        int i = quiet % 2;
        ssize_t sent = send(i ? b->fd : a->fd, bytes + at[i], BULK - at[i], MSG_NOSIGNAL);

        if (sent > 0) {
            at[i] += (size_t)sent;
            quiet = i;
        }
        pump(&rig->loop); /* the device does not read */
        if (conn_queued(rig->session->conn) > most)
            most = conn_queued(rig->session->conn);
    }
    assert_true(most > 0);
    assert_true(most <= rig->setting.limits.tunnel.high + CONN_READ_MAX);
    RIG_UNTIL(rig, a->heard_len == at[0] + 5 && b->heard_len == at[1] + 5);
    wire_check(a->heard + 5, at[0], 0);
    wire_check(b->heard + 5, at[1], 0);
}

static void nor_do_the_first_words_of_many_visitors_pile_up(void **state)
{
    static uint8_t bytes[LOOP_HEADROOM + 60000];
    size_t taken = 0;

    (void)state;
    rig->setting.limits.streams_max = RIG_VISITORS;
    for (unsigned i = 0; i < RIG_VISITORS; i++) { /* the device does not read */
        struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

        taken += stream_on_bytes(v->stream, bytes + LOOP_HEADROOM, 60000);
        pump(&rig->loop);
    }
    assert_true(taken < (size_t)RIG_VISITORS * 60000);
    assert_true(conn_queued(rig->session->conn) <=
                rig->setting.limits.tunnel.high + TURNS_SPARE_SUM + CONN_READ_MAX);
}

static void a_lost_tunnel_delivers_what_it_brought_and_breaks_off(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *unanswered = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(unanswered->fd, "hello");
    RIG_UNTIL(rig, unanswered->heard_len == 5);
    rig_say_bulk(rig, v, 0, 900000);
    rig_turns(rig, 50);
    (void)close(rig->device);
    rig->device = -1;
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(v->in.end, WIRE_RESET);
    assert_int_equal(v->in.len, 900005);
    assert_int_equal(rig->unserved, 1);
    RIG_UNTIL(rig, unanswered->in.end == WIRE_EOF);
    assert_int_equal(unanswered->in.len, 3);
    assert_string_equal(rig->end_why, "device_end");
}

static void lose_device(void)
{
    unsigned unserved = rig->unserved;

    (void)close(rig->device);
    rig->device = -1;
    RIG_UNTIL(rig, rig->unserved > unserved);
}

static void who_loses_the_tunnel_before_the_answer_is_tried_again_with_all_it_has_sent(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(v->fd, "hello");
    RIG_UNTIL(rig, v->heard_len == 5);
    wire_text(v->fd, " there");
    rig_wait(rig, 110);
    RIG_UNTIL(rig, v->heard_len == 11);
    (void)shutdown(v->fd, SHUT_WR);
    rig_turns(rig, 5);
    lose_device();
    assert_true(rig->held);
    assert_int_equal(rig->held_len, 11);
    assert_memory_equal(rig->held_bytes, "hello there", 11);
    assert_int_equal(rig->held_request.service, STREAM_HTTPS);
    assert_string_equal(rig->held_request.host.text, "a.example");
    assert_int_equal(address_port(&rig->held_request.visitor), 1000);
}

/* Whether a visitor that has sent these bytes may be tried again once the device is lost. */
static bool is_held(enum stream_service service, const void *bytes, size_t len)
{
    unsigned lost = rig->visitors_lost;
    struct rig_visitor *v;

    rig_free(rig);
    rig = rig_new(DIALECT_CONTROL);
    rig->visitors_lost = lost;
    v = rig_visit(rig, service);
    wire_send(v->fd, bytes, len);
    RIG_UNTIL(rig, v->heard_len == len);
    lose_device();
    return rig->held;
}

static void only_what_is_safe_to_repeat_is_repeated(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    static const char post[] = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n";
    static const uint8_t much[HOLD_MAX + 1];

    (void)state;
    assert_true(is_held(STREAM_HTTP, get, strlen(get)));
    assert_false(is_held(STREAM_HTTP, post, strlen(post)));
    assert_true(is_held(STREAM_TCP, NULL, 0));
    assert_false(is_held(STREAM_TCP, get, strlen(get)));
    assert_true(is_held(STREAM_HTTPS, much, HOLD_MAX));
    assert_false(is_held(STREAM_HTTPS, much, HOLD_MAX + 1));
    rig->visitors_lost = 1; /* and only once */
    assert_false(is_held(STREAM_HTTPS, get, strlen(get)));
}

static void what_has_not_left_the_relay_is_no_repetition(void **state)
{
    struct rig_visitor *a = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *b = rig_visit(rig, STREAM_TCP);
    static uint8_t bytes[BULK];

    (void)state;
    while (conn_queued(rig->session->conn) < 65536) { /* the device does not read */
        (void)send(a->fd, bytes, 65536, MSG_NOSIGNAL);
        pump(&rig->loop);
    }
    wire_text(b->fd, "pay");
    pump_times(&rig->loop, 5);
    assert_int_equal(b->stream->to_device, 3);
    lose_device();
    assert_true(rig->held);
    assert_int_equal(rig->held_len, 3);
}

static void what_the_guard_has_stopped_is_not_tried_elsewhere(void **state)
{
    static const char first[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTP);

    (void)state;
    wire_text(v->fd, first);
    RIG_UNTIL(rig, v->heard_len == strlen(first));
    rig_wait(rig, 110);
    wire_text(v->fd, "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n");
    RIG_UNTIL(rig, v->stream->life.state == LIFE_HALF);
    lose_device();
    assert_false(rig->held);
}

/* It has been seen that the device is gone, and not been told yet. */
static void break_device_unheard(void)
{
    wire_reset(rig->device);
    rig->device = -1;
    while (conn_write(rig->session->conn, "x", 1) == 0)
        ;
}

static void what_comes_meanwhile_is_not_lost_on_the_way_to_the_next_try(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    static uint8_t bytes[LOOP_HEADROOM + 100];
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTP);
    int len = snprintf((char *)bytes + LOOP_HEADROOM, 100, "%sGET /more", get);

    (void)state;
    break_device_unheard();
    assert_int_equal(stream_on_bytes(v->stream, bytes + LOOP_HEADROOM, (size_t)len), strlen(get));
    RIG_UNTIL(rig, rig->unserved == 1);
    assert_true(rig->held);
    assert_int_equal(rig->held_len, strlen(get));
}

/* What the visitor never got is counted apart: no counter ever falls. */
static void payload_is_counted_as_it_was_moved(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    const struct meter *meter = &rig->session->seat.meter;
    const struct meter *claim = &v->stream->claim->meter;
    uint64_t dropped;

    (void)state;
    assert_int_equal(meter_read(meter, METER_PAYLOAD_TO_DEVICE), 5);
    assert_int_equal(meter_read(meter, METER_PAYLOAD_TO_VISITOR), 5);
    assert_int_equal(meter_read(meter, METER_STREAMS), 1);
    assert_int_equal(meter_read(meter, METER_STREAMS_OPEN), 1);
    assert_int_equal(meter_read(claim, METER_PAYLOAD_TO_DEVICE), 5);
    rig_say_bulk(rig, v, 0, 900000);
    rig_turns(rig, 50);
    rig_say_raw(rig, WS_OP_PONG, NULL, 0);
    rig_turns(rig, 5);
    dropped = conn_queued(v->stream->visitor);
    assert_true(dropped > 0);
    wire_reset(v->fd);
    v->fd = -1;
    RIG_UNTIL(rig, rig->session->stream_count == 0);
    assert_int_equal(meter_read(meter, METER_PAYLOAD_TO_VISITOR), 900005);
    assert_int_equal(meter_read(claim, METER_PAYLOAD_TO_VISITOR), 900005);
    assert_int_equal(meter_read(meter, METER_PAYLOAD_DROPPED), dropped);
    assert_int_equal(meter_read(claim, METER_PAYLOAD_DROPPED), dropped);
    assert_int_equal(meter_read(meter, METER_STREAMS_OPEN), 0);
    assert_int_equal(meter_read(claim, METER_STREAMS_OPEN), 0);
    assert_true(meter_read(meter, METER_WIRE_FROM_DEVICE) > 900000);
}

static void what_comes_after_the_stop_is_dropped(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say_bulk(rig, v, 0, 900000);
    rig_turns(rig, 50);
    assert_int_equal(session_drop_grant(rig->session, "t1", 0), 0);
    RIG_UNTIL(rig, rig_count(rig, MPROXY_END, v->cid) == 1);
    rig_say_data(rig, v, "too late");
    rig_turns(rig, 20);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(v->in.end, WIRE_RESET);
    assert_int_equal(v->in.len, 900005);
    assert_int_equal(rig_count(rig, MPROXY_END, v->cid), 1);
}

static void a_silent_tcp_visitor_opens_the_local_connection(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_TCP);

    (void)state;
    rig_wait(rig, 330);
    assert_int_equal(rig->frame_count, 0);
    rig_wait(rig, 40);
    RIG_UNTIL(rig, rig->frame_count == 2);
    assert_string_equal(rig->frames[0].cid, v->cid);
    assert_int_equal(rig->frames[0].kind, MPROXY_DATA);
    assert_int_equal(rig->frames[0].body_len, 0);
    assert_int_equal(rig->frames[1].kind, MPROXY_END);
    assert_int_equal(rig->frames[1].body_len, 1);
    assert_int_equal(rig->frames[1].message, rig->frames[0].message);
    wire_text(v->fd, "hello");
    rig_say_data(rig, v, "SSH-2.0");
    RIG_UNTIL(rig, v->in.len == 7 && v->heard_len == 5);
}

static void a_visitor_that_leaves_without_a_word_is_not_told_of(void **state)
{
    struct rig_visitor *v;

    (void)state;
    v = rig_visit(rig, STREAM_HTTPS);
    rig_leave(v);
    RIG_UNTIL(rig, rig->session->stream_count == 0);
    assert_int_equal(rig->frame_count, 0);
    use_dialect(DIALECT_GO);
    v = rig_visit(rig, STREAM_TCP);
    rig_leave(v);
    RIG_UNTIL(rig, rig->session->stream_count == 0);
    rig_wait(rig, 500);
    assert_int_equal(rig->frame_count, 0);
}

static const char request_a[] = "GET /1 HTTP/1.1\r\nHost: a.example\r\n\r\n";
static const char request_b[] = "GET /2 HTTP/1.1\r\nHost: b.example\r\n\r\n";

static void a_second_request_for_another_host_goes_nowhere(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTP);

    (void)state;
    wire_text(v->fd, request_a);
    wire_text(v->fd, request_b);
    RIG_UNTIL(rig, v->heard_len > 0);
    rig_say_data(rig, v, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    RIG_UNTIL(rig, v->in.len > 0);
    rig_turns(rig, 50);
    assert_int_equal(v->heard_len, strlen(request_a));
    assert_int_equal(v->stream->life.state, LIFE_HALF); /* as if it had ended there */
    wire_text(v->fd, request_a);
    rig_turns(rig, 50);
    assert_int_equal(v->heard_len, strlen(request_a));
    rig_wait(rig, 15000);
    rig_say_raw(rig, WS_OP_PONG, NULL, 0);
    rig_wait(rig, 15100);
    RIG_UNTIL(rig, v->in.end == WIRE_EOF);
    assert_int_equal(rig_count(rig, MPROXY_END, v->cid), 1);
}

static void pipelined_requests_for_one_host_pass(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTP);

    (void)state;
    for (int i = 0; i < 3; i++)
        wire_text(v->fd, request_a);
    RIG_UNTIL(rig, v->heard_len > 0);
    rig_say_data(rig, v, "HTTP/1.1 200 OK\r\n");
    RIG_UNTIL(rig, v->heard_len == 3 * strlen(request_a));
}

static void a_bad_first_request_ends_at_once(void **state)
{
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTP);

    (void)state;
    wire_text(v->fd, request_b);
    RIG_UNTIL(rig, rig->session->stream_count == 0);
    assert_int_equal(rig->frame_count, 0);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
}

static void bytes_behind_an_upgrade_wait_for_its_answer(void **state)
{
    static const char upgrade[] = "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n"
                                  "Upgrade: websocket\r\n\r\n";
    struct rig_visitor *v = rig_visit(rig, STREAM_HTTP);

    (void)state;
    wire_text(v->fd, upgrade);
    wire_send(v->fd, "\x81\x00", 2);
    RIG_UNTIL(rig, v->heard_len == strlen(upgrade));
    rig_wait(rig, 500);
    assert_int_equal(v->heard_len, strlen(upgrade));
    rig_say_data(rig, v, "HTTP/1.1 1");
    rig_say_data(rig, v, "01 Switching Protocols\r\n\r\n");
    RIG_UNTIL(rig, v->heard_len == strlen(upgrade) + 2);
}

/* Late frames for the old stream must not reach the new visitor. */
static void a_key_that_has_just_ended_is_not_given_out_again(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *next;

    (void)state;
    rig_wait(rig, 19000); /* nothing comes from the device for a while */
    rig_leave(v);
    rig_say_raw(rig, WS_OP_PONG, NULL, 0);
    rig_wait(rig, 15000);
    rig_say_raw(rig, WS_OP_PONG, NULL, 0);
    rig_wait(rig, 15100);
    RIG_UNTIL(rig, rig->session->stream_count == 0);
    for (int i = 0; i < 3; i++) { /* that is 94 s after its last word, 45 s after the end */
        rig_say_raw(rig, WS_OP_PONG, NULL, 0);
        rig_wait(rig, 15000);
    }
    rig->visitor_count = 0; /* the same address and port once more */
    next = &rig->visitors[0];
    wire_free(&next->in);
    free(next->heard);
    *next = (struct rig_visitor){.fd = -1};
    next = rig_visit(rig, STREAM_HTTPS);
    wire_text(next->fd, "again");
    RIG_UNTIL(rig, rig->frame_count >= 3);
    assert_string_not_equal(rig->frames[rig->frame_count - 1].cid, "IPv4,9.8.7.6,1000");
    rig_say(rig, "IPv4,9.8.7.6,1000", "https", "stranger", 8);
    rig_turns(rig, 20);
    wire_read(&next->in);
    assert_int_equal(next->in.len, 0);
}

static void a_name_too_long_for_a_header_is_refused(void **state)
{
    struct stream_request request = rig_request(STREAM_HTTPS, 1);
    char name[254];
    struct conn *conn;
    struct stream *st = NULL;
    int ends[2];

    (void)state;
    for (size_t i = 0; i < 253; i++)
        name[i] = i % 60 == 59 ? '.' : 'a';
    name[253] = '\0';
    assert_int_equal(hostname_parse(slice_text(name), &request.host), 0);
    rig_take_grant(rig, "long", name, 0);
    wire_pair(ends);
    assert_int_equal(conn_new(&rig->loop, ends[0], NULL, NULL, &conn), 0);
    assert_int_equal(
        stream_open(rig->session, session_claim_for(rig->session, &request), &request, conn, &st),
        -EMSGSIZE);
    assert_null(st);
    assert_int_equal(rig->session->stream_count, 0);
    conn_close(conn);
    (void)close(ends[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_first_frame_says_where_to),
        TEST(the_first_frame_is_alone_until_it_is_answered),
        TEST(or_for_a_tenth_of_a_second),
        TEST(that_time_does_not_run_while_it_waits_behind_others),
        TEST(a_device_that_needs_no_pause_gets_none),
        TEST(the_end_is_held_back_behind_a_lone_first_frame),
        TEST(a_visitors_end_is_not_told_before_the_device_is_quiet),
        TEST(on_a_busy_tunnel_a_device_that_has_answered_is_quiet_sooner),
        TEST(a_visitor_that_ends_while_alone_may_still_be_answered),
        TEST(all_that_a_visitor_sent_before_its_end_reaches_the_device),
        TEST(a_device_that_has_yet_to_hear_the_request_is_not_quiet),
        TEST(a_devices_end_is_a_fin_behind_the_last_byte),
        TEST(an_error_before_any_byte_gives_the_visitor_to_the_owner),
        TEST(an_error_later_breaks_the_answer_behind_its_last_byte),
        TEST(a_pause_of_the_device_stops_reading_the_visitor),
        TEST(a_slow_device_holds_its_visitors_and_nothing_grows),
        TEST(nor_do_the_first_words_of_many_visitors_pile_up),
        TEST(a_lost_tunnel_delivers_what_it_brought_and_breaks_off),
        TEST(who_loses_the_tunnel_before_the_answer_is_tried_again_with_all_it_has_sent),
        TEST(only_what_is_safe_to_repeat_is_repeated),
        TEST(what_has_not_left_the_relay_is_no_repetition),
        TEST(what_the_guard_has_stopped_is_not_tried_elsewhere),
        TEST(what_comes_meanwhile_is_not_lost_on_the_way_to_the_next_try),
        TEST(payload_is_counted_as_it_was_moved),
        TEST(what_comes_after_the_stop_is_dropped),
        TEST(a_silent_tcp_visitor_opens_the_local_connection),
        TEST(a_visitor_that_leaves_without_a_word_is_not_told_of),
        TEST(a_second_request_for_another_host_goes_nowhere),
        TEST(pipelined_requests_for_one_host_pass),
        TEST(a_bad_first_request_ends_at_once),
        TEST(bytes_behind_an_upgrade_wait_for_its_answer),
        TEST(a_key_that_has_just_ended_is_not_given_out_again),
        TEST(a_name_too_long_for_a_header_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
