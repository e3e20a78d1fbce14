#include "net/pace.h"

void pace_init(struct pace *p)
{
    *p = (struct pace){.events = PACE_EVENTS_MAX, .share = PACE_BYTES};
}

void pace_begin(struct pace *p, unsigned ready, int64_t now_ns)
{
    p->ready = ready;
    p->from_ns = now_ns;
    p->share = ready > 1 ? PACE_BYTES / ready : PACE_ALONE_BYTES;
    if (p->share < PACE_SHARE_MIN)
        p->share = PACE_SHARE_MIN;
}

void pace_end(struct pace *p, int64_t now_ns)
{
    int64_t took_ns = now_ns - p->from_ns;

    if (took_ns > PACE_SLOW_NS)
        p->events = (unsigned)(p->ready * (int64_t)PACE_SLOW_NS / took_ns);
    else if (took_ns < PACE_QUICK_NS)
        p->events *= 2;
    if (p->events < PACE_EVENTS_MIN)
        p->events = PACE_EVENTS_MIN;
    if (p->events > PACE_EVENTS_MAX)
        p->events = PACE_EVENTS_MAX;
}
