#include "tunnel/claim.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void it_is_for_a_name_or_for_a_port(void **state)
{
    char subject[] = "jon";
    struct claim *name = claim_new_host(slice_text("*.a.test"), subject);
    struct claim *port = claim_new_port(2222, subject);

    (void)state;
    subject[0] = 'X';
    assert_string_equal(name->host, "*.a.test");
    assert_int_equal(name->port, 0);
    assert_string_equal(name->subject, "jon");
    assert_int_equal(name->holders, 1);
    assert_int_equal(meter_read(&name->meter, METER_STREAMS), 0);
    assert_string_equal(port->host, "");
    assert_int_equal(port->port, 2222);
    claim_free(name);
    claim_free(port);
    claim_free(NULL);
}

static void a_name_that_does_not_fit_makes_none(void **state)
{
    char host[256];
    struct claim *c;

    (void)state;
    memset(host, 'a', sizeof(host));
    assert_null(claim_new_host(slice_of(host, 256), "s"));
    assert_null(claim_new_host(slice_text(""), "s"));
    assert_null(claim_new_port(0, "s"));
    c = claim_new_host(slice_of(host, 255), "s");
    assert_non_null(c);
    assert_int_equal(strlen(c->host), 255);
    claim_free(c);
}

static void it_is_found_by_its_very_text_or_port(void **state)
{
    struct claim *name = claim_new_host(slice_text("*.a.test"), "s");
    struct claim *port = claim_new_port(2222, "s");
    struct list claims;

    (void)state;
    list_init(&claims);
    list_push(&claims, &port->link);
    list_push(&claims, &name->link);
    assert_ptr_equal(claim_find_host(&claims, slice_text("*.a.test")), name);
    assert_null(claim_find_host(&claims, slice_text("b.a.test")));
    assert_null(claim_find_host(&claims, slice_text("")));
    assert_ptr_equal(claim_find_port(&claims, 2222), port);
    assert_null(claim_find_port(&claims, 2223));
    assert_null(claim_find_port(&claims, 0));
    claim_free(name);
    claim_free(port);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_for_a_name_or_for_a_port),
        cmocka_unit_test(a_name_that_does_not_fit_makes_none),
        cmocka_unit_test(it_is_found_by_its_very_text_or_port),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
