#include "base/slab.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define SPACE ((size_t)64 << 20)
#define PAGE 4096U
#define MANY 4000U

static uint8_t *pieces[MANY];
static size_t sizes[MANY];

static void fill(unsigned i, size_t size)
{
    pieces[i] = slab_alloc(size);
    assert_non_null(pieces[i]);
    assert_int_equal((uintptr_t)pieces[i] % 16, 0);
    sizes[i] = size;
    memset(pieces[i], (int)(1 + i % 251), size);
}

static void check(unsigned i)
{
    for (size_t at = 0; at < sizes[i]; at++)
        assert_int_equal(pieces[i][at], 1 + i % 251);
}

/* Whether its page has memory. */
static bool is_resident(const void *piece)
{
    unsigned char in = 0;

    assert_int_equal(mincore((void *)((uintptr_t)piece & ~(uintptr_t)(PAGE - 1)), PAGE, &in), 0);
    return in & 1;
}

static void pieces_of_all_sizes_are_aligned_and_do_not_overlap(void **state)
{
    unsigned count = 0;

    (void)state;
    for (size_t size = 1; size <= SLAB_MAX; size += size < 1100 ? 1 : 61)
        fill(count++, size);
    for (unsigned i = 0; i < count; i++)
        check(i);
    for (unsigned i = 0; i < count; i += 2)
        slab_free(pieces[i]);
    for (unsigned i = 0; i < count; i += 2)
        fill(i, sizes[i]);
    for (unsigned i = 0; i < count; i++)
        check(i);
    for (unsigned i = 0; i < count; i++)
        slab_free(pieces[i]);
    slab_trim();
    assert_int_equal(slab_bytes(), 0);
}

static void a_piece_that_is_asked_for_as_zero_is_zero(void **state)
{
    uint8_t *piece;

    (void)state;
    fill(0, 500);
    slab_free(pieces[0]);
    piece = slab_zalloc(500);
    assert_ptr_equal(piece, pieces[0]);
    for (size_t at = 0; at < 500; at++)
        assert_int_equal(piece[at], 0);
    slab_free(piece);
}

static void the_first_free_place_of_a_board_is_taken_first(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 300; i++)
        fill(i, 100);
    slab_free(pieces[250]);
    slab_free(pieces[20]);
    slab_free(pieces[130]);
    assert_ptr_equal(slab_alloc(100), pieces[20]);
    assert_ptr_equal(slab_alloc(100), pieces[130]);
    assert_ptr_equal(slab_alloc(100), pieces[250]);
    for (unsigned i = 0; i < 300; i++)
        slab_free(pieces[i]);
    slab_trim();
    assert_int_equal(slab_bytes(), 0);
}

static void big_pieces_come_from_the_heap(void **state)
{
    void *piece = slab_alloc(SLAB_MAX + 1);

    (void)state;
    assert_non_null(piece);
    assert_int_equal(slab_bytes(), 0);
    slab_free(piece);
    slab_free(NULL);
}

static void a_resized_piece_keeps_its_bytes(void **state)
{
    static const size_t steps[] = {1, 16, 17, 100, 112, 1000, 8192, 8193, 100000, 5000, 30};
    uint8_t *piece = NULL;
    size_t old = 0;

    (void)state;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        piece = slab_resize(piece, steps[i]);
        assert_non_null(piece);
        for (size_t at = 0; at < old && at < steps[i]; at++)
            assert_int_equal(piece[at], (at * 7) % 256);
        for (size_t at = 0; at < steps[i]; at++)
            piece[at] = (uint8_t)(at * 7);
        old = steps[i];
    }
    slab_free(piece);
}

