/* http_guard.h - walks the requests of one visitor's HTTP connection, so that none for another
 * host reaches the device that the first request chose.
 *
 * A connection is routed by its first request.  Others may follow on it, pooled by a proxy for
 * many users; one that names another host, or that two readers might understand differently, must
 * not be passed on, nor anything behind it.  Whole heads pass, unchanged.  After an upgrade
 * that the device has accepted (101) the bytes are no longer HTTP and all pass; but not after one
 * to HTTP/2 (h2c), whose requests name hosts as well: what follows it must still be HTTP/1.
 *
 * Threads: reentrant.
 * Errors:  -EPROTO, also on every later call: end the visitor's half.
 * Units:   bytes.
 */
#ifndef RVPN_PROTO_HTTP_GUARD_H
#define RVPN_PROTO_HTTP_GUARD_H

#include "proto/http_body.h"

#define HTTP_GUARD_STATUS_MAX 16U /* "HTTP/1.1 101 " and a little more decide */

enum http_guard_state {
    HTTP_GUARD_FIRST,  /* at the head of the first request */
    HTTP_GUARD_HEAD,   /* at the head of a later one */
    HTTP_GUARD_BODY,   /* in a request's body */
    HTTP_GUARD_ASKED,  /* an upgrade was asked for: nothing passes before the answer */
    HTTP_GUARD_OPAQUE, /* no longer HTTP */
    HTTP_GUARD_BAD,
};

struct http_guard {
    enum http_guard_state state;
    struct http_body body;
    struct hostname host;
    size_t seen; /* bytes of a head that was not whole when it was looked at */
    unsigned answer_len;
    uint8_t answer[HTTP_GUARD_STATUS_MAX];
};

/* All requests must be for `host`. */
void http_guard_init(struct http_guard *g, const struct hostname *host);

/* Returns how many of in[0..len) may pass now.  The rest is to be offered again: with more bytes
 * (a head is not complete), or after http_guard_on_answer() (see http_guard_is_waiting()). */
ssize_t http_guard_feed(struct http_guard *g, const uint8_t *in, size_t len);

/* Bytes have come from the device. */
void http_guard_on_answer(struct http_guard *g, struct slice bytes);

/* Whether nothing will pass before the device has answered. */
bool http_guard_is_waiting(const struct http_guard *g);

#endif
