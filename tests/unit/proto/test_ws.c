#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "gather.h"
#include "hex.h"
#include "proto/ws.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* How bytes are handed to a decoder: a first piece, then pieces of `step`. */
struct cut {
    size_t first;
    size_t step;
};

/* What a decoder told, as text: "ping:p;text:Hello;close:1000,bye;" and "fail:1002;". */
struct told {
    FILE *out;
    char *text;
    size_t len;
    struct gather message; /* the open one */
};

static void told_init(struct told *t)
{
    *t = (struct told){0};
    t->out = open_memstream(&t->text, &t->len);
    assert_non_null(t->out);
}

static void told_fini(struct told *t)
{
    (void)fclose(t->out);
    free(t->text);
    gather_fini(&t->message);
}

static const char *told_text(struct told *t)
{
    (void)fflush(t->out);
    return t->text;
}

static void tell_bytes(struct told *t, const char *what, struct slice bytes)
{
    (void)fprintf(t->out, "%s:", what);
    if (bytes.len)
        (void)fwrite(bytes.ptr, 1, bytes.len, t->out);
    (void)fputc(';', t->out);
}

static void tell_data(struct told *t, const struct ws_event *event)
{
    gather_add(&t->message, event->span);
    if (!event->is_last)
        return;
    tell_bytes(t, event->opcode == WS_OP_TEXT ? "text" : "binary", gather_slice(&t->message));
    t->message.len = 0;
}

static void tell(struct told *t, const struct ws_event *event)
{
    switch (event->kind) {
    case WS_NONE: break;
    case WS_DATA: tell_data(t, event); break;
    case WS_PING: tell_bytes(t, "ping", event->span); break;
    case WS_PONG: tell_bytes(t, "pong", event->span); break;
    case WS_CLOSE:
        (void)fprintf(t->out, "close:%u,", event->code);
        if (event->span.len)
            (void)fwrite(event->span.ptr, 1, event->span.len, t->out);
        (void)fputc(';', t->out);
        break;
    }
}

/* Feeds one piece, from memory that ends where the piece ends.  Returns false after an error. */
static bool feed(struct ws_decoder *d, const uint8_t *bytes, size_t len, struct told *t)
{
    uint8_t *piece = malloc(len ? len : 1);
    struct ws_event event;
    ssize_t used = 0;

    assert_non_null(piece);
    memcpy(piece, bytes, len);
    for (size_t at = 0; at < len; at += (size_t)used) {
        used = ws_decoder_feed(d, piece + at, len - at, &event);
        if (used < 0)
            break;
        assert_in_range(used, 1, len - at);
        tell(t, &event);
    }
    free(piece);
    if (used >= 0)
        return true;
    assert_int_equal(used, -EPROTO);
    (void)fprintf(t->out, "fail:%u;", d->close_code);
    return false;
}

static void feed_all(struct ws_decoder *d, struct slice bytes, struct cut cut, struct told *t)
{
    size_t n = cut.first;

    for (size_t at = 0; at < bytes.len; at += n, n = cut.step) {
        n = n < bytes.len - at ? n : bytes.len - at;
        if (n && !feed(d, bytes.ptr + at, n, t))
            return;
    }
}

