/* http_head.h - the head of an HTTP/1 request, taken apart strictly (RFC 9110, RFC 9112).
 *
 * Two readers of one request must not be able to disagree about its host or where it ends, so
 * everything that is only tolerated elsewhere is refused: two or (in 1.1) no Host, a Host that
 * differs from the target's, any second Content-Length or Transfer-Encoding or both together, bare
 * CR or LF, control bytes, folded lines, space before a colon.  One empty line before the request
 * line is let pass (RFC 9112 2.2).  The bytes are not changed: who forwards them forwards what
 * was checked.  Methods are those that are in use (RFC 9110, WebDAV and its kin): others are more
 * often another protocol (RTSP) than HTTP.
 *
 * Threads: reentrant.
 * Memory:  all slices are lent: they point into in[], and live as long as it.
 * Errors:  -EPROTO not HTTP/1 (400), -EMSGSIZE head too large or too many fields (431),
 *          -EPROTONOSUPPORT another HTTP version (505), -ENOSYS a method or a transfer coding
 *          that is not known (501).
 */
#ifndef RVPN_PROTO_HTTP_HEAD_H
#define RVPN_PROTO_HTTP_HEAD_H

#include "base/slice.h"
#include "proto/hostname.h"

#include <sys/types.h>

#define HTTP_HEAD_MAX 65536U /* bytes, blank line included */
#define HTTP_HEAD_FIELDS 100U

enum http_target { /* RFC 9112 3.2 */
                   HTTP_TARGET_ORIGIN,
                   HTTP_TARGET_ABSOLUTE,
                   HTTP_TARGET_AUTHORITY, /* CONNECT, and only there */
                   HTTP_TARGET_ASTERISK,  /* OPTIONS, and only there */
};

enum http_framing {
    HTTP_FRAMING_NONE,    /* no body */
    HTTP_FRAMING_LENGTH,  /* content_length bytes, may be 0 */
    HTTP_FRAMING_CHUNKED, /* ends itself */
};

struct http_field {
    struct slice name;
    struct slice value; /* without the spaces and tabs around it */
};

struct http_head {
    struct slice method;
    struct slice target; /* as sent */
    struct slice path;   /* of `target`, without the query; "/" where there is none */
    struct slice query;  /* after the `?`, or empty */
    enum http_target target_form;
    int minor;            /* HTTP/1.minor: 0 or 1 */
    bool has_host;        /* only an HTTP/1.0 request may lack one */
    struct hostname host; /* canonical, from the target or Host, which agree */
    enum http_framing framing;
    uint64_t content_length; /* of HTTP_FRAMING_LENGTH, else 0 */
    bool keep_alive;         /* another request may follow */
    bool wants_upgrade;      /* HTTP/1.1, "Connection: upgrade", and an Upgrade field */
    bool expects_continue;
    unsigned field_count;
    struct http_field fields[HTTP_HEAD_FIELDS];
};

/* Looks at in[] from its start each time; answers bad as soon as that is certain.
 * Returns >0 the bytes of the head, blank line included; 0 need more; -Exxx.  *out is written
 * where the answer is >0, and has no meaning after any other. */
ssize_t http_head_parse(const uint8_t *in, size_t len, struct http_head *out);

/* The first field of that name (in any case), or NULL. */
const struct http_field *http_head_field(const struct http_head *head, const char *name);

/* Whether any field of that name has `token` in its comma-separated list; case does not count,
 * nor does what follows a `;`. */
bool http_head_has_token(const struct http_head *head, const char *name, const char *token);

/* Whether `c` may be in a token, RFC 9110 5.6.2; in a field's value, 5.5. */
bool http_is_token_byte(uint8_t c);
bool http_is_text_byte(uint8_t c);

/* Recognises a response's status line, "HTTP/1.x NNN ...".
 * Returns >0 the bytes of the line with its CRLF, and the code in *status; 0 need more;
 * -EPROTO. */
ssize_t http_status_parse(const uint8_t *in, size_t len, int *status);

#endif
