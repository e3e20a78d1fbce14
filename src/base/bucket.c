#include "base/bucket.h"

#define ONE UINT64_C(1000)

/* In a millisecond come `per_s` thousandths.  A full bucket keeps what is less than one more, or a
 * rate that does not divide a thousand would never be reached with a burst of one. */
static void fill(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms)
{
    uint64_t most = rate->burst * ONE + ONE - 1;
    int64_t passed = now_ms - b->filled_ms;

    if (passed <= 0)
        return;
    b->filled_ms = now_ms;
    if ((uint64_t)passed >= most / rate->per_s + 1)
        b->level = most;
    else
        b->level += (uint64_t)passed * rate->per_s;
    if (b->level > most)
        b->level = most;
}

void bucket_init(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms)
{
    *b = (struct bucket){.filled_ms = now_ms, .level = rate->burst * ONE};
}

bool bucket_take(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms)
{
    if (rate->per_s == 0)
        return true;
    fill(b, rate, now_ms);
    if (b->level < ONE)
        return false;
    b->level -= ONE;
    return true;
}

int64_t bucket_wait_ms(struct bucket *b, const struct bucket_rate *rate, int64_t now_ms)
{
    if (rate->per_s == 0)
        return 0;
    fill(b, rate, now_ms);
    return b->level >= ONE ? 0 : (int64_t)((ONE - b->level + rate->per_s - 1) / rate->per_s);
}
