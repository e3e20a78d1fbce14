#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/control.h"
#include "proto/mproxy.h"
#include "tap.h"

#include <dirent.h>
#include <errno.h>

#define CAPTURES RVPN_VECTORS "/captures"

static const struct row {
    const char *text;
    int err;
    enum control_kind kind;
    int64_t id;
    const char *command;
    const char *token;
    const char *message;
    const char *code;
} rows[] = {
    {"[238477492,\"add_token\",\"a.b.c\"]", 0, CONTROL_ADD_TOKEN, 238477492, "add_token", "a.b.c",
     "", ""},
    {" [ 1 , \"add_token\" , \"\" ] ", 0, CONTROL_ADD_TOKEN, 1, "add_token", "", "", ""},
    {"[5,\"delete_token\",\"a.b.c\"]", 0, CONTROL_DELETE_TOKEN, 5, "delete_token", "a.b.c", "", ""},
    {"[5,\"delete_token\",\"*\"]", 0, CONTROL_DELETE_TOKEN, 5, "delete_token", "*", "", ""},
    {"[6,\"auth\",\"a.b.c\"]", 0, CONTROL_AUTH, 6, "auth", "a.b.c", "", ""},
    {"[6,\"auth\",{\"subject\":\"jon@example.test\",\"otp\":\"1234\"}]", 0, CONTROL_AUTH, 6, "auth",
     "", "", ""},
    {"[6,\"authn\",{\"jwt\":\"a.b.c\"}]", 0, CONTROL_AUTH, 6, "authn", "a.b.c", "", ""},
    {"[6,\"authz\",{\"token\":\"a.b.c\"}]", 0, CONTROL_AUTH, 6, "authz", "a.b.c", "", ""},
    {"[6,\"auth\",{\"jwt\":7,\"access_token\":\"a.b.c\"}]", 0, CONTROL_AUTH, 6, "auth", "a.b.c", "",
     ""},
    {"[9007199254740992,\"add_token\",\"t\"]", 0, CONTROL_ADD_TOKEN, INT64_C(1) << 53, "add_token",
     "t", "", ""},
    {"[-1,null]", 0, CONTROL_OK, 1, "", "", "", ""},
    {"[-1,null,\"more\"]", 0, CONTROL_OK, 1, "", "", "", ""},
    {"[0,null]", 0, CONTROL_OK, 0, "", "", "", ""},
    {"[-2,{\"message\":\"unknown command \\\"grant\\\"\",\"code\":\"E_UNKNOWN_COMMAND\"}]", 0,
     CONTROL_ERROR, 2, "", "", "unknown command \"grant\"", "E_UNKNOWN_COMMAND"},
    {"[-3,{}]", 0, CONTROL_ERROR, 3, "", "", "", ""},
    {"[-3,{\"message\":1,\"code\":null}]", 0, CONTROL_ERROR, 3, "", "", "", ""},
    {"[0,{\"message\":\"m\",\"code\":\"c\"}]", 0, CONTROL_ERROR, 0, "", "", "m", "c"},
    {"[7,\"features\",{}]", 0, CONTROL_UNKNOWN, 7, "features", "", "", ""},
    {"[7,\"Add_token\"]", 0, CONTROL_UNKNOWN, 7, "Add_token", "", "", ""},
    {"[7,\"\"]", 0, CONTROL_UNKNOWN, 7, "", "", "", ""},
    {"", -EPROTO, 0, 0, "", "", "", ""},
    {"\n", -EPROTO, 0, 0, "", "", "", ""},
    {"null", -EPROTO, 0, 0, "", "", "", ""},
    {"{}", -EPROTO, 0, 0, "", "", "", ""},
    {"[]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1.0,\"auth\",\"t\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1e2,\"auth\",\"t\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[\"1\",\"auth\",\"t\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[9007199254740993,\"auth\",\"t\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[-9223372036854775808,null]", -EPROTO, 0, 0, "", "", "", ""},
    {"[99999999999999999999,null]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,null]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,7]", -EPROTO, 0, 0, "", "", "", ""},
    {"[-1,\"no\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[-1,[]]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\"]", 0, CONTROL_ADD_TOKEN, 1, "add_token", "", "", ""},
    {"[1,\"add_token\",null]", 0, CONTROL_ADD_TOKEN, 1, "add_token", "", "", ""},
    {"[1,\"add_token\",{\"jwt\":\"t\"}]", 0, CONTROL_ADD_TOKEN, 1, "add_token", "", "", ""},
    {"[1,\"delete_token\",7]", 0, CONTROL_DELETE_TOKEN, 1, "delete_token", "", "", ""},
    {"[1,\"auth\"]", 0, CONTROL_AUTH, 1, "auth", "", "", ""},
    {"[1,\"auth\",[]]", 0, CONTROL_AUTH, 1, "auth", "", "", ""},
    {"[1,\"auth\",{\"jwt\":\"a\",\"jwt\":\"b\"}]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"a\\u0000b\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"a\xff\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"\\ud800\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"a\nb\"]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"a\"]]", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"a\"] x", -EPROTO, 0, 0, "", "", "", ""},
    {"[1,\"add_token\",\"a\",]", -EPROTO, 0, 0, "", "", "", ""},
    {"['1','auth']", -EPROTO, 0, 0, "", "", "", ""},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Parses from memory that ends where the text ends. */
static int parse(const char *text, size_t len, struct control *out)
{
    uint8_t *bytes = malloc(len ? len : 1);
    int err;

    assert_non_null(bytes);
    memcpy(bytes, text, len);
    err = control_parse(bytes, len, out);
    free(bytes);
    return err;
}

static void check(const struct row *row)
{
    struct control c = {0};
    int err = parse(row->text, strlen(row->text), &c);

    if (err != row->err)
        fail_msg("%s: %d", row->text, err);
    if (err)
        return;
    if (c.kind != row->kind || c.id != row->id || !slice_is_text(c.command, row->command) ||
        !slice_is_text(c.token, row->token) || !slice_is_text(c.message, row->message) ||
        !slice_is_text(c.code, row->code))
        fail_msg("%s: kind %d, id %lld", row->text, (int)c.kind, (long long)c.id);
    control_fini(&c);
}

static void each_message_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        check(&rows[i]);
}

