/* A stream of frames, whole and in pieces: the pieces must tell the same.  Each header that names
 * an address is written again from a template and must read as it was. */
#include "proto/mproxy.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BODY_MAX 100000U

struct told {
    uint64_t hash;
    int err;
};

static void tell(struct told *t, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        t->hash = t->hash * 31 + bytes.ptr[i] + 1;
}

static void check_written(const struct mproxy_head *head, const struct mproxy_key *key)
{
    struct mproxy_route route = {
        .key = *key, .service = slice_text("https"), .name = head->name, .fields = MPROXY_FIELDS_7};
    uint32_t body_len = (uint32_t)head->body_len;
    uint8_t out[MPROXY_HEAD_MAX];
    struct mproxy_template t;
    uint8_t gathered[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    struct mproxy_event event;
    struct mproxy_key again;
    size_t len;

    if (head->kind > MPROXY_RESUME || mproxy_template_init(&t, &route, BODY_MAX))
        return;
    len = mproxy_template_write(&t, head->kind, body_len, out);
    assert(len == mproxy_template_head_len(&t, head->kind, body_len));
    mproxy_decoder_init(&d, BODY_MAX, gathered);
    assert(mproxy_decoder_feed(&d, out, len, &event) == (ssize_t)len);
    assert(event.kind == MPROXY_HEAD && event.head.kind == head->kind);
    assert(event.head.body_len == head->body_len);
    assert(slice_is_equal(event.head.name, head->name));
    assert(mproxy_key_parse(event.head.address, event.head.port, &again) == 0);
    assert(memcmp(&again, key, sizeof(again)) == 0);
}

static void tell_head(struct told *t, const struct mproxy_head *head)
{
    struct mproxy_key key;

    assert(head->body_len <= BODY_MAX);
    tell(t, head->cid);
    tell(t, head->service);
    tell(t, head->service_port);
    tell(t, head->name);
    tell(t, head->real_service);
    t->hash += head->body_len * 7 + (uint64_t)head->kind;
    if (mproxy_key_parse(head->address, head->port, &key) == 0)
        check_written(head, &key);
}

static void feed(struct mproxy_decoder *d, const uint8_t *bytes, size_t len, struct told *t)
{
    for (size_t at = 0; at < len && !t->err;) {
        struct mproxy_event event;
        ssize_t used = mproxy_decoder_feed(d, bytes + at, len - at, &event);

        if (used < 0) {
            t->err = (int)used;
            return;
        }
        assert(used > 0 && (size_t)used <= len - at);
        at += (size_t)used;
        if (event.kind == MPROXY_HEAD)
            tell_head(t, &event.head);
        else if (event.kind == MPROXY_BODY)
            tell(t, event.span);
        else
            assert(at == len);
    }
}

static struct told run(const uint8_t *data, size_t size, size_t step)
{
    struct told t = {0};
    uint8_t head[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;

    mproxy_decoder_init(&d, BODY_MAX, head);
    for (size_t at = 0; at < size && !t.err; at += step) {
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
    struct told whole, bytes, pieces;

    if (size == 0)
        return 0;
    whole = run(data, size, size);
    bytes = run(data, size, 1);
    pieces = run(data, size, 1 + size % 61);
    assert(whole.hash == bytes.hash && whole.err == bytes.err);
    assert(whole.hash == pieces.hash && whole.err == pieces.err);
    return 0;
}
