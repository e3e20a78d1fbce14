#include "admin/discovery.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

static void a_port_is_said_again_unless_it_is_the_usual_one(void **state)
{
    static const struct {
        const char *scheme;
        uint16_t port;
        const char *api_host;
    } rows[] = {
        {"https", 0, ":hostname"},         {"https", 443, ":hostname"},
        {"https", 8000, ":hostname:8000"}, {"https", 80, ":hostname:80"},
        {"http", 0, ":hostname"},          {"http", 80, ":hostname"},
        {"http", 8000, ":hostname:8000"},  {"http", 65535, ":hostname:65535"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[DISCOVERY_SIZE];
        json_t *document = json_loads(discovery_write(rows[i].scheme, rows[i].port, text), 0, NULL);
        const json_t *tunnel = json_object_get(document, "tunnel");

        assert_non_null(document);
        assert_string_equal(json_string_value(json_object_get(document, "api_host")),
                            rows[i].api_host);
        assert_string_equal(json_string_value(json_object_get(tunnel, "method")), "wss");
        assert_string_equal(json_string_value(json_object_get(tunnel, "pathname")), "");
        json_decref(document);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_port_is_said_again_unless_it_is_the_usual_one),
    };

    return cmocka_run_group_tests_name("admin/discovery", tests, NULL, NULL);
}
