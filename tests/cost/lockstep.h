/* lockstep.h - one worker of the relay in this thread, turned only when told to, and counted only
 * while it turns.
 *
 * The relay is the real one: its configuration, edge, loop and sockets.  What would make two runs
 * differ is taken from it: the clock goes on by a millisecond a turn, maps have a fixed seed, and a
 * turn begins when all that was sent to the relay has arrived.  Link with --wrap for epoll_wait,
 * accept4, getrandom, clock_now_ms, clock_now_ns, and what copies.
 *
 * Errors:  what fails ends the program, with a line that says what.
 */
#ifndef RVPN_TESTS_COST_LOCKSTEP_H
#define RVPN_TESTS_COST_LOCKSTEP_H

#include "auth/claims.h"

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

/* What callgrind does not count. */
struct lockstep_counts {
    uint64_t turns;  /* calls of epoll_wait() that found something */
    uint64_t copied; /* bytes, by calls of memcpy() and memmove() from the relay itself */
};

#define LOCKSTEP_PATIENCE_MS 20000 /* how long the kernel may take on a busy machine */

_Noreturn void lockstep_fail(const char *what);

/* Starts the relay with a state folder of its own, which must be there. */
void lockstep_start(const char *state);

/* Where it listens, on 127.0.0.1. */
uint16_t lockstep_port(void);

/* Writes a token for `host`. */
void lockstep_token(const char *host, char *out, size_t size);

/* Waits until so many connections can be accepted, and has the relay accept them. */
void lockstep_accept(unsigned count);

/* The relay's descriptor of the connection that came from there. */
int lockstep_accepted(const struct sockaddr_in *from);

/* Turns until nothing is ready any more. */
void lockstep_turn(void);

/* Waits a moment for the nth time, and turns if that made something ready, or if it may be time
 * that is waited for. */
void lockstep_wait(unsigned nth);

/* Turns count from begin to end; then what was counted may be written, as callgrind's next dump. */
void lockstep_begin(void);
void lockstep_end(void);
struct lockstep_counts lockstep_dump(void);

#endif
