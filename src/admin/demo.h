/* demo.h - the demonstration page's WebSocket: a test message every `dwell`, every message logged
 * with running totals, and the totals told to the page as they change.
 *
 * The totals count what the first relay's did, the payload of messages: `bytes_read` what the page
 * sent, `bytes_written` the test messages.  Reports of the totals ({"bytes_read":N,
 * "bytes_written":M}) are not counted themselves, nor is the message that brings a token.  The
 * page's messages are counted and dropped; only their length is ever logged.
 *
 * /ws/admin is the same behind a token with scope "admin".  It comes with the request, or, as
 * browsers let a page set no header and a token in a URL ends up in logs on the way, in
 * the first message: {"auth":"TOKEN"}, within auth_timeout, or it is closed with 1008.  Only a
 * request with an Origin (our own, as all others are refused) gets that chance: who could have set
 * a header is answered 401.
 *
 * Threads: belongs to its worker's loop.
 * Units:   bytes.
 */
#ifndef RVPN_ADMIN_DEMO_H
#define RVPN_ADMIN_DEMO_H

#include "edge/front.h"

#define DEMO_TEST_MESSAGE "This is a test"
#define DEMO_MESSAGE_MAX 65536U /* a longer one is closed with 1009 */

/* The "WEBSOCKET" routes of /ws/client and /ws/admin. */
void demo_start_client(const struct front_request *request);
void demo_start_admin(const struct front_request *request);

enum demo_kind {
    DEMO_CLIENT,
    DEMO_ADMIN,         /* its token has been checked */
    DEMO_ADMIN_UNKNOWN, /* its first message must bring one */
};

/* Takes `conn`, on which the handshake is done.  Returns 0 or -ENOMEM. */
int demo_open(struct edge *e, struct conn *conn, const struct address *peer, enum demo_kind kind);

#endif
