/* load_visitor.h - those who connect from outside and ask; what they ask for is in load_talk.h.
 *
 * Plain TCP all: by Host, by port, or by SNI, where a true ClientHello comes first and what follows
 * is for the relay as opaque as TLS.  Every byte of a body is compared with the pattern.
 *
 * Threads: one.
 */
#ifndef RVPN_BENCH_LOAD_VISITOR_H
#define RVPN_BENCH_LOAD_VISITOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before the legs are dialled, whose proxy brings visitors at once. */
void visitors_begin(void);

/* Returns once all are connected; work goes on from there. */
void visitors_open(void);

/* Whether `amount` is done. */
bool visitors_are_over(void);

/* Sends the requests whose pause is over.  Returns for how long there is nothing to send, at most
 * `max_ms`. */
int visitors_wake(int max_ms);

/* The first byte of the visitor that touches has come to the device. */
void visitor_touched(unsigned index, uint64_t seed);

/* In load_link.c: a ClientHello for `name`.  Returns its length. */
size_t hello_write(const char *name, uint8_t *hello, size_t size);

#endif
