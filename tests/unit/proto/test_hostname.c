/* Every way a visitor, a token or a configuration may write a host's name. */
#include "proto/hostname.h"

#include <errno.h>
#include <setjmp.h> /* cmocka.h wants it */
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define IN(text)                                                                                   \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }

struct row {
    const char *what;
    struct slice in;
    const char *text; /* NULL: refused */
    enum hostname_kind kind;
    uint16_t port;
};

static const struct row bare[] = {
    {"plain", IN("a.example"), "a.example", HOSTNAME_NAME, 0},
    {"one label", IN("localhost"), "localhost", HOSTNAME_NAME, 0},
    {"one letter", IN("a"), "a", HOSTNAME_NAME, 0},
    {"upper case", IN("Device-1.EXAMPLE"), "device-1.example", HOSTNAME_NAME, 0},
    {"trailing dot", IN("a.example."), "a.example", HOSTNAME_NAME, 0},
    {"underscore", IN("_a.b_c.example"), "_a.b_c.example", HOSTNAME_NAME, 0},
    {"A-label", IN("xn--bcher-kva.example"), "xn--bcher-kva.example", HOSTNAME_NAME, 0},
    {"digits before letters", IN("1.2.3.4.example"), "1.2.3.4.example", HOSTNAME_NAME, 0},
    {"ends with digits in a label", IN("a.example1"), "a.example1", HOSTNAME_NAME, 0},
    {"hexadecimal is only a number after 0x", IN("a.fe"), "a.fe", HOSTNAME_NAME, 0},
    {"three hyphens", IN("r3---sn.example"), "r3---sn.example", HOSTNAME_NAME, 0},
    {"IPv4", IN("192.0.2.1"), "192.0.2.1", HOSTNAME_IPV4, 0},
    {"IPv4 with a trailing dot", IN("192.0.2.1."), "192.0.2.1", HOSTNAME_IPV4, 0},
    {"IPv6", IN("2001:DB8:0:0::1"), "2001:db8::1", HOSTNAME_IPV6, 0},
    {"IPv6 any", IN("::"), "::", HOSTNAME_IPV6, 0},
    {"IPv6 that maps IPv4", IN("::ffff:192.0.2.1"), "::ffff:192.0.2.1", HOSTNAME_IPV6, 0},
    {"longest IPv6 text", IN("0000:0000:0000:0000:0000:ffff:255.255.255.255"),
     "::ffff:255.255.255.255", HOSTNAME_IPV6, 0},
    {"empty", IN(""), NULL, 0, 0},
    {"dot only", IN("."), NULL, 0, 0},
    {"two trailing dots", IN("a.example.."), NULL, 0, 0},
    {"leading dot", IN(".a.example"), NULL, 0, 0},
    {"empty label", IN("a..example"), NULL, 0, 0},
    {"leading hyphen", IN("-a.example"), NULL, 0, 0},
    {"trailing hyphen", IN("a-.example"), NULL, 0, 0},
    {"star", IN("*.example"), NULL, 0, 0},
    {"space", IN("a b.example"), NULL, 0, 0},
    {"NUL at the end", IN("a.example\0"), NULL, 0, 0},
    {"NUL inside", IN("a.example\0.evil"), NULL, 0, 0},
    {"UTF-8",
     IN("b\xc3\xbc"
        "cher.example"),
     NULL, 0, 0},
    {"Latin-1",
     IN("b\xfc"
        "cher.example"),
     NULL, 0, 0},
    {"full-width dot",
     IN("a\xe3\x80\x82"
        "example"),
     NULL, 0, 0},
    {"slash", IN("a/b"), NULL, 0, 0},
    {"user", IN("me@a.example"), NULL, 0, 0},
    {"percent", IN("a%2eexample"), NULL, 0, 0},
    {"comma", IN("a.example,b.example"), NULL, 0, 0},
    {"port", IN("a.example:80"), NULL, 0, 0},
    {"brackets", IN("[::1]"), NULL, 0, 0},
    {"IPv4 short", IN("127.1"), NULL, 0, 0},
    {"IPv4 one number", IN("2130706433"), NULL, 0, 0},
    {"IPv4 hexadecimal", IN("0x7f000001"), NULL, 0, 0},
    {"IPv4 hexadecimal part", IN("127.0.0.0x1"), NULL, 0, 0},
    {"IPv4 empty hexadecimal", IN("127.0.0.0X"), NULL, 0, 0},
    {"IPv4 octal", IN("0177.0.0.1"), NULL, 0, 0},
    {"IPv4 leading zero", IN("127.0.0.01"), NULL, 0, 0},
    {"IPv4 out of range", IN("127.0.0.256"), NULL, 0, 0},
    {"IPv4 five parts", IN("127.0.0.0.1"), NULL, 0, 0},
    {"number at the end", IN("a.example.1"), NULL, 0, 0},
    {"IPv6 zone", IN("fe80::1%eth0"), NULL, 0, 0},
    {"IPv6 nine parts", IN("1:2:3:4:5:6:7:8:9"), NULL, 0, 0},
    {"IPv6 two gaps", IN("1::2::3"), NULL, 0, 0},
    {"IPv6 five digits", IN("12345::"), NULL, 0, 0},
    {"IPv6 NUL", IN("::1\0"), NULL, 0, 0},
    {"IPv6 octal tail", IN("::ffff:010.0.0.1"), NULL, 0, 0},
    {"IPv6 trailing dot", IN("::1."), NULL, 0, 0},
    {"colon", IN(":"), NULL, 0, 0},
};

