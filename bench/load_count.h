/* load_count.h - what was moved, how long answers took, and what the watched processes used.
 *
 * Threads: one.
 */
#ifndef RVPN_BENCH_LOAD_COUNT_H
#define RVPN_BENCH_LOAD_COUNT_H

#include <stdint.h>

struct counts {
    uint64_t down, up; /* bytes that have arrived, every one compared; up without a far end: sent */
    uint64_t requests; /* or connections, or handshakes */
    uint64_t resumed;  /* of the handshakes */
    uint64_t errors;   /* connections lost before their time */
};

extern struct counts counts;

/* One answer, or one handshake, took `ns`. */
void count_request(int64_t ns);

/* From here on is measured. */
void count_start(void);

/* Prints one line of JSON: what there was since then. */
void count_print(void);

#endif
