/* edge.h - one worker's part of the edge: what its visitors and devices need to find each other.
 *
 * Threads: belongs to its worker's loop; `rules`, `registry` and `quota` are shared, and other
 *          workers are reached through their mailboxes only.
 * Units:   bytes, milliseconds.
 */
#ifndef RVPN_EDGE_EDGE_H
#define RVPN_EDGE_EDGE_H

#include "base/map.h"
#include "edge/gate.h"
#include "edge/quota.h"
#include "edge/trust.h"
#include "meter/tally.h"
#include "net/listener.h"
#include "proto/hostname.h"
#include "tunnel/session.h"

struct front_route;

enum edge_http { EDGE_HTTP_FORWARD, EDGE_HTTP_REDIRECT };

struct edge_ports {
    uint16_t first, last; /* both within */
};

/* What the operator decided; const once the workers run. */
struct edge_rules {
    struct hostname *names; /* the relay's own; addresses are always own */
    size_t name_count;
    enum edge_http http;
    struct edge_ports *tcp_ports; /* that tokens may ask for */
    size_t tcp_port_count;
    uint16_t *own_ports; /* that the relay itself answers on: never a token's */
    size_t own_port_count;
    struct address tcp_bind;
    size_t sniff_bytes;
    int64_t sniff_timeout_ms, handshake_timeout_ms, auth_timeout_ms, http_idle_ms;
    int64_t dwell_ms;        /* of the demonstration */
    bool echo;               /* whether /ws/echo is there, for conformance tests */
    uint32_t visitors_max;   /* connections of each worker, those of devices not counted */
    uint32_t tunnels_max;    /* of all workers together */
    struct gate_limits gate; /* of each worker */
    struct quota_limits quota;
    struct session_limits limits;
    const struct front_route *routes; /* what the relay itself answers; ends with a NULL path */
};

enum edge_state { EDGE_OPEN, EDGE_DRAINING };

struct edge {
    unsigned worker;
    enum edge_state state;
    struct loop *loop;
    const struct edge_rules *rules;
    const struct trust *trust; /* until the next reload */
    struct edge *workers;      /* all of them, in order; of others, mailbox and tally only */
    unsigned worker_count;
    struct session_setting setting;
    struct quota *quota; /* of all workers */
    struct gate gate;
    struct gather gather;
    struct map devices;   /* by session id */
    struct map ports;     /* raw TCP listeners of this worker, by port */
    struct list visitors; /* that have not been routed yet */
    struct list fronts;   /* connections to the relay itself, the longest quiet first */
    struct list sockets;  /* WebSockets that end at the relay itself; admin's, see websocket.h */
    struct deadline shortage; /* running since somebody was last refused; see shortage.h */
    uint64_t last_id;         /* of visitors, fronts and sessions of this worker */
    uint32_t device_count;
    unsigned retries;   /* how often somebody was told to come back */
    struct tally tally; /* may be read by all */
};

/* What an edge is made from. */
struct edge_parts {
    unsigned worker;
    struct edge *workers;
    unsigned worker_count;
    struct loop *loop;
    struct registry *registry;
    struct supply *supply;
    struct quota *quota;
    const struct edge_rules *rules;
    const struct trust *trust;
};

/* Before its loop runs. */
void edge_init(struct edge *e, const struct edge_parts *parts);

/* When its loop has stopped; visitors and devices must be gone. */
void edge_fini(struct edge *e);

/* A number that no visitor, front or session of any worker has had. */
uint64_t edge_new_id(struct edge *e);

/* What connections begin with, so that a visitor whose machine has vanished is found, whether or
 * not it is owed bytes: listener.patience_ms. */
int64_t edge_patience_ms(const struct edge_rules *rules);

/* Takes `fd`, a connection that has come in on a shared port. */
void edge_accept(struct edge *e, int fd, const struct address *peer, uint16_t port);

/* No more visitors: who has not been routed is closed, devices go when their streams have ended. */
void edge_drain(struct edge *e);

/* The time for that is over: says goodbye to all devices. */
void edge_drain_now(struct edge *e);

#endif
