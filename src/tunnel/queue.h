/* queue.h - what waits in the relay for one device: who of its visitors may add to it, and where in
 * it something stands.
 *
 * Private to the session, whose turns, drain and unsent_limit are its own, and to its streams.
 *
 * Threads: belongs to the session's loop.
 * Units:   bytes.
 */
#ifndef RVPN_TUNNEL_QUEUE_H
#define RVPN_TUNNEL_QUEUE_H

#include "tunnel/turns.h"

struct session;

/* Of a session that has its conn. */
void queue_init(struct session *s);

/* How much may be read for the stream whose turn this is; 0: it waits for stream_on_room(). */
size_t queue_room(struct session *s, struct turn *t);

/* So much has been read for it and written. */
void queue_took(struct session *s, struct turn *t, size_t len);

/* The device has taken some. */
void queue_on_drain(struct session *s);

/* Those that wait for room go on, in turn. */
void queue_let_on(struct session *s);

/* Where the end of what has been written to the device will stand among its wire bytes, and whether
 * the socket has taken all up to such a mark.  TLS adds to queued bytes, so a mark over a long
 * queue is up to a thousandth early. */
uint64_t queue_mark(const struct session *s);
bool queue_has_passed(const struct session *s, uint64_t mark);

/* Of a tunnel that is lost: whether the socket had taken anything behind such a mark. */
bool queue_had_sent(const struct session *s, uint64_t mark);

#endif
