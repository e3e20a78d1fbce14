/* log.h - one line per event, as text or JSON, to standard error.
 *
 * A line is a time, a level, a fixed event name and key=value pairs: identifiers first, the reason
 * last.  Values are quoted and escaped by the logger where they need it, so that hostile text can
 * neither forge a line nor drive a terminal.  Lines of one event name are limited to LOG_BURST a
 * second and thread; what was left out is counted in the next line (repeated=N).
 *
 * Floors that return errors (base, proto, auth, meter) never log; edge, admin and server do, once,
 * where the error is handled.  Tokens, keys and payload are never logged at any level.
 *
 * Threads: any thread; each line is one write.
 */
#ifndef RVPN_BASE_LOG_H
#define RVPN_BASE_LOG_H

#include "base/slice.h"

#define LOG_BURST 100 /* lines per second of one event name below level error */

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* Main thread, before the workers start. */
void log_init(enum log_level level, enum log_format format);

/* Whether lines of `level` are written at all. */
bool log_is_on(enum log_level level);

/* One key and its value.  Build with the LOG_* macros below. */
struct log_field {
    const char *key;
    enum { LOG_FIELD_TEXT, LOG_FIELD_SLICE, LOG_FIELD_INT, LOG_FIELD_UINT } kind;
    union {
        const char *text; /* NULL is written as "" */
        struct slice slice;
        int64_t number;
        uint64_t unsigned_number;
    };
};

#define LOG_STR(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_TEXT, .text = (v)})
#define LOG_SLICE(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_SLICE, .slice = (v)})
#define LOG_INT(k, v) ((struct log_field){.key = (k), .kind = LOG_FIELD_INT, .number = (v)})
#define LOG_UINT(k, v)                                                                             \
    ((struct log_field){.key = (k), .kind = LOG_FIELD_UINT, .unsigned_number = (v)})

/* log_event(LOG_INFO, "visitor_refused", LOG_UINT("visitor", id), LOG_STR("why", why)); */
#define log_event(level, event, ...)                                                               \
    (log_is_on(level)                                                                              \
         ? log_write((level), (event), (const struct log_field[]){__VA_ARGS__, {.key = NULL}})     \
         : (void)0)

/* Writes one line; `fields` ends with a NULL key. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#endif
