/* bucket.h - a token bucket: so many in a second, and a few at once after a pause.
 *
 * Threads: belongs to its owner.
 * Units:   milliseconds on the monotonic clock; times that go back a little do no harm.
 */
#ifndef RVPN_BASE_BUCKET_H
#define RVPN_BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket_rate {
    uint32_t per_s; /* 0: no limit */
    uint32_t burst; /* what a full bucket holds; at least 1 */
};

struct bucket {
    int64_t filled_ms; /* `level` is of then */
    uint64_t level;    /* thousandths */
};

/* Full. */
void bucket_init(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms);

/* Takes one out.  Returns whether there was one. */
bool bucket_take(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms);

/* How long until bucket_take() will find one; 0 if now. */
int64_t bucket_wait_ms(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms);

#endif
