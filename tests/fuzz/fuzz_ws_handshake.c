/* Four field values, one a line: Upgrade, Connection, Sec-WebSocket-Version, Sec-WebSocket-Key. */
#include "proto/ws_handshake.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct slice take_line(struct slice *rest)
{
    const uint8_t *end = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
    struct slice line = slice_of(rest->ptr, end ? (size_t)(end - rest->ptr) : rest->len);

    *rest = slice_from(*rest, line.len + 1);
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct ws_request request;
    uint8_t out[WS_HANDSHAKE_SIZE];
    ssize_t len;

    request.upgrade = take_line(&rest);
    request.connection = take_line(&rest);
    request.version = take_line(&rest);
    request.key = take_line(&rest);
    len = ws_handshake_write(request.key, out);
    assert(len < (ssize_t)sizeof(out));
    if (ws_handshake_judge(&request) == WS_VERDICT_UPGRADE)
        assert(len > 0);
    if (ws_handshake_is_old(request.key))
        assert(len > 0);
    return 0;
}
