#include "base/slice.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void slices_are_equal_where_their_bytes_are(void **state)
{
    (void)state;
    assert_true(slice_is_equal(slice_text("abc"), slice_of("abcd", 3)));
    assert_false(slice_is_equal(slice_text("abc"), slice_text("abd")));
    assert_false(slice_is_equal(slice_text("abc"), slice_text("ab")));
    assert_true(slice_is_equal(slice_of(NULL, 0), slice_text("")));
    assert_true(slice_is_text(slice_of("a\0b", 1), "a"));
    assert_false(slice_is_text(slice_of("a\0b", 3), "a"));
}

static void case_of_letters_only_is_ignored(void **state)
{
    (void)state;
    assert_true(slice_is_text_nocase(slice_text("UpGrade"), "upgrADE"));
    assert_false(slice_is_text_nocase(slice_text("upgrade"), "upgrades"));
    assert_false(slice_is_text_nocase(slice_text("upgrades"), "upgrade"));
    assert_false(slice_is_text_nocase(slice_text("@[`{"), "`{@["));
    assert_false(slice_is_text_nocase(slice_of("a\0", 2), "a"));
    assert_true(slice_is_text_nocase(slice_of(NULL, 0), ""));
}

static void a_tail_is_looked_for_at_the_end_only(void **state)
{
    struct slice name = slice_text("x.example");

    (void)state;
    assert_true(slice_has_tail(name, slice_text(".example")));
    assert_true(slice_has_tail(name, name));
    assert_true(slice_has_tail(name, slice_of(NULL, 0)));
    assert_false(slice_has_tail(name, slice_text("x.")));
    assert_false(slice_has_tail(slice_text("e"), slice_text(".e")));
}

static void what_lies_behind_the_end_is_empty(void **state)
{
    (void)state;
    assert_true(slice_is_text(slice_from(slice_text("abc"), 1), "bc"));
    assert_int_equal(slice_from(slice_text("abc"), 3).len, 0);
    assert_int_equal(slice_from(slice_text("abc"), SIZE_MAX).len, 0);
}

static void writing_cuts_what_does_not_fit_and_ends_with_nul(void **state)
{
    char out[4] = "zzz";

    (void)state;
    assert_string_equal(slice_write(slice_text("ab"), out, sizeof(out)), "ab");
    assert_string_equal(slice_write(slice_text("abc"), out, sizeof(out)), "abc");
    assert_string_equal(slice_write(slice_text("abcd"), out, sizeof(out)), "abc");
    assert_string_equal(slice_write(slice_of(NULL, 0), out, sizeof(out)), "");
    assert_string_equal(slice_write(slice_text("abcd"), out, 1), "");
}

static void numbers_are_digits_only_and_bounded(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
        int err;
    } rows[] = {
        {"0", 0, 0, 0},
        {"007", 9, 7, 0},
        {"65535", 65535, 65535, 0},
        {"65536", 65535, 0, -EINVAL},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, 0},
        {"18446744073709551616", UINT64_MAX, 0, -EINVAL},
        {"99999999999999999999999", UINT64_MAX, 0, -EINVAL},
        {"", 9, 0, -EINVAL},
        {"-1", 9, 0, -EINVAL},
        {"+1", 9, 0, -EINVAL},
        {" 1", 9, 0, -EINVAL},
        {"1 ", 9, 0, -EINVAL},
        {"1a", 99, 0, -EINVAL},
        {"0x1", 99, 0, -EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value = 4711;

        assert_int_equal(slice_parse_uint(slice_text(rows[i].text), rows[i].max, &value),
                         rows[i].err);
        assert_int_equal(value, rows[i].err ? 4711 : rows[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slices_are_equal_where_their_bytes_are),
        cmocka_unit_test(case_of_letters_only_is_ignored),
        cmocka_unit_test(a_tail_is_looked_for_at_the_end_only),
        cmocka_unit_test(what_lies_behind_the_end_is_empty),
        cmocka_unit_test(writing_cuts_what_does_not_fit_and_ends_with_nul),
        cmocka_unit_test(numbers_are_digits_only_and_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
