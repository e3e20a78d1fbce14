/* http_body.h - walks one request's body to find where it ends, without copying a byte.
 *
 * The machine is fed what came, in any pieces, and says how many of the bytes are this body's;
 * what is left begins the next request.  Chunked bodies are read as strictly as heads are: CRLF
 * only, 1 to 16 hex digits, extensions by their grammar, bounded extensions and trailers.
 *
 * Threads: reentrant.
 * Errors:  -EPROTO; the body has no end that two readers would agree on, so close.
 * Units:   bytes.
 */
#ifndef RVPN_PROTO_HTTP_BODY_H
#define RVPN_PROTO_HTTP_BODY_H

#include "proto/http_head.h"

#define HTTP_BODY_EXTENSION_MAX 1024U /* of one chunk's extensions */
#define HTTP_BODY_TRAILER_MAX 8192U   /* of the trailer section */

enum http_body_state {
    HTTP_BODY_DONE,
    HTTP_BODY_LENGTH,      /* `left` bytes of a body whose length was given */
    HTTP_BODY_SIZE,        /* in a chunk's size */
    HTTP_BODY_EXT_START,   /* after `;` */
    HTTP_BODY_EXT_NAME,    /* one byte of it has come */
    HTTP_BODY_EXT_EQUALS,  /* after `=` */
    HTTP_BODY_EXT_VALUE,   /* one byte of it has come */
    HTTP_BODY_EXT_QUOTED,  /* inside "" */
    HTTP_BODY_EXT_ESCAPED, /* after a backslash inside "" */
    HTTP_BODY_EXT_CLOSED,  /* after the closing quote */
    HTTP_BODY_SIZE_LF,     /* the size line's LF is due */
    HTTP_BODY_DATA,        /* `left` bytes of a chunk */
    HTTP_BODY_DATA_CR,
    HTTP_BODY_DATA_LF,
    HTTP_BODY_TRAILER, /* at the start of a trailer line, or of the last */
    HTTP_BODY_TRAILER_NAME,
    HTTP_BODY_TRAILER_VALUE,
    HTTP_BODY_TRAILER_LF,
    HTTP_BODY_LAST_LF,
    HTTP_BODY_BAD,
    HTTP_BODY_STATES
};

struct http_body {
    enum http_body_state state;
    unsigned count; /* of the size's digits, the chunk's extensions' bytes, or the trailers' */
    uint64_t left;
};

/* Starts at the first byte after `head`. */
void http_body_init(struct http_body *b, const struct http_head *head);

/* Returns how many of in[0..len) belong to the body: fewer than `len` only once it is done;
 * -EPROTO, and on every later call. */
ssize_t http_body_feed(struct http_body *b, const uint8_t *in, size_t len);

bool http_body_is_done(const struct http_body *b);

#endif
