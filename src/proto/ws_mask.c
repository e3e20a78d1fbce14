#include "proto/ws_mask.h"

#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

/* Below this a wide loop does not earn its set-up. */
#define WIDE_MIN 64U

static void mask_words(uint8_t *bytes, size_t len, uint32_t key)
{
    const uint64_t wide = (uint64_t)key << 32 | key;
    uint8_t tail[sizeof(wide)];
    uint64_t word;
    size_t at = 0;

    for (; len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, bytes + at, sizeof(word));
        word ^= wide;
        memcpy(bytes + at, &word, sizeof(word));
    }
    memcpy(tail, &wide, sizeof(tail));
    for (size_t i = 0; at < len; at++, i++)
        bytes[at] ^= tail[i];
}

#ifdef __x86_64__
/* Both mask whole vectors only, and return how many bytes that was: a multiple of 4. */

static size_t mask_sse2(uint8_t *bytes, size_t len, uint32_t key)
{
    const __m128i wide = _mm_set1_epi32((int)key);
    size_t at = 0;

    for (; len - at >= 64; at += 64) {
        __m128i *to = (__m128i *)(void *)(bytes + at);
        __m128i a = _mm_xor_si128(_mm_loadu_si128(to), wide);
        __m128i b = _mm_xor_si128(_mm_loadu_si128(to + 1), wide);
        __m128i c = _mm_xor_si128(_mm_loadu_si128(to + 2), wide);
        __m128i d = _mm_xor_si128(_mm_loadu_si128(to + 3), wide);

        _mm_storeu_si128(to, a);
        _mm_storeu_si128(to + 1, b);
        _mm_storeu_si128(to + 2, c);
        _mm_storeu_si128(to + 3, d);
    }
    return at;
}

__attribute__((target("avx2"))) static size_t mask_avx2(uint8_t *bytes, size_t len, uint32_t key)
{
    const __m256i wide = _mm256_set1_epi32((int)key);
    size_t at = 0;

    for (; len - at >= 128; at += 128) {
        __m256i *to = (__m256i *)(void *)(bytes + at);
        __m256i a = _mm256_xor_si256(_mm256_loadu_si256(to), wide);
        __m256i b = _mm256_xor_si256(_mm256_loadu_si256(to + 1), wide);
        __m256i c = _mm256_xor_si256(_mm256_loadu_si256(to + 2), wide);
        __m256i d = _mm256_xor_si256(_mm256_loadu_si256(to + 3), wide);

        _mm256_storeu_si256(to, a);
        _mm256_storeu_si256(to + 1, b);
        _mm256_storeu_si256(to + 2, c);
        _mm256_storeu_si256(to + 3, d);
    }
    for (; len - at >= 32; at += 32) {
        __m256i *to = (__m256i *)(void *)(bytes + at);

        _mm256_storeu_si256(to, _mm256_xor_si256(_mm256_loadu_si256(to), wide));
    }
    return at;
}

static size_t mask_wide(uint8_t *bytes, size_t len, uint32_t key)
{
    if (__builtin_cpu_supports("avx2"))
        return mask_avx2(bytes, len, key);
    return mask_sse2(bytes, len, key);
}
#else
static size_t mask_wide(uint8_t *bytes, size_t len, uint32_t key)
{
    (void)bytes, (void)len, (void)key;
    return 0;
}
#endif

/* The key as a word in memory order, for bytes that start at `offset` of the payload. */
static uint32_t key_at(const uint8_t key[4], size_t offset)
{
    uint8_t turned[4];
    uint32_t word;

    for (size_t i = 0; i < 4; i++)
        turned[i] = key[(offset + i) & 3];
    memcpy(&word, turned, sizeof(word));
    return word;
}

void ws_mask(uint8_t *bytes, size_t len, const uint8_t key[4], size_t offset)
{
    size_t done;

    if (len >= WIDE_MIN) {
        /* Vectors that straddle cache lines cost nearly double. */
        size_t unaligned = -(uintptr_t)bytes & 31;

        mask_words(bytes, unaligned, key_at(key, offset));
        done = unaligned +
               mask_wide(bytes + unaligned, len - unaligned, key_at(key, offset + unaligned));
        bytes += done;
        len -= done;
        offset += done;
    }
    mask_words(bytes, len, key_at(key, offset));
}
