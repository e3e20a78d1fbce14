/* client_hello.h - what a TLS ClientHello asks for: the server name and the protocols (ALPN).
 *
 * The message may span TLS records, cut anywhere, a name included.  Nothing is decided before all
 * of it is there: a name is never taken from half a message.  What a careful TLS stack refuses is
 * refused: lengths that do not add up, server_name or ALPN twice, two names, a name that is not
 * a host's.  Bytes after the message are not looked at.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_PROTO_CLIENT_HELLO_H
#define RVPN_PROTO_CLIENT_HELLO_H

#include "base/slice.h"
#include "proto/hostname.h"

#define CLIENT_HELLO_MAX 65536U /* most bytes of the message itself, without record headers */
#define CLIENT_HELLO_ALPN_MAX                                                                      \
    256U /* of the protocol list; entries that do not fit are left out                             \
          */

/* How far a look at the bytes has got. */
enum client_hello {
    CLIENT_HELLO_MORE,    /* fine so far, not all there */
    CLIENT_HELLO_FOUND,   /* complete, and names a host */
    CLIENT_HELLO_NO_NAME, /* complete, without server_name */
    CLIENT_HELLO_BAD,     /* broken, or no ClientHello at all */
};

struct client_hello_wish {
    struct hostname host; /* of FOUND only; an address where a visitor sent one */
    uint16_t alpn_len;
    uint8_t alpn[CLIENT_HELLO_ALPN_MAX]; /* entries as on the wire: length byte, name */
};

/* Looks at in[] from its start each time; keeps nothing between calls.  *out is written for FOUND
 * and NO_NAME only. */
enum client_hello client_hello_parse(const uint8_t *in, size_t len, struct client_hello_wish *out);

/* How many bytes at least are missing where the answer is CLIENT_HELLO_MORE; 0 after any other. */
size_t client_hello_missing(const uint8_t *in, size_t len);

/* Whether `protocol` ("h2", "acme-tls/1") is among those offered. */
bool client_hello_has_alpn(const struct client_hello_wish *wish, const char *protocol);

#endif
