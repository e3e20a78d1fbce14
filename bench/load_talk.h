/* load_talk.h - the built-in service's side of one visitor.
 *
 * The first line of a request says what is wanted:
 *
 *     GET /down/SEED/BYTES        sends bytes of the pattern
 *     POST /up/SEED/BYTES         compares them, then answers
 *     POST /echo/SEED/BYTES       compares them and sends them back
 *     GET /ask/SEED/BYTES         sends an answer of BYTES, head included; then the next request
 *     GET /short/SEED/BYTES       the same, and ends the connection
 *     GET /touch/SEED/INDEX       tells visitor INDEX, which is in this process
 *
 * A ClientHello in front is passed over: a visitor that comes by SNI.
 */
#ifndef RVPN_BENCH_LOAD_TALK_H
#define RVPN_BENCH_LOAD_TALK_H

#include "load_head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forward;
struct link;

enum talk_state { TALK_HEAD, TALK_DOWN, TALK_UP, TALK_ECHO, TALK_OVER };

struct talk {
    struct link *link;
    struct talk *next, *last; /* of the link's ring of senders, or NULL */
    struct talk *chain;       /* of the tunnels' map */
    enum talk_state state;
    bool is_paused;
    unsigned hello_at, skip; /* of a ClientHello: bytes of its record's head, bytes still to come */
    uint64_t seed, at, bytes;
    struct forward *forward; /* to another process, in place of all this */
    struct head head;
    uint8_t cid_len, tail_len; /* of a tunnel's: how its frames begin and end their headers */
    char cid[96], tail[120];
};

struct talk *talk_new(struct link *l);
void talk_free(struct talk *t);
void talk_take(struct talk *t, const uint8_t *in, size_t len);
void talk_set_paused(struct talk *t, bool is_paused);

/* Sends at most `max` bytes of what is sent without end.  Returns how many. */
size_t talk_send_some(struct talk *t, size_t max);

/* The head of an answer with a body of `bytes`.  Returns its length. */
size_t answer_head(char *out, size_t size, uint64_t bytes);

#endif
