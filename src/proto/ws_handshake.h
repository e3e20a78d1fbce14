/* ws_handshake.h - the upgrade of an HTTP/1.1 request to a WebSocket (RFC 6455 section 4.2).
 *
 * Judges and answers; does not read HTTP.  The caller has checked that the request is a GET of
 * HTTP/1.1, without body, and that each of these fields came at most once (lists may be joined).
 * No extension is ever accepted, hence Sec-WebSocket-Extensions is not looked at.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_PROTO_WS_HANDSHAKE_H
#define RVPN_PROTO_WS_HANDSHAKE_H

#include "base/slice.h"

#include <sys/types.h>

#define WS_ACCEPT_SIZE 29U     /* base64 of 20 bytes, and a NUL */
#define WS_HANDSHAKE_SIZE 160U /* enough for the 101 */

/* Field values of the request; lent.  Empty if the field is absent. */
struct ws_request {
    struct slice upgrade;    /* Upgrade */
    struct slice connection; /* Connection */
    struct slice key;        /* Sec-WebSocket-Key */
    struct slice version;    /* Sec-WebSocket-Version */
};

enum ws_verdict {
    WS_VERDICT_UPGRADE,     /* answer with ws_handshake_write() */
    WS_VERDICT_PLAIN,       /* not a WebSocket upgrade: go on with HTTP */
    WS_VERDICT_BAD,         /* meant as one, but broken: 400 */
    WS_VERDICT_BAD_VERSION, /* 426, with Sec-WebSocket-Version: 13 */
};

enum ws_verdict ws_handshake_judge(const struct ws_request *request);

/* The Sec-WebSocket-Accept for `key`, NUL-terminated; also what a device expects.
 * Returns 0; -EINVAL if `key` is not the base64 of 16 bytes; -ENOTSUP if the crypto library has
 * no SHA-1. */
int ws_handshake_accept(struct slice key, char out[WS_ACCEPT_SIZE]);

/* Writes the 101 response for `key`, without NUL, to out[0..WS_HANDSHAKE_SIZE).
 * Returns its length, or -Exxx as ws_handshake_accept(). */
ssize_t ws_handshake_write(struct slice key, uint8_t *out);

/* Whether `key` is "13-" and 13 digits, as only ws 1.x made them: clients up to 0.9.6. */
bool ws_handshake_is_old(struct slice key);

#endif
