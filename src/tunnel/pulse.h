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

#include <stddef.h>
#include <stdint.h>

/* Between pongs that nobody asked for.  A tunnel that is not read because a visitor is behind is
 * not silent; and since the device's pings are not read either, it gets some pongs unasked: clients
 * give up after 16 s and more without a word. */
#define PULSE_PONG_MS 5000

struct pulse_limits {
    int64_t interval_ms; /* of silence, and it is pinged */
    int64_t timeout_ms;  /* more, and it is dead */
};

enum pulse_state {
    PULSE_QUIET, /* nothing asked */
    PULSE_PINGED /* a ping is out, and nothing has been heard since */
};

struct pulse {
    enum pulse_state state;
    int64_t heard_ms;
    uint64_t delivered, behind; /* at the last look: acknowledged; not acknowledged */
};

/* What the owner sees when it is woken. */
struct pulse_sight {
    int64_t now_ms;
    enum { PULSE_IS_READ, PULSE_IS_BLOCKED } reading; /* BLOCKED: a visitor is behind */
    uint64_t sent, delivered; /* on the wire; of these, what the other kernel has acknowledged */
    size_t queued;            /* not on the wire yet */
};

enum pulse_due { PULSE_WAIT, PULSE_SEND_PING, PULSE_SEND_PONG, PULSE_DEAD };

void pulse_init(struct pulse *p, int64_t now_ms);

/* Bytes have come from the device. */
void pulse_on_heard(struct pulse *p, int64_t now_ms);

/* The device's socket is not read any more.  Returns when to wake it, in milliseconds. */
int64_t pulse_on_blocked(struct pulse *p);

/* It is time to look.  Unless DEAD, *again_ms is when to look again, in milliseconds from now. */
enum pulse_due pulse_look(struct pulse *p, const struct pulse_limits *limits,
                          const struct pulse_sight *sight, int64_t *again_ms);

#endif