/* What a Host field's value may be once the spaces around it are gone, and what it may not. */
static const struct row authority[] = {
    {"plain", IN("a.example"), "a.example", HOSTNAME_NAME, 0},
    {"upper case", IN("A.EXAMPLE"), "a.example", HOSTNAME_NAME, 0},
    {"mixed case", IN("a.ExAmPlE"), "a.example", HOSTNAME_NAME, 0},
    {"dot", IN("a.example."), "a.example", HOSTNAME_NAME, 0},
    {"port", IN("a.example:8000"), "a.example", HOSTNAME_NAME, 8000},
    {"dot and port", IN("a.example.:80"), "a.example", HOSTNAME_NAME, 80},
    {"greatest port", IN("a.example:65535"), "a.example", HOSTNAME_NAME, 65535},
    {"port with zeros", IN("a.example:00080"), "a.example", HOSTNAME_NAME, 80},
    {"empty port", IN("a.example:"), "a.example", HOSTNAME_NAME, 0},
    {"IPv4", IN("192.0.2.1"), "192.0.2.1", HOSTNAME_IPV4, 0},
    {"IPv4 and port", IN("192.0.2.1:80"), "192.0.2.1", HOSTNAME_IPV4, 80},
    {"IPv6", IN("[::1]"), "::1", HOSTNAME_IPV6, 0},
    {"IPv6 and port", IN("[2001:db8::A]:443"), "2001:db8::a", HOSTNAME_IPV6, 443},
    {"IPv6 and empty port", IN("[::1]:"), "::1", HOSTNAME_IPV6, 0},
    {"A-label", IN("XN--BCHER-KVA.example"), "xn--bcher-kva.example", HOSTNAME_NAME, 0},
    {"underscore", IN("a_b.example"), "a_b.example", HOSTNAME_NAME, 0},
    {"localhost", IN("localhost:8000"), "localhost", HOSTNAME_NAME, 8000},
    {"empty", IN(""), NULL, 0, 0},
    {"tab before", IN("\ta.example"), NULL, 0, 0},
    {"tab after", IN("a.example\t"), NULL, 0, 0},
    {"tab inside", IN("a\t.example"), NULL, 0, 0},
    {"space before", IN(" a.example"), NULL, 0, 0},
    {"space inside", IN("a.example b.example"), NULL, 0, 0},
    {"space before the port", IN("a.example :80"), NULL, 0, 0},
    {"space after the colon", IN("a.example: 80"), NULL, 0, 0},
    {"vertical tab", IN("a.example\v"), NULL, 0, 0},
    {"form feed", IN("\fa.example"), NULL, 0, 0},
    {"fold", IN("a.example\r\n b.example"), NULL, 0, 0},
    {"fold by tab", IN("a.example\r\n\tb.example"), NULL, 0, 0},
    {"bare CR", IN("a.example\r"), NULL, 0, 0},
    {"bare LF", IN("a.example\n"), NULL, 0, 0},
    {"NUL", IN("a.example\0"), NULL, 0, 0},
    {"NUL first", IN("\0a.example"), NULL, 0, 0},
    {"NUL and more", IN("a.example\0.evil.example"), NULL, 0, 0},
    {"NUL before the port", IN("a.example\0:80"), NULL, 0, 0},
    {"DEL", IN("a.example\x7f"), NULL, 0, 0},
    {"ESC", IN("\x1b[31ma.example"), NULL, 0, 0},
    {"two dots", IN("a.example.."), NULL, 0, 0},
    {"leading dot", IN(".a.example"), NULL, 0, 0},
    {"inner two dots", IN("a..example"), NULL, 0, 0},
    {"dot only", IN("."), NULL, 0, 0},
    {"port only", IN(":80"), NULL, 0, 0},
    {"port zero", IN("a.example:0"), NULL, 0, 0},
    {"port too large", IN("a.example:65536"), NULL, 0, 0},
    {"port too long", IN("a.example:000080"), NULL, 0, 0},
    {"port that wraps", IN("a.example:4294967376"), NULL, 0, 0},
    {"negative port", IN("a.example:-80"), NULL, 0, 0},
    {"signed port", IN("a.example:+80"), NULL, 0, 0},
    {"hexadecimal port", IN("a.example:0x50"), NULL, 0, 0},
    {"service name", IN("a.example:http"), NULL, 0, 0},
    {"two ports", IN("a.example:80:80"), NULL, 0, 0},
    {"port and path", IN("a.example:80/x"), NULL, 0, 0},
    {"user", IN("me@a.example"), NULL, 0, 0},
    {"user and password", IN("me:secret@a.example"), NULL, 0, 0},
    {"host as user", IN("a.example@evil.example"), NULL, 0, 0},
    {"host and port as user", IN("a.example:80@evil.example"), NULL, 0, 0},
    {"empty user", IN("@a.example"), NULL, 0, 0},
    {"scheme", IN("http://a.example"), NULL, 0, 0},
    {"slashes", IN("//a.example"), NULL, 0, 0},
    {"path", IN("a.example/"), NULL, 0, 0},
    {"query", IN("a.example?x"), NULL, 0, 0},
    {"fragment", IN("a.example#b.example"), NULL, 0, 0},
    {"backslash", IN("a.example\\b.example"), NULL, 0, 0},
    {"percent", IN("%61.example"), NULL, 0, 0},
    {"percent NUL", IN("a.example%00"), NULL, 0, 0},
    {"semicolon", IN("a.example;b"), NULL, 0, 0},
    {"comma list", IN("a.example, b.example"), NULL, 0, 0},
    {"quotes", IN("\"a.example\""), NULL, 0, 0},
    {"star", IN("*.example"), NULL, 0, 0},
    {"equals", IN("0.0.0.0=5000"), NULL, 0, 0},
    {"IDN in UTF-8",
     IN("b\xc3\xbc"
        "cher.example"),
     NULL, 0, 0},
    {"Kelvin sign", IN("\xe2\x84\xaa.example"), NULL, 0, 0},
    {"soft hyphen", IN("a\xc2\xad.example"), NULL, 0, 0},
    {"overlong dot",
     IN("a\xc0\xae"
        "example"),
     NULL, 0, 0},
    {"IPv6 without brackets", IN("::1"), NULL, 0, 0},
    {"IPv6 unclosed", IN("[::1"), NULL, 0, 0},
    {"IPv6 unopened", IN("::1]"), NULL, 0, 0},
    {"IPv6 empty", IN("[]"), NULL, 0, 0},
    {"IPv6 zone", IN("[fe80::1%25eth0]"), NULL, 0, 0},
    {"IPv6 and a name", IN("[::1].evil.example"), NULL, 0, 0},
    {"IPv6 in two brackets", IN("[[::1]]"), NULL, 0, 0},
    {"IPvFuture", IN("[v1.a:b]"), NULL, 0, 0},
    {"a name in brackets", IN("[a.example]"), NULL, 0, 0},
    {"IPv4 in brackets", IN("[192.0.2.1]"), NULL, 0, 0},
    {"IPv4 short", IN("127.1:80"), NULL, 0, 0},
    {"IPv4 octal", IN("0300.0.2.1"), NULL, 0, 0},
    {"IPv4 as one number", IN("3221225985"), NULL, 0, 0},
    {"IPv4 hexadecimal", IN("0xc0000201"), NULL, 0, 0},
};

