/* Hellos of real clients and of nobody: each as a whole, and cut at every byte. */
#include "proto/client_hello.h"

#include "vector.h"

#include <setjmp.h> /* cmocka.h wants it */
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>

#define CAPTURED RVPN_VECTORS "/tls/clienthello"
#define CASES RVPN_VECTORS "/tls/clienthello_cases.jsonl"
#define CASE_COUNT 120U
#define CAPTURE_COUNT 28U

/* Puts the answer as the cases' `expect` has it. */
static const char *answer_text(const uint8_t *in, size_t len, char *text, size_t size)
{
    struct client_hello_wish wish;

    switch (client_hello_parse(in, len, &wish)) {
    case CLIENT_HELLO_MORE: return "need_more";
    case CLIENT_HELLO_NO_NAME: return "nosni";
    case CLIENT_HELLO_BAD: return "reject";
    case CLIENT_HELLO_FOUND: break;
    }
    (void)snprintf(text, size, "sni:%s", wish.host.text);
    return text;
}

/* Whether `answer` is one of the alternatives a|b|c. */
static bool is_one_of(const char *answer, const char *alternatives)
{
    size_t len = strlen(answer);

    for (const char *at = alternatives; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (strncmp(at, answer, len) == 0 && (at[len] == '\0' || at[len] == '|'))
            return true;
    }
    return false;
}

static void check_case(json_t *one)
{
    const char *expect = json_string_value(json_object_get(one, "expect"));
    struct vector v = vector_of_base64(json_string_value(json_object_get(one, "b64")));
    char text[300];
    const char *answer = answer_text(v.bytes, v.len, text, sizeof(text));

    if (!is_one_of(answer, expect))
        fail_msg("%s: %s, not %s", json_string_value(json_object_get(one, "id")), answer, expect);
    free(v.bytes);
}

