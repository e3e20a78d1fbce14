/* intake.h - the receiving half of a conn: bytes from the socket through the loop's scratch to the
 * owner, and what it leaves kept for the next time.
 *
 * Threads: belongs to the conn's loop.
 */
#ifndef RVPN_NET_INTAKE_H
#define RVPN_NET_INTAKE_H

#include "net/conn_body.h"

/* The socket is ready: reads it if the owner has room. */
void intake_receive(struct conn *c, unsigned ready);

/* Offers what was kept, if the owner has room. */
void intake_offer_kept(struct conn *c);

#endif
