#include "tunnel/drain.h"

#define RATE_MAX (UINT64_C(1) << 40)

static void look(struct drain *d, int64_t now_ms, uint64_t sent)
{
    uint64_t ms = (uint64_t)(now_ms - d->from_ms);
    uint64_t rate;

    if (ms < DRAIN_LOOK_MS)
        return;
    rate = (sent - d->from_bytes) * 1000 / ms + 1;
    d->rate = d->rate ? (d->rate * 3 + rate) / 4 : rate;
    d->from_ms = now_ms;
    d->from_bytes = sent;
}

void drain_note(struct drain *d, int64_t now_ms, uint64_t sent, size_t queued, bool has_more)
{
    if (d->state == DRAIN_BUSY)
        look(d, now_ms, sent);
    if (queued == 0) {
        d->state = DRAIN_EMPTY;
        if (has_more && d->rate < RATE_MAX)
            d->rate *= 2;
    } else if (d->state == DRAIN_EMPTY) {
        d->state = DRAIN_BUSY;
        d->from_ms = now_ms;
        d->from_bytes = sent;
    }
}

size_t drain_bytes(const struct drain *d, int64_t ms)
{
    return d->rate ? (size_t)(d->rate / 1000 * (uint64_t)ms) : SIZE_MAX;
}
