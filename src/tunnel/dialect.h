/* dialect.h - what a device of a given age may be told, and how.
 *
 * The clients of 2016 to 2022 differ in what breaks them; which age a device is of shows in its
 * upgrade request and in whether it ever sends a control frame (docs/protocol.md, "Ages").
 *
 * Threads: reentrant.
 */
#ifndef RVPN_TUNNEL_DIALECT_H
#define RVPN_TUNNEL_DIALECT_H

#include "proto/mproxy.h"

/* How long the first frame of a stream stays alone if the device does not answer it: devices
 * connect locally meanwhile, and the Node clients lose or reorder what comes.  Milliseconds. */
#define DIALECT_ALONE_MS 100

enum dialect {
    DIALECT_FIRST,   /* Node, 2016 to 2017, and whoever has not shown more: no pause */
    DIALECT_CONTROL, /* Node, 2017 to 2019: has sent a control frame */
    DIALECT_GO,      /* Go, 2020 to 2022: never control, pause, resume; empty `end` */
    DIALECT_GO_2017, /* the first Go client: as GO, and five fields only */
};

/* Whether control frames may be sent: hello, grant, answers. */
bool dialect_has_control(enum dialect d);

/* Whether pause and resume are understood; elsewhere their body ends up in a local socket. */
bool dialect_has_pause(enum dialect d);

/* Whether a first data frame without bytes opens the local connection (server-speaks-first). */
bool dialect_has_silent_open(enum dialect d);

/* Bytes in the body of `end` and of `error` without detail: one space, which every Node packer
 * takes, or none. */
size_t dialect_end_len(enum dialect d);

enum mproxy_fields dialect_fields(enum dialect d);

#endif