static const struct row pattern[] = {
    {"plain", IN("a.example"), "a.example", HOSTNAME_NAME, 0},
    {"star", IN("*.A.Example."), "*.a.example", HOSTNAME_PATTERN, 0},
    {"star over one label", IN("*.localhost"), "*.localhost", HOSTNAME_PATTERN, 0},
    {"address", IN("192.0.2.1"), "192.0.2.1", HOSTNAME_IPV4, 0},
    {"star alone", IN("*"), NULL, 0, 0},
    {"star and dot", IN("*."), NULL, 0, 0},
    {"star without dot", IN("*a.example"), NULL, 0, 0},
    {"two stars", IN("*.*.example"), NULL, 0, 0},
    {"star inside", IN("a.*.example"), NULL, 0, 0},
    {"star over an address", IN("*.192.0.2.1"), NULL, 0, 0},
    {"star over IPv6", IN("*.::1"), NULL, 0, 0},
    {"star and two dots", IN("*..example"), NULL, 0, 0},
    {"empty", IN(""), NULL, 0, 0},
};

static void try_row(int (*parse)(struct slice, struct hostname *), const struct row *row)
{
    struct hostname h = {.port = 4711};
    int err = parse(row->in, &h);

    if (err != (row->text ? 0 : -EINVAL))
        fail_msg("%s: %d", row->what, err);
    if (!row->text && h.port != 4711)
        fail_msg("%s: refused, yet written", row->what);
    if (row->text && (strcmp(h.text, row->text) != 0 || h.len != strlen(row->text) ||
                      h.kind != row->kind || h.port != row->port))
        fail_msg("%s: %s kind %d port %u", row->what, h.text, (int)h.kind, h.port);
}

