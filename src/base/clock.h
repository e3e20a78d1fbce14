/* clock.h - the only file that reads a clock.
 *
 * Everything else takes `now_ms` (monotonic milliseconds, read once per turn of a loop) or unix
 * seconds as an argument, so that tests own time.
 *
 * Threads: any thread.
 */
#ifndef RVPN_BASE_CLOCK_H
#define RVPN_BASE_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds; never goes back, meaningless outside this process. */
int64_t clock_now_ms(void);

/* Monotonic nanoseconds, for measuring. */
int64_t clock_now_ns(void);

/* Seconds and milliseconds since 1970-01-01 UTC; may jump when the machine's clock is set. */
int64_t clock_unix(void);
int64_t clock_unix_ms(void);

/* Writes the time as HTTP has it (RFC 9110 5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT". */
#define CLOCK_HTTP_SIZE 30
void clock_write_http(char out[CLOCK_HTTP_SIZE]);

#endif
