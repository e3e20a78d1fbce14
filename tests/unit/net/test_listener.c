#include "net/listener.h"

#include "net/conn.h"
#include "pump.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static struct loop loop;

struct door {
    struct listener listener;
    unsigned accepted, troubles;
    int err;
    struct address peer;
    int fds[16];
};

static void on_accept(struct listener *l, int fd, const struct address *peer)
{
    struct door *d = LIST_OWNER(l, struct door, listener);

    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    d->peer = *peer;
    d->fds[d->accepted++] = fd;
}

static void on_trouble(struct listener *l, int err)
{
    struct door *d = LIST_OWNER(l, struct door, listener);

    d->troubles++;
    d->err = err;
}

static void open_door(struct door *d, const char *at)
{
    struct address a;

    *d = (struct door){
        .listener = {.on_accept = on_accept, .on_trouble = on_trouble, .patience_ms = 123456}};
    assert_int_equal(address_parse(slice_text(at), &a), 0);
    assert_int_equal(listener_start(&d->listener, &loop, &a), 0);
    assert_int_not_equal(address_port(&d->listener.bound), 0);
}

static void shut_door(struct door *d)
{
    listener_stop(&d->listener);
    listener_stop(&d->listener);
    for (unsigned i = 0; i < d->accepted; i++)
        (void)close(d->fds[i]);
}

static int knock(const char *host, uint16_t port)
{
    char text[ADDRESS_TEXT_MAX];
    struct address a;
    int fd;

    (void)snprintf(text, sizeof(text), "%s:%u", host, port);
    assert_int_equal(address_parse(slice_text(text), &a), 0);
    fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd != -1);
    assert_int_equal(connect(fd, &a.sa, address_len(&a)), 0);
    return fd;
}

static bool has_accepted(void *arg)
{
    return ((struct door *)arg)->accepted > 0;
}

static void port_0_takes_a_free_one_and_visitors_come(void **state)
{
    struct door d;
    int fd;

    (void)state;
    open_door(&d, "127.0.0.1:0");
    fd = knock("127.0.0.1", address_port(&d.listener.bound));
    pump_until(&loop, has_accepted, &d);
    assert_int_equal(d.peer.sa.sa_family, AF_INET);
    (void)close(fd);
    shut_door(&d);
}

static int option(int fd, int level, int name)
{
    int value = -1;
    socklen_t size = sizeof(value);

    assert_int_equal(getsockopt(fd, level, name, &value, &size), 0);
    return value;
}