static const struct row {
    const char *name;
    const char *hex; /* as a relay sends it: without masks */
    const char *told;
    enum ws_text text;
    uint64_t message_max;
} rows[] = {
    {"nothing", "", "", 0, 0},
    {"text", "8105 48656c6c6f", "text:Hello;", 0, 0},
    {"binary", "8203 616263", "binary:abc;", 0, 0},
    {"empty text", "8100", "text:;", 0, 0},
    {"empty binary", "8200", "binary:;", 0, 0},
    {"two messages", "820161 820162", "binary:a;binary:b;", 0, 0},
    {"fragments", "0103616263 0003646566 8003676869", "text:abcdefghi;", 0, 0},
    {"empty fragments", "0200 0000 8000", "binary:;", 0, 0},
    {"an empty last fragment", "020161 8000", "binary:a;", 0, 0},
    {"control between fragments", "0103616263 890170 8a0171 8003646566",
     "ping:p;pong:q;text:abcdef;", 0, 0},
    {"empty ping and pong", "8900 8a00", "ping:;pong:;", 0, 0},
    {"half a head", "82", "", 0, 0},
    {"half a length", "827f000000", "", 0, 0},
    {"half a message", "8205616263", "", 0, 0},
    {"RSV1", "c100", "fail:1002;", 0, 0},
    {"RSV2", "a100", "fail:1002;", 0, 0},
    {"RSV3", "9100", "fail:1002;", 0, 0},
    {"RSV1 on a ping", "c900", "fail:1002;", 0, 0},
    {"reserved opcode 3", "8300", "fail:1002;", 0, 0},
    {"reserved opcode 7", "8700", "fail:1002;", 0, 0},
    {"reserved opcode 11", "8b00", "fail:1002;", 0, 0},
    {"reserved opcode 15", "8f00", "fail:1002;", 0, 0},
    {"a ping in fragments", "0900", "fail:1002;", 0, 0},
    {"a close in fragments", "0800", "fail:1002;", 0, 0},
    {"a ping of 126", "897e007e", "fail:1002;", 0, 0},
    {"a ping with a 64-bit length", "897f0000000000010000", "fail:1002;", 0, 0},
    {"16-bit length that fits in 7", "827e007d", "fail:1002;", 0, 0},
    {"64-bit length that fits in 16", "827f000000000000ffff", "fail:1002;", 0, 0},
    {"64-bit length with its top bit", "827f8000000000000000", "fail:1002;", 0, 0},
    {"the longest length", "827f7fffffffffffffff61", "", 0, 0},
    {"continuation of nothing", "8000", "fail:1002;", 0, 0},
    {"continuation after the end", "820161 800162", "binary:a;fail:1002;", 0, 0},
    {"a message inside a message", "010161 810162", "fail:1002;", 0, 0},
    {"empty close", "8800", "close:1005,;", 0, 0},
    {"close with half a code", "880103", "fail:1002;", 0, 0},
    {"close", "880203e8", "close:1000,;", 0, 0},
    {"close with a reason", "880803e8e282ac627965",
     "close:1000,\xe2\x82\xac"
     "bye;",
     0, 0},
    {"close with a reason that is not UTF-8", "880303e8ff", "fail:1007;", 0, 0},
    {"close with a reason cut off", "880303e8c3", "fail:1007;", 0, 0},
    {"bytes after a close", "880203e8 8900 ffff", "close:1000,;", 0, 0},
    {"text that is not UTF-8", "8101ff", "fail:1007;", 0, 0},
    {"text cut off", "8101c3", "fail:1007;", 0, 0},
    {"text cut off by an empty fragment", "0101c3 8000", "fail:1007;", 0, 0},
    {"a character over two fragments", "0101c3 8001a9", "text:\xc3\xa9;", 0, 0},
    {"a character broken by a fragment", "0101c3 800161", "fail:1007;", 0, 0},
    {"bad text before the message ends", "0103edbfbf", "fail:1007;", 0, 0},
    {"the next text starts afresh", "8102c3a9 8102c3a9", "text:\xc3\xa9;text:\xc3\xa9;", 0, 0},
    {"binary that is not UTF-8", "8201ff", "binary:\xff;", 0, 0},
    {"text where none is wanted", "8100", "fail:1003;", WS_TEXT_REFUSED, 0},
    {"binary where no text is wanted", "820161", "binary:a;", WS_TEXT_REFUSED, 0},
    {"as long as allowed", "82056162636465", "binary:abcde;", 0, 5},
    {"too long by its head alone", "8206", "fail:1009;", 0, 5},
    {"too long over its fragments", "0203616263 8003", "fail:1009;", 0, 5},
    {"each message has the whole maximum", "8203616263 8203616263", "binary:abc;binary:abc;", 0, 5},
    {"the longest length after one byte", "020161 807f7fffffffffffffff", "fail:1009;", 0, 5},
    {"control does not count", "0205 6162636465 890461626364 8000", "ping:abcd;binary:abcde;", 0,
     5},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* Makes of frames of a relay the frames of a device, byte by byte: the mask bit, a key, and the
 * payload under it. */
static uint8_t *masked(struct slice in, size_t *len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t *out = malloc(in.len * 5 + 16);
    size_t at = 0, to = 0;

    assert_non_null(out);
    while (in.len - at >= 2) {
        size_t len7 = in.ptr[at + 1] & 0x7F;
        size_t ext = len7 == 126 ? 2 : len7 == 127 ? 8 : 0;
        uint64_t payload = ext ? 0 : len7;

        if (in.len - at < 2 + ext)
            break;
        for (size_t i = 0; i < ext; i++)
            payload = payload << 8 | in.ptr[at + 2 + i];
        memcpy(out + to, in.ptr + at, 2 + ext);
        out[to + 1] |= 0x80;
        memcpy(out + to + 2 + ext, key, 4);
        to += 2 + ext + 4;
        at += 2 + ext;
        for (size_t i = 0; i < payload && at < in.len; i++)
            out[to++] = in.ptr[at++] ^ key[i % 4];
    }
    *len = to;
    return out;
}

static void check_cut(const struct row *row, enum ws_sender sender, struct slice bytes,
                      struct cut cut)
{
    struct ws_decoder d;
    struct told t;

    told_init(&t);
    ws_decoder_init(&d, sender, row->text, row->message_max);
    feed_all(&d, bytes, cut, &t);
    if (strcmp(told_text(&t), row->told) != 0)
        fail_msg("%s, sender %d, first %zu, then %zu: %s", row->name, (int)sender, cut.first,
                 cut.step, told_text(&t));
    told_fini(&t);
}

/* Whole, cut at every byte, and one byte at a time. */
static void check_row(const struct row *row, enum ws_sender sender, struct slice bytes)
{
    for (size_t first = 0; first <= bytes.len; first++)
        check_cut(row, sender, bytes, (struct cut){first, bytes.len});
    check_cut(row, sender, bytes, (struct cut){1, 1});
    check_cut(row, sender, bytes, (struct cut){2, 3});
}

static void each_row_from_a_relay_is_told_alike_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t len;
        uint8_t *bytes = hex_bytes(rows[i].hex, &len);

        check_row(&rows[i], WS_FROM_RELAY, slice_of(bytes, len));
        free(bytes);
    }
}

