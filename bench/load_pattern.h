/* load_pattern.h - the bytes that are moved: each 64-bit word tells its stream and its place.
 *
 * Word i of a stream is seed + i * an odd constant, so what is lost, doubled, swapped or strayed
 * from another stream is seen, and both making and checking cost a hundredth of a second a GB.
 *
 * Threads: reentrant.
 * Units:   `at` is the byte's place in its stream.
 */
#ifndef RVPN_BENCH_LOAD_PATTERN_H
#define RVPN_BENCH_LOAD_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A WebSocket mask, twice, in memory order; turned to begin `by` bytes later. */
uint64_t mask_turn(uint64_t mask, size_t by);
void mask_bytes(uint8_t *bytes, size_t len, uint64_t mask);

/* Makes bytes at..at+len and masks them in the same pass; mask 0 leaves them plain. */
void pattern_fill(uint8_t *out, size_t len, uint64_t seed, uint64_t at, uint64_t mask);

bool pattern_is(const uint8_t *in, size_t len, uint64_t seed, uint64_t at);

#endif
