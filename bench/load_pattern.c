#include "load_pattern.h"

#include <string.h>

#define STEP UINT64_C(0x9e3779b97f4a7c15)

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define WIDE
#endif

uint64_t mask_turn(uint64_t mask, size_t by)
{
    unsigned bits = (unsigned)(by & 3) * 8;

    return bits ? mask >> bits | mask << (64 - bits) : mask;
}

WIDE static void xor_words(uint8_t *bytes, size_t words, uint64_t mask)
{
    for (size_t i = 0; i < words; i++) {
        uint64_t word;

        memcpy(&word, bytes + i * 8, 8);
        word ^= mask;
        memcpy(bytes + i * 8, &word, 8);
    }
}

WIDE static void make_words(uint8_t *out, size_t words, uint64_t first, uint64_t mask)
{
    for (size_t i = 0; i < words; i++) {
        uint64_t word = (first + i * STEP) ^ mask;

        memcpy(out + i * 8, &word, 8);
    }
}

WIDE static uint64_t differ_words(const uint8_t *in, size_t words, uint64_t first)
{
    uint64_t differ = 0;

    for (size_t i = 0; i < words; i++) {
        uint64_t word;

        memcpy(&word, in + i * 8, 8);
        differ |= word ^ (first + i * STEP);
    }
    return differ;
}

void mask_bytes(uint8_t *bytes, size_t len, uint64_t mask)
{
    uint8_t tail[8];
    size_t words = len / 8;

    xor_words(bytes, words, mask);
    memcpy(tail, &mask, 8);
    for (size_t i = 0; i < len % 8; i++)
        bytes[words * 8 + i] ^= tail[i];
}

/* The part of the word at `at` that begins there: at most `len` bytes.  Returns how many. */
static size_t part_of_word(uint8_t part[8], size_t len, uint64_t seed, uint64_t at)
{
    uint64_t word = seed + at / 8 * STEP;
    size_t from = at % 8;
    size_t count = 8 - from < len ? 8 - from : len;

    memcpy(part, (const uint8_t *)&word + from, count);
    return count;
}

void pattern_fill(uint8_t *out, size_t len, uint64_t seed, uint64_t at, uint64_t mask)
{
    uint8_t part[8];
    size_t done = at % 8 ? part_of_word(part, len, seed, at) : 0;
    size_t words = (len - done) / 8;

    if (done) {
        memcpy(out, part, done);
        mask_bytes(out, done, mask);
    }
    make_words(out + done, words, seed + (at + done) / 8 * STEP, mask_turn(mask, done));
    done += words * 8;
    if (done < len) {
        size_t count = part_of_word(part, len - done, seed, at + done);

        memcpy(out + done, part, count);
        mask_bytes(out + done, count, mask_turn(mask, done));
    }
}

bool pattern_is(const uint8_t *in, size_t len, uint64_t seed, uint64_t at)
{
    uint8_t part[8];
    size_t done = at % 8 ? part_of_word(part, len, seed, at) : 0;
    size_t words = (len - done) / 8;

    if (done && memcmp(in, part, done) != 0)
        return false;
    if (differ_words(in + done, words, seed + (at + done) / 8 * STEP))
        return false;
    done += words * 8;
    return done == len ||
           memcmp(in + done, part, part_of_word(part, len - done, seed, at + done)) == 0;
}
