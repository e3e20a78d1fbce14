#include "net/conn.h"

#include "net/conn_body.h"
#include "probe.h"

#include <limits.h>

#define BULK 6000000U /* more than loopback's socket buffers hold */

static struct loop loop;
static struct probe probe;
static struct wire_log peer;
static int ends[2];
static int fds_before;
static uint8_t bulk[BULK];

static int set_up(void **state)
{
    (void)state;
    fds_before = wire_count_fds();
    wire_pair(ends);
    if (loop_init(&loop, &loop))
        return -1;
    probe_open(&probe, &loop, ends[0]);
    peer = (struct wire_log){.fd = ends[1]};
    return 0;
}

/* Neither descriptors nor queued memory may be left. */
static int tear_down(void **state)
{
    size_t held;

    (void)state;
    probe_free(&probe);
    if (peer.fd != -1)
        (void)close(peer.fd);
    wire_free(&peer);
    pump(&loop);
    held = loop.pool.held_bytes;
    loop_fini(&loop);
    return held || wire_count_fds() != fds_before ? -1 : 0;
}

static void drop_peer(void)
{
    peer.fd = -1;
}

/* What a test waits for. */
static size_t wanted;

static bool has_bytes(void *arg)
{
    (void)arg;
    return probe.len >= wanted;
}

static bool has_eof(void *arg)
{
    (void)arg;
    return probe.count[PROBE_EOF] > 0;
}

static bool is_lost(void *arg)
{
    (void)arg;
    return probe.count[PROBE_LOST] > 0;
}

static bool peer_has_bytes(void *arg)
{
    (void)arg;
    wire_read(&peer);
    return peer.len >= wanted;
}

static bool peer_has_end(void *arg)
{
    (void)arg;
    wire_read(&peer);
    return peer.end != WIRE_OPEN;
}

static void wait_for_bytes(size_t len)
{
    wanted = len;
    pump_until(&loop, has_bytes, NULL);
    assert_int_equal(probe.len, len);
}

static void wait_for_peer(size_t len)
{
    wanted = len;
    pump_until(&loop, peer_has_bytes, NULL);
    assert_int_equal(peer.len, len);
}

/* Writes so much that the socket cannot take it all. */
static void fill_up(void)
{
    wire_fill(bulk, BULK, 0);
    assert_int_equal(conn_write(probe.conn, bulk, BULK), 0);
    assert_true(conn_queued(probe.conn) > 0);
}

static void bytes_go_both_ways_and_are_counted(void **state)
{
    char parts[] = "hello";
    struct iovec iov[3] = {{parts, 2}, {NULL, 0}, {parts + 2, 3}};

    (void)state;
    wire_text(peer.fd, "good day");
    wait_for_bytes(8);
    assert_memory_equal(probe.bytes, "good day", 8);
    assert_int_equal(conn_writev(probe.conn, iov, 3), 0);
    assert_int_equal(conn_write(probe.conn, NULL, 0), 0);
    assert_int_equal(conn_queued(probe.conn), 0); /* a plain conn sends at once */
    wait_for_peer(5);
    assert_memory_equal(peer.bytes, "hello", 5);
    assert_int_equal(conn_wire_in(probe.conn), 8);
    assert_int_equal(conn_wire_out(probe.conn), 5);
    assert_false(conn_is_tls(probe.conn));
    assert_null(conn_tls_name(probe.conn));
}

static void what_is_not_taken_is_offered_again_in_front(void **state)
{
    (void)state;
    probe.take_max = 0;
    wire_text(peer.fd, "abc");
    pump_times(&loop, 3);
    assert_int_equal(probe.offered, 3);
    assert_int_equal(probe.count[PROBE_BYTES], 1); /* nothing new has come: no second offer */
    wire_text(peer.fd, "def");
    pump_times(&loop, 3);
    assert_int_equal(probe.offered, 6);
    probe.take_max = SIZE_MAX;
    conn_update(probe.conn);
    assert_int_equal(probe.len, 0); /* no event inside a call */
    pump(&loop);
    assert_int_equal(probe.len, 6);
    assert_memory_equal(probe.bytes, "abcdef", 6);
}

