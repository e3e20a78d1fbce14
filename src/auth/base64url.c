#include "auth/base64url.h"

#include <errno.h>
#include <limits.h>

static int value_of(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '-')
        return 62;
    return c == '_' ? 63 : -1;
}

int base64url_parse(struct slice text, uint8_t *out, size_t size, size_t *len)
{
    size_t used = 0;
    unsigned bits = 0;
    unsigned held = 0; /* the lowest `bits` bits are not yet written */

    if (text.len % 4 == 1)
        return -EINVAL;
    if (text.len / 4 * 3 + text.len % 4 * 3 / 4 > size)
        return -EMSGSIZE;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);

        if (value < 0)
            return -EINVAL;
        held = (held << 6 | (unsigned)value) & 0x3fff;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[used++] = (uint8_t)(held >> bits);
        }
    }
    if (held & ((1U << bits) - 1))
        return -EINVAL;
    *len = used;
    return 0;
}

int base64url_write(struct slice bytes, char *out, size_t size)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t used = 0;
    unsigned bits = 0;
    unsigned held = 0;

    if (bytes.len > INT_MAX / 2 || BASE64URL_TEXT(bytes.len) >= size)
        return -EMSGSIZE;
    for (size_t i = 0; i < bytes.len; i++) {
        held = (held << 8 | bytes.ptr[i]) & 0xffff;
        for (bits += 8; bits >= 6; bits -= 6)
            out[used++] = letters[held >> (bits - 6) & 63];
    }
    if (bits)
        out[used++] = letters[held << (6 - bits) & 63];
    out[used] = '\0';
    return (int)used;
}
