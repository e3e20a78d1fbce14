#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* The source itself: which of its loops ws_mask() takes depends on the processor. */
#include "proto/ws_mask.c" // NOLINT(bugprone-suspicious-include)

#define LEN_MAX 700U
#define AROUND 64U

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

static void check(size_t align, size_t len, size_t offset)
{
    _Alignas(64) uint8_t got[AROUND + LEN_MAX + AROUND];
    uint8_t want[sizeof(got)];

    for (size_t i = 0; i < sizeof(got); i++)
        got[i] = want[i] = (uint8_t)(i * 7 + len);
    for (size_t i = 0; i < len; i++)
        want[align + i] ^= mask[(offset + i) % 4];
    ws_mask(got + align, len, mask, offset);
    assert_memory_equal(got, want, sizeof(got));
}

static void every_length_masks_as_a_byte_loop_does_and_touches_nothing_else(void **state)
{
    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (size_t offset = 0; offset < 4; offset++)
            check(len % AROUND, len, offset);
    }
}

static void every_alignment_masks_as_a_byte_loop_does(void **state)
{
    static const size_t lens[] = {1, 3, 8, 31, 63, 64, 65, 127, 128, 129, 160, 500};

    (void)state;
    for (size_t align = 0; align < AROUND; align++) {
        for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
            check(align, lens[i], align % 4);
    }
}

static void a_payload_masked_in_two_pieces_is_as_masked_in_one(void **state)
{
    uint8_t whole[300];
    uint8_t pieces[300];

    (void)state;
    for (size_t cut = 0; cut <= sizeof(whole); cut++) {
        for (size_t i = 0; i < sizeof(whole); i++)
            whole[i] = pieces[i] = (uint8_t)i;
        ws_mask(whole, sizeof(whole), mask, 0);
        ws_mask(pieces, cut, mask, 0);
        ws_mask(pieces + cut, sizeof(pieces) - cut, mask, cut);
        assert_memory_equal(whole, pieces, sizeof(whole));
    }
}

#ifdef __x86_64__
/* The older processors' loop: as far as it goes, as a byte loop does. */
static void the_loop_for_processors_without_avx2_masks_alike(void **state)
{
    uint8_t got[LEN_MAX], want[LEN_MAX];

    (void)state;
    for (size_t len = 0; len <= LEN_MAX; len++) {
        for (size_t i = 0; i < LEN_MAX; i++)
            got[i] = want[i] = (uint8_t)i;
        for (size_t i = 0; i < len - len % 64; i++)
            want[i] ^= mask[i % 4];
        assert_int_equal(mask_sse2(got, len, key_at(mask, 0)), len - len % 64);
        assert_memory_equal(got, want, sizeof(got));
    }
}
#endif

static void the_example_of_the_rfc_comes_out(void **state)
{
    uint8_t bytes[] = {0x7f, 0x9f, 0x4d, 0x51, 0x58};

    (void)state;
    ws_mask(bytes, sizeof(bytes), mask, 0);
    assert_memory_equal(bytes, "Hello", 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_masks_as_a_byte_loop_does_and_touches_nothing_else),
        cmocka_unit_test(every_alignment_masks_as_a_byte_loop_does),
        cmocka_unit_test(a_payload_masked_in_two_pieces_is_as_masked_in_one),
#ifdef __x86_64__
        cmocka_unit_test(the_loop_for_processors_without_avx2_masks_alike),
#endif
        cmocka_unit_test(the_example_of_the_rfc_comes_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
