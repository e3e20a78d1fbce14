#include "base/log.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096 /* PIPE_BUF: one write of it is never torn, pipe(7) */
#define VALUE_MAX_BYTES 512 /* of a text as it is written, escapes included */
#define EVENTS_MAX 128

struct line {
    char text[LINE_MAX_BYTES];
    size_t len;
};

/* How often an event name has been written in the second `second`. */
struct burst {
    const char *event;
    int64_t second;
    unsigned written, left_out;
};

static enum log_level chosen_level = LOG_INFO;
static enum log_format chosen_format = LOG_TEXT;
static const char *const level_name[] = {"error", "warn", "info", "debug"};

/* Each thread limits its own lines: no lock on the way to the log. */
static _Thread_local struct burst bursts[EVENTS_MAX];

void log_init(enum log_level level, enum log_format format)
{
    chosen_level = level;
    chosen_format = format;
}

bool log_is_on(enum log_level level)
{
    return level <= chosen_level;
}

static void add_bytes(struct line *l, const char *bytes, size_t len)
{
    size_t room = sizeof(l->text) - 2 - l->len; /* the end of the line always fits */

    if (len > room)
        len = room;
    memcpy(l->text + l->len, bytes, len);
    l->len += len;
}

static void add_text(struct line *l, const char *text)
{
    add_bytes(l, text, strlen(text));
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

static void add_escaped(struct line *l, struct slice s)
{
    size_t end = l->len + VALUE_MAX_BYTES;
    char escape[8];
    size_t i;

    for (i = 0; i < s.len && l->len < end; i++) {
        uint8_t c = s.ptr[i];

        if (c == '"' || c == '\\') {
            add_bytes(l, (char[]){'\\', (char)c}, 2);
        } else if (c >= ' ' && c < 0x7f) {
            add_bytes(l, (char[]){(char)c}, 1);
        } else {
            (void)snprintf(escape, sizeof(escape), "\\u%04x", c);
            add_text(l, escape);
        }
    }
    if (i < s.len)
        add_text(l, "...");
}

static void add_value_text(struct line *l, struct slice s)
{
    bool plain = s.len > 0 && s.len <= VALUE_MAX_BYTES && chosen_format == LOG_TEXT;

    for (size_t i = 0; plain && i < s.len; i++)
        plain = is_plain(s.ptr[i]);
    if (plain) {
        add_bytes(l, (const char *)s.ptr, s.len);
        return;
    }
    add_text(l, "\"");
    add_escaped(l, s);
    add_text(l, "\"");
}

/* A field that does not fit is left out as a whole: a line cut within one is no JSON. */
static void add_field(struct line *l, const struct log_field *f)
{
    size_t before = l->len;
    char number[24];

    if (chosen_format == LOG_JSON)
        add_text(l, ",\"");
    else
        add_text(l, " ");
    add_text(l, f->key);
    add_text(l, chosen_format == LOG_JSON ? "\":" : "=");
    switch (f->kind) {
    case LOG_FIELD_TEXT: add_value_text(l, slice_text(f->text ? f->text : "")); break;
    case LOG_FIELD_SLICE: add_value_text(l, f->slice); break;
    case LOG_FIELD_INT:
        (void)snprintf(number, sizeof(number), "%" PRId64, f->number);
        add_text(l, number);
        break;
    case LOG_FIELD_UINT:
        (void)snprintf(number, sizeof(number), "%" PRIu64, f->unsigned_number);
        add_text(l, number);
        break;
    }
    if (l->len == sizeof(l->text) - 2)
        l->len = before;
}

static void add_head(struct line *l, enum log_level level, const char *event)
{
    char time_text[40];
    int64_t now_ms = clock_unix_ms();
    time_t seconds = (time_t)(now_ms / 1000);
    struct tm tm;

    (void)gmtime_r(&seconds, &tm);
    (void)strftime(time_text, sizeof(time_text), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(time_text + 19, sizeof(time_text) - 19, ".%03dZ", (int)(now_ms % 1000));
    if (chosen_format == LOG_JSON) {
        add_text(l, "{\"time\":\"");
        add_text(l, time_text);
        add_text(l, "\",\"level\":\"");
        add_text(l, level_name[level]);
        add_text(l, "\",\"event\":\"");
        add_text(l, event);
        add_text(l, "\"");
        return;
    }
    add_text(l, time_text);
    add_text(l, " ");
    add_text(l, level_name[level]);
    add_text(l, " ");
    add_text(l, event);
}

/* The burst of `event`, or a free one; NULL if there is none.  Its text is mostly known again by
 * its address, which is one for each place that writes it. */
static struct burst *find_burst(const char *event)
{
    for (size_t i = 0; i < EVENTS_MAX && bursts[i].event; i++) {
        if (bursts[i].event == event)
            return &bursts[i];
    }
    for (size_t i = 0; i < EVENTS_MAX; i++) {
        if (!bursts[i].event || strcmp(bursts[i].event, event) == 0)
            return &bursts[i];
    }
    return NULL;
}

/* Whether a line of `event` may be written now; *left_out is how many were not since the last. */
static bool burst_allows(const char *event, unsigned *left_out)
{
    int64_t second = clock_now_ms() / 1000;
    struct burst *b = find_burst(event);

    *left_out = 0;
    if (!b)
        return true;
    b->event = event;
    if (b->second != second) {
        b->second = second;
        b->written = 0;
    }
    if (b->written == LOG_BURST) {
        b->left_out++;
        return false;
    }
    b->written++;
    *left_out = b->left_out;
    b->left_out = 0;
    return true;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line l; /* not set to zeros: most lines are not written, and it is long */
    unsigned left_out = 0;

    if (!log_is_on(level) || (level != LOG_ERROR && !burst_allows(event, &left_out)))
        return;
    l.len = 0;
    add_head(&l, level, event);
    for (; fields->key; fields++)
        add_field(&l, fields);
    if (left_out)
        add_field(&l, &LOG_UINT("repeated", left_out));
    if (chosen_format == LOG_JSON)
        l.text[l.len++] = '}';
    l.text[l.len++] = '\n';
    (void)!write(STDERR_FILENO, l.text, l.len);
}