static void each_row_from_a_device_is_told_alike_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        size_t plain_len, len;
        uint8_t *plain = hex_bytes(rows[i].hex, &plain_len);
        uint8_t *bytes = masked(slice_of(plain, plain_len), &len);

        check_row(&rows[i], WS_FROM_DEVICE, slice_of(bytes, len));
        free(bytes);
        free(plain);
    }
}

static void the_wrong_mask_bit_is_refused(void **state)
{
    static const struct row row = {"mask bit", "", "fail:1002;", 0, 0};

    (void)state;
    check_row(&row, WS_FROM_DEVICE, slice_of("\x82\x00", 2));
    check_row(&row, WS_FROM_DEVICE, slice_of("\x89\x01p", 3));
    check_row(&row, WS_FROM_RELAY, slice_of("\x82\x81\x01\x02\x03\x04\x61", 7));
}

static void only_registered_and_private_close_codes_are_taken(void **state)
{
    (void)state;
    for (unsigned code = 0; code < 0x10000; code++) {
        uint8_t bytes[4] = {0x88, 2, (uint8_t)(code >> 8), (uint8_t)code};
        bool want = (code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)) ||
                    (code >= 3000 && code < 5000);
        struct ws_decoder d;
        struct ws_event event;
        ssize_t used;

        ws_decoder_init(&d, WS_FROM_RELAY, WS_TEXT_CHECKED, 0);
        used = ws_decoder_feed(&d, bytes, sizeof(bytes), &event);
        if (used != (want ? 4 : -EPROTO) || (want && event.code != code))
            fail_msg("%u: %zd", code, used);
    }
}

static void a_dead_decoder_stays_dead(void **state)
{
    uint8_t bad[] = {0xFF, 0x00};
    uint8_t good[] = {0x82, 0x00};
    struct ws_decoder d;
    struct ws_event event;

    (void)state;
    ws_decoder_init(&d, WS_FROM_RELAY, WS_TEXT_CHECKED, 0);
    assert_int_equal(ws_decoder_feed(&d, bad, 2, &event), -EPROTO);
    assert_int_equal(ws_decoder_feed(&d, good, 2, &event), -EPROTO);
    assert_int_equal(d.close_code, 1002);
}

static void pieces_of_data_lie_in_the_bytes_that_were_fed(void **state)
{
    uint8_t bytes[] = {0x02,    0x83, 1,    2, 3, 4, 'a' ^ 1, 'b' ^ 2,
                       'c' ^ 3, 0x80, 0x81, 0, 0, 0, 0,       'd'};
    struct ws_decoder d;
    struct ws_event event;

    (void)state;
    ws_decoder_init(&d, WS_FROM_DEVICE, WS_TEXT_CHECKED, 0);
    assert_int_equal(ws_decoder_feed(&d, bytes, 8, &event), 8);
    assert_ptr_equal(event.span.ptr, bytes + 6);
    assert_int_equal(event.span.len, 2);
    assert_false(event.is_last);
    assert_int_equal(ws_decoder_feed(&d, bytes + 8, 8, &event), 1);
    assert_ptr_equal(event.span.ptr, bytes + 8);
    assert_int_equal(ws_decoder_feed(&d, bytes + 9, 7, &event), 7);
    assert_true(event.is_last);
    assert_int_equal(event.opcode, WS_OP_BINARY);
    assert_memory_equal(bytes + 6, "abc", 3);
}

