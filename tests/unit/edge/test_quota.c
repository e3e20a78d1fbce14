#include "edge/quota.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#define NOBODY_ASKS UINT32_MAX

static uint32_t fails_at = NOBODY_ASKS;
static enum { MEMORY_AMPLE, MEMORY_OUT } memory;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (memory == MEMORY_OUT || (fails_at != NOBODY_ASKS && fails_at-- == 0))
        return NULL;
    return __real_calloc(count, size);
}

static struct address address_of(const char *text)
{
    struct address a;

    assert_int_equal(address_parse(slice_text(text), &a), 0);
    return a;
}

static void a_limit_is_passed_once_and_far_at_twice(void **state)
{
    const struct quota_limits limits = {.address_connections = 2};
    struct quota *q = quota_new(&limits);
    struct address one = address_of("192.0.2.1:1"), other = address_of("192.0.2.2:1");
    const enum quota_answer want[] = {QUOTA_WITHIN, QUOTA_WITHIN, QUOTA_OVER, QUOTA_OVER,
                                      QUOTA_FAR_OVER};
    struct ticket tickets[5], far;

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_int_equal(quota_take_connection(q, &one, &tickets[i]), want[i]);
    assert_int_equal(quota_take_connection(q, &other, &far), QUOTA_WITHIN);
    for (int i = 0; i < 4; i++)
        ticket_give_back(&tickets[i]);
    ticket_give_back(&tickets[0]); /* an empty one by now */
    assert_int_equal(quota_take_connection(q, &one, &tickets[0]), QUOTA_WITHIN);
    assert_int_equal(quota_take_connection(q, &one, &tickets[1]), QUOTA_OVER);
    ticket_give_back(&tickets[0]);
    ticket_give_back(&tickets[1]);
    ticket_give_back(&tickets[4]);
    ticket_give_back(&far);
    quota_free(q); /* asserts that nobody is remembered */
}

static void a_moved_ticket_is_given_back_by_the_last_holder_alone(void **state)
{
    const struct quota_limits limits = {.address_connections = 1};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("192.0.2.1:1");
    struct ticket first, second;

    (void)state;
    assert_int_equal(quota_take_connection(q, &a, &first), QUOTA_WITHIN);
    second = ticket_move(&first);
    ticket_give_back(&first);
    assert_int_equal(quota_take_connection(q, &a, &first), QUOTA_OVER);
    ticket_give_back(&first);
    ticket_give_back(&second);
    quota_free(q);
}

static void an_ipv6_network_of_64_bits_is_one_address(void **state)
{
    const struct quota_limits limits = {.address_connections = 1};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("[2001:db8:0:1::1]:1"), b = address_of("[2001:db8:0:1:ff::2]:9"),
                   c = address_of("[2001:db8:0:2::1]:1");
    struct ticket tickets[3];

    (void)state;
    assert_int_equal(quota_take_connection(q, &a, &tickets[0]), QUOTA_WITHIN);
    assert_int_equal(quota_take_connection(q, &b, &tickets[1]), QUOTA_OVER);
    assert_int_equal(quota_take_connection(q, &c, &tickets[2]), QUOTA_WITHIN);
    for (int i = 0; i < 3; i++)
        ticket_give_back(&tickets[i]);
    quota_free(q);
}

static void tunnels_and_streams_of_a_token_are_counted_apart(void **state)
{
    const struct quota_limits limits = {.token_tunnels = 1, .token_streams = 1};
    struct quota *q = quota_new(&limits);
    struct quota_token ours = {"me", "t1"}, theirs = {"you", "t1"};
    struct ticket tickets[4];

    (void)state;
    assert_true(quota_has_tunnel(q, ours));
    assert_int_equal(quota_take_tunnel(q, ours, &tickets[0]), QUOTA_WITHIN);
    assert_false(quota_has_tunnel(q, ours));
    assert_true(quota_has_tunnel(q, theirs));
    assert_int_equal(quota_take_tunnel(q, theirs, &tickets[1]), QUOTA_WITHIN);
    assert_int_equal(quota_take_stream(q, ours, &tickets[2]), QUOTA_WITHIN);
    assert_int_equal(quota_take_stream(q, ours, &tickets[3]), QUOTA_OVER);
    for (int i = 0; i < 4; i++)
        ticket_give_back(&tickets[i]);
    assert_true(quota_has_tunnel(q, ours));
    quota_free(q);
}

static void without_a_limit_nothing_is_counted(void **state)
{
    const struct quota_limits limits = {0};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("192.0.2.1:1");
    struct quota_token token = {"me", "t"};
    struct ticket ticket;

    (void)state;
    for (int i = 0; i < 100; i++) { /* an empty ticket need not be given back */
        assert_int_equal(quota_take_connection(q, &a, &ticket), QUOTA_WITHIN);
        assert_int_equal(quota_take_tunnel(q, token, &ticket), QUOTA_WITHIN);
        assert_int_equal(quota_take_stream(q, token, &ticket), QUOTA_WITHIN);
        assert_true(quota_take_handshake(q, &a, 0));
    }
    quota_free(q);
}

