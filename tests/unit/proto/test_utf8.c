#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/utf8.h"

#include <errno.h>

static const struct row {
    const char *name;
    const char *bytes;
    size_t len;
    size_t bad_at; /* the byte that must be refused; `len` if none is */
    bool is_whole;
} rows[] = {
    {"nothing", "", 0, 0, true},
    {"ascii", "plain text, longer than a word", 30, 30, true},
    {"two, three and four bytes", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9, 9, true},
    {"ascii around", "aaaaaaa\xc3\xa9zzzzzzzzzz", 19, 19, true},
    {"first and last of each length", "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80",
     14, 14, true},
    {"the very last", "\xf4\x8f\xbf\xbf", 4, 4, true},
    {"around the surrogates", "\xed\x9f\xbf\xee\x80\x80", 6, 6, true},
    {"cut off after one of two", "\xc3", 1, 1, false},
    {"cut off after three of four", "\xf0\x9f\x98", 3, 3, false},
    {"lone continuation", "ab\x80", 3, 2, false},
    {"overlong of two", "\xc0\x80", 2, 0, false},
    {"overlong of two again", "\xc1\xbf", 2, 0, false},
    {"overlong of three", "\xe0\x9f\xbf", 3, 1, false},
    {"overlong of four", "\xf0\x8f\xbf\xbf", 4, 1, false},
    {"surrogate", "\xed\xa0\x80", 3, 1, false},
    {"above the last", "\xf4\x90\x80\x80", 4, 1, false},
    {"five bytes", "\xf8\x88\x80\x80\x80", 5, 0, false},
    {"0xff", "\xff", 1, 0, false},
    {"ascii where a continuation is due", "\xe2\x82z", 3, 2, false},
    {"a start where a continuation is due", "\xe2\xe2", 2, 1, false},
    {"bad after a long ascii run", "0123456789abcdef\xff", 17, 16, false},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void check(const struct row *row, size_t cut)
{
    const uint8_t *bytes = (const uint8_t *)row->bytes;
    struct utf8 u = {0};
    int err = utf8_feed(&u, bytes, cut);

    if (!err)
        err = utf8_feed(&u, bytes + cut, row->len - cut);
    if (err != (row->bad_at < row->len ? -EILSEQ : 0) ||
        (!err && utf8_is_whole(&u) != row->is_whole))
        fail_msg("%s, cut at %zu: %d", row->name, cut, err);
}

static void each_row_is_judged_alike_wherever_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        for (size_t cut = 0; cut <= rows[i].len; cut++)
            check(&rows[i], cut);
    }
}

static void a_byte_that_cannot_be_right_is_refused_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct utf8 u = {0};
        size_t at = 0;

        while (at < rows[i].len && utf8_feed(&u, (const uint8_t *)rows[i].bytes + at, 1) == 0)
            at++;
        if (at != rows[i].bad_at)
            fail_msg("%s: refused at %zu, not %zu", rows[i].name, at, rows[i].bad_at);
    }
}

static size_t encode(uint32_t c, uint8_t out[4])
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xC0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xE0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        out[2] = (uint8_t)(0x80 | (c & 0x3F));
        return 3;
    }
    out[0] = (uint8_t)(0xF0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
    out[3] = (uint8_t)(0x80 | (c & 0x3F));
    return 4;
}

static void every_character_is_taken_and_every_surrogate_refused(void **state)
{
    uint8_t bytes[4];

    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        bool want = c < 0x110000 && (c < 0xD800 || c > 0xDFFF);
        size_t len = encode(c, bytes);

        if (utf8_is_text(slice_of(bytes, len)) != want)
            fail_msg("U+%04X", c);
    }
}

static void of_all_pairs_of_bytes_only_the_legal_ones_are_text(void **state)
{
    (void)state;
    for (unsigned pair = 0; pair < 0x10000; pair++) {
        uint8_t bytes[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        bool is_ascii = bytes[0] < 0x80 && bytes[1] < 0x80;
        bool is_two = bytes[0] >= 0xC2 && bytes[0] <= 0xDF && (bytes[1] & 0xC0) == 0x80;

        if (utf8_is_text(slice_of(bytes, 2)) != (is_ascii || is_two))
            fail_msg("%04x", pair);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_judged_alike_wherever_it_is_cut),
        cmocka_unit_test(a_byte_that_cannot_be_right_is_refused_at_once),
        cmocka_unit_test(every_character_is_taken_and_every_surrogate_refused),
        cmocka_unit_test(of_all_pairs_of_bytes_only_the_legal_ones_are_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