/* Every cut before the bracket that ends it. */
static void check_cuts(const char *text)
{
    for (const char *cut = text; cut < strrchr(text, ']'); cut++) {
        struct control c;

        if (parse(text, (size_t)(cut - text), &c) != -EPROTO)
            fail_msg("%s cut at %zu", text, (size_t)(cut - text));
    }
}

static void no_message_is_taken_when_it_is_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        if (!rows[i].err)
            check_cuts(rows[i].text);
    }
}

static void a_refused_message_leaves_the_output_alone(void **state)
{
    struct control c = {.id = 77};

    (void)state;
    assert_int_equal(parse("[1,7]", 5, &c), -EPROTO);
    assert_int_equal(c.id, 77);
    assert_null(c.document);
    control_fini(&c);
}

static void members_of_an_auth_are_asked_for_by_name(void **state)
{
    const char *text =
        "[3,\"auth\",{\"subject\":\"jon@example.test\",\"scope\":\"a.b,c.d\",\"n\":1}]";
    struct control c;

    (void)state;
    assert_int_equal(parse(text, strlen(text), &c), 0);
    assert_true(slice_is_text(control_text(&c, "subject"), "jon@example.test"));
    assert_true(slice_is_text(control_text(&c, "scope"), "a.b,c.d"));
    assert_int_equal(control_text(&c, "n").len, 0);
    assert_int_equal(control_text(&c, "hostname").len, 0);
    control_fini(&c);
    assert_int_equal(parse("[-1,null]", 9, &c), 0);
    assert_int_equal(control_text(&c, "subject").len, 0);
    control_fini(&c);
}

/* [1,"x",[[[...]]]] with `depth` brackets in all. */
static size_t write_deep(char *text, size_t depth)
{
    size_t len = (size_t)snprintf(text, 100, "[1,\"x\",");

    memset(text + len, '[', depth - 1);
    len += depth - 1;
    memset(text + len, ']', depth);
    return len + depth;
}

static void depth_is_bounded(void **state)
{
    char text[CONTROL_MAX];
    struct control c;

    (void)state;
    assert_int_equal(parse(text, write_deep(text, CONTROL_DEPTH_MAX), &c), 0);
    control_fini(&c);
    assert_int_equal(parse(text, write_deep(text, CONTROL_DEPTH_MAX + 1), &c), -EPROTO);
    assert_int_equal(parse(text, write_deep(text, 8000), &c), -EPROTO);
}

