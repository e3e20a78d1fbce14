/* utf8.h - checks that a stream of bytes is UTF-8 (RFC 3629), however it is cut.
 *
 * Overlong forms, surrogates and anything above U+10FFFF are refused at the first byte that
 * cannot be right any more.  A zeroed struct is the start of a text.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_PROTO_UTF8_H
#define RVPN_PROTO_UTF8_H

#include "base/slice.h"

struct utf8 {
    uint8_t more; /* continuation bytes that must follow; 0 between characters */
    uint8_t low;  /* the next of them must be in low..high */
    uint8_t high;
};

/* Takes the next bytes of the text.  Returns 0, or -EILSEQ at a byte that cannot be UTF-8. */
int utf8_feed(struct utf8 *u, const uint8_t *in, size_t len);

/* Whether the text may end here: no character is cut off. */
bool utf8_is_whole(const struct utf8 *u);

/* Whether all of `s` is UTF-8. */
bool utf8_is_text(struct slice s);

#endif