/* Linux hands on what a listening socket was told: tcp(7) says so of some options only. */
static void its_connections_begin_with_what_it_was_told(void **state)
{
    struct door d;
    int fd;

    (void)state;
    open_door(&d, "127.0.0.1:0");
    fd = knock("127.0.0.1", address_port(&d.listener.bound));
    pump_until(&loop, has_accepted, &d);
    assert_int_equal(option(d.fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(d.fds[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 123456);
    assert_int_equal(option(d.fds[0], SOL_SOCKET, SO_KEEPALIVE), 1);
    assert_int_equal(1000 * (option(d.fds[0], IPPROTO_TCP, TCP_KEEPIDLE) +
                             option(d.fds[0], IPPROTO_TCP, TCP_KEEPCNT) *
                                 option(d.fds[0], IPPROTO_TCP, TCP_KEEPINTVL)),
                     CONN_KEEPALIVE_MS);
    (void)close(fd);
    shut_door(&d);
}

static void every_address_means_ipv4_and_ipv6(void **state)
{
    struct door d;
    int four, six;

    (void)state;
    open_door(&d, "0");
    four = knock("127.0.0.1", address_port(&d.listener.bound));
    pump_until(&loop, has_accepted, &d);
    assert_int_equal(d.peer.sa.sa_family, AF_INET); /* and not ::ffff:127.0.0.1 */
    six = knock("[::1]", address_port(&d.listener.bound));
    while (d.accepted < 2)
        pump(&loop);
    assert_int_equal(d.peer.sa.sa_family, AF_INET6);
    (void)close(four);
    (void)close(six);
    shut_door(&d);
}

static void several_may_listen_at_one_address(void **state)
{
    struct door a, b;
    char text[ADDRESS_TEXT_MAX];

    (void)state;
    open_door(&a, "127.0.0.1:0");
    address_write(&a.listener.bound, text);
    open_door(&b, text);
    assert_int_equal(address_port(&a.listener.bound), address_port(&b.listener.bound));
    shut_door(&a);
    shut_door(&b);
}

static void a_probe_finds_even_who_would_share(void **state)
{
    struct door d;
    struct address there;

    (void)state;
    open_door(&d, "127.0.0.1:0");
    there = d.listener.bound;
    assert_int_equal(listener_probe(&there), -EADDRINUSE);
    shut_door(&d);
    assert_int_equal(listener_probe(&there), 0);
}

static void an_address_that_is_not_ours_is_refused(void **state)
{
    struct door d = {
        .listener = {.on_accept = on_accept, .on_trouble = on_trouble, .patience_ms = 123456}};
    struct address a;

    (void)state;
    assert_int_equal(address_parse(slice_text("192.0.2.1:0"), &a), 0);
    assert_int_equal(listener_start(&d.listener, &loop, &a), -EADDRNOTAVAIL);
    listener_stop(&d.listener);
    listener_stop(&(struct listener){0});
}

/* Lets no descriptor above `fd` be made. */
static struct rlimit forbid_above(int fd)
{
    struct rlimit old, low;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    return old;
}

static void without_descriptors_it_pauses_and_goes_on_by_itself(void **state)
{
    struct door d;
    struct rlimit old;
    int fd, spare;

    (void)state;
    open_door(&d, "127.0.0.1:0");
    fd = knock("127.0.0.1", address_port(&d.listener.bound));
    spare = dup(fd); /* the lowest free descriptor and all below are in use */
    old = forbid_above(spare);
    pump_times(&loop, 20);
    assert_int_equal(d.accepted, 0);
    assert_int_equal(d.troubles, 1); /* it does not spin */
    assert_int_equal(d.err, -EMFILE);
    skip_ms(2 * (int64_t)LISTENER_RETRY_MS);
    pump_times(&loop, 20);
    assert_int_equal(d.troubles, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    (void)close(spare);
    skip_ms(2 * (int64_t)LISTENER_RETRY_MS);
    pump_until(&loop, has_accepted, &d);
    assert_int_equal(d.troubles, 2);
    (void)close(fd);
    shut_door(&d);
}

static void who_has_had_trouble_is_well_after_a_while_without(void **state)
{
    struct door d;
    struct rlimit old;
    int fd, spare;

    (void)state;
    open_door(&d, "127.0.0.1:0");
    fd = knock("127.0.0.1", address_port(&d.listener.bound));
    spare = dup(fd);
    old = forbid_above(spare);
    pump_times(&loop, 5);
    assert_int_equal(d.listener.state, LISTENER_PAUSED);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    skip_ms(2 * (int64_t)LISTENER_RETRY_MS);
    pump_until(&loop, has_accepted, &d);
    assert_int_equal(d.listener.state, LISTENER_TRYING);
    assert_int_equal(d.troubles, 1);
    skip_ms(2 * (int64_t)LISTENER_CALM_MS);
    pump_times(&loop, 5);
    assert_int_equal(d.listener.state, LISTENER_WELL);
    assert_int_equal(d.troubles, 2);
    assert_int_equal(d.err, 0);
    (void)close(spare);
    (void)close(fd);
    shut_door(&d);
}

static void it_goes_on_at_once_when_a_descriptor_comes_free(void **state)
{
    struct supply supply = {.descriptors_max = 2};
    struct door d;
    int fd;

    (void)state;
    loop.supply = &supply;
    open_door(&d, "127.0.0.1:0");
    loop_take_descriptor(&loop);
    fd = knock("127.0.0.1", address_port(&d.listener.bound));
    pump_times(&loop, 5);
    assert_int_equal(d.accepted, 0);
    assert_int_equal(d.err, -EMFILE);
    loop_give_descriptor(&loop);
    pump_times(&loop, 5);
    assert_int_equal(d.accepted, 1);
    assert_int_equal(d.troubles, 1);
    (void)close(fd);
    shut_door(&d);
    assert_int_equal(supply_read_descriptors(&supply), 0);
}

static void stop_in_trouble(struct listener *l, int err)
{
    on_trouble(l, err);
    listener_stop(l);
}

static void it_may_be_stopped_in_its_own_callbacks(void **state)
{
    struct door d;
    struct rlimit old;
    int fd, spare;

    (void)state;
    open_door(&d, "127.0.0.1:0");
    d.listener.on_trouble = stop_in_trouble;
    fd = knock("127.0.0.1", address_port(&d.listener.bound));
    spare = dup(fd);
    old = forbid_above(spare);
    pump_times(&loop, 5);
    assert_int_equal(d.troubles, 1);
    assert_false(deadline_is_running(&d.listener.retry));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    (void)close(spare);
    (void)close(fd);
    shut_door(&d);
}

static int set_up(void **state)
{
    (void)state;
    return loop_init(&loop, &loop);
}

static int tear_down(void **state)
{
    (void)state;
    loop_fini(&loop);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(port_0_takes_a_free_one_and_visitors_come),
        TEST(its_connections_begin_with_what_it_was_told),
        TEST(every_address_means_ipv4_and_ipv6),
        TEST(several_may_listen_at_one_address),
        TEST(a_probe_finds_even_who_would_share),
        TEST(an_address_that_is_not_ours_is_refused),
        TEST(without_descriptors_it_pauses_and_goes_on_by_itself),
        TEST(who_has_had_trouble_is_well_after_a_while_without),
        TEST(it_goes_on_at_once_when_a_descriptor_comes_free),
        TEST(it_may_be_stopped_in_its_own_callbacks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
