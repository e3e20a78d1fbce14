#include "fixture.h"

#include <errno.h>

static void every_length_of_bytes_comes_back(void **state)
{
    uint8_t bytes[64];
    uint8_t back[64];
    char text[128];
    size_t len = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 250);
    for (size_t n = 0; n <= sizeof(bytes); n++) {
        int written = base64url_write(slice_of(bytes, n), text, sizeof(text));

        assert_int_equal(written, BASE64URL_TEXT(n));
        assert_int_equal(strlen(text), written);
        assert_int_equal(base64url_parse(slice_text(text), back, n, &len), 0);
        assert_int_equal(len, n);
        assert_memory_equal(back, bytes, n);
        if (n)
            assert_int_equal(base64url_parse(slice_text(text), back, n - 1, &len), -EMSGSIZE);
        assert_int_equal(base64url_write(slice_of(bytes, n), text, (size_t)written), -EMSGSIZE);
    }
}

static void only_one_text_stands_for_the_same_bytes(void **state)
{
    static const struct {
        const char *what;
        const char *text;
    } rows[] = {
        {"one letter is no byte", "A"},
        {"five letters", "AAAAA"},
        {"padding", "QQ=="},
        {"padding alone", "="},
        {"unused bits set after one byte", "QR"},
        {"unused bits set after two", "QUJ"},
        {"a space before", " QQ"},
        {"a space after", "QQ "},
        {"a line feed", "QUJD\nQQ"},
        {"the other alphabet's plus", "+-AA"},
        {"the other alphabet's slash", "/-AA"},
        {"beyond ASCII", "\xc3\xa9"},
        {"a dot", "QQ.Q"},
        {"a question mark", "?QQQ"},
    };
    uint8_t out[16];
    size_t len = 99;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (base64url_parse(slice_text(rows[i].text), out, sizeof(out), &len) != -EINVAL)
            fail_msg("%s is taken", rows[i].what);
        assert_int_equal(len, 99);
    }
}

static void of_all_last_letters_only_those_with_zero_bits_are_taken(void **state)
{
    unsigned taken = 0;
    uint8_t out[4];
    size_t len;

    (void)state;
    for (int c = 0; c < 256; c++) {
        uint8_t text[2] = {'A', (uint8_t)c};

        taken += base64url_parse(slice_of(text, 2), out, sizeof(out), &len) == 0;
    }
    assert_int_equal(taken, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_of_bytes_comes_back),
        cmocka_unit_test(only_one_text_stands_for_the_same_bytes),
        cmocka_unit_test(of_all_last_letters_only_those_with_zero_bits_are_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