static void every_case_is_answered_as_it_should_be(void **state)
{
    struct vector v = vector_of_file(CASES);
    unsigned count = 0;
    char *rest = NULL;

    (void)state;
    assert_non_null(v.bytes);
    for (char *line = strtok_r((char *)v.bytes, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        json_t *one = json_loads(line, 0, NULL);

        assert_non_null(one);
        check_case(one);
        json_decref(one);
        count++;
    }
    free(v.bytes);
    assert_int_equal(count, CASE_COUNT);
}

/* Any part of it wants more, all of it gives `whole`. */
static void cut_everywhere(const char *name, const struct vector *v, const char *whole)
{
    char text[300];
    const char *answer;

    for (size_t len = 0; len < v->len; len++) {
        uint8_t *cut = vector_cut(v->bytes, len);

        if (strcmp(answer_text(cut, len, text, sizeof(text)), "need_more") != 0)
            fail_msg("%s cut at %zu", name, len);
        free(cut);
    }
    answer = answer_text(v->bytes, v->len, text, sizeof(text));
    if (strcmp(answer, whole) != 0)
        fail_msg("%s: %s, not %s", name, answer, whole);
}

static void captured_hellos_cut_at_every_byte_want_more_until_they_are_whole(void **state)
{
    json_t *index = json_load_file(CAPTURED "/index.json", 0, NULL);
    json_t *one;
    size_t i;

    (void)state;
    assert_int_equal(json_array_size(index), CAPTURE_COUNT);
    json_array_foreach(index, i, one)
    {
        const char *name = json_string_value(json_object_get(one, "file"));
        const char *sni = json_string_value(json_object_get(one, "sni"));
        char path[4096];
        char whole[300];
        struct vector v;

        (void)snprintf(path, sizeof(path), CAPTURED "/%s.bin", name);
        (void)snprintf(whole, sizeof(whole), sni ? "sni:%s" : "nosni", sni);
        v = vector_of_file(path);
        assert_non_null(v.bytes);
        cut_everywhere(name, &v, whole);
        free(v.bytes);
    }
    json_decref(index);
}

/* Builds hellos in records of a chosen size. */
struct maker {
    uint8_t bytes[4096];
    size_t len;
};

static void put(struct maker *m, const void *bytes, size_t len)
{
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static void put_u16(struct maker *m, size_t value)
{
    put(m, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void put_extension(struct maker *m, unsigned type, const void *bytes, size_t len)
{
    put_u16(m, type);
    put_u16(m, len);
    put(m, bytes, len);
}

static void put_name(struct maker *m, const char *name, size_t len)
{
    struct maker body = {.len = 0};

    put_u16(&body, len + 3);
    put(&body, "", 1);
    put_u16(&body, len);
    put(&body, name, len);
    put_extension(m, 0, body.bytes, body.len);
}

/* A hello with those extensions, cut into records of `record` bytes. */
static struct maker make(const struct maker *extensions, size_t record)
{
    static const uint8_t suites_and_compression[] = {0, 2, 0x13, 0x01, 1, 0};
    struct maker message = {.len = 0};
    struct maker out = {.len = 0};
    size_t body = 2 + 32 + 1 + sizeof(suites_and_compression) + 2 + extensions->len;

    put(&message, (uint8_t[]){1, 0, (uint8_t)(body >> 8), (uint8_t)body, 3, 3}, 6);
    message.len += 32;
    put(&message, "", 1);
    put(&message, suites_and_compression, sizeof(suites_and_compression));
    put_u16(&message, extensions->len);
    put(&message, extensions->bytes, extensions->len);
    for (size_t at = 0; at < message.len; at += record) {
        size_t n = message.len - at < record ? message.len - at : record;

        put(&out, (uint8_t[]){22, 3, 1, 0, (uint8_t)n}, 5);
        put(&out, message.bytes + at, n);
    }
    return out;
}

static void a_name_is_found_however_the_records_are_cut(void **state)
{
    struct maker extensions = {.len = 0};
    char text[300];

    (void)state;
    put_extension(&extensions, 0x0a0a, "", 0);
    put_name(&extensions, "A-b.example", 11);
    put_extension(&extensions, 16, "\0\5\4abcd", 7);
    for (size_t record = 1; record < 120; record++) {
        struct maker hello = make(&extensions, record);

        assert_string_equal(answer_text(hello.bytes, hello.len, text, sizeof(text)),
                            "sni:a-b.example");
        for (size_t len = 0; len < hello.len; len++)
            assert_int_equal(client_hello_parse(hello.bytes, len, &(struct client_hello_wish){0}),
                             CLIENT_HELLO_MORE);
    }
}

struct extension_row {
    const char *what;
    unsigned type;
    const char *bytes;
    size_t len;
    const char *answer;
};

#define BYTES(text) (text), sizeof(text) - 1

static const struct extension_row extension_rows[] = {
    {"an address as the name", 0,
     BYTES("\0\x0c\0\0\x09"
           "192.0.2.1"),
     "sni:192.0.2.1"},
    {"no list", 0, BYTES(""), "reject"},
    {"an empty list", 0, BYTES("\0\0"), "reject"},
    {"half a length", 0, BYTES("\0"), "reject"},
    {"list shorter than the extension", 0, BYTES("\0\4\0\0\1ab"), "reject"},
    {"list longer than the extension", 0, BYTES("\0\6\0\0\1ab"), "reject"},
    {"name longer than the list", 0, BYTES("\0\4\0\0\2a"), "reject"},
    {"empty name", 0, BYTES("\0\3\0\0\0"), "reject"},
    {"NUL inside", 0, BYTES("\0\6\0\0\3a\0b"), "reject"},
    {"NUL at the end", 0, BYTES("\0\5\0\0\2a\0"), "reject"},
    {"another name type", 0, BYTES("\0\4\1\0\1a"), "reject"},
    {"two names", 0, BYTES("\0\x08\0\0\1a\0\0\1b"), "reject"},
    {"ALPN", 16, BYTES("\0\3\2h2"), "nosni"},
    {"ALPN empty", 16, BYTES("\0\0"), "reject"},
    {"ALPN with an empty name", 16, BYTES("\0\1\0"), "reject"},
    {"ALPN past its list", 16, BYTES("\0\3\3h2"), "reject"},
    {"ALPN short of its extension", 16, BYTES("\0\3\2h2x"), "reject"},
    {"ALPN without a list", 16, BYTES(""), "reject"},
    {"unknown", 0xfafa, BYTES("\xff\xff\xff"), "nosni"},
};

static void extensions_are_read_strictly(void **state)
{
    char text[300];

    (void)state;
    for (size_t i = 0; i < sizeof(extension_rows) / sizeof(extension_rows[0]); i++) {
        const struct extension_row *row = &extension_rows[i];
        struct maker extensions = {.len = 0};
        struct maker hello;
        const char *answer;

        put_extension(&extensions, row->type, row->bytes, row->len);
        hello = make(&extensions, 100);
        answer = answer_text(hello.bytes, hello.len, text, sizeof(text));
        if (strcmp(answer, row->answer) != 0)
            fail_msg("%s: %s", row->what, answer);
    }
}

static void what_is_read_may_come_once_only(void **state)
{
    struct maker names = {.len = 0};
    struct maker protocols = {.len = 0};
    struct maker others = {.len = 0};
    struct maker hello;

    (void)state;
    for (int i = 0; i < 2; i++) {
        put_name(&names, "a", 1);
        put_extension(&protocols, 16, "\0\3\2h2", 5);
        put_extension(&others, 0x1a1a, "", 0);
    }
    hello = make(&names, 200);
    assert_int_equal(client_hello_parse(hello.bytes, hello.len, &(struct client_hello_wish){0}),
                     CLIENT_HELLO_BAD);
    hello = make(&protocols, 200);
    assert_int_equal(client_hello_parse(hello.bytes, hello.len, &(struct client_hello_wish){0}),
                     CLIENT_HELLO_BAD);
    hello = make(&others, 200);
    assert_int_equal(client_hello_parse(hello.bytes, hello.len, &(struct client_hello_wish){0}),
                     CLIENT_HELLO_NO_NAME);
}

static void protocols_offered_are_known_and_those_that_do_not_fit_are_not(void **state)
{
    struct maker list = {.len = 0};
    struct maker extensions = {.len = 0};
    struct client_hello_wish wish;
    struct maker hello;
    uint8_t longest[256] = {255};

    (void)state;
    put_u16(&list, 3 + 11 + sizeof(longest) + 9);
    put(&list, "\2h2", 3);
    put(&list, "\12acme-tls/1", 11);
    put(&list, longest, sizeof(longest));
    put(&list, "\10http/1.1", 9);
    put_extension(&extensions, 16, list.bytes, list.len);
    hello = make(&extensions, 255);
    assert_int_equal(client_hello_parse(hello.bytes, hello.len, &wish), CLIENT_HELLO_NO_NAME);
    assert_true(client_hello_has_alpn(&wish, "h2"));
    assert_true(client_hello_has_alpn(&wish, "acme-tls/1"));
    assert_true(client_hello_has_alpn(&wish, "http/1.1"));
    assert_false(client_hello_has_alpn(&wish, "h"));
    assert_false(client_hello_has_alpn(&wish, ""));
    assert_int_equal(wish.alpn_len, 3 + 11 + 9);
}

struct start_row {
    const char *what;
    const char *bytes;
    size_t len;
    enum client_hello answer;
};

static const struct start_row start_rows[] = {
    {"no handshake", BYTES("\x15"), CLIENT_HELLO_BAD},
    {"no TLS", BYTES("\x16\x02"), CLIENT_HELLO_BAD},
    {"record too long by its first length byte", BYTES("\x16\3\1\x41"), CLIENT_HELLO_BAD},
    {"record too long by one", BYTES("\x16\3\1\x40\1"), CLIENT_HELLO_BAD},
    {"longest record", BYTES("\x16\3\1\x40\0"), CLIENT_HELLO_MORE},
    {"empty record", BYTES("\x16\3\1\0\0"), CLIENT_HELLO_BAD},
    {"empty record in the middle", BYTES("\x16\3\1\0\1\1\x16\3\1\0\0"), CLIENT_HELLO_BAD},
    {"another message", BYTES("\x16\3\1\0\4\2"), CLIENT_HELLO_BAD},
    {"longest message", BYTES("\x16\3\1\0\4\1\1\0\0"), CLIENT_HELLO_MORE},
    {"message too long", BYTES("\x16\3\1\0\4\1\1\0\1"), CLIENT_HELLO_BAD},
    {"message far too long", BYTES("\x16\3\1\0\4\1\2"), CLIENT_HELLO_BAD},
    {"empty message", BYTES("\x16\3\1\0\4\1\0\0\0"), CLIENT_HELLO_BAD},
    {"another record inside", BYTES("\x16\3\1\0\1\1\x17"), CLIENT_HELLO_BAD},
};

static void what_cannot_become_a_hello_is_refused_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(start_rows) / sizeof(start_rows[0]); i++) {
        const struct start_row *row = &start_rows[i];
        uint8_t *exact = vector_cut(row->bytes, row->len);
        struct client_hello_wish wish = {.alpn_len = 7};

        if (client_hello_parse(exact, row->len, &wish) != row->answer)
            fail_msg("%s", row->what);
        assert_int_equal(wish.alpn_len, 7);
        free(exact);
    }
}

static void a_hello_of_tls_1_0_needs_no_extensions(void **state)
{
    static const uint8_t head[] = {22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 1};
    static const uint8_t tail[] = {0, 0, 2, 0, 47, 1, 0};
    uint8_t hello[sizeof(head) + 32 + sizeof(tail)] = {0};

    (void)state;
    memcpy(hello, head, sizeof(head));
    memcpy(hello + sizeof(head) + 32, tail, sizeof(tail));
    assert_int_equal(client_hello_parse(hello, sizeof(hello), &(struct client_hello_wish){0}),
                     CLIENT_HELLO_NO_NAME);
    hello[9] = 2;
    assert_int_equal(client_hello_parse(hello, sizeof(hello), &(struct client_hello_wish){0}),
                     CLIENT_HELLO_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_answered_as_it_should_be),
        cmocka_unit_test(captured_hellos_cut_at_every_byte_want_more_until_they_are_whole),
        cmocka_unit_test(a_name_is_found_however_the_records_are_cut),
        cmocka_unit_test(extensions_are_read_strictly),
        cmocka_unit_test(what_is_read_may_come_once_only),
        cmocka_unit_test(protocols_offered_are_known_and_those_that_do_not_fit_are_not),
        cmocka_unit_test(what_cannot_become_a_hello_is_refused_at_once),
        cmocka_unit_test(a_hello_of_tls_1_0_needs_no_extensions),
    };

    return cmocka_run_group_tests_name("client_hello", tests, NULL, NULL);
}
