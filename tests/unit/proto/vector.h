/* vector.h - inputs that tests read from files: whole files, and base64 inside of JSON. */
#ifndef RVPN_TESTS_UNIT_PROTO_VECTOR_H
#define RVPN_TESTS_UNIT_PROTO_VECTOR_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR_SKIPPED 77 /* what ctest takes for "skipped" */

struct vector {
    uint8_t *bytes;
    size_t len;
};

/* The file's bytes and a NUL behind them, to be freed; NULL ones if it cannot be read. */
static inline struct vector vector_of_file(const char *path)
{
    struct vector v = {NULL, 0};
    FILE *file = fopen(path, "rb");
    long size;

    if (!file)
        return v;
    if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
        fseek(file, 0, SEEK_SET) == 0 && (v.bytes = calloc(1, (size_t)size + 1)))
        v.len = fread(v.bytes, 1, (size_t)size, file);
    (void)fclose(file);
    return v;
}

/* What base64 `text` stands for, in memory of exactly that size, to be freed. */
static inline struct vector vector_of_base64(const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t count = strcspn(text, "=");
    struct vector v = {malloc(count * 3 / 4 + 1), 0};
    unsigned bits = 0;

    for (size_t i = 0; v.bytes && i < count; i++) {
        bits = bits << 6 | ((unsigned)(strchr(digits, text[i]) - digits) & 63);
        if (i % 4)
            v.bytes[v.len++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    if (v.bytes && v.len)
        v.bytes = realloc(v.bytes, v.len);
    return v;
}

/* A copy of bytes[0..len) with nothing behind it, so that sanitizers see a read past the end. */
static inline uint8_t *vector_cut(const void *bytes, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1);

    if (exact && len)
        memcpy(exact, bytes, len);
    return exact;
}

/* Copies `text` without its NUL to where it fits. */
static inline void vector_put(void *to, const char *text)
{
    for (uint8_t *at = to; *text; at++, text++)
        *at = (uint8_t)*text;
}

#endif
