/* refuse.h - the fixed answers to visitors that are turned away, each in the visitor's own
 * protocol.  All of them take the conn: it sends the answer and closes by itself.
 *
 * Threads: belongs to the conn's loop.
 */
#ifndef RVPN_EDGE_REFUSE_H
#define RVPN_EDGE_REFUSE_H

#include "net/conn.h"
#include "proto/hostname.h"

#define REFUSE_PAGE_MAX 1024U /* bytes of a page */

/* RFC 8446 6.2. */
enum refuse_alert {
    REFUSE_ALERT_DECODE_ERROR = 50,
    REFUSE_ALERT_INTERNAL_ERROR = 80, /* the device is away, or cannot take more */
    REFUSE_ALERT_UNRECOGNIZED_NAME = 112,
};

void refuse_tls(struct conn *c, enum refuse_alert alert);

/* A whole response with a page that says `sentence` (without markup); `headers` are more field
 * lines, each with its CRLF, or NULL. */
void refuse_http(struct conn *c, int status, const char *sentence, const char *headers);

/* For who speaks neither: one line of text. */
void refuse_other(struct conn *c);

/* The status for a request that http_head or http_body could not take, by their error. */
int refuse_status(int err);

/* "Not Found" for 404. */
const char *refuse_reason(int status);

/* Seconds for Retry-After: 5 to 15, spread evenly over those who are told. */
int refuse_retry_s(unsigned told_before);

/* The page alone.  Returns its length. */
size_t refuse_write_page(char out[REFUSE_PAGE_MAX], int status, const char *sentence);

#endif