static void brackets_inside_of_text_are_not_depth(void **state)
{
    const char *text = "[1,\"[[[[[[[[[[[[[[[[[[[[\\\"[[[[\\\\\"]";
    struct control c;

    (void)state;
    assert_int_equal(parse(text, strlen(text), &c), 0);
    control_fini(&c);
}

static void length_is_bounded(void **state)
{
    char text[CONTROL_MAX + 1];
    struct control c;

    (void)state;
    (void)snprintf(text, sizeof(text), "%-*s", (int)CONTROL_MAX, "[-1,null]");
    assert_int_equal(parse(text, CONTROL_MAX, &c), 0);
    control_fini(&c);
    text[CONTROL_MAX] = ' ';
    assert_int_equal(parse(text, CONTROL_MAX + 1, &c), -EMSGSIZE);
}

static unsigned allocations_left;

static void *failing_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

static void out_of_memory_is_an_error_and_leaks_nothing(void **state)
{
    const char *text = "[1,\"auth\",{\"jwt\":\"a.b.c\",\"list\":[1,2,3],\"x\":{\"y\":null}}]";
    struct control c;
    unsigned failed = 0;
    int err;

    (void)state;
    json_set_alloc_funcs(failing_malloc, free);
    do {
        allocations_left = failed;
        err = parse(text, strlen(text), &c);
    } while (err && ++failed < 1000);
    json_set_alloc_funcs(malloc, free);
    assert_int_equal(err, 0);
    assert_in_range(failed, 5, 999);
    control_fini(&c);
}

static void check_written(ssize_t len, const uint8_t *out, const char *want)
{
    assert_int_equal(len, strlen(want));
    assert_memory_equal(out, want, strlen(want));
}

static void messages_are_written_as_the_old_relays_wrote_them(void **state)
{
    static const struct control_grant grants[] = {
        {{(const uint8_t *)"https", 5}, {(const uint8_t *)"x.example.com", 13}, 0},
        {{(const uint8_t *)"http", 4}, {(const uint8_t *)"x.example.com", 13}, 0},
        {{(const uint8_t *)"tcp", 3}, {(const uint8_t *)"tcp.example.com", 15}, 30001},
    };
    const struct control_fault fault = {slice_text("invalid access token"),
                                        slice_text("E_INVALID_TOKEN")};
    uint8_t out[300];
    const size_t size = sizeof(out);

    (void)state;
    check_written(
        control_write_hello(out, size), out,
        "[1,\"hello\",[1],[\"add_token\",\"delete_token\",\"auth\",\"authn\",\"authz\"]]");
    check_written(control_write_grant(out, size, grants, 3), out,
                  "[2,\"grant\",[[\"https\",\"x.example.com\"],[\"http\",\"x.example.com\"],"
                  "[\"tcp\",\"tcp.example.com\",30001]]]");
    check_written(control_write_grant(out, size, NULL, 0), out, "[2,\"grant\",[]]");
    check_written(control_write_ok(out, size, 530297500), out, "[-530297500,null]");
    check_written(control_write_error(out, size, 7, fault), out,
                  "[-7,{\"message\":\"invalid access token\",\"code\":\"E_INVALID_TOKEN\"}]");
    check_written(control_write_error(out, size, 0, fault), out,
                  "[0,{\"message\":\"invalid access token\",\"code\":\"E_INVALID_TOKEN\"}]");
    check_written(control_write_fault(out, size, fault), out,
                  "{\"message\":\"invalid access token\",\"code\":\"E_INVALID_TOKEN\"}");
    check_written(
        control_write_text_error(out, size, fault), out,
        "{\"error\":{\"message\":\"invalid access token\",\"code\":\"E_INVALID_TOKEN\"}}");
}

static void what_does_not_fit_is_not_written_past_the_end(void **state)
{
    const struct control_fault fault = {slice_text("m\"m\x01"), slice_text("c")};
    uint8_t out[64];
    ssize_t need = control_write_error(out, sizeof(out), 12, fault);

    (void)state;
    assert_in_range(need, 1, sizeof(out) - 1);
    for (size_t size = 0; size < sizeof(out); size++) {
        memset(out, 0xA5, sizeof(out));
        assert_int_equal(control_write_error(out, size, 12, fault),
                         size < (size_t)need ? -ENOBUFS : need);
        for (size_t i = size; i < sizeof(out); i++)
            assert_int_equal(out[i], 0xA5);
    }
}

