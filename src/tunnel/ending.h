/* ending.h - does what life.h says is due when a stream ends: what its device and its visitor are
 * told, and the stream's own grave.
 *
 * Private to the stream.
 *
 * Threads: belongs to the stream's loop.
 */
#ifndef RVPN_TUNNEL_ENDING_H
#define RVPN_TUNNEL_ENDING_H

#include "tunnel/stream.h"

/* What begins the end, for the log; only the first one counts.  Keeps `why`. */
void ending_note(struct stream *st, const char *why);

/* How far the device's answer has got. */
enum life_answer ending_answer(const struct stream *st);

/* Does what is due, in the order of the bits.  Returns whether the stream is gone: not before its
 * first frame has been alone. */
bool ending_do(struct stream *st, unsigned due);

/* The time in which the device may be quiet begins anew. */
void ending_start_quiet(struct stream *st);

/* Of a stream whose end is over: takes it out of its session, and buries it. */
void ending_free(struct stream *st);

#endif
