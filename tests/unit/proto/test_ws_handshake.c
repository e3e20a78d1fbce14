#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/ws_handshake.h"

#include <errno.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static const struct row {
    const char *name;
    const char *upgrade;
    const char *connection;
    const char *version;
    const char *key;
    enum ws_verdict verdict;
} rows[] = {
    {"as browsers send it", "websocket", "keep-alive, Upgrade", "13", KEY, WS_VERDICT_UPGRADE},
    {"in any case", "WebSocket", "UPGRADE", "13", KEY, WS_VERDICT_UPGRADE},
    {"in lists with blanks", "h2c ,\twebsocket\t", " , close ,upgrade ", "13", KEY,
     WS_VERDICT_UPGRADE},
    {"a key of ws 1.x", "websocket", "Upgrade", "13",
     "MTMtMTc5NTM3MDM2NDM3Nw==", WS_VERDICT_UPGRADE},
    {"no Upgrade", "", "Upgrade", "13", KEY, WS_VERDICT_PLAIN},
    {"another protocol", "h2c", "Upgrade", "13", KEY, WS_VERDICT_PLAIN},
    {"a longer word", "websockets", "Upgrade", "13", KEY, WS_VERDICT_PLAIN},
    {"a shorter word", "websocke", "Upgrade", "13", KEY, WS_VERDICT_PLAIN},
    {"only commas", ",,,", "Upgrade", "13", KEY, WS_VERDICT_PLAIN},
    {"no Connection", "websocket", "", "13", KEY, WS_VERDICT_BAD},
    {"Connection without it", "websocket", "keep-alive", "13", KEY, WS_VERDICT_BAD},
    {"Connection with a longer word", "websocket", "upgraded", "13", KEY, WS_VERDICT_BAD},
    {"no version", "websocket", "Upgrade", "", KEY, WS_VERDICT_BAD},
    {"version 8", "websocket", "Upgrade", "8", KEY, WS_VERDICT_BAD_VERSION},
    {"version 14", "websocket", "Upgrade", "14", "", WS_VERDICT_BAD_VERSION},
    {"version 013", "websocket", "Upgrade", "013", KEY, WS_VERDICT_BAD_VERSION},
    {"two versions", "websocket", "Upgrade", "13, 8", KEY, WS_VERDICT_BAD_VERSION},
    {"no key", "websocket", "Upgrade", "13", "", WS_VERDICT_BAD},
    {"a short key", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ=", WS_VERDICT_BAD},
    {"a long key", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ===", WS_VERDICT_BAD},
    {"17 bytes", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZSE=", WS_VERDICT_BAD},
    {"base64url", "websocket", "Upgrade", "13", "dGhlIHNhbXBs-SBub25jZQ==", WS_VERDICT_BAD},
    {"a blank in the key", "websocket", "Upgrade", "13",
     "dGhlIHNhbXBs SBub25jZQ==", WS_VERDICT_BAD},
    {"padding inside", "websocket", "Upgrade", "13", "dGhlIHNhbXBs=SBub25jZQ==", WS_VERDICT_BAD},
};

static void each_request_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ws_request request = {
            .upgrade = slice_text(rows[i].upgrade),
            .connection = slice_text(rows[i].connection),
            .version = slice_text(rows[i].version),
            .key = slice_text(rows[i].key),
        };

        if (ws_handshake_judge(&request) != rows[i].verdict)
            fail_msg("%s: %d", rows[i].name, (int)ws_handshake_judge(&request));
    }
}

static void a_request_without_any_field_is_plain(void **state)
{
    (void)state;
    assert_int_equal(ws_handshake_judge(&(struct ws_request){.key = {NULL, 0}}), WS_VERDICT_PLAIN);
}

/* The RFC's example, and two that original relays gave. */
static const char *const pairs[][2] = {
    {KEY, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
    {"osbQI4SC0ur+txqVfATGwg==", "3C0iYPJNKlpM/JEgnV+OS3fJC1o="},
    {"MTMtMTc5NTM3MDM2MDU0NQ==", "89oVAUKGgr40dWyw+zozGUGr6/g="},
};

#define PAIRS (sizeof(pairs) / sizeof(pairs[0]))

static void keys_are_answered_as_the_rfc_and_the_old_relays_did(void **state)
{
    (void)state;
    for (size_t i = 0; i < PAIRS; i++) {
        char accept[WS_ACCEPT_SIZE];

        assert_int_equal(ws_handshake_accept(slice_text(pairs[i][0]), accept), 0);
        assert_string_equal(accept, pairs[i][1]);
    }
}

static void the_101_has_the_answer_and_no_extension(void **state)
{
    uint8_t out[WS_HANDSHAKE_SIZE];
    const char *want = "HTTP/1.1 101 Switching Protocols\r\n"
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                       "\r\n";

    (void)state;
    assert_int_equal(ws_handshake_write(slice_text(KEY), out), strlen(want));
    assert_memory_equal(out, want, strlen(want));
}

static void what_is_no_key_is_not_answered(void **state)
{
    uint8_t out[WS_HANDSHAKE_SIZE];
    char accept[WS_ACCEPT_SIZE];

    (void)state;
    assert_int_equal(ws_handshake_accept(slice_text("x"), accept), -EINVAL);
    assert_int_equal(ws_handshake_write(slice_of(NULL, 0), out), -EINVAL);
}

static void keys_of_ws_1_are_told_from_random_ones(void **state)
{
    static const struct {
        const char *key;
        bool is_old;
    } keys[] = {
        {"MTMtMTc5NTM3MDM2NDM3Nw==", true}, /* 13-1795370364377 */
        {"MTMtMTQ3NTAwMDAwMDAwMA==", true}, /* 13-1475000000000 */
        {KEY, false},
        {"OC0xMTc5NTM3MDM2NDM3Nw==", false}, /* 8-11795370364377 */
        {"MTMtMTc5NTM3MDM2NDM3YQ==", false}, /* 13-179537036437a */
        {"MTMtMTc5NTM3MDM2NDM3", false},     /* 12 digits */
        {"", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (ws_handshake_is_old(slice_text(keys[i].key)) != keys[i].is_old)
            fail_msg("%s", keys[i].key);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_is_judged),
        cmocka_unit_test(a_request_without_any_field_is_plain),
        cmocka_unit_test(keys_are_answered_as_the_rfc_and_the_old_relays_did),
        cmocka_unit_test(the_101_has_the_answer_and_no_extension),
        cmocka_unit_test(what_is_no_key_is_not_answered),
        cmocka_unit_test(keys_of_ws_1_are_told_from_random_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
