#include "tunnel/grant.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

static void it_keeps_copies_of_its_texts(void **state)
{
    char subject[] = "jon", token_id[] = "t-1", label[] = "laptop", host[] = "a.example.test";
    struct grant *g = grant_new(subject, token_id, label, 1700000000);

    (void)state;
    assert_non_null(g);
    assert_int_equal(grant_add_host(g, slice_text(host)), 0);
    subject[0] = token_id[0] = label[0] = host[0] = 'X';
    assert_string_equal(g->subject, "jon");
    assert_string_equal(g->token_id, "t-1");
    assert_string_equal(g->label, "laptop");
    assert_string_equal(g->hosts[0], "a.example.test");
    assert_int_equal(g->expires_at, 1700000000);
    grant_free(g);
}

static void texts_that_are_missing_are_empty(void **state)
{
    struct grant *g = grant_new(NULL, NULL, NULL, 0);

    (void)state;
    assert_non_null(g);
    assert_string_equal(g->subject, "");
    assert_string_equal(g->token_id, "");
    assert_string_equal(g->label, "");
    grant_free(g);
    grant_free(NULL);
}

static void a_name_or_port_is_there_once_however_often_it_is_added(void **state)
{
    struct grant *g = grant_new("s", NULL, NULL, 0);

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(grant_add_host(g, slice_text("a.test")), 0);
        assert_int_equal(grant_add_host(g, slice_text("*.a.test")), 0);
        assert_int_equal(grant_add_port(g, 2222), 0);
    }
    assert_int_equal(g->host_count, 2);
    assert_int_equal(g->port_count, 1);
    assert_true(grant_has_host(g, slice_text("*.a.test")));
    assert_false(grant_has_host(g, slice_text("b.a.test"))); /* the very text only */
    assert_true(grant_has_port(g, 2222));
    assert_false(grant_has_port(g, 2223));
    grant_free(g);
}

static void what_cannot_be_a_name_or_a_port_is_refused(void **state)
{
    struct grant *g = grant_new("s", NULL, NULL, 0);

    (void)state;
    assert_int_equal(grant_add_host(g, slice_text("")), -EINVAL);
    assert_int_equal(grant_add_host(g, slice_text(":80")), -EINVAL);
    assert_int_equal(grant_add_host(g, slice_of("a\0b", 3)), -EINVAL);
    assert_int_equal(grant_add_port(g, 0), -EINVAL);
    assert_int_equal(g->host_count, 0);
    assert_int_equal(g->port_count, 0);
    grant_free(g);
}

static void names_and_ports_are_bounded(void **state)
{
    struct grant *g = grant_new("s", NULL, NULL, 0);
    char host[GRANT_HOST_LEN_MAX + 1];

    (void)state;
    memset(host, 'a', sizeof(host));
    assert_int_equal(grant_add_host(g, slice_of(host, GRANT_HOST_LEN_MAX + 1)), -EMSGSIZE);
    assert_int_equal(grant_add_host(g, slice_of(host, GRANT_HOST_LEN_MAX)), 0);
    for (unsigned i = 1; i < GRANT_HOSTS_MAX; i++) {
        (void)snprintf(host, sizeof(host), "n%u.test", i);
        assert_int_equal(grant_add_host(g, slice_text(host)), 0);
    }
    assert_int_equal(grant_add_host(g, slice_text("one.more.test")), -EMSGSIZE);
    assert_int_equal(grant_add_host(g, slice_text("n1.test")), 0);
    for (unsigned i = 0; i < GRANT_PORTS_MAX; i++)
        assert_int_equal(grant_add_port(g, (uint16_t)(1000 + i)), 0);
    assert_int_equal(grant_add_port(g, 9999), -EMSGSIZE);
    assert_int_equal(grant_add_port(g, 1000), 0);
    assert_int_equal(g->host_count, GRANT_HOSTS_MAX);
    assert_int_equal(g->port_count, GRANT_PORTS_MAX);
    grant_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_copies_of_its_texts),
        cmocka_unit_test(texts_that_are_missing_are_empty),
        cmocka_unit_test(a_name_or_port_is_there_once_however_often_it_is_added),
        cmocka_unit_test(what_cannot_be_a_name_or_a_port_is_refused),
        cmocka_unit_test(names_and_ports_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