/* An owner that takes a part of what it is offered gets the rest without the other end's help. */
static void who_takes_a_part_is_offered_the_rest_unasked(void **state)
{
    (void)state;
    probe.take_max = 7;
    wire_fill(bulk, 100, 0);
    wire_send(peer.fd, bulk, 100);
    wait_for_bytes(100);
    wire_check(probe.bytes, 100, 0);
}

static void without_room_nothing_is_read_until_there_is_some(void **state)
{
    (void)state;
    probe.room = 0;
    conn_update(probe.conn);
    wire_text(peer.fd, "abc");
    pump_times(&loop, 5);
    assert_int_equal(probe.count[PROBE_BYTES], 0);
    assert_int_equal(conn_wire_in(probe.conn), 0);
    probe.room = 2;
    conn_update(probe.conn);
    wait_for_bytes(3);
}

static void what_is_kept_waits_for_room_too(void **state)
{
    (void)state;
    probe.take_max = 1;
    probe.full_at = 2;
    wire_text(peer.fd, "abcd");
    pump_times(&loop, 5);
    assert_int_equal(probe.len, 2);
    probe.full_at = 0;
    probe.room = 1;
    pump_times(&loop, 5);
    assert_int_equal(probe.len, 2);
    conn_update(probe.conn);
    wait_for_bytes(4);
}

static void an_owner_that_takes_nothing_for_ever_is_told(void **state)
{
    size_t at = 0;

    (void)state;
    probe.take_max = 0;
    wire_fill(bulk, BULK, 0);
    while (!probe.count[PROBE_LOST]) {
        ssize_t sent = send(peer.fd, bulk + at, BULK - at, MSG_NOSIGNAL);

        if (sent > 0)
            at += (size_t)sent;
        pump(&loop);
        assert_true(at < BULK);
    }
    assert_int_equal(probe.lost_err, -EMSGSIZE);
}

static void the_end_is_told_behind_the_last_byte(void **state)
{
    static const size_t takes[] = {SIZE_MAX, 1000, 262144, 300001};

    (void)state;
    wire_fill(bulk, 900000, 0);
    for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
        size_t at = 0;

        probe.take_max = takes[i];
        while (at < 900000) {
            ssize_t sent = send(peer.fd, bulk + at, 900000 - at, MSG_NOSIGNAL);

            if (sent > 0)
                at += (size_t)sent;
            else
                pump(&loop);
        }
        (void)shutdown(peer.fd, SHUT_WR);
        pump_until(&loop, has_eof, NULL);
        assert_int_equal(probe.len_at_eof, 900000);
        wire_check(probe.bytes, probe.len, 0);
        pump_times(&loop, 5);
        assert_int_equal(probe.count[PROBE_EOF], 1);
        if (i + 1 < sizeof(takes) / sizeof(takes[0])) {
            assert_int_equal(tear_down(NULL), 0);
            assert_int_equal(set_up(NULL), 0);
        }
    }
}

static void the_end_waits_for_an_owner_without_room(void **state)
{
    (void)state;
    probe.take_max = probe.full_at = 2;
    wire_text(peer.fd, "abcdef");
    (void)shutdown(peer.fd, SHUT_WR);
    pump_times(&loop, 5);
    assert_int_equal(probe.len, 2);
    probe.room = 1;
    probe.full_at = 4;
    conn_update(probe.conn);
    pump_times(&loop, 5);
    assert_int_equal(probe.count[PROBE_EOF], 0);
    probe.room = 1;
    probe.full_at = 0;
    conn_update(probe.conn);
    pump_until(&loop, has_eof, NULL);
    assert_int_equal(probe.len_at_eof, 6);
}

