/* tenure.h - what a session serves, and until when: its grants, and the claims they add up to.
 *
 * Private to the session: session.h declares session_take_grant(), session_drop_grant() and
 * session_claim_for(), which are here.
 *
 * Threads: belongs to the session's loop.
 */
#ifndef RVPN_TUNNEL_TENURE_H
#define RVPN_TUNNEL_TENURE_H

#include "tunnel/session.h"

/* Of a new session: it serves nothing. */
void tenure_init(struct session *s);

#endif
