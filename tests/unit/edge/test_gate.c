#include "edge/gate.h"

#include "edge/front.h"
#include "edge/visitor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "../net/certificate.h"

#include <openssl/err.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>

#define GUESTS 4
#define START_MS 1000000

static struct loop loop;
static struct edge_rules rules;
static struct trust trust;
static struct edge edge;
static SSL_CTX *context;
static struct guest {
    SSL *ssl;
    int fd;
    enum { GUEST_WAITS, GUEST_IN, GUEST_REFUSED } state;
} guests[GUESTS];
static int64_t now_ms;

int64_t __wrap_clock_now_ms(void);

int64_t __wrap_clock_now_ms(void)
{
    return now_ms;
}

static void open_stopper(struct parcel *p, void *receiver)
{
    (void)p;
    (void)receiver;
    loop_stop(&loop);
}

/* Three turns, without waiting: to read, to answer, to see an end. */
static void pump(void)
{
    for (int i = 0; i < 3; i++) {
        struct parcel stopper = {.open = open_stopper};

        list_init(&stopper.link);
        mailbox_send(&loop.mailbox, &stopper);
        loop.state = LOOP_RUNNING;
        loop_run(&loop);
    }
}

static const struct front_route no_routes[] = {{NULL, NULL, NULL}};

/* Handshakes: one a second, one at once; two may wait, for five seconds. */
static int set_up(void **state)
{
    static const struct quota_limits no_limits;
    static const struct client_taste taste;

    (void)state;
    now_ms = START_MS;
    rules = (struct edge_rules){.sniff_bytes = 65536,
                                .sniff_timeout_ms = 60000,
                                .handshake_timeout_ms = 3000,
                                .http_idle_ms = 60000,
                                .visitors_max = 100,
                                .gate = {{1, 1}, 2, 5000},
                                .routes = no_routes};
    trust = (struct trust){0};
    certificate_add(&trust.certificates, "DNS:a.example");
    if (loop_init(&loop, &edge))
        return -1;
    edge_init(&edge, &(struct edge_parts){.workers = &edge,
                                          .worker_count = 1,
                                          .loop = &loop,
                                          .quota = quota_new(&no_limits),
                                          .rules = &rules,
                                          .trust = &trust});
    context = client_context(&taste);
    return 0;
}

static void hang_up(struct guest *g)
{
    SSL_free(g->ssl);
    if (g->fd > 0)
        (void)close(g->fd);
    *g = (struct guest){0};
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < GUESTS; i++)
        hang_up(&guests[i]);
    pump();
    assert_int_equal(loop.conns, 0);
    assert_int_equal(tally_read(&edge.tally, TALLY_PENDING), 0);
    assert_int_equal(tally_read(&edge.tally, TALLY_HANDSHAKES_WAITING), 0);
    assert_int_equal(edge.gate.pending, 0);
    edge_fini(&edge);
    quota_free(edge.quota);
    loop_fini(&loop);
    SSL_CTX_free(context);
    certificates_fini(&trust.certificates);
    return 0;
}

/* Does what of the handshakes can be done now. */
static void turn(void)
{
    for (int round = 0; round < 3; round++) {
        pump();
        for (struct guest *g = guests; g < guests + GUESTS; g++) {
            if (!g->ssl || g->state != GUEST_WAITS)
                continue;
            ERR_clear_error();
            if (SSL_connect(g->ssl) == 1)
                g->state = GUEST_IN;
            else if (SSL_get_error(g->ssl, -1) == SSL_ERROR_SSL)
                g->state = GUEST_REFUSED;
        }
    }
    pump();
}

static void come(struct guest *g)
{
    static const struct address peer = {.in = {.sin_family = AF_INET}};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    visitor_accept(&edge, fds[0], &peer, 443, VISITOR_ON_SHARED_PORT);
    *g = (struct guest){.fd = fds[1], .ssl = SSL_new(context)};
    assert_int_equal(SSL_set_fd(g->ssl, fds[1]), 1);
    turn();
}

static void pass_ms(int64_t by)
{
    for (int64_t end = now_ms + by; now_ms < end;) {
        now_ms += end - now_ms < 100 ? end - now_ms : 100;
        turn();
    }
}

static uint64_t count(enum tally_id id)
{
    return tally_read(&edge.tally, id);
}

static void who_comes_faster_waits_and_is_served_in_turn(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        come(&guests[i]);
    assert_int_equal(guests[0].state, GUEST_IN);
    assert_int_equal(guests[1].state, GUEST_WAITS);
    assert_int_equal(count(TALLY_HANDSHAKES_WAITING), 2);
    pass_ms(900);
    assert_int_equal(guests[1].state, GUEST_WAITS);
    pass_ms(200);
    assert_int_equal(guests[1].state, GUEST_IN);
    assert_int_equal(guests[2].state, GUEST_WAITS);
    come(&guests[3]); /* not before those who wait */
    pass_ms(1000);
    assert_int_equal(guests[2].state, GUEST_IN);
    assert_int_equal(guests[3].state, GUEST_WAITS);
    pass_ms(1000);
    assert_int_equal(guests[3].state, GUEST_IN);
    assert_int_equal(edge.gate.state, GATE_CROWDED);
    pass_ms(1200);
    assert_int_equal(edge.gate.state, GATE_CALM);
    for (int i = 0; i < GUESTS; i++)
        hang_up(&guests[i]);
    pump();
    assert_int_equal(count(TALLY_HANDSHAKES), 4);
    assert_int_equal(count(TALLY_HANDSHAKES_WAITED), 3);
    assert_int_equal(count(TALLY_REFUSED_HANDSHAKES_PENDING), 0);
}

