/* sniff.h - what a visitor speaks, and which host it wants, from its first bytes.
 *
 * A handshake record's head means TLS; a word of letters and a space (a method, known or not)
 * means HTTP, so that who speaks it gets an answer in it.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_PROTO_SNIFF_H
#define RVPN_PROTO_SNIFF_H

#include "base/slice.h"
#include "proto/hostname.h"

#define SNIFF_MAX 65536U /* bytes that are considered at most */

/* How far a look at a visitor's first bytes has got. */
enum sniff {
    SNIFF_MORE,    /* too few bytes to tell */
    SNIFF_FOUND,   /* out->host is filled */
    SNIFF_NO_HOST, /* legal, but names no host: no SNI, or HTTP/1.0 without Host */
    SNIFF_BAD,     /* broken TLS or HTTP, or neither of them: see the kind */
};

enum sniffed_kind {
    SNIFFED_UNKNOWN, /* too early to say; with SNIFF_MORE only */
    SNIFFED_TLS,
    SNIFFED_HTTP,
    SNIFFED_OTHER, /* neither; with SNIFF_BAD only */
};

struct sniffed {
    enum sniffed_kind kind; /* written always, as soon as it is certain */
    int err;                /* of SNIFF_BAD: -EPROTO, or as http_head_parse() has it; else 0 */
    size_t due_at;          /* of SNIFF_MORE: fewer bytes than that cannot be answered */
    struct hostname host;   /* of SNIFF_FOUND; for TLS an address where the SNI is one */
};

/* Looks at in[] from its start each time; keeps nothing between calls.  A ClientHello may span
 * TLS records.  Past SNIFF_MAX bytes without an answer the answer is SNIFF_BAD, -EMSGSIZE.  HTTP
 * is judged by its whole head: call http_head_parse() for the rest of it. */
enum sniff sniff(const uint8_t *in, size_t len, struct sniffed *out);

/* Whether another look is worth its time, `last` being that of a SNIFF_MORE for in[0..seen): a
 * head that comes byte by byte is then looked at once a line, a hello when as much of it may be
 * there as it said it has, and not 64 Ki times. */
bool sniff_is_due(const struct sniffed *last, const uint8_t *in, size_t seen, size_t len);

#endif
