#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char out[65536];

/* Hand on the clock, so that a test says what second it is. */
static int64_t now_ms = 1000;

int64_t __wrap_clock_now_ms(void);

int64_t __wrap_clock_now_ms(void)
{
    return now_ms;
}

/* What is written to stderr from here on goes to a pipe. */
static int saved_stderr, pipe_end;

static void capture(void)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 1 << 20) > 0);
    saved_stderr = dup(STDERR_FILENO);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    (void)close(ends[1]);
    pipe_end = ends[0];
}

/* Gives stderr back and returns what came. */
static const char *release(void)
{
    size_t len = 0;
    ssize_t got;

    (void)dup2(saved_stderr, STDERR_FILENO);
    (void)close(saved_stderr);
    while (len < sizeof(out) - 1 && (got = read(pipe_end, out + len, sizeof(out) - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(pipe_end);
    out[len] = '\0';
    return out;
}

static unsigned count_lines(const char *text)
{
    unsigned lines = 0;

    for (; *text; text++)
        lines += *text == '\n';
    return lines;
}

/* The line without its time. */
static const char *after_time(const char *line)
{
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    return line + 25;
}

static void a_line_is_time_level_event_and_pairs(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_TEXT);
    capture();
    log_event(LOG_INFO, "visitor_refused", LOG_UINT("visitor", 7), LOG_INT("by", -1),
              LOG_STR("why", "no such host"), LOG_STR("host", "a.example"), LOG_STR("none", NULL));
    assert_string_equal(
        after_time(release()),
        "info visitor_refused visitor=7 by=-1 why=\"no such host\" host=a.example none=\"\"\n");
}

static void json_quotes_every_text(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_JSON);
    capture();
    log_event(LOG_WARN, "json_line", LOG_UINT("n", UINT64_MAX), LOG_INT("i", INT64_MIN),
              LOG_STR("why", "plain"), LOG_SLICE("host", slice_of("a\"b\\", 4)));
    (void)release();
    assert_int_equal(strncmp(out, "{\"time\":\"", 9), 0);
    assert_string_equal(out + 9 + 24,
                        "\",\"level\":\"warn\",\"event\":\"json_line\",\"n\":18446744073709551615,"
                        "\"i\":-9223372036854775808,\"why\":\"plain\",\"host\":\"a\\\"b\\\\\"}\n");
}

static void hostile_bytes_neither_break_a_line_nor_drive_a_terminal(void **state)
{
    static const enum log_format formats[] = {LOG_TEXT, LOG_JSON};

    (void)state;
    for (unsigned f = 0; f < 2; f++) {
        char all[256];

        for (int i = 0; i < 256; i++)
            all[i] = (char)i;
        log_init(LOG_INFO, formats[f]);
        capture();
        log_event(LOG_ERROR, "hostile", LOG_SLICE("v", slice_of(all, 256)),
                  LOG_STR("crlf", "\r\n2026-01-01T00:00:00.000Z info forged a=b"),
                  LOG_STR("esc", "\x1b]0;x\x07"), LOG_STR("pair", "a=b c=d"));
        (void)release();
        assert_int_equal(count_lines(out), 1);
        for (const char *c = out; *c != '\n'; c++)
            assert_true(*c >= ' ' && *c < 0x7f);
        assert_non_null(strstr(out, "\\u000d\\u000a2026"));
        assert_non_null(strstr(out, "\\u001b]0;x\\u0007"));
        assert_non_null(strstr(out, "\"a=b c=d\""));
    }
}

/* Walks one line of JSON as strictly as needed: an object of strings and numbers. */
static void check_json_line(const char *c)
{
    bool in_text = false;

    assert_int_equal(*c++, '{');
    for (; *c != '\n'; c++) {
        assert_int_not_equal(*c, '\0');
        if (in_text && *c == '\\') {
            c += c[1] == 'u' ? 5 : 1;
            assert_null(memchr(c - 4, '\n', 5));
        } else if (*c == '"') {
            in_text = !in_text;
        }
    }
    assert_false(in_text);
    assert_int_equal(c[-1], '}');
}

static void a_line_that_is_too_long_is_still_whole_json(void **state)
{
    char text[301];

    (void)state;
    log_init(LOG_INFO, LOG_JSON);
    for (unsigned len = 0; len <= 300; len++) {
        memset(text, len % 2 ? '\n' : 'x', len);
        text[len] = '\0';
        capture();
        log_event(LOG_ERROR, "long", LOG_STR("a", text), LOG_STR("b", text), LOG_STR("c", text),
                  LOG_STR("d", text), LOG_STR("why", "last"));
        check_json_line(release());
        assert_int_equal(count_lines(out), 1);
        assert_non_null(strstr(out, "\"why\":\"last\"}"));
    }
}

static void levels_below_the_chosen_one_are_not_written(void **state)
{
    (void)state;
    log_init(LOG_WARN, LOG_TEXT);
    assert_true(log_is_on(LOG_ERROR));
    assert_false(log_is_on(LOG_INFO));
    capture();
    log_event(LOG_INFO, "quiet", LOG_INT("n", 1));
    log_event(LOG_DEBUG, "quiet", LOG_INT("n", 1));
    assert_string_equal(release(), "");
}

static void a_burst_is_cut_and_counted(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_TEXT);
    now_ms = 5000;
    capture();
    for (int i = 0; i < LOG_BURST + 25; i++)
        log_event(LOG_INFO, "burst", LOG_INT("n", i));
    log_event(LOG_INFO, "another", LOG_INT("n", 0));
    (void)release();
    assert_int_equal(count_lines(out), LOG_BURST + 1);
    now_ms = 6000;
    capture();
    log_event(LOG_INFO, "burst", LOG_INT("n", 1));
    log_event(LOG_INFO, "burst", LOG_INT("n", 2));
    (void)release();
    assert_non_null(strstr(out, "burst n=1 repeated=25\n"));
    assert_non_null(strstr(out, "burst n=2\n"));
}

static void errors_are_never_left_out(void **state)
{
    (void)state;
    log_init(LOG_INFO, LOG_TEXT);
    now_ms = 7000;
    capture();
    for (int i = 0; i < 3 * LOG_BURST; i++)
        log_event(LOG_ERROR, "fatal", LOG_INT("n", i));
    assert_int_equal(count_lines(release()), 3 * LOG_BURST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_time_level_event_and_pairs),
        cmocka_unit_test(json_quotes_every_text),
        cmocka_unit_test(hostile_bytes_neither_break_a_line_nor_drive_a_terminal),
        cmocka_unit_test(a_line_that_is_too_long_is_still_whole_json),
        cmocka_unit_test(levels_below_the_chosen_one_are_not_written),
        cmocka_unit_test(a_burst_is_cut_and_counted),
        cmocka_unit_test(errors_are_never_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
