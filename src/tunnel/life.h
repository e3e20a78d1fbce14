/* life.h - when one stream ends: what each end's last words make due at the other.
 *
 * To a v1 device `end` closes both directions: it drops the answer it still had to give.  So a
 * visitor's FIN is not passed on while the device may still answer; it becomes an `end` only when
 * the device has been quiet for the half-close time.  A device's `end` becomes a FIN behind the
 * last queued byte, after which the visitor is read and dropped for a moment (the linger), as
 * closing a socket with unread bytes would turn the FIN into a reset and destroy the answer on
 * its way.  A device that fails halfway leaves a reset, so that a cut answer is seen as cut.
 *
 * Each event returns what is due, in enum life_due, to be done in the order of its bits.  After
 * LIFE_FREE the stream is gone: no event may follow, and the caller stops both timers.
 *
 * Invariants, tried over all sequences of events: LIFE_FREE once; at most one of SEND_END and
 * SEND_ERROR, none after the device's own end or error or with the tunnel lost, one otherwise; at
 * most one of SHUT_VISITOR and RESET_VISITOR, and never with bytes queued.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_TUNNEL_LIFE_H
#define RVPN_TUNNEL_LIFE_H

enum life_state {
    LIFE_OPEN,         /* both ends may send */
    LIFE_HALF,         /* the visitor has sent FIN, the device may still answer */
    LIFE_DRAINING,     /* the device has ended; bytes are queued for the visitor */
    LIFE_DRAINING_EOF, /* the same, and the visitor has sent FIN */
    LIFE_BREAKING,     /* the device has failed; bytes are queued, a reset follows them */
    LIFE_LINGERING,    /* FIN sent to the visitor; what still comes from it is dropped */
    LIFE_GONE,
    LIFE_STATES
};

/* All zero is a fresh one. */
struct life {
    enum life_state state;
};

enum life_due {
    LIFE_SEND_END = 1,      /* to the device, behind what is queued for it */
    LIFE_SEND_ERROR = 2,    /* to the device: the visitor broke off; drop what is queued for it */
    LIFE_SHUT_VISITOR = 4,  /* FIN; the queue is empty */
    LIFE_RESET_VISITOR = 8, /* RST; the queue is empty (what the kernel still has is lost) */
    LIFE_START_QUIET = 16,  /* run the quiet timer; bytes from the device start it anew */
    LIFE_START_LINGER = 32, /* run the linger timer; read and drop the visitor's bytes */
    LIFE_FREE = 64,         /* close the visitor's socket, forget the stream */
};

/* How far the device's answer has got to the visitor. */
enum life_answer {
    LIFE_ANSWER_NONE,   /* the device has sent no byte yet */
    LIFE_ANSWER_SENT,   /* it has, and the queue is empty: the kernel has them all */
    LIFE_ANSWER_QUEUED, /* some wait in the queue: life_on_drained() will tell */
};

unsigned life_on_visitor_eof(struct life *l);

/* The visitor's connection is gone: reset, failed, or given up for taking nothing. */
unsigned life_on_visitor_lost(struct life *l);

unsigned life_on_device_end(struct life *l, enum life_answer answer);
unsigned life_on_device_error(struct life *l, enum life_answer answer);

/* The device's connection is gone.  Queued bytes are still delivered. */
unsigned life_on_tunnel_lost(struct life *l, enum life_answer answer);

/* The relay ends the stream while the tunnel stays for now: its grant is gone, or the relay stops.
 */
unsigned life_on_stop(struct life *l, enum life_answer answer);

/* The queue to the visitor is empty.  Harmless in any state. */
unsigned life_on_drained(struct life *l);

/* The timers; a late one is harmless. */
unsigned life_on_quiet(struct life *l, enum life_answer answer);
unsigned life_on_linger_over(struct life *l);

#endif
