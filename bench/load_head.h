/* load_head.h - the head of a request or of an answer, gathered until its empty line.
 *
 * Proxies for HTTP write heads anew, so nothing is taken for granted but the first line.
 */
#ifndef RVPN_BENCH_LOAD_HEAD_H
#define RVPN_BENCH_LOAD_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HEAD_MAX 1024U

struct head {
    uint16_t len;
    char text[HEAD_MAX];
};

/* Takes what belongs to the head.  Returns how many bytes that was; *whole tells whether the head
 * ends there: then it is NUL-terminated, and len is 0 again for the next. */
size_t head_take(struct head *h, const uint8_t *in, size_t len, bool *whole);

#endif