static void a_million_fragments_cost_no_more_than_one(void **state)
{
    static const uint8_t fragment[] = {0x00, 0x01, 'x'};
    uint8_t bytes[3] = {0x02, 0x01, 'x'};
    struct ws_decoder d;
    struct ws_event event;

    (void)state;
    ws_decoder_init(&d, WS_FROM_RELAY, WS_TEXT_CHECKED, 1000000);
    for (unsigned i = 0; i < 1000000; i++) {
        assert_int_equal(ws_decoder_feed(&d, bytes, 3, &event), 3);
        assert_int_equal(event.span.len, 1);
        memcpy(bytes, fragment, 3);
    }
    assert_int_equal(ws_decoder_feed(&d, bytes, 3, &event), -EPROTO);
    assert_int_equal(d.close_code, 1009);
}

static void heads_are_as_long_as_foretold_and_are_read_back(void **state)
{
    static const struct {
        uint64_t len;
        size_t head_len;
    } lens[] = {
        {0, 2}, {1, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {UINT64_C(1) << 62, 10}};
    static const uint8_t key[4] = {1, 2, 3, 4};

    (void)state;
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t head[WS_HEAD_MAX];
        struct ws_decoder d;
        struct ws_event event;

        assert_int_equal(ws_head_len(lens[i].len), lens[i].head_len);
        assert_int_equal(ws_write_head(head, WS_OP_BINARY, lens[i].len), lens[i].head_len);
        ws_decoder_init(&d, WS_FROM_RELAY, WS_TEXT_CHECKED, 0);
        assert_int_equal(ws_decoder_feed(&d, head, lens[i].head_len, &event), lens[i].head_len);
        assert_true(d.frame_len == lens[i].len && d.is_fin);

        assert_int_equal(ws_write_head_masked(head, WS_OP_TEXT, lens[i].len, key),
                         lens[i].head_len + 4);
        ws_decoder_init(&d, WS_FROM_DEVICE, WS_TEXT_CHECKED, 0);
        assert_int_equal(ws_decoder_feed(&d, head, lens[i].head_len + 4, &event),
                         lens[i].head_len + 4);
        assert_true(d.frame_len == lens[i].len && d.is_fin);
        assert_memory_equal(d.key, key, 4);
    }
}

static void check_close(uint16_t code, const char *reason, const char *want)
{
    uint8_t frame[WS_CLOSE_MAX];
    size_t len = ws_write_close(frame, code, slice_text(reason));
    struct ws_decoder d;
    struct told t;

    told_init(&t);
    ws_decoder_init(&d, WS_FROM_RELAY, WS_TEXT_CHECKED, 0);
    feed_all(&d, slice_of(frame, len), (struct cut){len, len}, &t);
    assert_string_equal(told_text(&t), want);
    told_fini(&t);
}

static void a_close_is_read_back_and_its_reason_is_cut_before_a_character(void **state)
{
    char reason[140];
    char want[160];

    (void)state;
    check_close(1000, "", "close:1000,;");
    check_close(1013, "connection timeout", "close:1013,connection timeout;");
    check_close(WS_CODE_NONE, "never said", "close:1005,;");
    memset(reason, 'x', sizeof(reason));
    memcpy(reason + 121, "\xe2\x82\xac", 4);
    (void)snprintf(want, sizeof(want), "close:1000,%.121s;", reason);
    check_close(1000, reason, want);
    memcpy(reason + 120, "\xe2\x82\xac", 4);
    (void)snprintf(want, sizeof(want), "close:1000,%.123s;", reason);
    check_close(1000, reason, want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_from_a_relay_is_told_alike_however_it_is_cut),
        cmocka_unit_test(each_row_from_a_device_is_told_alike_however_it_is_cut),
        cmocka_unit_test(the_wrong_mask_bit_is_refused),
        cmocka_unit_test(only_registered_and_private_close_codes_are_taken),
        cmocka_unit_test(a_dead_decoder_stays_dead),
        cmocka_unit_test(pieces_of_data_lie_in_the_bytes_that_were_fed),
        cmocka_unit_test(a_million_fragments_cost_no_more_than_one),
        cmocka_unit_test(heads_are_as_long_as_foretold_and_are_read_back),
        cmocka_unit_test(a_close_is_read_back_and_its_reason_is_cut_before_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
