/* flow.h - when a stream's queue asks its device to pause, and when nothing helps but not to read.
 *
 * Says what is due when the queue towards one visitor has grown or shrunk; doing it is the
 * caller's.  A device that knows no `pause` is held by the block alone: the caller ignores the
 * other two then.  A block stops the whole tunnel, so the caller counts them.
 *
 * Threads: reentrant.
 * Units:   bytes queued for the visitor.
 */
#ifndef RVPN_TUNNEL_FLOW_H
#define RVPN_TUNNEL_FLOW_H

#include <stddef.h>

/* low < high < hard.  Between `hard` and the queue's maximum must be room for all that one read of
 * the tunnel can bring: the block comes after the bytes. */
struct flow_marks {
    size_t low;
    size_t high;
    size_t hard;
};

enum flow_state {
    FLOW_RUNNING,
    FLOW_PAUSED,  /* the device was told to pause */
    FLOW_BLOCKED, /* and the tunnel must not be read */
    FLOW_OVER,    /* the device has ended the stream: nothing more to hold back */
};

/* All zero is a fresh one. */
struct flow {
    enum flow_state state;
};

enum flow_due {
    FLOW_SEND_PAUSE = 1,
    FLOW_SEND_RESUME = 2,
    FLOW_BLOCK = 4,
    FLOW_UNBLOCK = 8,
};

/* The queue holds `queued` bytes now.  Above `high` the device pauses until it is at `low`; above
 * `hard` the tunnel is blocked until it is at `high`.  Returns what is due, in enum flow_due. */
unsigned flow_on_queued(struct flow *f, const struct flow_marks *marks, size_t queued);

/* The device has ended the stream, or the stream is being freed.
 * Returns FLOW_UNBLOCK if it was blocking, else 0. */
unsigned flow_on_end(struct flow *f);

#endif
