/* load_tunnel.h - M-PROXY v1 in WebSocket messages, as a device speaks it.
 *
 * Messages are masked with a new key each; a frame is one message, as in the clients up to 0.19,
 * or two (header, body), as in those from 0.20 on.
 */
#ifndef RVPN_BENCH_LOAD_TUNNEL_H
#define RVPN_BENCH_LOAD_TUNNEL_H

#include "load_link.h"
#include "load_talk.h"

struct tunnel *tunnel_new(void);

/* Ends its talks as well. */
void tunnel_free(struct link *l);

void tunnel_ask_upgrade(struct link *l);

/* What has come, below WebSocket.  Returns false once the relay closes. */
bool tunnel_take(struct link *l, uint8_t *in, size_t len);

/* One frame of data, or of the talk's pattern, or the talk's end. */
void tunnel_say(struct talk *t, const uint8_t *bytes, size_t len);
void tunnel_say_pattern(struct talk *t, size_t len);
void tunnel_say_end(struct talk *t);
void tunnel_say_word(struct talk *t, const char *word); /* "pause", "resume" */

/* How many bytes of a talk fit into a frame of options.frame bytes. */
size_t tunnel_body_max(const struct talk *t);

#endif
