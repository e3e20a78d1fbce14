/* origin.h - whose page has made a request.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_EDGE_ORIGIN_H
#define RVPN_EDGE_ORIGIN_H

#include "proto/http_head.h"

/* Whether the request comes from a page of another site (an Origin that is not its own host). */
bool origin_is_foreign(const struct http_head *head);

#endif
