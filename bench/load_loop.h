/* load_loop.h - sockets of loopback and the one epoll they are watched by.
 *
 * Threads: one.
 * Errors:  whatever should not happen ends the program, which says what it was.
 */
#ifndef RVPN_BENCH_LOAD_LOOP_H
#define RVPN_BENCH_LOAD_LOOP_H

#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define SCRATCH_BYTES (256U << 10)

struct source {
    int fd; /* -1: closed */
    uint32_t events;
    void (*on_events)(struct source *s, uint32_t events);
};

_Noreturn void die(const char *what, ...) __attribute__((format(printf, 1, 2)));

int64_t now_ns(void);

/* Watches `s` for `events` from now on; level-triggered. */
void source_watch(struct source *s, uint32_t events);

enum closing { CLOSING_FIN, CLOSING_RESET };

/* Events that were already taken from the kernel no longer reach it; its memory must last until
 * the end of the turn. */
void source_close(struct source *s, enum closing how);

/* Begins to connect, from one of 250 loopback addresses so that ports last; or listens. */
int dial(uint16_t port);
int listen_on(uint16_t port);

/* Whether a connect that was begun has come to a good end; to be asked once writable. */
int dial_error(int fd);

/* One turn: waits for at most `wait_ms`, then tells each source what happened to it, and at the end
 * calls `loop_at_end` if there is one. */
extern void (*loop_at_end)(void);
void loop_turn(int wait_ms);

/* Calls free() at the end of the turn. */
void loop_free_later(void *memory);

#endif
