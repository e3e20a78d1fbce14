#include "edge/front.h"

#include "edge/visitor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define GUESTS 20
#define START_MS 1000000

static struct loop loop;
static struct edge_rules rules;
static struct trust trust;
static struct edge edge;
static struct quota_limits limits;
static int guests[GUESTS];
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

static int set_up(void **state)
{
    static const struct front_route no_routes[] = {{NULL, NULL, NULL}};

    (void)state;
    now_ms = START_MS;
    limits = (struct quota_limits){0};
    rules = (struct edge_rules){.sniff_bytes = 65536,
                                .sniff_timeout_ms = 60000,
                                .handshake_timeout_ms = 60000,
                                .http_idle_ms = 60000,
                                .visitors_max = 100,
                                .routes = no_routes};
    if (loop_init(&loop, &edge))
        return -1;
    edge_init(&edge, &(struct edge_parts){.workers = &edge,
                                          .worker_count = 1,
                                          .loop = &loop,
                                          .quota = quota_new(&limits),
                                          .rules = &rules,
                                          .trust = &trust});
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < GUESTS; i++) {
        if (guests[i])
            (void)close(guests[i]);
        guests[i] = 0;
    }
    pump();
    assert_int_equal(loop.conns, 0);
    assert_int_equal(tally_read(&edge.tally, TALLY_PENDING), 0);
    edge_fini(&edge);
    quota_free(edge.quota);
    loop_fini(&loop);
    return 0;
}

static void say(int i, const char *text)
{
    assert_int_equal(send(guests[i], text, strlen(text), 0), strlen(text));
    pump();
}

/* A visitor that asks the relay itself. */
static void come(int i, const char *text)
{
    static const struct address peer = {.in = {.sin_family = AF_INET}};
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    visitor_accept(&edge, fds[0], &peer, 80, VISITOR_ON_SHARED_PORT);
    guests[i] = fds[1];
    say(i, text);
}

/* What it has been told, and whether that was all. */
static const char *heard(int i, bool *ended)
{
    static char text[8192];
    ssize_t got, len = 0;

    while ((got = recv(guests[i], text + len, sizeof(text) - 1 - (size_t)len, 0)) > 0)
        len += got;
    *ended = got == 0;
    text[len] = 0;
    return text;
}

static bool is_open(int i)
{
    bool ended;

    (void)heard(i, &ended);
    return !ended;
}

static const char whole[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

static void the_longest_quiet_is_dropped_however_many_came_before_it(void **state)
{
    (void)state;
    for (int i = 0; i < GUESTS; i++)
        come(i, whole);
    now_ms += 2000;
    for (int i = 0; i < GUESTS - 1; i++)
        say(i, whole);
    front_drop_silent(&edge, now_ms - 1000, 16);
    pump();
    for (int i = 0; i < GUESTS; i++)
        assert_int_equal(is_open(i), i < GUESTS - 1);
}

static void no_more_than_asked_for_are_dropped_the_longest_quiet_first(void **state)
{
    (void)state;
    come(0, whole);
    come(1, whole);
    come(2, whole);
    now_ms += 100;
    say(0, whole);
    now_ms += 2000;
    front_drop_silent(&edge, now_ms - 1000, 2);
    pump();
    assert_true(is_open(0));
    assert_false(is_open(1));
    assert_false(is_open(2));
}

static void who_has_named_no_host_is_refused_in_whole_words(void **state)
{
    bool ended;
    const char *text;

    (void)state;
    limits.address_connections = 1;
    come(0, whole);
    come(1, "GET / HTTP/1.0\r\n\r\n");
    text = heard(1, &ended);
    assert_true(ended);
    assert_non_null(strstr(text, "HTTP/1.1 429 "));
    assert_non_null(strstr(text, "Retry-After: "));
    assert_non_null(strstr(text, "none is left for the relay."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_longest_quiet_is_dropped_however_many_came_before_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_asked_for_are_dropped_the_longest_quiet_first,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_has_named_no_host_is_refused_in_whole_words, set_up,
                                        tear_down),
    };

    (void)signal(SIGPIPE, SIG_IGN); /* as the relay does */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
