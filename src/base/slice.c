#include "base/slice.h"

#include <errno.h>

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

bool slice_is_equal(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool slice_is_text(struct slice s, const char *text)
{
    return slice_is_equal(s, slice_text(text));
}

bool slice_is_equal_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (a.ptr[i] != b.ptr[i] && lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

bool slice_has_tail(struct slice s, struct slice tail)
{
    return s.len >= tail.len && slice_is_equal(slice_from(s, s.len - tail.len), tail);
}

char *slice_write(struct slice s, char *out, size_t size)
{
    size_t len = s.len < size ? s.len : size - 1;

    if (len)
        memcpy(out, s.ptr, len);
    out[len] = '\0';
    return out;
}

int slice_parse_uint(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return -EINVAL;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)s.ptr[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return -EINVAL;
        value = value * 10 + digit;
    }
    if (value > max)
        return -EINVAL;
    *out = value;
    return 0;
}
