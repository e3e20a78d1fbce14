/* hostname.h - the one canonical form of a host's name, wherever it was read.
 *
 * Routing, grants and refusals all compare this form and nothing else, so that no two of them can
 * read one name differently.  Names are lower case, without the trailing dot, in letters, digits,
 * hyphens and underscores (international names come as A-labels, "xn--").  What could be taken
 * for an IPv4 address by some reader and is not four plain numbers (127.1, 0x7f.1, 010.0.0.1) is
 * refused.
 *
 * Threads: reentrant.
 * Errors:  0 on success, -EINVAL for anything else; *out is untouched then.
 */
#ifndef RVPN_PROTO_HOSTNAME_H
#define RVPN_PROTO_HOSTNAME_H

#include "base/slice.h"

#define HOSTNAME_MAX 253U      /* RFC 1035 3.1, without the root's dot */
#define HOSTNAME_LABEL_MAX 63U /* RFC 1035 2.3.4 */

enum hostname_kind {
    HOSTNAME_NAME,
    HOSTNAME_IPV4,    /* dotted decimal */
    HOSTNAME_IPV6,    /* as RFC 5952 writes it, without brackets; no zone */
    HOSTNAME_PATTERN, /* "*.example.org": from hostname_parse_pattern() only */
};

struct hostname {
    enum hostname_kind kind;
    char text[HOSTNAME_MAX + 1]; /* NUL-terminated */
    uint8_t len;
    uint16_t port; /* 0 if none was given */
};

/* A bare name or address: SNI, a claim, a configured name.  No port, no brackets. */
int hostname_parse(struct slice in, struct hostname *out);

/* As Host: and an authority have it: NAME, IPV4 or [IPV6], then ":PORT" maybe.  The port is 1 to
 * 65535; an empty one ("a:") counts as none, RFC 3986 3.2.3.  User information is refused. */
int hostname_parse_authority(struct slice in, struct hostname *out);

/* As hostname_parse(), or a name after a leading "*.": the `*` stays in the text. */
int hostname_parse_pattern(struct slice in, struct hostname *out);

/* Whether both name the same host; ports do not count. */
bool hostname_is_equal(const struct hostname *a, const struct hostname *b);

bool hostname_is_address(const struct hostname *h);

/* The text, lent by `h`. */
static inline struct slice hostname_slice(const struct hostname *h)
{
    return slice_of(h->text, h->len);
}

#endif