static void who_goes_away_while_it_waits_is_dropped_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        come(&guests[i]);
    hang_up(&guests[1]);
    pump();
    assert_int_equal(count(TALLY_HANDSHAKES_WAITING), 1);
    assert_int_equal(loop.conns, 2);
    pass_ms(1100);
    assert_int_equal(guests[2].state, GUEST_IN);
}

static void nothing_is_owed_to_those_who_went_away(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        come(&guests[i]);
    hang_up(&guests[1]);
    hang_up(&guests[2]);
    pass_ms(2000);
    come(&guests[3]);
    assert_int_equal(guests[3].state, GUEST_IN);
}

static void a_crowd_is_over_when_nobody_has_waited_for_a_second(void **state)
{
    (void)state;
    come(&guests[0]);
    come(&guests[1]);
    pass_ms(900);
    hang_up(&guests[1]);
    pump();
    pass_ms(900);
    assert_int_equal(edge.gate.state, GATE_CROWDED);
    pass_ms(200);
    assert_int_equal(edge.gate.state, GATE_CALM);
}

static void who_finds_the_list_full_is_told_by_an_alert(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        come(&guests[i]);
    assert_int_equal(guests[3].state, GUEST_REFUSED);
    assert_int_equal(count(TALLY_REFUSED_HANDSHAKES_PENDING), 1);
    assert_int_equal(guests[2].state, GUEST_WAITS);
}

static void who_has_waited_too_long_is_told_by_an_alert(void **state)
{
    (void)state;
    rules.gate.wait_ms = 500;
    come(&guests[0]);
    come(&guests[1]);
    pass_ms(400);
    assert_int_equal(guests[1].state, GUEST_WAITS);
    pass_ms(200);
    assert_int_equal(guests[1].state, GUEST_REFUSED);
    assert_int_equal(count(TALLY_REFUSED_HANDSHAKES_PENDING), 1);
    come(&guests[2]);
    pass_ms(450);
    assert_int_equal(guests[2].state, GUEST_IN);
}

static void the_handshake_has_its_whole_time_once_it_has_begun(void **state)
{
    int fds[2];
    static const struct address peer = {.in = {.sin_family = AF_INET}};
    static uint8_t hello[4096];
    BIO *out = BIO_new(BIO_s_mem());
    SSL *silent = SSL_new(context); /* says its first words, and nothing more */
    int len;

    (void)state;
    SSL_set_bio(silent, BIO_new(BIO_s_mem()), out);
    (void)SSL_connect(silent);
    len = BIO_read(out, hello, sizeof(hello));
    assert_true(len > 0);
    come(&guests[0]);
    come(&guests[1]);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    visitor_accept(&edge, fds[0], &peer, 443, VISITOR_ON_SHARED_PORT);
    assert_int_equal(send(fds[1], hello, (size_t)len, 0), len);
    pass_ms(2100); /* it has begun */
    assert_int_equal(count(TALLY_HANDSHAKES_WAITING), 0);
    pass_ms(2800);
    assert_int_equal(count(TALLY_HANDSHAKES_FAILED), 0);
    pass_ms(400);
    assert_int_equal(count(TALLY_HANDSHAKES_FAILED), 1);
    (void)close(fds[1]);
    SSL_free(silent);
}

static void whoever_waits_is_closed_when_the_relay_stops(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        come(&guests[i]);
    gate_close_all(&edge);
    turn();
    assert_int_equal(count(TALLY_HANDSHAKES_WAITING), 0);
    assert_int_equal(loop.conns, 1);
}

static void without_a_rate_nobody_waits(void **state)
{
    (void)state;
    rules.gate.rate.per_s = 0;
    for (int i = 0; i < 4; i++)
        come(&guests[i]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(guests[i].state, GUEST_IN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_comes_faster_waits_and_is_served_in_turn, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_goes_away_while_it_waits_is_dropped_at_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_owed_to_those_who_went_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_crowd_is_over_when_nobody_has_waited_for_a_second, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_finds_the_list_full_is_told_by_an_alert, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_has_waited_too_long_is_told_by_an_alert, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_handshake_has_its_whole_time_once_it_has_begun, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(whoever_waits_is_closed_when_the_relay_stops, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(without_a_rate_nobody_waits, set_up, tear_down),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as the relay does: guests write to who has hung up */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
