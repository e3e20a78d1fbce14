/* ws_mask.h - the XOR of WebSocket payload with its 4-byte key (RFC 6455 section 5.3), which both
 * masks and unmasks.
 *
 * Every byte a device sends passes here, so it is done in the widest registers the processor has;
 * which ones is found out at run time.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_PROTO_WS_MASK_H
#define RVPN_PROTO_WS_MASK_H

#include <stddef.h>
#include <stdint.h>

/* Masks or unmasks bytes[0..len) in place.  `offset` is where in the frame's payload bytes[0]
 * stands, so that a frame may be done piece by piece. */
void ws_mask(uint8_t *bytes, size_t len, const uint8_t key[4], size_t offset);

#endif
