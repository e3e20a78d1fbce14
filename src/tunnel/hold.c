#include "tunnel/hold.h"

#include "base/slab.h"
#include "proto/http_body.h"

#define RECORD_HEAD 5U       /* RFC 8446 5.1: type, version, length */
#define APPLICATION_DATA 23U /* before the handshake is done: early data (RFC 8446 4.2.10) */

struct hold *hold_new(const struct stream_request *request)
{
    struct hold *h = slab_alloc(sizeof(*h));

    if (h) {
        h->request = *request;
        h->len = 0;
    }
    return h;
}

struct hold *hold_add(struct hold *h, const void *bytes, size_t len)
{
    struct hold *grown =
        len <= HOLD_MAX - h->len ? slab_resize(h, sizeof(*h) + h->len + len) : NULL;

    if (!grown) {
        slab_free(h);
        return NULL;
    }
    memcpy(grown->bytes + grown->len, bytes, len);
    grown->len += len;
    return grown;
}

static bool is_idempotent(struct slice method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (slice_is_equal(method, slice_text(methods[i])))
            return true;
    }
    return false;
}

/* Whole heads only: no others have been let pass. */
static bool has_repeatable_requests(const uint8_t *in, size_t len)
{
    struct http_head head;
    struct http_body body;

    while (len) {
        ssize_t head_len = http_head_parse(in, len, &head), body_len;

        if (head_len <= 0 || !is_idempotent(head.method))
            return false;
        http_body_init(&body, &head);
        body_len = http_body_feed(&body, in + head_len, len - (size_t)head_len);
        if (body_len < 0)
            return false;
        in += head_len + body_len;
        len -= (size_t)(head_len + body_len);
    }
    return true;
}

/* Early data are requests of which nobody here can say whether they may be repeated. */
static bool has_no_early_data(const uint8_t *in, size_t len)
{
    while (len) {
        size_t record = len < RECORD_HEAD ? len : RECORD_HEAD + (size_t)(in[3] << 8 | in[4]);

        if (in[0] == APPLICATION_DATA)
            return false;
        if (record > len)
            record = len;
        in += record;
        len -= record;
    }
    return true;
}

bool hold_is_repeatable(const struct hold *h)
{
    switch (h->request.service) {
    case STREAM_HTTP: return has_repeatable_requests(h->bytes, h->len);
    case STREAM_HTTPS: return has_no_early_data(h->bytes, h->len);
    case STREAM_TCP: break;
    }
    return h->len == 0;
}
