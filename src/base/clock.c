#include "base/clock.h"

#include <stdio.h>
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

/* Not strftime(): its names of days and months follow the locale. */
void clock_write_http(char out[CLOCK_HTTP_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = clock_read(CLOCK_REALTIME).tv_sec;
    struct tm tm;

    (void)gmtime_r(&now, &tm);
    (void)snprintf(out, CLOCK_HTTP_SIZE, "%.3s, %02u %.3s %04u %02u:%02u:%02u GMT",
                   days + (size_t)tm.tm_wday * 3, (unsigned)tm.tm_mday % 100U,
                   months + (size_t)tm.tm_mon * 3, (unsigned)(tm.tm_year + 1900) % 10000U,
                   (unsigned)tm.tm_hour % 100U, (unsigned)tm.tm_min % 100U,
                   (unsigned)tm.tm_sec % 100U);
}
