/* jws.h - a compact JWS (RFC 7515) to the bytes that a key of ours has signed.
 *
 * Nothing is believed before the signature: the payload is not even decoded.  The header's alg
 * must be one that the key has; jku, x5u, jwk and x5c are ignored; crit, b64, zip and enc are
 * refused.  Base64url is strict, and so is the header's JSON.
 *
 * Threads: reentrant; a keyring may be used by many threads at once.
 * Errors:  -EKEYREJECTED whatever is wrong; *why is a static text then.
 */
#ifndef RVPN_AUTH_JWS_H
#define RVPN_AUTH_JWS_H

#include "auth/base64url.h"
#include "auth/keyring.h"

#define JWS_MAX 8192U /* bytes of a token; longer ones are refused before any work */

struct jws {
    const struct key *signer; /* lent by the keyring */
    size_t payload_len;
    uint8_t payload[BASE64URL_BYTES(JWS_MAX)];
};

/* Verifies all of `token`.  Returns 0 or -EKEYREJECTED (*out is of no use then). */
int jws_verify(const struct keyring *kr, struct slice token, struct jws *out, const char **why);

#endif
