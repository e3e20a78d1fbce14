#include "net/conn.h"

#include "probe.h"

#include "certificate.h"

#include <openssl/err.h>

#define FAR ((size_t)50000000) /* bytes of the long way */
#define STEP ((size_t)700001)

static struct loop loop;
static struct certificates certificates;
static struct probe probe;
static SSL_CTX *context;
static SSL *client; /* over a socket of its own */
static int ends[2];
static int fds_before;
static uint8_t step[STEP];

static int set_up(void **state)
{
    static const struct client_taste taste = {.name = NULL};

    (void)state;
    fds_before = wire_count_fds();
    wire_pair(ends);
    if (loop_init(&loop, &loop))
        return -1;
    certificate_add(&certificates, "DNS:a.example");
    probe_open(&probe, &loop, ends[0]);
    probe.start_tls = certificates.contexts[0];
    context = client_context(&taste);
    client = SSL_new(context);
    SSL_set_mode(client, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    assert_int_equal(SSL_set_fd(client, ends[1]), 1);
    assert_int_equal(SSL_set_tlsext_host_name(client, "a.example"), 1);
    SSL_set_connect_state(client);
    return 0;
}

static int tear_down(void **state)
{
    size_t held;

    (void)state;
    probe_free(&probe);
    SSL_free(client);
    SSL_CTX_free(context);
    if (ends[1] != -1)
        (void)close(ends[1]);
    pump(&loop);
    held = loop.pool.held_bytes;
    loop_fini(&loop);
    certificates_fini(&certificates);
    ERR_clear_error();
    return held || wire_count_fds() != fds_before ? -1 : 0;
}

static bool is_shaken(void *arg)
{
    (void)arg;
    (void)SSL_do_handshake(client);
    ERR_clear_error();
    return SSL_is_init_finished(client);
}

static void shake(void)
{
    pump_until(&loop, is_shaken, NULL);
    while (SSL_write(client, "!", 1) != 1)
        pump(&loop);
    while (probe.len == 0)
        pump(&loop);
    probe.len = 0;
    assert_true(conn_is_tls(probe.conn));
    assert_string_equal(conn_tls_name(probe.conn), "a.example");
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

/* How the client's next read ends: SSL_ERROR_NONE if it brings bytes. */
static int read_client(uint8_t *bytes, size_t size, size_t *got)
{
    int64_t give_up = __real_clock_now_ms() + PUMP_MS;
    int err = SSL_ERROR_WANT_READ;

    while (err == SSL_ERROR_WANT_READ) {
        int ok = SSL_read_ex(client, bytes, size, got);

        err = ok ? SSL_ERROR_NONE : SSL_get_error(client, ok);
        pump(&loop);
        assert_true(__real_clock_now_ms() < give_up);
    }
    return err;
}

static void bytes_go_both_ways(void **state)
{
    uint8_t bytes[16];
    size_t got;

    (void)state;
    shake();
    assert_int_equal(conn_write(probe.conn, "hello", 5), 0);
    assert_int_equal(conn_queued(probe.conn), 5);
    assert_int_equal(read_client(bytes, sizeof(bytes), &got), SSL_ERROR_NONE);
    assert_int_equal(got, 5);
    assert_memory_equal(bytes, "hello", 5);
}

/* A handshake of which the first `first` bytes have been read by another worker. */
static void shake_in_pieces(size_t first, size_t piece)
{
    uint8_t hello[4096];
    BIO *memory = BIO_new(BIO_s_mem());
    size_t len, at;

    SSL_set0_wbio(client, memory);
    (void)SSL_do_handshake(client);
    len = (size_t)BIO_read(memory, hello, sizeof(hello));
    assert_true(len > 200 && first < len);
    SSL_set0_wbio(client, BIO_new_socket(ends[1], BIO_NOCLOSE));
    assert_int_equal(conn_preload(probe.conn, slice_of(hello, first)), 0);
    for (at = first; at < len; at += piece) {
        wire_send(ends[1], hello + at, len - at < piece ? len - at : piece);
        pump(&loop);
    }
    shake();
}

static void the_hello_may_be_preloaded_and_come_in_pieces(void **state)
{
    static const size_t rows[][2] = {{0, 4096}, {1, 1}, {5, 100}, {100, 1}, {150, 4096}};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        shake_in_pieces(rows[i][0], rows[i][1]);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

/* Reads and checks what has come; `at` is how far it had got. */
static size_t check_client(size_t at)
{
    static uint8_t bytes[65536];
    size_t got;

    while (SSL_read_ex(client, bytes, sizeof(bytes), &got)) {
        wire_check(bytes, got, at);
        at += got;
    }
    return at;
}

static size_t send_client(size_t at)
{
    size_t part = FAR - at < STEP ? FAR - at : STEP, done = 0;

    if (part == 0)
        return at;
    wire_fill(step, part, at);
    (void)SSL_write_ex(client, step, part, &done);
    return at + done;
}

static size_t send_conn(size_t at)
{
    size_t part = FAR - at < STEP ? FAR - at : STEP;

    if (conn_queued(probe.conn) > 2 * STEP || part == 0)
        return at;
    wire_fill(step, part, at);
    assert_int_equal(conn_write(probe.conn, step, part), 0);
    return at + part;
}

/* As check_client(), for what the conn has brought. */
static size_t check_probe(size_t at)
{
    size_t got = probe.len;

    wire_check(probe.bytes, got, at);
    probe.len = 0;
    return at + got;
}

static void fifty_megabytes_go_both_ways_unharmed(void **state)
{
    size_t sent = 0, got = 0, conn_sent = 0, conn_got = 0;
    int64_t give_up = __real_clock_now_ms() + 100000;

    (void)state;
    shake();
    while (got < FAR || conn_got < FAR) {
        sent = send_client(sent);
        conn_sent = send_conn(conn_sent);
        pump(&loop);
        got = check_client(got);
        conn_got = check_probe(conn_got);
        assert_true(__real_clock_now_ms() < give_up);
    }
    assert_true(probe.count[PROBE_DRAIN] > 0);
    assert_true(conn_wire_in(probe.conn) > FAR && conn_wire_in(probe.conn) < FAR / 100 * 101);
    assert_true(conn_wire_out(probe.conn) > FAR && conn_wire_out(probe.conn) < FAR / 100 * 101);
}

static void who_takes_little_gets_all_of_a_flood(void **state)
{
    size_t sent = 0, got = 0;

    (void)state;
    shake();
    probe.take_max = probe.full_at = 65536;
    for (unsigned round = 0; got < 20 * STEP; round++) {
        if (sent < 20 * STEP)
            sent = send_client(sent);
        if (round % 8) /* the relay is late */
            continue;
        probe.room = 65536;
        conn_update(probe.conn);
        pump(&loop);
        assert_int_equal(probe.count[PROBE_LOST], 0);
        got = check_probe(got);
    }
}

static void small_writes_of_a_turn_share_a_record(void **state)
{
    uint64_t before;
    uint8_t bytes[4096];
    size_t got;

    (void)state;
    shake();
    before = conn_wire_out(probe.conn);
    for (int i = 0; i < 100; i++)
        assert_int_equal(conn_write(probe.conn, "0123456789", 10), 0);
    pump(&loop);
    assert_int_equal(conn_wire_out(probe.conn) - before, 1000 + 22);
    assert_int_equal(read_client(bytes, sizeof(bytes), &got), SSL_ERROR_NONE);
    assert_int_equal(got, 1000);
}

static void a_record_that_was_begun_is_filled(void **state)
{
    static const size_t pieces[] = {100, 5000, CONN_RECORD_BYTES - 5100, 9000, 50000};
    uint64_t before;
    size_t total = 0;

    (void)state;
    shake();
    before = conn_wire_out(probe.conn);
    for (unsigned i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_int_equal(conn_write(probe.conn, step, pieces[i]), 0);
        total += pieces[i];
        assert_int_equal(conn_record_begun(probe.conn), total % CONN_RECORD_BYTES);
    }
    pump(&loop);
    assert_int_equal(conn_record_begun(probe.conn), 0);
    assert_int_equal(conn_wire_out(probe.conn) - before,
                     total + (total + CONN_RECORD_BYTES - 1) / CONN_RECORD_BYTES * 22);
}

/* Sealing makes bytes more; the bound must hold for those as well. */
static void a_queue_that_sealing_has_overfilled_is_full(void **state)
{
    (void)state;
    shake();
    while (conn_queued(probe.conn) < CONN_QUEUE_MAX) {
        size_t left = CONN_QUEUE_MAX - conn_queued(probe.conn);

        assert_int_equal(conn_write(probe.conn, step, left < STEP ? left : STEP), 0);
    }
    assert_true(conn_queued(probe.conn) > CONN_QUEUE_MAX);
    assert_int_equal(conn_write(probe.conn, "!", 1), -ENOBUFS);
}

static void the_end_without_close_notify_is_an_end(void **state)
{
    (void)state;
    shake();
    (void)shutdown(ends[1], SHUT_WR);
    pump_until(&loop, has_eof, NULL);
    assert_int_equal(probe.count[PROBE_LOST], 0);
}

static void close_notify_right_behind_bytes_is_an_end(void **state)
{
    (void)state;
    shake();
    SSL_set0_wbio(client, BIO_new(BIO_s_mem())); /* so that both go in one segment */
    assert_int_equal(SSL_write(client, "bye", 3), 3);
    (void)SSL_shutdown(client);
    assert_int_equal(BIO_read(SSL_get_wbio(client), step, sizeof(step)), 3 + 22 + 2 + 22);
    wire_send(ends[1], step, 3 + 22 + 2 + 22);
    pump_until(&loop, has_eof, NULL);
    assert_int_equal(probe.len_at_eof, 3);
}

static void garbage_right_behind_bytes_is_a_loss(void **state)
{
    uint8_t byte;
    size_t got;

    (void)state;
    shake();
    SSL_set0_wbio(client, BIO_new(BIO_s_mem()));
    assert_int_equal(SSL_write(client, "bye", 3), 3);
    assert_int_equal(BIO_read(SSL_get_wbio(client), step, sizeof(step)), 3 + 22);
    memset(step + 3 + 22, 0, 100);
    wire_send(ends[1], step, 3 + 22 + 100);
    pump_until(&loop, is_lost, NULL);
    assert_int_equal(probe.lost_err, -EPROTO);
    assert_int_equal(probe.len, 3);
    assert_int_equal(read_client(&byte, 1, &got), SSL_ERROR_SSL); /* the alert */
}

static void garbage_instead_of_a_hello_is_a_loss_with_an_alert(void **state)
{
    struct wire_log peer = {.fd = ends[1]};

    (void)state;
    wire_send(ends[1], "\x16\x03\x01\x00\x04nope", 9);
    pump_until(&loop, is_lost, NULL);
    assert_int_equal(probe.lost_err, -EPROTO);
    for (int i = 0; i < 100 && peer.end == WIRE_OPEN; i++) {
        pump(&loop);
        wire_read(&peer);
    }
    assert_true(peer.len >= 7);
    assert_int_equal(peer.bytes[0], 21); /* alert, RFC 8446 5.1 */
    wire_free(&peer);
}

static void an_owner_may_close_on_the_bytes_before_garbage(void **state)
{
    (void)state;
    shake();
    probe.act[PROBE_BYTES] = PROBE_CLOSES;
    SSL_set0_wbio(client, BIO_new(BIO_s_mem()));
    assert_int_equal(SSL_write(client, "bye", 3), 3);
    (void)BIO_read(SSL_get_wbio(client), step, sizeof(step));
    memset(step + 3 + 22, 0, 100);
    conn_shut(probe.conn); /* an end is due: it must not be sent to whoever has the fd next */
    wire_send(ends[1], step, 3 + 22 + 100);
    while (probe.conn)
        pump(&loop);
    pump_times(&loop, 3);
}

static void shutting_says_close_notify_and_still_reads(void **state)
{
    uint8_t bytes[16];
    size_t got;

    (void)state;
    shake();
    assert_int_equal(conn_write(probe.conn, "last", 4), 0);
    conn_shut(probe.conn);
    assert_int_equal(conn_write(probe.conn, "x", 1), -ESHUTDOWN);
    assert_int_equal(read_client(bytes, sizeof(bytes), &got), SSL_ERROR_NONE);
    assert_int_equal(got, 4);
    assert_int_equal(read_client(bytes, sizeof(bytes), &got), SSL_ERROR_ZERO_RETURN);
    assert_int_equal(SSL_write(client, "more", 4), 4);
    while (probe.len < 4)
        pump(&loop);
}

static void finishing_delivers_all_and_close_notify(void **state)
{
    size_t got = 0;
    int err;

    (void)state;
    shake();
    for (size_t at = 0; at < 10 * STEP; at += STEP) {
        wire_fill(step, STEP, at);
        assert_int_equal(conn_write(probe.conn, step, STEP), 0);
    }
    conn_finish(probe.conn);
    probe.conn = NULL;
    do {
        size_t part = 0;

        err = read_client(step, STEP, &part);
        if (err == SSL_ERROR_NONE)
            wire_check(step, part, got);
        got += part;
    } while (err == SSL_ERROR_NONE);
    assert_int_equal(err, SSL_ERROR_ZERO_RETURN);
    assert_int_equal(got, 10 * STEP);
}

static void it_may_be_let_go_in_the_middle_of_a_handshake(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        (void)SSL_do_handshake(client);
        pump_times(&loop, 3);
        if (round)
            conn_finish(probe.conn);
        else
            conn_close(probe.conn);
        probe.conn = NULL;
        pump_times(&loop, 3);
        skip_ms((int64_t)CONN_LINGER_MS * 2);
        pump_times(&loop, 3);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways),
        TEST(the_hello_may_be_preloaded_and_come_in_pieces),
        TEST(fifty_megabytes_go_both_ways_unharmed),
        TEST(who_takes_little_gets_all_of_a_flood),
        TEST(small_writes_of_a_turn_share_a_record),
        TEST(a_record_that_was_begun_is_filled),
        TEST(a_queue_that_sealing_has_overfilled_is_full),
        TEST(the_end_without_close_notify_is_an_end),
        TEST(close_notify_right_behind_bytes_is_an_end),
        TEST(garbage_right_behind_bytes_is_a_loss),
        TEST(garbage_instead_of_a_hello_is_a_loss_with_an_alert),
        TEST(an_owner_may_close_on_the_bytes_before_garbage),
        TEST(shutting_says_close_notify_and_still_reads),
        TEST(finishing_delivers_all_and_close_notify),
        TEST(it_may_be_let_go_in_the_middle_of_a_handshake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
