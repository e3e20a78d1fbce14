/* mask.c - how fast ws_mask() is: GB/s for some lengths and alignments, best of five rounds.
 *
 *     cc -O3 -D_GNU_SOURCE -Isrc bench/mask.c src/proto/ws_mask.c src/base/clock.c -o mask
 *     ./mask
 */
#include "base/clock.h"
#include "proto/ws_mask.h"

#include <stdio.h>
#include <stdlib.h>

#define ROOM (4U << 20)
#define ROUND_BYTES (UINT64_C(4) << 30)
#define ROUNDS 5

static double round_gbs(uint8_t *bytes, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint64_t calls = ROUND_BYTES / (len + 64);
    int64_t from = clock_now_ns();

    for (uint64_t i = 0; i < calls; i++)
        ws_mask(bytes, len, key, i);
    return (double)(calls * len) / (double)(clock_now_ns() - from);
}

static double best_gbs(uint8_t *bytes, size_t len)
{
    double best = 0;

    for (int i = 0; i < ROUNDS; i++) {
        double gbs = round_gbs(bytes, len);

        best = gbs > best ? gbs : best;
    }
    return best;
}

int main(void)
{
    static const size_t lens[] = {16, 100, 1400, 8192, 16384, 65536, 262144, 1U << 20};
    uint8_t *bytes = aligned_alloc(64, ROOM);

    if (!bytes)
        return 1;
    for (size_t i = 0; i < ROOM; i++)
        bytes[i] = (uint8_t)i;
    (void)printf("%10s %12s %12s\n", "bytes", "aligned", "at +13");
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
        (void)printf("%10zu %9.1f %12.1f GB/s\n", lens[i], best_gbs(bytes, lens[i]),
                     best_gbs(bytes + 13, lens[i]));
    free(bytes);
    return 0;
}
