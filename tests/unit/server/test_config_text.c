/* Sizes, times and ports as people write them. */
#include "server/config_text.h"

#include "server/config_key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct row {
    const char *text;
    uint64_t value;
    const char *back; /* as it is written again; NULL: it is refused */
};

static const struct row sizes[] = {
    {"0", 0, "0"},
    {"1", 1, "1"},
    {"4096", 4096, "4KiB"},
    {"64KiB", 65536, "64KiB"},
    {"1024KiB", 1048576, "1MiB"},
    {"3GiB", 3221225472, "3GiB"},
    {"9223372036854775807", INT64_MAX, "9223372036854775807"},
    {"9223372036854775808", 0, NULL},
    {"18446744073709551616", 0, NULL},
    {"9007199254740992KiB", 0, NULL},
    {"", 0, NULL},
    {"KiB", 0, NULL},
    {"1K", 0, NULL},
    {"1KB", 0, NULL},
    {"1kib", 0, NULL},
    {"1 KiB", 0, NULL},
    {"1.5MiB", 0, NULL},
    {"-1", 0, NULL},
    {"+1", 0, NULL},
    {"0x10", 0, NULL},
};

static const struct row durations[] = {
    {"0", 0, "0s"},
    {"0ms", 0, "0s"},
    {"1ms", 1, "1ms"},
    {"1500ms", 1500, "1500ms"},
    {"90s", 90000, "90s"},
    {"60s", 60000, "1m"},
    {"24h", 86400000, "1d"},
    {"30d", 2592000000, "30d"},
    {"106751991167d", 9223372036828800000, "106751991167d"},
    {"106751991168d", 0, NULL},
    {"5", 0, NULL},
    {"s", 0, NULL},
    {"5 s", 0, NULL},
    {"5S", 0, NULL},
    {"5m30s", 0, NULL},
    {"-5s", 0, NULL},
    {"", 0, NULL},
};

static void check(const struct row *row, int (*parse)(struct slice, uint64_t *),
                  char *(*write)(uint64_t, char *, size_t))
{
    uint64_t value = 77;
    char text[32];
    int err = parse(slice_text(row->text), &value);

    if (!row->back) {
        assert_int_equal(err, -EINVAL);
        assert_int_equal(value, 77);
        return;
    }
    assert_int_equal(err, 0);
    assert_int_equal(value, row->value);
    assert_string_equal(write(value, text, sizeof(text)), row->back);
}

static void sizes_are_read_and_written_in_their_largest_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        check(&sizes[i], config_size_parse, config_size_write);
}

static void durations_are_read_and_written_in_their_largest_unit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++)
        check(&durations[i], config_duration_parse, config_duration_write);
}

static void ports_are_one_or_a_range(void **state)
{
    static const struct {
        const char *text;
        uint16_t first, last; /* 0: refused */
    } rows[] = {
        {"1", 1, 1},
        {"65535", 65535, 65535},
        {"30000-39999", 30000, 39999},
        {"80-80", 80, 80},
        {"1-65535", 1, 65535},
        {"0", 0, 0},
        {"0-5", 0, 0},
        {"65536", 0, 0},
        {"1-65536", 0, 0},
        {"2-1", 0, 0},
        {"1-", 0, 0},
        {"-1", 0, 0},
        {"1-2-3", 0, 0},
        {"1 - 2", 0, 0},
        {"", 0, 0},
        {"-", 0, 0},
        {"a", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config_port_range range = {7, 7};
        int err = config_ports_parse(slice_text(rows[i].text), &range);

        assert_int_equal(err, rows[i].first ? 0 : -EINVAL);
        assert_int_equal(range.first, rows[i].first ? rows[i].first : 7);
        assert_int_equal(range.last, rows[i].first ? rows[i].last : 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_and_written_in_their_largest_unit),
        cmocka_unit_test(durations_are_read_and_written_in_their_largest_unit),
        cmocka_unit_test(ports_are_one_or_a_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
