/* slice.h - a view of somebody else's bytes: a pointer and a length.
 *
 * A slice owns nothing and is not NUL-terminated.  The empty slice may have a NULL pointer.
 * Whoever hands one out says how long it stays valid; "lent" means for the call only.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_BASE_SLICE_H
#define RVPN_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const uint8_t *ptr;
    size_t len;
};

static inline struct slice slice_of(const void *ptr, size_t len)
{
    return (struct slice){ptr, len};
}

/* The bytes of NUL-terminated `text`, without the NUL. */
static inline struct slice slice_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, strlen(text)};
}

/* `s` from byte `from` on; empty if there are not that many. */
static inline struct slice slice_from(struct slice s, size_t from)
{
    return from >= s.len ? (struct slice){NULL, 0} : slice_of(s.ptr + from, s.len - from);
}

bool slice_is_equal(struct slice a, struct slice b);
bool slice_is_text(struct slice s, const char *text);

/* As slice_is_equal(), but A to Z of either side count as a to z. */
bool slice_is_equal_nocase(struct slice a, struct slice b);

/* Inline, so that a word of another length costs no call. */
static inline bool slice_is_text_nocase(struct slice s, const char *text)
{
    return s.len == strlen(text) && slice_is_equal_nocase(s, slice_text(text));
}

/* Whether `s` ends with `tail`. */
bool slice_has_tail(struct slice s, struct slice tail);

/* Copies as much of `s` as fits with its NUL into out[0..size), and returns `out`.  For text
 * that is known to fit, or for logs. */
char *slice_write(struct slice s, char *out, size_t size);

/* Reads all of `s` as a decimal number without sign or spaces.
 * Returns 0; -EINVAL if it is not one or is above `max` (*out is untouched). */
int slice_parse_uint(struct slice s, uint64_t max, uint64_t *out);

#endif
