/* load.h - what one run of the load generator was asked to do.
 *
 * The far end is what serves: devices, a plain service, or the TLS legs of a proxy.  Visitors are
 * what asks.  Either may be missing, so that each can have a process of its own.
 */
#ifndef RVPN_BENCH_LOAD_H
#define RVPN_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#define WATCHED_MAX 32U
#define CPUS_ANY (-1)

enum far { FAR_NONE, FAR_RELAY, FAR_SERVICE, FAR_LEGS };

/* How visitors come: dialling by what they name, or accepted from a proxy. */
enum by { BY_HOST, BY_PORT, BY_SNI, BY_ACCEPT };

enum work {
    WORK_NONE, /* the far end only */
    WORK_DOWN, /* to the visitor, without end */
    WORK_UP,   /* to the device, without end */
    WORK_BOTH, /* every second visitor up */
    WORK_ECHO,
    WORK_ASK,   /* request and answer, again and again */
    WORK_SHORT, /* connect, request, answer, and the device ends it */
    WORK_TOUCH, /* connect, first byte at the device, reset */
    WORK_IDLE,  /* one request, and then nothing */
    WORK_HANDSHAKES,
    WORK_OPENSSL, /* handshakes in memory: what OpenSSL alone allows */
};

struct options {
    enum far far;
    uint16_t far_port;
    unsigned tunnels, names;
    const char *token, *secret_file;
    uint16_t raw_port;     /* in the token; 0: none */
    uint16_t forward_port; /* of a service of another process; 0: the one that is built in */
    unsigned frame;        /* bytes, headers included */
    unsigned messages;     /* WebSocket messages in a frame: 1 or 2 */
    bool resumes;
    unsigned burst;  /* bytes in one go of a link */
    unsigned unsent; /* TCP_NOTSENT_LOWAT of links; 0: as it is */
    const char *certificate, *key;

    enum by by;
    uint16_t visit_port;
    enum work work;
    unsigned visitors;
    enum work beside; /* DOWN, UP, or DOWN that takes nothing */
    unsigned besides;
    bool beside_stalls;
    bool beside_elsewhere; /* on names of their own, from the second on */
    unsigned request, answer;
    unsigned pause_ms; /* between an answer and the next request */

    double warm, seconds;
    uint64_t amount; /* bytes or requests in all; 0: for `seconds` */
    bool holds;      /* tells that all is open, then stays until its input ends */
    int cpu;
    unsigned watched;
    int watch[WATCHED_MAX];
};

extern struct options options;

/* The name of tunnel or visitor `index`; all names have one length. */
#define NAME_SIZE 32U
void name_write(unsigned index, char out[NAME_SIZE]);

#endif