/* Half a head, and no more will come. */
static void the_end_is_told_though_bytes_are_left_that_nobody_takes(void **state)
{
    (void)state;
    probe.take_max = 0;
    wire_text(peer.fd, "GET / HT");
    (void)shutdown(peer.fd, SHUT_WR);
    pump_until(&loop, has_eof, NULL);
    assert_int_equal(probe.offered, 8);
    pump_times(&loop, 5);
    assert_int_equal(probe.count[PROBE_EOF], 1);
}

static void a_full_socket_queues_and_its_drain_is_told(void **state)
{
    (void)state;
    fill_up();
    pump_times(&loop, 3);
    assert_int_equal(probe.count[PROBE_DRAIN], 0);
    wait_for_peer(BULK);
    wire_check(peer.bytes, BULK, 0);
    assert_true(probe.count[PROBE_DRAIN] > 0);
    assert_int_equal(conn_queued(probe.conn), 0);
    assert_int_equal(conn_wire_out(probe.conn), BULK);
}

static void the_kernel_takes_little_that_it_cannot_send(void **state)
{
    (void)state;
    assert_int_equal(setsockopt(peer.fd, SOL_SOCKET, SO_RCVBUF, &(int){65536}, sizeof(int)), 0);
    conn_limit_unsent(probe.conn, 16384);
    fill_up();
    assert_true(conn_wire_out(probe.conn) < 1000000);
    wait_for_peer(BULK);
    wire_check(peer.bytes, BULK, 0);
}

/* A conn that is one of many that are ready may read its share in a turn. */
static void one_of_many_reads_its_share(void **state)
{
    (void)state;
    assert_int_equal(send(peer.fd, bulk, 200000, MSG_NOSIGNAL), 200000);
    (void)poll(&(struct pollfd){.fd = ends[0], .events = POLLIN}, 1, 1000);
    pace_begin(&loop.pace, 1000, 0);
    probe.conn->watch.on_ready(&probe.conn->watch, LOOP_READ);
    assert_int_equal(probe.len, PACE_SHARE_MIN);
    wait_for_bytes(200000);
}

static void the_queue_has_a_maximum_and_refuses_whole(void **state)
{
    static uint8_t block[1048576];
    size_t queued;

    (void)state;
    fill_up();
    while (CONN_QUEUE_MAX - conn_queued(probe.conn) >= sizeof(block))
        assert_int_equal(conn_write(probe.conn, block, sizeof(block)), 0);
    queued = conn_queued(probe.conn);
    assert_int_equal(conn_write(probe.conn, block, CONN_QUEUE_MAX - queued + 1), -ENOBUFS);
    assert_int_equal(conn_queued(probe.conn), queued);
    assert_int_equal(conn_write(probe.conn, block, CONN_QUEUE_MAX - queued), 0);
}

static void who_takes_nothing_for_longer_than_the_patience_is_lost(void **state)
{
    (void)state;
    conn_set_patience(probe.conn, 300);
    fill_up();
    pump_until(&loop, is_lost, NULL);
    assert_int_equal(probe.lost_err, -ETIMEDOUT);
}

static int option(int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(ends[0], level, name, &value, &size), 0);
    return value;
}

