/* pulse.h - whether a device is alive: when to ask it, and what its silence means.
 *
 * A value: it neither sends nor waits.  Its owner tells it what is heard, wakes it when it asks to
 * be woken, and does what is due then.
 *
 * Threads: reentrant.
 * Units:   milliseconds of the loop's time; bytes on the device's socket.
 */
#ifndef RVPN_TUNNEL_PULSE_H
#define RVPN_TUNNEL_PULSE_H

#include "base/slice.h"

/* Between pongs that nobody asked for.  A tunnel that is not read because a visitor is behind is
 * not silent; and since the device's pings are not read either, it gets some pongs unasked: clients
 * give up after 16 s and more without a word. */
#define PULSE_PONG_MS 5000

/* Of silence, after which a device that pings by itself is asked why it no longer does: the Node
 * clients of 2019 ping every 10 s, the Go clients every 15 s. */
#define PULSE_PINGER_MS 20000

struct pulse_limits {
    int64_t interval_ms; /* of silence, and it is pinged */
    int64_t timeout_ms;  /* more, and it is dead */
    int64_t probe_ms;    /* of silence in a probe, and it is dead */
};

enum pulse_state {
    PULSE_QUIET,  /* nothing asked */
    PULSE_PINGED, /* a ping is out, and nothing has been heard since */
    PULSE_PROBED  /* a probe is out, and its pong has not come; more than PINGED */
};

struct pulse {
    enum pulse_state state;
    enum { PULSE_LISTENS, PULSE_PINGS } habit; /* PINGS: the device has pinged by itself */
    uint32_t probe;             /* the number of the last one, which its ping holds */
    int64_t heard_ms;           /* ... or when the probe began to be judged */
    uint64_t delivered, behind; /* at the last look: acknowledged; not acknowledged */
};

/* What the owner sees when it is woken. */
struct pulse_sight {
    int64_t now_ms;
    enum { PULSE_IS_READ, PULSE_IS_BLOCKED } reading; /* BLOCKED: a visitor is behind */
    uint64_t sent, delivered; /* on the wire; of these, what the other kernel has acknowledged */
    size_t queued;            /* not on the wire yet */
};

enum pulse_due {
    PULSE_WAIT,
    PULSE_SEND_PING,
    PULSE_SEND_PONG,
    PULSE_SILENT,  /* dead: no word, and none after a ping either */
    PULSE_REPLACED /* dead: the probe was not answered */
};

void pulse_init(struct pulse *p, int64_t now_ms);

/* Bytes have come from the device. */
void pulse_on_heard(struct pulse *p, int64_t now_ms);

/* Among them a ping.  Whether it is the first: then its owner looks at once. */
bool pulse_on_ping(struct pulse *p);

/* Or a pong with these bytes.  Whether it answers the probe, which is over then. */
bool pulse_on_pong(struct pulse *p, struct slice bytes);

/* The device's socket is not read any more, or again.  Returns when to look, in milliseconds. */
int64_t pulse_on_blocked(struct pulse *p);
int64_t pulse_on_unblocked(struct pulse *p, const struct pulse_limits *limits, int64_t now_ms);

/* Somebody may have taken the device's place: its owner sends a ping that holds the four bytes of
 * `probe`.  Only the pong to it ends the probe.  Whatever else is heard, or is seen to get on in
 * front of the ping, begins the wait anew; what cannot be heard is not waited for.  Returns when to
 * look, in milliseconds. */
int64_t pulse_start_probe(struct pulse *p, const struct pulse_limits *limits,
                          const struct pulse_sight *sight);

/* Unless it is dead, *again_ms is when to look again, in milliseconds from now. */
enum pulse_due pulse_look(struct pulse *p, const struct pulse_limits *limits,
                          const struct pulse_sight *sight, int64_t *again_ms);

#endif
