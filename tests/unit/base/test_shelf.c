#include "base/shelf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MANY 3000U /* more than two boards have room for */

static void pieces_are_zero_and_do_not_overlap(void **state)
{
    static unsigned char *pieces[MANY];
    struct shelf s;

    (void)state;
    shelf_init(&s);
    for (unsigned i = 0; i < MANY; i++) {
        pieces[i] = shelf_alloc(&s, SHELF_PIECE);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % sizeof(void *), 0);
        for (unsigned at = 0; at < SHELF_PIECE; at++)
            assert_int_equal(pieces[i][at], 0);
        memset(pieces[i], (int)(1 + i % 255), SHELF_PIECE);
    }
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(pieces[i][0], 1 + i % 255);
        assert_int_equal(pieces[i][SHELF_PIECE - 1], 1 + i % 255);
        shelf_free(&s, pieces[i], SHELF_PIECE);
    }
    assert_true(list_is_empty(&s.boards));
}

static void what_was_freed_is_used_again_and_is_zero(void **state)
{
    static unsigned char *pieces[MANY];
    struct shelf s;
    unsigned char *again;

    (void)state;
    shelf_init(&s);
    for (unsigned i = 0; i < MANY; i++)
        pieces[i] = shelf_alloc(&s, 1);
    memset(pieces[7], 0xff, SHELF_PIECE);
    shelf_free(&s, pieces[7], 1); /* its board was full */
    again = shelf_alloc(&s, SHELF_PIECE);
    assert_ptr_equal(again, pieces[7]);
    for (unsigned at = 0; at < SHELF_PIECE; at++)
        assert_int_equal(again[at], 0);
    for (unsigned i = MANY; i-- > 0;)
        shelf_free(&s, pieces[i], 1);
    assert_true(list_is_empty(&s.boards));
}

static void a_big_piece_comes_from_the_heap(void **state)
{
    struct shelf s;
    unsigned char *piece;

    (void)state;
    shelf_init(&s);
    piece = shelf_alloc(&s, SHELF_PIECE + 1);
    assert_non_null(piece);
    assert_int_equal(piece[SHELF_PIECE], 0);
    assert_true(list_is_empty(&s.boards));
    shelf_free(&s, piece, SHELF_PIECE + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zero_and_do_not_overlap),
        cmocka_unit_test(what_was_freed_is_used_again_and_is_zero),
        cmocka_unit_test(a_big_piece_comes_from_the_heap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