static void a_bare_name_has_one_form_or_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bare); i++)
        try_row(hostname_parse, &bare[i]);
}

static void a_host_field_is_read_in_one_way_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(authority); i++)
        try_row(hostname_parse_authority, &authority[i]);
}

static void a_star_stands_first_and_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pattern); i++)
        try_row(hostname_parse_pattern, &pattern[i]);
}

/* Names of `len` bytes in labels of at most `label`. */
static struct slice long_name(char *text, size_t len, size_t label)
{
    for (size_t i = 0; i < len; i++)
        text[i] = i % (label + 1) == label ? '.' : 'a';
    return slice_of(text, len);
}

static void lengths_are_those_of_the_dns(void **state)
{
    char text[300];
    struct hostname h;

    (void)state;
    assert_int_equal(hostname_parse(long_name(text, 63, 63), &h), 0);
    assert_int_equal(hostname_parse(long_name(text, 64, 64), &h), -EINVAL);
    assert_int_equal(hostname_parse(long_name(text, HOSTNAME_MAX, 49), &h), 0);
    assert_int_equal(h.len, HOSTNAME_MAX);
    assert_int_equal(hostname_parse(long_name(text, HOSTNAME_MAX + 1, 50), &h), -EINVAL);
    (void)long_name(text, HOSTNAME_MAX, 49);
    text[HOSTNAME_MAX] = '.';
    assert_int_equal(hostname_parse(slice_of(text, HOSTNAME_MAX + 1), &h), 0);
    text[0] = '*';
    text[1] = '.';
    assert_int_equal(hostname_parse_pattern(slice_of(text, HOSTNAME_MAX), &h), 0);
    (void)long_name(text + 2, HOSTNAME_MAX - 1, 49);
    assert_int_equal(hostname_parse_pattern(slice_of(text, HOSTNAME_MAX + 1), &h), -EINVAL);
}

static void no_byte_but_the_named_ones_is_let_in(void **state)
{
    static const char allowed[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.";
    struct hostname h;

    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        uint8_t name[] = {'a', (uint8_t)c, 'b'};
        bool is_allowed = c && strchr(allowed, (int)c);

        assert_int_equal(hostname_parse(slice_of(name, 3), &h), is_allowed ? 0 : -EINVAL);
    }
}

/* Whatever is cut off, the rest is judged by itself and never read past its end. */
static void any_part_of_a_name_parses_alike_in_a_buffer_of_its_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(authority); i++) {
        for (size_t len = 0; len <= authority[i].in.len; len++) {
            uint8_t *exact = test_malloc(len ? len : 1);
            struct hostname here;
            struct hostname there;
            int err;

            memcpy(exact, authority[i].in.ptr, len);
            err = hostname_parse_authority(slice_of(exact, len), &here);
            assert_int_equal(err,
                             hostname_parse_authority(slice_of(authority[i].in.ptr, len), &there));
            if (!err)
                assert_true(hostname_is_equal(&here, &there));
            test_free(exact);
        }
    }
}

static void equality_is_of_kind_and_text_not_of_port(void **state)
{
    struct hostname a;
    struct hostname b;

    (void)state;
    assert_int_equal(hostname_parse_authority(slice_text("A.example.:80"), &a), 0);
    assert_int_equal(hostname_parse(slice_text("a.EXAMPLE"), &b), 0);
    assert_true(hostname_is_equal(&a, &b));
    assert_false(hostname_is_address(&a));
    assert_int_equal(hostname_parse(slice_text("b.example"), &b), 0);
    assert_false(hostname_is_equal(&a, &b));
    assert_int_equal(hostname_parse_authority(slice_text("[0::1]:1"), &a), 0);
    assert_int_equal(hostname_parse(slice_text("::1"), &b), 0);
    assert_true(hostname_is_equal(&a, &b));
    assert_true(hostname_is_address(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_name_has_one_form_or_none),
        cmocka_unit_test(a_host_field_is_read_in_one_way_or_refused),
        cmocka_unit_test(a_star_stands_first_and_alone),
        cmocka_unit_test(lengths_are_those_of_the_dns),
        cmocka_unit_test(no_byte_but_the_named_ones_is_let_in),
        cmocka_unit_test(any_part_of_a_name_parses_alike_in_a_buffer_of_its_size),
        cmocka_unit_test(equality_is_of_kind_and_text_not_of_port),
    };

    return cmocka_run_group_tests_name("hostname", tests, NULL, NULL);
}
