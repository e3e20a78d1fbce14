/* device.h - a device that speaks M-PROXY v1 in masked WebSocket messages over TLS.
 *
 * What it says is kept until device_flush(); what it hears is counted by stream, and not kept.
 */
#ifndef RVPN_TESTS_COST_DEVICE_H
#define RVPN_TESTS_COST_DEVICE_H

#include "end.h"

#include "proto/mproxy.h"
#include "proto/ws.h"

#include <openssl/ssl.h>

#define DEVICE_STREAMS 64
#define DEVICE_OUT 262144U

/* One visitor, as the device knows it. */
struct device_stream {
    char cid[72];
    size_t heard; /* bytes, since they were last waited for */
};

struct device {
    struct end end;
    SSL *ssl;
    struct ws_decoder ws;
    struct mproxy_decoder mproxy;
    uint8_t mproxy_head[MPROXY_HEAD_MAX];
    struct device_stream streams[DEVICE_STREAMS];
    unsigned stream_count;
    struct device_stream *now; /* whose frame is being heard */
    unsigned controls;
    uint8_t out[DEVICE_OUT];
    size_t out_len;
};

/* Comes with a token for `host` and waits for its grant. */
void device_open(struct device *d, SSL_CTX *context, const char *token);

/* Goes, with a WebSocket's Close. */
void device_close(struct device *d);

/* Forgets all streams. */
void device_forget(struct device *d);

/* One frame in one message; `word` is field 5. */
void device_say(struct device *d, const char *cid, const char *word, const void *body, size_t len);

/* Sends what was said, and waits until it has arrived.  Then it is for the caller to turn. */
void device_flush(struct device *d);

/* Waits until `len` more bytes have come for that stream. */
void device_await(struct device *d, const char *cid, size_t len);

#endif
