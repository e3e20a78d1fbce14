/* Where one request's body ends, in any pieces. */
#include "proto/http_body.h"

#include "vector.h"

#include <errno.h>
#include <setjmp.h> /* cmocka.h wants it */
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BYTES(text) (text), sizeof(text) - 1
#define NEXT "GET /next HTTP/1.1\r\n" /* never part of a body here */

struct row {
    const char *what;
    const char *in;
    size_t len;
};

static const struct row good[] = {
    {"nothing", BYTES("0\r\n\r\n")},
    {"one chunk", BYTES("5\r\nhello\r\n0\r\n\r\n")},
    {"hexadecimal", BYTES("a\r\n0123456789\r\nB\r\n0123456789x\r\n0\r\n\r\n")},
    {"zeros before", BYTES("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n")},
    {"line ends and zeros as data", BYTES("7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n")},
    {"extensions", BYTES("5;a;b=c;d=\"e; f\"\r\nhello\r\n0;x\r\n\r\n")},
    {"escapes", BYTES("5;a=\"\\\"\\\\ \xfc\t\"\r\nhello\r\n0\r\n\r\n")},
    {"empty quotes", BYTES("5;a=\"\"\r\nhello\r\n0\r\n\r\n")},
    {"trailers", BYTES("0\r\nVary: *\r\nEmpty:\r\nX: \xfc \r\n\r\n")},
};

static const struct row bad[] = {
    {"no size", BYTES("\r\n")},
    {"no size but an extension", BYTES(";a\r\n")},
    {"size of letters", BYTES("g\r\n")},
    {"0x", BYTES("0x5\r\n")},
    {"sign", BYTES("+5\r\n")},
    {"minus", BYTES("-5\r\n")},
    {"space before the size", BYTES(" 5\r\n")},
    {"space after the size", BYTES("5 \r\n")},
    {"tab after the size", BYTES("5\t\r\n")},
    {"words after the size", BYTES("2 erfrferferf\r\n")},
    {"underscore", BYTES("1_0\r\n")},
    {"seventeen digits", BYTES("00000000000000005\r\n")},
    {"a size that wraps", BYTES("10000000000000005\r\n")},
    {"NUL after the size", BYTES("5\0\r\n")},
    {"LF after the size", BYTES("5\n")},
    {"CR after the size", BYTES("5\rh")},
    {"two CRs after the size", BYTES("5\r\r\n")},
    {"CR and a semicolon", BYTES("5\r\r;ABCD\r\n")},
    {"LF in an extension", BYTES("5;a\nb\r\n")},
    {"CR in an extension", BYTES("5;a\rb\r\n")},
    {"LF in quotes", BYTES("5;a=\"b\nc\"\r\n")},
    {"CR in quotes", BYTES("5;a=\"b\rc\"\r\n")},
    {"CRLF in quotes", BYTES("5;a=\"b\r\n\"\r\n")},
    {"LF escaped", BYTES("5;a=\"\\\n\"\r\n")},
    {"NUL in quotes", BYTES("5;a=\"\0\"\r\n")},
    {"after the quotes", BYTES("5;a=\"b\"c\r\n")},
    {"quotes in a value", BYTES("5;a=b\"c\"\r\n")},
    {"empty extension", BYTES("2;\r\n")},
    {"empty second extension", BYTES("2;a;\r\n")},
    {"empty value", BYTES("2;a=\r\n")},
    {"no name", BYTES("2;=a\r\n")},
    {"two equals signs", BYTES("2;a==b\r\n")},
    {"space in an extension", BYTES("2; a\r\n")},
    {"UTF-8 in an extension", BYTES("2;\xc3\xbc\r\n")},
    {"data too long", BYTES("5\r\nhello!\r\n")},
    {"data too short", BYTES("5\r\nhell\r\n0\r\n\r\n")},
    {"LF after the data", BYTES("5\r\nhello\n0\r\n")},
    {"CR after the data", BYTES("5\r\nhello\r0\r\n")},
    {"another byte after the data's CR", BYTES("5\r\nhello\rX0\r\n\r\n")},
    {"nothing after the data", BYTES("5\r\nABCDE0\r\n")},
    {"empty line after the data", BYTES("3\r\nfoo\r\n\r\n")},
    {"LF ends the trailers", BYTES("0\r\n\n")},
    {"CR ends the trailers", BYTES("0\r\n\rX")},
    {"LF in a trailer", BYTES("0\r\nA: b\nC: d\r\n\r\n")},
    {"CR in a trailer", BYTES("0\r\nA: b\rC: d\r\n\r\n")},
    {"NUL in a trailer", BYTES("0\r\nA: \0\r\n\r\n")},
    {"space before the colon", BYTES("0\r\nA : b\r\n\r\n")},
    {"trailer without a name", BYTES("0\r\n: b\r\n\r\n")},
    {"trailer without a colon", BYTES("0\r\n" NEXT)},
    {"folded trailer", BYTES("0\r\nA: b\r\n c\r\n\r\n")},
};

static struct http_body chunked(void)
{
    struct http_head head = {.framing = HTTP_FRAMING_CHUNKED};
    struct http_body body;

    http_body_init(&body, &head);
    return body;
}

/* Feeds in pieces of `piece` bytes until the end, an error, or no more input.  Returns how many
 * bytes were the body's, or -EPROTO. */
