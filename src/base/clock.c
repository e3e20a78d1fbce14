#include "base/clock.h"

#include <time.h>

static struct timespec clock_read(clockid_t id)
{
    struct timespec ts = {0};

    (void)clock_gettime(id, &ts); /* cannot fail with these ids */
    return ts;
}

int64_t clock_now_ms(void)
{
    struct timespec ts = clock_read(CLOCK_MONOTONIC);

    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t clock_now_ns(void)
{
    struct timespec ts = clock_read(CLOCK_MONOTONIC);

    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t clock_unix(void)
{
    return clock_read(CLOCK_REALTIME).tv_sec;
}

int64_t clock_unix_ms(void)
{
    struct timespec ts = clock_read(CLOCK_REALTIME);

    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
