/* routing.h - a visitor that is known to want a device: to a stream of it, to the worker that has
 * it, or refused.
 *
 * Threads: belongs to the visitor's loop; a visitor that moves comes to another worker's by parcel.
 */
#ifndef RVPN_EDGE_ROUTING_H
#define RVPN_EDGE_ROUTING_H

#include "edge/visitor_body.h"

/* Whether there is a device for it now. */
bool routing_has_device(const struct visitor *v);

/* Finds the device and gives the visitor to it, here or on another worker.  in[] is what the
 * visitor has sent.  Returns the stream if it is here: in[] is still to be given to that. */
struct stream *routing_start(struct visitor *v, const uint8_t *in, size_t len);

#endif
