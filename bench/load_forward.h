/* load_forward.h - a talk that goes on to a service of another process, as the clients of tunnels
 * do it.
 *
 * What services say is gathered over a turn of the loop and sent at once.  One tunnel only.
 *
 * Threads: one.
 * Memory:  a forward is its talk's.
 */
#ifndef RVPN_BENCH_LOAD_FORWARD_H
#define RVPN_BENCH_LOAD_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forward;
struct link;
struct talk;

/* Begins to connect to options.forward_port. */
struct forward *forward_new(struct talk *t);
void forward_free(struct forward *f);

/* Bytes from the visitor; more than 1 MiB that the service does not take pause it. */
void forward_take(struct forward *f, const uint8_t *in, size_t len);

/* The relay wants no more for this visitor, or does again. */
void forward_set_paused(struct forward *f, bool is_paused);

/* The link has nothing left that the kernel did not take. */
void forwards_wake(void);

#endif
