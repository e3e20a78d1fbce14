/* backlog.h - what waits in the relay for one visitor: when its device must pause, when the tunnel
 * is not read, and whether the visitor takes enough of it.
 *
 * Private to the stream, whose flow, stall, stall_from and waiting are its own.
 *
 * Threads: belongs to the stream's loop.
 * Units:   bytes.
 */
#ifndef RVPN_TUNNEL_BACKLOG_H
#define RVPN_TUNNEL_BACKLOG_H

#include "tunnel/stream.h"

/* The queue to the visitor, which is there, has grown or shrunk. */
void backlog_look(struct stream *st);

/* The same, when the visitor has taken some: it has time again if that was enough. */
void backlog_on_taken(struct stream *st);

/* How it is with memory has changed. */
void backlog_on_memory(struct stream *st);

/* The stream has been ended on either side, or is being freed, without its visitor then: the device
 * is not held back for it any more.  What waits for the visitor still counts. */
void backlog_end(struct stream *st);

#endif
