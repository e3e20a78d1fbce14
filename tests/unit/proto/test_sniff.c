/* Who speaks what, decided from as few bytes as are enough, and never from fewer. */
#include "proto/sniff.h"

#include "vector.h"

#include <errno.h>
#include <setjmp.h> /* cmocka.h wants it */
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BYTES(text) (text), sizeof(text) - 1

struct row {
    const char *what;
    const char *in;
    size_t len;
    enum sniff answer;
    enum sniffed_kind kind;
    int err;
    const char *host;
};

static const struct row rows[] = {
    {"nothing", BYTES(""), SNIFF_MORE, SNIFFED_UNKNOWN, 0, NULL},
    /* HTTP */
    {"a letter", BYTES("G"), SNIFF_MORE, SNIFFED_UNKNOWN, 0, NULL},
    {"a method", BYTES("GET"), SNIFF_MORE, SNIFFED_UNKNOWN, 0, NULL},
    {"a method and a space", BYTES("GET "), SNIFF_MORE, SNIFFED_HTTP, 0, NULL},
    {"a method with a hyphen", BYTES("M-SEARCH "), SNIFF_MORE, SNIFFED_HTTP, 0, NULL},
    {"an empty line before", BYTES("\r\nGET "), SNIFF_MORE, SNIFFED_HTTP, 0, NULL},
    {"half an empty line", BYTES("\r"), SNIFF_MORE, SNIFFED_UNKNOWN, 0, NULL},
    {"an empty line", BYTES("\r\n"), SNIFF_MORE, SNIFFED_UNKNOWN, 0, NULL},
    {"head without its end", BYTES("GET / HTTP/1.1\r\nHost: a.example\r\n"), SNIFF_MORE,
     SNIFFED_HTTP, 0, NULL},
    {"head", BYTES("GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n"), SNIFF_FOUND, SNIFFED_HTTP, 0,
     "a.example"},
    {"head and body", BYTES("PUT / HTTP/1.1\r\nHost: [::1]\r\n\r\n\0"), SNIFF_FOUND, SNIFFED_HTTP,
     0, "::1"},
    {"1.0 without Host", BYTES("GET / HTTP/1.0\r\n\r\n"), SNIFF_NO_HOST, SNIFFED_HTTP, 0, NULL},
    {"1.1 without Host", BYTES("GET / HTTP/1.1\r\n\r\n"), SNIFF_BAD, SNIFFED_HTTP, -EPROTO, NULL},
    {"a method that is not known", BYTES("FOO "), SNIFF_BAD, SNIFFED_HTTP, -ENOSYS, NULL},
    {"HTTP/2", BYTES("GET / HTTP/2.0"), SNIFF_BAD, SNIFFED_HTTP, -EPROTONOSUPPORT, NULL},
    {"HTTP/0.9", BYTES("GET /\r\n"), SNIFF_BAD, SNIFFED_HTTP, -EPROTO, NULL},
    {"two Hosts", BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n"), SNIFF_BAD, SNIFFED_HTTP,
     -EPROTO, NULL},
    /* TLS */
    {"a handshake's first byte", BYTES("\x16"), SNIFF_MORE, SNIFFED_UNKNOWN, 0, NULL},
    {"two", BYTES("\x16\3"), SNIFF_MORE, SNIFFED_TLS, 0, NULL},
    {"a record too long", BYTES("\x16\3\1\xff\xff"), SNIFF_BAD, SNIFFED_TLS, -EPROTO, NULL},
    {"another message", BYTES("\x16\3\1\0\4\2"), SNIFF_BAD, SNIFFED_TLS, -EPROTO, NULL},
    /* neither */
    {"another version", BYTES("\x16\2"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"an alert", BYTES("\x15"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"SSL 2", BYTES("\x80"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"SSH", BYTES("SSH-2"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"PROXY v2", BYTES("\r\n\r"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"PROXY v1", BYTES("PROXY "), SNIFF_BAD, SNIFFED_HTTP, -ENOSYS, NULL},
    {"PostgreSQL", BYTES("\0\0\0\x08\4\xd2\x16\x2f"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"a space first", BYTES(" "), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"a line", BYTES("hello\n"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"CR without LF", BYTES("\rG"), SNIFF_BAD, SNIFFED_OTHER, -EPROTO, NULL},
    {"the longest word", BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), SNIFF_MORE, SNIFFED_UNKNOWN, 0,
     NULL},
    {"too long a word", BYTES("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), SNIFF_BAD, SNIFFED_OTHER,
     -EPROTO, NULL},
};

static void check_row(const struct row *row)
{
    uint8_t *exact = vector_cut(row->in, row->len);
    struct sniffed out = {.err = 1};
    enum sniff answer = sniff(exact, row->len, &out);

    free(exact);
    if (answer != row->answer || out.kind != row->kind || out.err != row->err)
        fail_msg("%s: %d kind %d err %d", row->what, (int)answer, (int)out.kind, out.err);
    if (row->host && strcmp(out.host.text, row->host) != 0)
        fail_msg("%s: %s", row->what, out.host.text);
}

static void first_bytes_tell_who_speaks_what(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_row(&rows[i]);
}

/* Once a kind or an answer is out, more bytes do not change it. */
static void check_cuts(const struct row *row)
{
    enum sniffed_kind kind = SNIFFED_UNKNOWN;
    enum sniff answer = SNIFF_MORE;

    for (size_t cut = 0; cut <= row->len; cut++) {
        uint8_t *exact = vector_cut(row->in, cut);
        struct sniffed out;
        enum sniff now = sniff(exact, cut, &out);

        free(exact);
        if ((answer != SNIFF_MORE && now != answer) ||
            (kind != SNIFFED_UNKNOWN && out.kind != kind))
            fail_msg("%s cut at %zu", row->what, cut);
        answer = now;
        kind = out.kind;
    }
}

static void what_was_said_is_never_taken_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++)
        check_cuts(&rows[i]);
}

static void check_hello(const char *file, enum sniff answer, const char *host)
{
    char path[4096];
    struct vector v;
    struct sniffed out;

    (void)snprintf(path, sizeof(path), RVPN_VECTORS "/tls/clienthello/%s", file);
    v = vector_of_file(path);
    assert_non_null(v.bytes);
    for (size_t cut = 2; cut < v.len; cut++) {
        assert_int_equal(sniff(v.bytes, cut, &out), SNIFF_MORE);
        assert_int_equal(out.kind, SNIFFED_TLS);
    }
    assert_int_equal(sniff(v.bytes, v.len, &out), answer);
    if (host)
        assert_string_equal(out.host.text, host);
    free(v.bytes);
}

static void a_hello_is_tls_from_its_second_byte_and_names_its_host_at_its_last(void **state)
{
    (void)state;
    check_hello("chromium156-001.bin", SNIFF_FOUND, "device-1234.tunnel.example");
    check_hello("wget121-001.bin", SNIFF_FOUND, "localhost");
    check_hello("openssl30-nosni-001.bin", SNIFF_NO_HOST, NULL);
}

static void past_64_kib_nobody_is_listened_to(void **state)
{
    static const char head[] = "GET / HTTP/1.1\r\nHost: a.example\r\nX: ";
    uint8_t *text = malloc(SNIFF_MAX + 1);
    struct sniffed out;

    (void)state;
    memset(text, 'y', SNIFF_MAX + 1);
    vector_put(text, head);
    assert_int_equal(sniff(text, SNIFF_MAX - 1, &out), SNIFF_MORE);
    assert_int_equal(sniff(text, SNIFF_MAX, &out), SNIFF_BAD);
    assert_int_equal(out.err, -EMSGSIZE);
    assert_int_equal(out.kind, SNIFFED_HTTP);
    /* A hello in records of one byte needs six for each. */
    for (size_t i = 0; i <= SNIFF_MAX; i++)
        text[i] = (const uint8_t[]){22, 3, 1, 0, 1, 0}[i % 6];
    text[5] = 1;
    text[5 + 6 + 6] = 0x7f;
    assert_int_equal(sniff(text, SNIFF_MAX - 1, &out), SNIFF_MORE);
    assert_int_equal(sniff(text, SNIFF_MAX + 1, &out), SNIFF_BAD);
    assert_int_equal(out.err, -EMSGSIZE);
    assert_int_equal(out.kind, SNIFFED_TLS);
    free(text);
}

/* Comes byte by byte, is looked at when that is due, and ends with `answer`.  Returns how often it
 * was looked at. */
static unsigned drip(const uint8_t *in, size_t len, enum sniff answer)
{
    struct sniffed last = {.due_at = 1};
    enum sniff now = SNIFF_MORE;
    unsigned looks = 0;
    size_t seen = 0;

    for (size_t n = 1; n <= len && now == SNIFF_MORE; n++) {
        if (!sniff_is_due(&last, in, seen, n))
            continue;
        now = sniff(in, n, &last);
        seen = n;
        looks++;
    }
    assert_int_equal(now, answer);
    assert_int_equal(seen, len);
    return looks;
}

static void what_comes_in_drips_is_looked_at_seldom_and_answered_at_the_same_byte(void **state)
{
    static const char head[] =
        "GET /long/path HTTP/1.1\r\nHost: a.example\r\nX: yyyyyyyyyyyy\r\n\r\n";
    static const char path[] = RVPN_VECTORS "/tls/clienthello/chromium156-001.bin";
    struct vector whole = vector_of_file(path);
    struct vector split = {calloc(6, whole.len + 1), 0};

    (void)state;
    assert_true(whole.len > 5);
    /* G, E, T, space, and four line ends */
    assert_int_equal(drip((const uint8_t *)head, sizeof(head) - 1, SNIFF_FOUND), 8);
    assert_true(drip(whole.bytes, whole.len, SNIFF_FOUND) < 12);
    for (size_t i = 5; i < whole.len; i++) {
        uint8_t record[] = {22, 3, 1, 0, 1, whole.bytes[i]};

        memcpy(split.bytes + split.len, record, sizeof(record));
        split.len += sizeof(record);
    }
    assert_true(drip(split.bytes, split.len, SNIFF_FOUND) < 100);
    free(whole.bytes);
    free(split.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_bytes_tell_who_speaks_what),
        cmocka_unit_test(what_was_said_is_never_taken_back),
        cmocka_unit_test(a_hello_is_tls_from_its_second_byte_and_names_its_host_at_its_last),
        cmocka_unit_test(what_comes_in_drips_is_looked_at_seldom_and_answered_at_the_same_byte),
        cmocka_unit_test(past_64_kib_nobody_is_listened_to),
    };

    return cmocka_run_group_tests_name("sniff", tests, NULL, NULL);
}
