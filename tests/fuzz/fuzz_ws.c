/* Frames from a device and from a relay, whole and in pieces: the pieces must tell the same. */
#include "proto/ws.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGE_MAX 4096U

/* A digest of what was told, the same however data was cut. */
struct told {
    uint64_t hash;
    uint64_t message; /* of the open message; counts once that is whole */
    uint16_t close_code;
};

static uint64_t mix(uint64_t hash, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = hash * 31 + bytes.ptr[i] + 1;
    return hash;
}

static void tell(struct told *t, const struct ws_event *event)
{
    assert(event->kind == WS_DATA || event->span.len <= WS_CONTROL_MAX);
    if (event->kind == WS_DATA) {
        t->message = mix(t->message, event->span);
        if (!event->is_last)
            return;
        t->hash = t->hash * 31 + t->message + (uint64_t)event->opcode;
        t->message = 0;
    } else {
        t->hash = mix(t->hash, event->span) * 31 + (uint64_t)event->kind;
    }
}

/* One call.  Returns how many bytes it used; all of them after an error. */
static size_t feed_once(struct ws_decoder *d, uint8_t *bytes, size_t len, struct told *t)
{
    struct ws_event event;
    ssize_t used = ws_decoder_feed(d, bytes, len, &event);

    if (used < 0) {
        t->close_code = d->close_code;
        assert(t->close_code);
        return len;
    }
    assert(used > 0 && (size_t)used <= len);
    assert(event.kind != WS_NONE || (size_t)used == len);
    if (event.kind != WS_NONE)
        tell(t, &event);
    return (size_t)used;
}

static void feed(struct ws_decoder *d, uint8_t *bytes, size_t len, struct told *t)
{
    for (size_t at = 0; at < len;)
        at += feed_once(d, bytes + at, len - at, t);
}

static struct told run(const uint8_t *data, size_t size, enum ws_sender sender, size_t step)
{
    struct told t = {0};
    struct ws_decoder d;

    ws_decoder_init(&d, sender, WS_TEXT_CHECKED, MESSAGE_MAX);
    for (size_t at = 0; at < size && !t.close_code; at += step) {
        size_t n = step < size - at ? step : size - at;
        uint8_t *piece = malloc(n);

        assert(piece);
        memcpy(piece, data + at, n);
        feed(&d, piece, n, &t);
        free(piece);
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum ws_sender senders[] = {WS_FROM_DEVICE, WS_FROM_RELAY};

    if (size == 0)
        return 0;
    for (size_t i = 0; i < 2; i++) {
        struct told whole = run(data, size, senders[i], size);
        struct told bytes = run(data, size, senders[i], 1);
        struct told pieces = run(data, size, senders[i], 1 + size % 61);

        assert(whole.hash == bytes.hash && whole.close_code == bytes.close_code);
        assert(whole.hash == pieces.hash && whole.close_code == pieces.close_code);
    }
    return 0;
}
