/* hold.h - a visitor's request, held until its answer begins: should the tunnel be lost before,
 * the visitor can be routed once more.
 *
 * Threads: belongs to its stream's loop.
 * Memory:  one block; its owner frees it with slab_free().
 * Units:   bytes.
 */
#ifndef RVPN_TUNNEL_HOLD_H
#define RVPN_TUNNEL_HOLD_H

#include "tunnel/stream.h"

#define HOLD_MAX 16384U /* of what the visitor has sent; who sends more is not retried */

struct hold {
    struct stream_request request;
    size_t len;
    uint8_t bytes[]; /* all that it has sent to the device */
};

/* NULL when out of memory. */
struct hold *hold_new(const struct stream_request *request);

/* Adds a copy of the bytes.  Returns the hold, which may have moved; NULL if it would be more than
 * HOLD_MAX, or out of memory: it is freed then. */
struct hold *hold_add(struct hold *h, const void *bytes, size_t len);

/* Whether a device may get these bytes though another one may have acted on them: requests whose
 * methods are all idempotent (RFC 9110 9.2.2), or a TLS handshake without early data. */
bool hold_is_repeatable(const struct hold *h);

#endif