static ssize_t feed_pieces(struct http_body *b, const char *in, size_t len, size_t piece)
{
    size_t at = 0;

    while (at < len && !http_body_is_done(b)) {
        size_t n = len - at < piece ? len - at : piece;
        uint8_t *exact = vector_cut(in + at, n);
        ssize_t used = http_body_feed(b, exact, n);

        free(exact);
        if (used < 0)
            return used;
        at += (size_t)used;
        if ((size_t)used < n)
            break;
    }
    return (ssize_t)at;
}

static void check_good(const struct row *row)
{
    char text[200];
    size_t len = row->len + strlen(NEXT);

    memcpy(text, row->in, row->len);
    vector_put(text + row->len, NEXT);
    for (size_t piece = 1; piece <= len; piece++) {
        struct http_body b = chunked();

        if (feed_pieces(&b, text, len, piece) != (ssize_t)row->len || !http_body_is_done(&b))
            fail_msg("%s in pieces of %zu", row->what, piece);
    }
}

static void a_body_ends_at_the_same_byte_in_pieces_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        check_good(&good[i]);
}

static void a_body_cut_anywhere_is_not_done_before_its_last_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        for (size_t cut = 0; cut < good[i].len; cut++) {
            struct http_body b = chunked();
            uint8_t *exact = vector_cut(good[i].in, cut);

            assert_int_equal(http_body_feed(&b, exact, cut), cut);
            assert_false(http_body_is_done(&b));
            free(exact);
        }
    }
}

static void check_bad(const struct row *row)
{
    for (size_t piece = 1; piece <= row->len; piece++) {
        struct http_body b = chunked();

        if (feed_pieces(&b, row->in, row->len, piece) != -EPROTO)
            fail_msg("%s in pieces of %zu", row->what, piece);
        assert_false(http_body_is_done(&b));
        assert_int_equal(http_body_feed(&b, (const uint8_t *)"0\r\n\r\n", 5), -EPROTO);
    }
}

static void a_bad_body_is_refused_in_pieces_of_any_size_and_stays_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        check_bad(&bad[i]);
}

static void a_length_is_counted_down(void **state)
{
    struct http_head head = {.framing = HTTP_FRAMING_LENGTH, .content_length = 5};
    struct http_body b;

    (void)state;
    http_body_init(&b, &head);
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"hel", 3), 3);
    assert_false(http_body_is_done(&b));
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"", 0), 0);
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"lo" NEXT, 7), 2);
    assert_true(http_body_is_done(&b));
    assert_int_equal(http_body_feed(&b, (const uint8_t *)NEXT, 3), 0);
    head.content_length = 0;
    http_body_init(&b, &head);
    assert_true(http_body_is_done(&b));
    head.framing = HTTP_FRAMING_NONE;
    http_body_init(&b, &head);
    assert_true(http_body_is_done(&b));
}

static void the_greatest_chunk_is_counted_not_wrapped(void **state)
{
    struct http_body b = chunked();

    (void)state;
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"ffffffffffffffff\r\nxyz", 21), 21);
    assert_true(b.left == UINT64_MAX - 3);
}

/* `count` times the same byte. */
static ssize_t feed_many(struct http_body *b, char byte, size_t count)
{
    char *text = malloc(count);
    ssize_t n;

    memset(text, byte, count);
    n = http_body_feed(b, (const uint8_t *)text, count);
    free(text);
    return n;
}

static void extensions_and_trailers_are_bounded(void **state)
{
    struct http_body b = chunked();

    (void)state;
    for (int chunk = 0; chunk < 2; chunk++) { /* the bound is each chunk's */
        assert_int_equal(http_body_feed(&b, (const uint8_t *)"1;", 2), 2);
        assert_int_equal(feed_many(&b, 'a', HTTP_BODY_EXTENSION_MAX - 1),
                         HTTP_BODY_EXTENSION_MAX - 1);
        assert_int_equal(http_body_feed(&b, (const uint8_t *)"\r\nx\r\n", 5), 5);
    }
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"1;", 2), 2);
    assert_int_equal(feed_many(&b, 'a', HTTP_BODY_EXTENSION_MAX + 1), -EPROTO);
    b = chunked();
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"0\r\na:", 5), 5);
    assert_int_equal(feed_many(&b, 'a', HTTP_BODY_TRAILER_MAX - 6), HTTP_BODY_TRAILER_MAX - 6);
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"\r\n\r\n", 4), 4);
    assert_true(http_body_is_done(&b));
    b = chunked();
    assert_int_equal(http_body_feed(&b, (const uint8_t *)"0\r\na:", 5), 5);
    assert_int_equal(feed_many(&b, 'a', HTTP_BODY_TRAILER_MAX), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_body_ends_at_the_same_byte_in_pieces_of_any_size),
        cmocka_unit_test(a_body_cut_anywhere_is_not_done_before_its_last_byte),
        cmocka_unit_test(a_bad_body_is_refused_in_pieces_of_any_size_and_stays_so),
        cmocka_unit_test(a_length_is_counted_down),
        cmocka_unit_test(the_greatest_chunk_is_counted_not_wrapped),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };

    return cmocka_run_group_tests_name("http_body", tests, NULL, NULL);
}