static void the_patience_has_a_maximum_and_the_keepalive_stops(void **state)
{
    (void)state;
    assert_int_equal(conn_inherit(ends[0], 1), 0);
    assert_int_equal(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    conn_set_patience(probe.conn, INT64_MAX);
    conn_stop_keepalive(probe.conn);
    assert_int_equal(option(SOL_SOCKET, SO_KEEPALIVE), 0);
    assert_int_equal(option(IPPROTO_TCP, TCP_USER_TIMEOUT), INT_MAX);
}

/* What is ready in vain would be ready again and again; what is not costs no system call. */
static void who_has_no_room_is_watched_until_something_comes(void **state)
{
    (void)state;
    probe.room = 0;
    conn_update(probe.conn);
    assert_int_equal(probe.conn->watch.interest, LOOP_READ);
    wire_text(peer.fd, "hello");
    pump_times(&loop, 1);
    assert_int_equal(probe.conn->watch.interest, 0);
    assert_int_equal(probe.len, 0);
    probe.room = SIZE_MAX;
    conn_update(probe.conn);
    assert_int_equal(probe.conn->watch.interest, LOOP_READ);
    wait_for_bytes(5);
}

static void who_looks_gets_what_has_come_already(void **state)
{
    (void)state;
    conn_look(probe.conn);
    assert_int_equal(probe.count[PROBE_BYTES], 0);
    wire_text(peer.fd, "hello");
    conn_look(probe.conn);
    assert_int_equal(probe.len, 5);
    (void)close(peer.fd);
    drop_peer();
    conn_look(probe.conn);
    assert_int_equal(probe.count[PROBE_EOF], 1);
}

static void each_half_ends_on_its_own(void **state)
{
    (void)state;
    fill_up();
    conn_shut(probe.conn);
    conn_shut(probe.conn);
    assert_int_equal(conn_write(probe.conn, "x", 1), -ESHUTDOWN);
    pump_until(&loop, peer_has_end, NULL);
    assert_int_equal(peer.end, WIRE_EOF);
    assert_int_equal(peer.len, BULK);
    wire_text(peer.fd, "still here");
    wait_for_bytes(10);
}

static void after_the_other_ends_end_we_may_still_send(void **state)
{
    (void)state;
    (void)shutdown(peer.fd, SHUT_WR);
    pump_until(&loop, has_eof, NULL);
    fill_up();
    wait_for_peer(BULK);
    conn_shut(probe.conn);
    pump_until(&loop, peer_has_end, NULL);
    assert_int_equal(peer.end, WIRE_EOF);
}

static void a_reset_is_told_as_a_loss(void **state)
{
    (void)state;
    wire_reset(peer.fd);
    drop_peer();
    pump_until(&loop, is_lost, NULL);
    assert_int_equal(probe.lost_err, -ECONNRESET);
}

static void a_reset_is_told_even_to_who_does_not_read(void **state)
{
    (void)state;
    probe.room = 0;
    conn_update(probe.conn);
    wire_text(peer.fd, "unread");
    pump(&loop);
    wire_reset(peer.fd);
    drop_peer();
    pump_until(&loop, is_lost, NULL);
    assert_int_equal(probe.lost_err, -ECONNRESET);
}

static void a_write_that_finds_the_loss_tells_it_at_the_end_of_the_turn(void **state)
{
    (void)state;
    probe.room = 0;
    conn_update(probe.conn);
    pump(&loop);
    wire_reset(peer.fd);
    drop_peer();
    (void)poll(NULL, 0, 5);
    assert_int_equal(conn_write(probe.conn, "x", 1), -ESHUTDOWN);
    assert_int_equal(probe.count[PROBE_LOST], 0);
    assert_int_equal(conn_write(probe.conn, "x", 1), -ESHUTDOWN);
    conn_update(probe.conn);
    conn_shut(probe.conn);
    pump(&loop);
    assert_int_equal(probe.count[PROBE_LOST], 1);
}

static void a_lost_conn_may_be_finished_or_moved(void **state)
{
    static const enum probe_act acts[] = {PROBE_FINISHES, PROBE_RESETS, PROBE_DETACHES};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        probe.act[PROBE_LOST] = acts[i];
        wire_reset(peer.fd);
        drop_peer();
        pump_until(&loop, is_lost, NULL);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void let_go(enum probe_event event, enum probe_act act)
{
    probe.act[event] = act;
    if (event == PROBE_DRAIN)
        fill_up();
    else
        wire_text(peer.fd, "abc");
    if (event == PROBE_EOF)
        (void)shutdown(peer.fd, SHUT_WR);
    for (int i = 0; i < 1000 && !probe.count[event]; i++) {
        pump(&loop);
        wire_read(&peer);
    }
    assert_int_equal(probe.count[event], 1);
    assert_null(probe.conn);
    pump_times(&loop, 3);
}

static void it_may_be_let_go_in_any_event_in_any_way(void **state)
{
    (void)state;
    for (unsigned event = PROBE_BYTES; event <= PROBE_EOF; event++) {
        for (unsigned act = PROBE_CLOSES; act <= PROBE_DETACHES; act++) {
            let_go((enum probe_event)event, (enum probe_act)act);
            assert_int_equal(tear_down(NULL), 0);
            assert_int_equal(set_up(NULL), 0);
        }
    }
}

/* Closing with bytes unread would turn the end into a reset and destroy what is on its way. */
static void finishing_delivers_all_though_the_other_end_keeps_sending(void **state)
{
    int64_t give_up = __real_clock_now_ms() + PUMP_MS;

    (void)state;
    fill_up();
    conn_finish(probe.conn);
    probe.conn = NULL;
    while (peer.end == WIRE_OPEN) {
        (void)send(peer.fd, bulk, 50000, MSG_NOSIGNAL);
        pump(&loop);
        wire_read(&peer);
        assert_true(__real_clock_now_ms() < give_up);
    }
    assert_int_equal(peer.end, WIRE_EOF);
    assert_int_equal(peer.len, BULK);
    wire_check(peer.bytes, BULK, 0);
    (void)close(peer.fd);
    drop_peer();
    for (int i = 0; i < 1000 && wire_count_fds() > fds_before + 2; i++)
        pump(&loop); /* its own fd; the loop has two */
    assert_int_equal(wire_count_fds(), fds_before + 2);
}

static void who_never_ends_is_closed_after_the_linger(void **state)
{
    (void)state;
    conn_finish(probe.conn);
    probe.conn = NULL;
    pump_until(&loop, peer_has_end, NULL);
    skip_ms(CONN_LINGER_MS / 2);
    pump(&loop);
    assert_int_equal(wire_count_fds(), fds_before + 4);
    skip_ms(CONN_LINGER_MS / 2 + 100);
    pump_times(&loop, 2);
    assert_int_equal(wire_count_fds(), fds_before + 3);
}

static void while_descriptors_are_short_the_linger_is_short(void **state)
{
    static struct supply supply = {
        .descriptors_max = 2, .descriptors_reserved = 2, .descriptors = 1};

    (void)state;
    loop.supply = &supply;
    conn_finish(probe.conn);
    probe.conn = NULL;
    pump_until(&loop, peer_has_end, NULL);
    skip_ms(CONN_SHORT_LINGER_MS + 100);
    pump_times(&loop, 2);
    assert_int_equal(wire_count_fds(), fds_before + 3);
    loop.supply = NULL;
}

/* What it has not been given must look cut, not whole. */
static void who_never_takes_is_reset_in_the_end(void **state)
{
    (void)state;
    fill_up();
    conn_finish(probe.conn);
    probe.conn = NULL;
    pump_times(&loop, 3);
    skip_ms(CONN_DRAIN_MS / 2);
    pump_times(&loop, 2);
    assert_int_equal(wire_count_fds(), fds_before + 4);
    skip_ms(CONN_DRAIN_MS / 2 + 100);
    pump_times(&loop, 2);
    assert_int_equal(wire_count_fds(), fds_before + 3);
    pump_until(&loop, peer_has_end, NULL);
    assert_int_equal(peer.end, WIRE_RESET);
}

static void who_takes_enough_gets_more_time_and_no_longer(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        fill_up();
    conn_finish(probe.conn);
    probe.conn = NULL;
    pump_times(&loop, 3);
    wanted = BULK;
    pump_until(&loop, peer_has_bytes, NULL); /* far more than CONN_DRAIN_LEAST */
    for (int minutes = 0; minutes < 2; minutes++) {
        assert_int_equal(wire_count_fds(), fds_before + 4);
        skip_ms(CONN_DRAIN_MS + 20);
        pump_times(&loop, 2);
    }
    assert_int_equal(wire_count_fds(), fds_before + 3);
    pump_until(&loop, peer_has_end, NULL);
    assert_int_equal(peer.end, WIRE_RESET);
}

static void finishing_with_a_reset_delivers_first(void **state)
{
    (void)state;
    for (int half_closed = 0; half_closed < 3; half_closed++) {
        if (half_closed == 1) {
            (void)shutdown(peer.fd, SHUT_WR);
            pump_until(&loop, has_eof, NULL);
        }
        fill_up();
        conn_finish_reset(probe.conn);
        probe.conn = NULL;
        pump(&loop);
        if (half_closed == 2)
            (void)shutdown(peer.fd, SHUT_WR);
        for (int i = 0; i < 20000 && peer.end == WIRE_OPEN; i++) {
            skip_ms(i % 50 ? 0 : 10);
            pump(&loop);
            wire_read(&peer);
        }
        assert_int_equal(peer.end, WIRE_RESET);
        assert_int_equal(peer.len, BULK);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void closing_drops_and_resetting_breaks(void **state)
{
    (void)state;
    conn_reset(probe.conn);
    probe.conn = NULL;
    pump_until(&loop, peer_has_end, NULL);
    assert_int_equal(peer.end, WIRE_RESET);
}

static void a_connection_moves_with_the_bytes_already_read(void **state)
{
    struct loop other;
    struct probe next;

    (void)state;
    probe.take_max = 0;
    wire_text(peer.fd, "GET / ");
    pump_times(&loop, 2);
    assert_int_equal(probe.offered, 6);
    probe.detached = conn_detach(probe.conn);
    probe.conn = NULL;
    wire_text(peer.fd, "HTTP");
    pump_times(&loop, 3);
    assert_int_equal(loop_init(&other, &other), 0);
    probe_open(&next, &other, probe.detached);
    probe.detached = -1;
    assert_int_equal(conn_preload(next.conn, slice_text("GET / ")), 0);
    assert_int_equal(next.len, 0);
    while (next.len < 10)
        pump(&other);
    assert_memory_equal(next.bytes, "GET / HTTP", 10);
    assert_int_equal(conn_wire_in(next.conn), 4);
    probe_free(&next);
    pump(&other);
    loop_fini(&other);
}

static void what_is_preloaded_has_a_maximum(void **state)
{
    (void)state;
    probe.take_max = 0;
    assert_int_equal(conn_preload(probe.conn, slice_of(NULL, 0)), 0);
    assert_int_equal(conn_preload(probe.conn, slice_of(bulk, CONN_KEPT_MAX)), 0);
    assert_int_equal(conn_preload(probe.conn, slice_of(bulk, 1)), -EMSGSIZE);
    pump_times(&loop, 2);
    assert_int_equal(probe.offered, CONN_KEPT_MAX);
    probe.take_max = SIZE_MAX;
    conn_update(probe.conn);
    wait_for_bytes(CONN_KEPT_MAX);
}

/* As an owner gives its conn back to whom it had it from, with what it has taken in vain. */
static void what_was_taken_may_be_put_back_in_front_and_the_end_is_told_again(void **state)
{
    struct probe next;

    (void)state;
    probe.take_max = 3;
    probe.full_at = 3;
    wire_text(peer.fd, "abcdef");
    wait_for_bytes(3);
    pump_times(&loop, 2);
    wire_text(peer.fd, "ghi");
    (void)shutdown(peer.fd, SHUT_WR);
    pump_times(&loop, 2);
    probe_init(&next);
    next.conn = probe.conn;
    probe.conn = NULL;
    conn_set_owner(next.conn, &probe_ops, &next);
    assert_int_equal(conn_preload(next.conn, slice_text("abc")), 0);
    while (!next.count[PROBE_EOF])
        pump(&loop);
    assert_int_equal(next.len, 9);
    assert_int_equal(conn_preload(next.conn, slice_of(next.bytes, 9)), 0);
    while (next.count[PROBE_EOF] < 2)
        pump(&loop);
    assert_int_equal(next.len_at_eof, 18);
    assert_memory_equal(next.bytes, "abcdefghiabcdefghi", 18);
    pump_times(&loop, 3);
    assert_int_equal(next.count[PROBE_EOF], 2);
    probe_free(&next);
}

static void another_owner_hears_what_comes_next(void **state)
{
    struct probe next;

    (void)state;
    probe_init(&next);
    conn_set_owner(probe.conn, &probe_ops, &next);
    next.conn = probe.conn;
    probe.conn = NULL;
    wire_text(peer.fd, "abc");
    while (next.len < 3)
        pump(&loop);
    probe_free(&next);
}

static void a_new_owner_is_offered_what_the_old_one_left(void **state)
{
    struct probe next;

    (void)state;
    probe_init(&next);
    probe.heir = &next;
    wire_text(peer.fd, "abc");
    (void)shutdown(peer.fd, SHUT_WR);
    while (!next.count[PROBE_EOF])
        pump(&loop);
    assert_int_equal(next.len_at_eof, 3);
    probe_free(&next);
}

static void a_bad_descriptor_stays_the_callers(void **state)
{
    struct conn *c = NULL;

    (void)state;
    assert_int_equal(conn_new(&loop, -1, &probe_ops, &probe, &c), -EBADF);
    assert_null(c);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways_and_are_counted),
        TEST(what_is_not_taken_is_offered_again_in_front),
        TEST(who_takes_a_part_is_offered_the_rest_unasked),
        TEST(without_room_nothing_is_read_until_there_is_some),
        TEST(what_is_kept_waits_for_room_too),
        TEST(an_owner_that_takes_nothing_for_ever_is_told),
        TEST(the_end_is_told_behind_the_last_byte),
        TEST(the_end_waits_for_an_owner_without_room),
        TEST(the_end_is_told_though_bytes_are_left_that_nobody_takes),
        TEST(a_full_socket_queues_and_its_drain_is_told),
        TEST(the_kernel_takes_little_that_it_cannot_send),
        TEST(one_of_many_reads_its_share),
        TEST(the_queue_has_a_maximum_and_refuses_whole),
        TEST(who_takes_nothing_for_longer_than_the_patience_is_lost),
        TEST(the_patience_has_a_maximum_and_the_keepalive_stops),
        TEST(who_has_no_room_is_watched_until_something_comes),
        TEST(who_looks_gets_what_has_come_already),
        TEST(each_half_ends_on_its_own),
        TEST(after_the_other_ends_end_we_may_still_send),
        TEST(a_reset_is_told_as_a_loss),
        TEST(a_reset_is_told_even_to_who_does_not_read),
        TEST(a_write_that_finds_the_loss_tells_it_at_the_end_of_the_turn),
        TEST(a_lost_conn_may_be_finished_or_moved),
        TEST(it_may_be_let_go_in_any_event_in_any_way),
        TEST(finishing_delivers_all_though_the_other_end_keeps_sending),
        TEST(who_never_ends_is_closed_after_the_linger),
        TEST(while_descriptors_are_short_the_linger_is_short),
        TEST(who_never_takes_is_reset_in_the_end),
        TEST(who_takes_enough_gets_more_time_and_no_longer),
        TEST(finishing_with_a_reset_delivers_first),
        TEST(closing_drops_and_resetting_breaks),
        TEST(a_connection_moves_with_the_bytes_already_read),
        TEST(what_is_preloaded_has_a_maximum),
        TEST(what_was_taken_may_be_put_back_in_front_and_the_end_is_told_again),
        TEST(another_owner_hears_what_comes_next),
        TEST(a_new_owner_is_offered_what_the_old_one_left),
        TEST(a_bad_descriptor_stays_the_callers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
