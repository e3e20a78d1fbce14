/* fuzz_http_body.c - a body ends at the same byte in one piece and byte by byte.  The first byte
 * of the input says which framing. */
#include "proto/http_body.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t feed_bytes(struct http_body *b, const uint8_t *in, size_t len)
{
    for (size_t at = 0; at < len; at++) {
        ssize_t n = http_body_feed(b, in + at, 1);

        if (n <= 0)
            return n < 0 ? n : (ssize_t)at;
    }
    return (ssize_t)len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_head head = {.framing = HTTP_FRAMING_CHUNKED};
    struct http_body whole;
    struct http_body pieces;

    if (size == 0)
        return 0;
    if (data[0] & 0x80) {
        head.framing = HTTP_FRAMING_LENGTH;
        head.content_length = data[0] & 0x7f;
    }
    http_body_init(&whole, &head);
    http_body_init(&pieces, &head);
    if (http_body_feed(&whole, data + 1, size - 1) != feed_bytes(&pieces, data + 1, size - 1) ||
        whole.state != pieces.state || whole.left != pieces.left)
        abort();
    return 0;
}
