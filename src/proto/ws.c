#include "proto/ws.h"

#include <errno.h>

#define FIN 0x80U
#define RSV 0x70U
#define OPCODE 0x0FU
#define CONTROL_BIT 0x08U
#define MASKED 0x80U
#define LEN7 0x7FU
#define LEN7_16 126U
#define LEN7_64 127U

void ws_decoder_init(struct ws_decoder *d, enum ws_sender sender, enum ws_text text,
                     uint64_t message_max)
{
    *d = (struct ws_decoder){.sender = sender, .text = text, .message_max = message_max};
}

static int fail(struct ws_decoder *d, enum ws_code code)
{
    d->phase = WS_PHASE_FAILED;
    d->close_code = (uint16_t)code;
    return -EPROTO;
}

static uint64_t read_be(const uint8_t *bytes, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void write_be(uint8_t *bytes, size_t len, uint64_t value)
{
    for (size_t i = len; i-- > 0; value >>= 8)
        bytes[i] = (uint8_t)value;
}

/* How long a head is, as far as its first `have` bytes tell. */
static size_t head_need(const uint8_t *head, size_t have)
{
    unsigned len7;

    if (have < 2)
        return 2;
    len7 = head[1] & LEN7;
    return 2U + (len7 == LEN7_16 ? 2U : len7 == LEN7_64 ? 8U : 0U) + (head[1] & MASKED ? 4U : 0U);
}

/* RFC 6455 section 5.2: the shortest form must be used, and the top bit must be 0. */
static int read_len(const uint8_t *head, uint64_t *out)
{
    unsigned len7 = head[1] & LEN7;
    uint64_t len = len7;

    if (len7 == LEN7_16)
        len = read_be(head + 2, 2);
    else if (len7 == LEN7_64)
        len = read_be(head + 2, 8);
    if ((len7 == LEN7_16 && len < LEN7_16) || (len7 == LEN7_64 && (len <= 0xFFFF || len >> 63)))
        return -EPROTO;
    *out = len;
    return 0;
}

/* What the first two bytes of a head tell on their own, so that nobody waits for the rest. */
static int check_front(struct ws_decoder *d, const uint8_t *head)
{
    unsigned opcode = head[0] & OPCODE;
    bool is_fin = head[0] & FIN;
    bool is_masked = head[1] & MASKED;
    bool is_bad = head[0] & RSV || is_masked != (d->sender == WS_FROM_DEVICE);

    if (opcode & CONTROL_BIT)
        is_bad |= opcode > WS_OP_PONG || !is_fin || (head[1] & LEN7) > WS_CONTROL_MAX;
    else /* a message goes on if, and only if, one is open */
        is_bad |= opcode > WS_OP_BINARY || (opcode == WS_OP_CONTINUATION) != (d->message != 0);
    if (is_bad)
        return fail(d, WS_CODE_PROTOCOL);
    if (opcode == WS_OP_TEXT && d->text == WS_TEXT_REFUSED)
        return fail(d, WS_CODE_UNACCEPTABLE);
    return 0;
}

static int open_data(struct ws_decoder *d)
{
    if (d->opcode != WS_OP_CONTINUATION) {
        d->message = d->opcode;
        d->message_len = 0;
    }
    /* Without a maximum the sum may wrap; nobody reads it then. */
    if (d->message_max && d->frame_len > d->message_max - d->message_len)
        return fail(d, WS_CODE_TOO_BIG);
    d->message_len += d->frame_len;
    d->phase = WS_PHASE_DATA;
    return 0;
}

/* A whole head, whose front has been checked. */
static int open_frame(struct ws_decoder *d, const uint8_t *head)
{
    if (read_len(head, &d->frame_len))
        return fail(d, WS_CODE_PROTOCOL);
    d->opcode = head[0] & OPCODE;
    d->is_fin = head[0] & FIN;
    d->frame_at = 0;
    if (d->sender == WS_FROM_DEVICE)
        memcpy(d->key, head + head_need(head, 2) - 4, 4);
    if (!(d->opcode & CONTROL_BIT))
        return open_data(d);
    d->phase = WS_PHASE_CONTROL;
    return 0;
}

static void tell(struct ws_event *out, enum ws_event_kind kind, struct slice span)
{
    out->kind = kind;
    out->span = span;
}

/* After the next bytes of data, or a frame without any: moves on, and tells if there is a piece. */
static int on_data(struct ws_decoder *d, struct slice span, struct ws_event *out)
{
    bool is_whole = d->frame_at == d->frame_len;
    bool is_last = is_whole && d->is_fin;

    if (d->message == WS_OP_TEXT &&
        (utf8_feed(&d->utf8, span.ptr, span.len) || (is_last && !utf8_is_whole(&d->utf8))))
        return fail(d, WS_CODE_BAD_UTF8);
    if (span.len || is_last) {
        tell(out, WS_DATA, span);
        out->opcode = (enum ws_opcode)d->message;
        out->is_last = is_last;
    }
    if (is_whole)
        d->phase = WS_PHASE_HEAD;
    if (is_last)
        d->message = 0;
    return 0;
}

/* RFC 6455 section 7.4, and 1012 to 1014 as IANA has registered them since. */
static bool is_code(uint64_t code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static int on_close(struct ws_decoder *d, struct ws_event *out)
{
    struct slice reason = slice_from(slice_of(d->control, d->frame_len), 2);

    out->code = WS_CODE_NONE;
    if (d->frame_len) {
        if (d->frame_len == 1 || !is_code(read_be(d->control, 2)))
            return fail(d, WS_CODE_PROTOCOL);
        if (!utf8_is_text(reason))
            return fail(d, WS_CODE_BAD_UTF8);
        out->code = (uint16_t)read_be(d->control, 2);
    }
    d->phase = WS_PHASE_CLOSED;
    tell(out, WS_CLOSE, reason);
    return 0;
}

/* After the next bytes of a control frame, or one without any: tells once it is whole. */
static int on_control(struct ws_decoder *d, struct ws_event *out)
{
    if (d->frame_at < d->frame_len)
        return 0;
    if (d->opcode == WS_OP_CLOSE)
        return on_close(d, out);
    d->phase = WS_PHASE_HEAD;
    tell(out, d->opcode == WS_OP_PING ? WS_PING : WS_PONG, slice_of(d->control, d->frame_len));
    return 0;
}

/* A head that comes in parts is gathered in head[]. */
static int gather_head(struct ws_decoder *d, const uint8_t *in, size_t len, size_t *used)
{
    for (*used = 0; *used < len;) {
        d->head[d->head_len++] = in[(*used)++];
        if (d->head_len == 2 && check_front(d, d->head))
            return -EPROTO;
        if (d->head_len < head_need(d->head, d->head_len))
            continue;
        d->head_len = 0;
        return open_frame(d, d->head);
    }
    return 0;
}

/* Stores in *used how many bytes of a head were there, and opens its frame once it is whole. */
static int take_head(struct ws_decoder *d, const uint8_t *in, size_t len, size_t *used)
{
    size_t need = head_need(in, len);

    if (d->head_len || len < need)
        return gather_head(d, in, len, used);
    *used = need;
    return check_front(d, in) ? -EPROTO : open_frame(d, in);
}

static int feed_head(struct ws_decoder *d, const uint8_t *in, size_t len, size_t *used,
                     struct ws_event *out)
{
    int err = take_head(d, in, len, used);

    if (err || d->phase == WS_PHASE_HEAD || d->frame_len)
        return err;
    return d->phase == WS_PHASE_DATA ? on_data(d, slice_of(in + *used, 0), out)
                                     : on_control(d, out);
}

/* Unmasks as many of in[0..len) as belong to the frame and returns that number. */
static size_t take_payload(struct ws_decoder *d, uint8_t *in, size_t len)
{
    uint64_t left = d->frame_len - d->frame_at;
    size_t n = left < len ? (size_t)left : len;

    if (d->sender == WS_FROM_DEVICE)
        ws_mask(in, n, d->key, d->frame_at & 3);
    return n;
}

static int feed_data(struct ws_decoder *d, uint8_t *in, size_t len, size_t *used,
                     struct ws_event *out)
{
    *used = take_payload(d, in, len);
    d->frame_at += *used;
    return on_data(d, slice_of(in, *used), out);
}

static int feed_control(struct ws_decoder *d, uint8_t *in, size_t len, size_t *used,
                        struct ws_event *out)
{
    *used = take_payload(d, in, len);
    memcpy(d->control + d->frame_at, in, *used);
    d->frame_at += *used;
    return on_control(d, out);
}

ssize_t ws_decoder_feed(struct ws_decoder *d, uint8_t *in, size_t len, struct ws_event *out)
{
    size_t at = 0;

    out->kind = WS_NONE;
    while (at < len && out->kind == WS_NONE) {
        size_t used = len - at;
        int err = 0;

        switch (d->phase) {
        case WS_PHASE_HEAD: err = feed_head(d, in + at, len - at, &used, out); break;
        case WS_PHASE_DATA: err = feed_data(d, in + at, len - at, &used, out); break;
        case WS_PHASE_CONTROL: err = feed_control(d, in + at, len - at, &used, out); break;
        case WS_PHASE_CLOSED: break;
        case WS_PHASE_FAILED: err = -EPROTO; break;
        }
        if (err)
            return err;
        at += used;
    }
    return (ssize_t)at;
}

size_t ws_write_head(uint8_t *out, enum ws_opcode opcode, uint64_t len)
{
    size_t head_len = ws_head_len(len);

    out[0] = (uint8_t)(FIN | (unsigned)opcode);
    if (head_len == 2) {
        out[1] = (uint8_t)len;
    } else {
        out[1] = head_len == 4 ? LEN7_16 : LEN7_64;
        write_be(out + 2, head_len - 2, len);
    }
    return head_len;
}

size_t ws_write_head_masked(uint8_t *out, enum ws_opcode opcode, uint64_t len, const uint8_t key[4])
{
    size_t head_len = ws_write_head(out, opcode, len);

    out[1] |= MASKED;
    memcpy(out + head_len, key, 4);
    return head_len + 4;
}

size_t ws_write_close(uint8_t *out, uint16_t code, struct slice reason)
{
    size_t len = reason.len < WS_CONTROL_MAX - 2 ? reason.len : WS_CONTROL_MAX - 2;

    if (code == WS_CODE_NONE)
        return ws_write_head(out, WS_OP_CLOSE, 0);
    /* A cut must not leave half a character: 0x80 to 0xBF go on with one. */
    while (len > 0 && len < reason.len && (reason.ptr[len] & 0xC0) == 0x80)
        len--;
    (void)ws_write_head(out, WS_OP_CLOSE, len + 2);
    write_be(out + 2, 2, code);
    if (len)
        memcpy(out + 4, reason.ptr, len);
    return len + 4;
}
