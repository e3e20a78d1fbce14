/* load_link.h - one connection of the far end: plain or TLS, with a tunnel in it or one talk.
 *
 * What is put is gathered in one buffer for all links, encrypted, and sent at once at the end of a
 * link's turn; what the kernel does not take is kept.
 *
 * Threads: one.
 * Memory:  a link frees itself when it has ended.
 */
#ifndef RVPN_BENCH_LOAD_LINK_H
#define RVPN_BENCH_LOAD_LINK_H

#include "load_loop.h"

#include <openssl/ssl.h>
#include <stdbool.h>

struct talk;
struct tunnel;

enum link_state { LINK_DIALLING, LINK_HANDSHAKE, LINK_UPGRADE, LINK_OPEN };

struct link {
    struct source source; /* first: a source is its link */
    enum link_state state;
    bool is_done; /* is to be counted as open */
    bool is_over; /* ends once all is sent */
    unsigned index;
    int64_t dialled_ns;
    SSL *ssl;              /* NULL: plain */
    struct tunnel *tunnel; /* NULL: one talk */
    struct talk *talk;     /* without a tunnel */
    struct talk *turn;     /* ring of those that send without end */
    uint8_t *rest;         /* encrypted, and not taken by the kernel yet */
    size_t rest_len, rest_at, rest_room;
};

/* Opens the far end that options tell: tunnels, legs, or a listener.  Returns when all is open. */
void links_open(void);
extern unsigned links_open_count;

/* For load_talk.c and load_tunnel.c. */
void link_put(struct link *l, const uint8_t *bytes, size_t len);

/* Sends what was put; asks to be called once there is room, if there is more. */
void link_flush(struct link *l);
void link_end(struct link *l, enum closing how);

#endif