static void without_memory_nobody_is_counted_and_nobody_refused(void **state)
{
    const struct quota_limits limits = {.address_connections = 1, .address_handshakes_per_s = 1};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("192.0.2.1:1");
    struct ticket ticket;

    (void)state;
    for (uint32_t at = 0; at < 2; at++) { /* the holder, then the map's slots */
        fails_at = at;
        assert_int_equal(quota_take_connection(q, &a, &ticket), QUOTA_WITHIN);
        assert_null(ticket.give_back);
        fails_at = at;
        assert_true(quota_take_handshake(q, &a, 0));
    }
    fails_at = NOBODY_ASKS;
    quota_free(q);
}

static void handshakes_of_an_address_come_back_with_time(void **state)
{
    const struct quota_limits limits = {.address_handshakes_per_s = 2};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("192.0.2.1:1"), b = address_of("192.0.2.2:1");

    (void)state;
    assert_true(quota_take_handshake(q, &a, 5000));
    assert_true(quota_take_handshake(q, &a, 5000));
    assert_false(quota_take_handshake(q, &a, 5000));
    assert_true(quota_take_handshake(q, &b, 5000));
    assert_false(quota_take_handshake(q, &a, 5499));
    assert_true(quota_take_handshake(q, &a, 5500));
    assert_false(quota_take_handshake(q, &a, 5500));
    assert_true(quota_take_handshake(q, &a, 9000)); /* forgotten and known anew */
    assert_true(quota_take_handshake(q, &a, 9000));
    assert_false(quota_take_handshake(q, &a, 9000));
    quota_free(q);
}

static void no_more_addresses_than_its_most_are_remembered(void **state)
{
    const struct quota_limits limits = {.address_handshakes_per_s = 1};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("192.0.2.1:1"), first = a;

    (void)state;
    assert_true(quota_take_handshake(q, &a, 0));
    for (uint32_t i = 0; i < QUOTA_RECENT_MAX + 1; i++) {
        a.in.sin_addr.s_addr = i;
        assert_true(quota_take_handshake(q, &a, 0));
        assert_false(quota_take_handshake(q, &a, 0));
    }
    assert_true(quota_take_handshake(q, &first, 0)); /* the longest ago is not known any more */
    quota_free(q);
}

/* Without memory for new ones: who is known can be told from who is not. */
static void who_comes_after_a_pause_need_not_wait_until_all_are_forgotten(void **state)
{
    const struct quota_limits limits = {.address_handshakes_per_s = 1};
    struct quota *q = quota_new(&limits);
    struct address a = address_of("192.0.2.1:1");

    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        a.in.sin_addr.s_addr = i;
        assert_true(quota_take_handshake(q, &a, 0));
    }
    memory = MEMORY_OUT;
    assert_true(quota_take_handshake(q, &a, 5000));
    assert_false(quota_take_handshake(q, &a, 5000)); /* the last of them: still known */
    memory = MEMORY_AMPLE;
    for (uint32_t i = 100; i < 200; i++) {
        a.in.sin_addr.s_addr = i;
        assert_true(quota_take_handshake(q, &a, 5000));
    }
    a.in.sin_addr.s_addr = 98;
    memory = MEMORY_OUT;
    for (int i = 0; i < 2; i++)
        assert_true(quota_take_handshake(q, &a, 5000)); /* forgotten by and by */
    memory = MEMORY_AMPLE;
    quota_free(q);
}

#define ROUNDS 20000

static void *come_and_go(void *arg)
{
    struct quota *q = arg;
    struct address a = address_of("192.0.2.1:1");

    for (int i = 0; i < ROUNDS; i++) {
        struct ticket ticket;

        (void)quota_take_connection(q, &a, &ticket);
        ticket_give_back(&ticket);
    }
    return NULL;
}

static void workers_count_in_one_table(void **state)
{
    const struct quota_limits limits = {.address_connections = 1};
    struct quota *q = quota_new(&limits);
    pthread_t threads[2];

    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, q), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    quota_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_is_passed_once_and_far_at_twice),
        cmocka_unit_test(a_moved_ticket_is_given_back_by_the_last_holder_alone),
        cmocka_unit_test(an_ipv6_network_of_64_bits_is_one_address),
        cmocka_unit_test(tunnels_and_streams_of_a_token_are_counted_apart),
        cmocka_unit_test(without_a_limit_nothing_is_counted),
        cmocka_unit_test(without_memory_nobody_is_counted_and_nobody_refused),
        cmocka_unit_test(handshakes_of_an_address_come_back_with_time),
        cmocka_unit_test(no_more_addresses_than_its_most_are_remembered),
        cmocka_unit_test(who_comes_after_a_pause_need_not_wait_until_all_are_forgotten),
        cmocka_unit_test(workers_count_in_one_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