static void pages_without_a_piece_go_back_and_the_others_stay(void **state)
{
    unsigned count = 2 * SLAB_BOARD / 1024;

    (void)state;
    for (unsigned i = 0; i < count; i++)
        fill(i, 1000);
    for (unsigned i = 0; i < count; i++) {
        if (i % 16 != 8) /* one in four pages keeps one */
            slab_free(pieces[i]);
    }
    assert_true(is_resident(pieces[20]));
    slab_trim();
    for (unsigned i = 8; i < count; i += 16)
        check(i);
    assert_false(is_resident(pieces[20]));
    for (unsigned i = 0; i < count; i++) {
        if (i % 16 != 8)
            fill(i, 1000);
    }
    for (unsigned i = 0; i < count; i++) {
        check(i);
        slab_free(pieces[i]);
    }
    slab_trim();
    assert_int_equal(slab_bytes(), 0);
}

static void *free_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < MANY; i++) {
        check(i);
        slab_free(pieces[i]);
    }
    return NULL;
}

static void another_thread_may_free_a_piece(void **state)
{
    pthread_t thread;
    uint8_t *kept;

    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MANY; i++)
            fill(i, 48 + i % 40);
        assert_int_equal(pthread_create(&thread, NULL, free_all, NULL), 0);
        kept = slab_alloc(60); /* meanwhile */
        assert_int_equal(pthread_join(thread, NULL), 0);
        slab_free(kept);
        slab_trim();
        assert_int_equal(slab_bytes(), 0);
    }
}

static void *churn(void *arg)
{
    static _Thread_local uint8_t *own[64];
    unsigned seed = (unsigned)(uintptr_t)arg;

    for (unsigned i = 0; i < 40000; i++) {
        unsigned at = (seed = seed * 1103515245 + 12345) >> 16 & 63;
        size_t size = 1 + (seed >> 8) % 3000;

        slab_free(own[at]);
        own[at] = slab_alloc(size);
        memset(own[at], (int)at, size);
        if (i % 5000 == 0)
            slab_trim();
    }
    for (unsigned at = 0; at < 64; at++)
        slab_free(own[at]);
    slab_trim();
    return NULL;
}

static void threads_do_not_disturb_each_other(void **state)
{
    pthread_t threads[4];

    (void)state;
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)i), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(slab_bytes(), 0);
}

static void when_all_addresses_are_used_the_heap_has_the_rest(void **state)
{
    size_t count = SPACE / SLAB_MAX + 100;
    void **all = calloc(count, sizeof(*all));

    (void)state;
    assert_non_null(all);
    for (size_t i = 0; i < count; i++) {
        all[i] = slab_alloc(SLAB_MAX);
        assert_non_null(all[i]);
    }
    assert_int_equal(slab_bytes(), SPACE);
    for (size_t i = 0; i < count; i++)
        slab_free(all[i]);
    slab_trim();
    assert_int_equal(slab_bytes(), 0);
    free(all);
}

static void without_addresses_all_comes_from_the_heap(void **state)
{
    uint8_t *piece = slab_zalloc(100);

    (void)state;
    assert_non_null(piece);
    assert_int_equal(piece[99], 0);
    piece = slab_resize(piece, 200);
    assert_non_null(piece);
    assert_int_equal(piece[99], 0);
    slab_free(piece);
    slab_trim();
    assert_int_equal(slab_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest before[] = {
        cmocka_unit_test(without_addresses_all_comes_from_the_heap),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_all_sizes_are_aligned_and_do_not_overlap),
        cmocka_unit_test(a_piece_that_is_asked_for_as_zero_is_zero),
        cmocka_unit_test(the_first_free_place_of_a_board_is_taken_first),
        cmocka_unit_test(big_pieces_come_from_the_heap),
        cmocka_unit_test(a_resized_piece_keeps_its_bytes),
        cmocka_unit_test(pages_without_a_piece_go_back_and_the_others_stay),
        cmocka_unit_test(another_thread_may_free_a_piece),
        cmocka_unit_test(threads_do_not_disturb_each_other),
        cmocka_unit_test(when_all_addresses_are_used_the_heap_has_the_rest),
    };
    int failed = cmocka_run_group_tests(before, NULL, NULL);

    if (slab_start(SPACE))
        return 1;
    return failed + cmocka_run_group_tests(tests, NULL, NULL);
}
