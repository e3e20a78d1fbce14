/* device.h - a device from its upgrade request on: which age it is of, what its tokens allow, and
 * the conversation about them.  What it serves then is its session's business.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_DEVICE_H
#define RVPN_EDGE_DEVICE_H

#include "edge/front.h"

/* The "WEBSOCKET" route of every path that is not another's. */
void device_start(const struct front_request *request);

struct device;

/* The session of that id on this worker, or NULL. */
struct session *device_session(struct edge *e, uint64_t session_id);

/* Devices without streams go now, the others when their last stream has ended. */
void device_drain_all(struct edge *e);

/* All go now. */
void device_leave_all(struct edge *e, uint16_t code, const char *why);

/* How it is with memory has changed: see loop_memory_level(). */
void device_on_memory_all(struct edge *e);

#endif
