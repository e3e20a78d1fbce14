/* The core cases of the Autobahn suite, against an echo made of the decoder and the writers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gather.h"
#include "hex.h"
#include "proto/ws.h"
#include "vector.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#define CASES RVPN_SHARED_VECTORS "/ws/autobahn_core_247.json"

/* One end that sends every message back, and notes what that end's peer would see. */
struct echo {
    struct ws_decoder decoder;
    json_t *seen; /* as the suite writes it: ["message", text, is_binary], ["pong", text] */
    struct gather message; /* the open one */
    unsigned close_code;   /* of the Close we would send; 0 while none is due */
    bool notes_waits;
    unsigned waits;
};

static void echo_init(struct echo *e)
{
    *e = (struct echo){.seen = json_array()};
    assert_non_null(e->seen);
    ws_decoder_init(&e->decoder, WS_FROM_DEVICE, WS_TEXT_CHECKED, 0);
}

static void echo_fini(struct echo *e)
{
    json_decref(e->seen);
    gather_fini(&e->message);
}

/* The suite's way to write a payload: as text if it is UTF-8, else in hex. */
static json_t *payload(struct slice bytes)
{
    char *hex;
    json_t *text;

    if (utf8_is_text(bytes))
        return json_stringn(bytes.len ? (const char *)bytes.ptr : "", bytes.len);
    hex = malloc(bytes.len * 2 + 3);
    assert_non_null(hex);
    memcpy(hex, "0x", 3);
    for (size_t i = 0; i < bytes.len; i++)
        (void)snprintf(hex + 2 + i * 2, 3, "%02x", bytes.ptr[i]);
    text = json_string(hex);
    free(hex);
    return text;
}

static void on_data(struct echo *e, const struct ws_event *event)
{
    gather_add(&e->message, event->span);
    if (!event->is_last)
        return;
    (void)json_array_append_new(e->seen,
                                json_pack("[s,o,b]", "message", payload(gather_slice(&e->message)),
                                          event->opcode == WS_OP_BINARY));
    e->message.len = 0;
}

static void on_event(struct echo *e, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_DATA: on_data(e, event); break;
    case WS_PING:
        (void)json_array_append_new(e->seen, json_pack("[s,o]", "pong", payload(event->span)));
        break;
    case WS_CLOSE: e->close_code = event->code; break;
    case WS_NONE:
    case WS_PONG: break;
    }
}

static void on_bytes(struct echo *e, const uint8_t *bytes, size_t len)
{
    uint8_t *piece = malloc(len ? len : 1);
    struct ws_event event;
    ssize_t used;

    assert_non_null(piece);
    memcpy(piece, bytes, len);
    for (size_t at = 0; at < len && !e->close_code; at += (size_t)used) {
        used = ws_decoder_feed(&e->decoder, piece + at, len - at, &event);
        if (used < 0) {
            e->close_code = e->decoder.close_code;
            break;
        }
        assert_int_not_equal(used, 0);
        on_event(e, &event);
    }
    free(piece);
}

static void on_wait(struct echo *e)
{
    char name[2] = {(char)('A' + e->waits++), '\0'};

    if (!e->close_code && e->notes_waits)
        (void)json_array_append_new(e->seen, json_pack("[s,s]", "timeout", name));
}

static void run_steps(struct echo *e, const json_t *steps, size_t piece_max)
{
    size_t index;
    json_t *step;

    json_array_foreach(steps, index, step)
    {
        const char *what = json_string_value(json_array_get(step, 0));
        const json_t *argument = json_array_get(step, 1);
        size_t len, n;
        uint8_t *bytes;

        if (strcmp(what, "wait") == 0)
            on_wait(e);
        if (strcmp(what, "send") != 0)
            continue;
        bytes = hex_bytes(json_string_value(argument), &len);
        for (size_t at = 0; at < len; at += n) {
            n = len - at < piece_max ? len - at : piece_max;
            on_bytes(e, bytes + at, n);
        }
        free(bytes);
    }
}

/* Whether a case says how long the text must stay acceptable: only the fail-fast ones do. */
static bool has_timeout(const json_t *events)
{
    const char *first = json_string_value(json_array_get(json_array_get(events, 0), 0));

    return first && strcmp(first, "timeout") == 0;
}

static bool is_informational(const json_t *row)
{
    const char *behavior = json_string_value(json_object_get(row, "reference_behavior"));

    return strcmp(behavior, "INFORMATIONAL") == 0;
}

static void check_case(const json_t *row, size_t piece_max)
{
    const json_t *want = json_object_get(json_object_get(row, "expected"), "OK");
    const json_t *code = json_object_get(row, "reference_close_code");
    unsigned want_code = json_is_null(code) ? WS_CODE_NONE : (unsigned)json_integer_value(code);
    struct echo e;

    echo_init(&e);
    e.notes_waits = has_timeout(want);
    run_steps(&e, json_object_get(row, "steps"), piece_max);
    if (!is_informational(row) && (!json_equal(e.seen, want) || e.close_code != want_code)) {
        char *seen = json_dumps(e.seen, JSON_COMPACT);

        (void)fprintf(stderr, "%.300s\n", seen);
        free(seen);
        fail_msg("case %s in pieces of %zu: closed with %u, not %u",
                 json_string_value(json_object_get(row, "id")), piece_max, e.close_code, want_code);
    }
    echo_fini(&e);
}

static void check_all(size_t piece_max)
{
    json_t *rows = json_load_file(CASES, JSON_ALLOW_NUL, NULL);
    size_t index;
    json_t *row;

    assert_int_equal(json_array_size(rows), 247);
    json_array_foreach(rows, index, row) check_case(row, piece_max);
    json_decref(rows);
}

static void every_case_is_ok_as_it_was_sent(void **state)
{
    (void)state;
    check_all(SIZE_MAX);
}

static void every_case_is_ok_one_byte_at_a_time(void **state)
{
    (void)state;
    check_all(1);
}

static void every_case_is_ok_in_pieces_of_a_prime(void **state)
{
    (void)state;
    check_all(1009);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_is_ok_as_it_was_sent),
        cmocka_unit_test(every_case_is_ok_one_byte_at_a_time),
        cmocka_unit_test(every_case_is_ok_in_pieces_of_a_prime),
    };

    if (access(CASES, R_OK) == -1) {
        (void)printf("SKIP: the Autobahn cases are not beside this checkout\n");
        return VECTOR_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
