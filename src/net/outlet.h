/* outlet.h - the sending half of a conn: what the socket has not taken yet, sealed under TLS, and
 * how it ends.
 *
 * Threads: belongs to the conn's loop.
 * Errors:  0 or -Exxx: the connection is lost then.
 */
#ifndef RVPN_NET_OUTLET_H
#define RVPN_NET_OUTLET_H

#include "net/conn_body.h"

/* Sends or queues `total` bytes, those of iov[0..count). */
int outlet_write(struct conn *c, const struct iovec *iov, unsigned count, size_t total);

/* Sends what the socket takes, and the end behind the last byte.  Returns whether the queue has
 * fallen. */
bool outlet_flush(struct conn *c);

/* Has the end follow the last queued byte. */
void outlet_shut(struct conn *c);

/* Bytes with the kernel that the other end's has not acknowledged. */
size_t outlet_unacknowledged(const struct conn *c);

/* A reset destroys what the kernel has not delivered yet: waits for that, for a while. */
void outlet_reset_when_delivered(struct conn *c);

#endif
