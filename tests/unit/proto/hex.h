/* hex.h - bytes written as hex in tests and vectors. */
#ifndef RVPN_TESTS_UNIT_PROTO_HEX_H
#define RVPN_TESTS_UNIT_PROTO_HEX_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The bytes of `text`, in which blanks mean nothing, to be freed; their number in *len. */
static inline uint8_t *hex_bytes(const char *text, size_t *len)
{
    uint8_t *bytes = malloc(strlen(text) / 2 + 1);
    size_t digits = 0;

    if (!bytes)
        abort();
    for (; *text; text++) {
        int digit = hex_digit(*text);

        if (digit == -1)
            continue;
        bytes[digits / 2] = (uint8_t)(digits % 2 ? bytes[digits / 2] << 4 | digit : digit);
        digits++;
    }
    *len = digits / 2;
    return bytes;
}

#endif