/* Every byte, in a command that a device made up and we quote back. */
static void hostile_text_is_written_as_json_that_reads_back(void **state)
{
    char name[256];
    uint8_t out[2048];
    struct control c;
    ssize_t len;

    (void)state;
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = (char)(i < 128 ? i + 1 : 'x');
    name[127] = 'x'; /* 0x80 alone is not UTF-8 */
    len = control_write_error(
        out, sizeof(out), 3,
        (struct control_fault){slice_of(name, sizeof(name)), slice_text("\xe2\x82\xac")});
    assert_true(len > 0);
    assert_int_equal(control_parse(out, (size_t)len, &c), 0);
    assert_true(slice_is_equal(c.message, slice_of(name, sizeof(name))));
    assert_true(slice_is_text(c.code, "\xe2\x82\xac"));
    control_fini(&c);

    len = control_write_error(out, sizeof(out), 3,
                              (struct control_fault){slice_of("a\0\xff", 3), slice_text("")});
    check_written(len, out, "[-3,{\"message\":\"a\\u0000?\",\"code\":\"\"}]");
}

static void check_body(const struct mproxy_event *head, struct slice body, unsigned *count)
{
    char text[CONTROL_MAX];
    struct control c;

    if (head->head.kind != MPROXY_CONTROL)
        return;
    assert_in_range(body.len, 3, sizeof(text));
    memcpy(text, body.ptr, body.len);
    if (text[body.len - 1] == 'x') { /* the end of a long token is not in the recording */
        text[body.len - 2] = '"';
        text[body.len - 1] = ']';
    }
    assert_int_equal(parse(text, body.len, &c), 0);
    assert_int_not_equal(c.kind, CONTROL_UNKNOWN);
    control_fini(&c);
    (*count)++;
}

static unsigned check_stream(const struct tap_stream *s)
{
    struct slice said = gather_slice(&s->said);
    struct mproxy_event head = {0}, event;
    uint8_t gathered[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    unsigned count = 0;

    mproxy_decoder_init(&d, UINT32_MAX, gathered);
    for (size_t at = 0; at < said.len;) {
        ssize_t used = mproxy_decoder_feed(&d, said.ptr + at, said.len - at, &event);

        assert_true(used > 0);
        at += (size_t)used;
        if (event.kind == MPROXY_HEAD)
            head = event;
        else if (event.kind == MPROXY_BODY)
            check_body(&head, event.span, &count);
    }
    return count;
}

static void every_recorded_message_of_a_device_is_known(void **state)
{
    DIR *folder = opendir(CAPTURES);
    struct dirent *entry;
    unsigned count = 0;

    (void)state;
    assert_non_null(folder);
    while ((entry = readdir(folder))) {
        char path[4096];
        struct tap tap;

        (void)snprintf(path, sizeof(path), "%s/%s", CAPTURES, entry->d_name);
        if (entry->d_name[0] == '.')
            continue;
        assert_true(tap_load(&tap, path));
        for (size_t i = 0; i < tap.count; i++)
            count += tap.streams[i].from == TAP_FROM_DEVICE ? check_stream(&tap.streams[i]) : 0;
        tap_fini(&tap);
    }
    (void)closedir(folder);
    assert_int_equal(count, 27);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_read_or_refused),
        cmocka_unit_test(no_message_is_taken_when_it_is_cut_short),
        cmocka_unit_test(a_refused_message_leaves_the_output_alone),
        cmocka_unit_test(members_of_an_auth_are_asked_for_by_name),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(brackets_inside_of_text_are_not_depth),
        cmocka_unit_test(length_is_bounded),
        cmocka_unit_test(out_of_memory_is_an_error_and_leaks_nothing),
        cmocka_unit_test(messages_are_written_as_the_old_relays_wrote_them),
        cmocka_unit_test(what_does_not_fit_is_not_written_past_the_end),
        cmocka_unit_test(hostile_text_is_written_as_json_that_reads_back),
        cmocka_unit_test(every_recorded_message_of_a_device_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
