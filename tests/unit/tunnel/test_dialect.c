#include "tunnel/dialect.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct {
    enum dialect dialect;
    bool control, pause, silent_open;
    size_t end_len;
    enum mproxy_fields fields;
} rows[] = {
    {DIALECT_FIRST, true, false, false, 1, MPROXY_FIELDS_7},
    {DIALECT_CONTROL, true, true, true, 1, MPROXY_FIELDS_7},
    {DIALECT_GO, false, false, false, 0, MPROXY_FIELDS_7},
    {DIALECT_GO_2017, false, false, false, 0, MPROXY_FIELDS_5},
};

static void each_age_is_told_what_it_understands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(dialect_has_control(rows[i].dialect), rows[i].control);
        assert_int_equal(dialect_has_pause(rows[i].dialect), rows[i].pause);
        assert_int_equal(dialect_has_silent_open(rows[i].dialect), rows[i].silent_open);
        assert_int_equal(dialect_end_len(rows[i].dialect), rows[i].end_len);
        assert_int_equal(dialect_fields(rows[i].dialect), rows[i].fields);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_age_is_told_what_it_understands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
