#include "tunnel/gather.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct gather gather;
static uint8_t bytes[2 * GATHER_SPANS];

static int set_up(void **state)
{
    (void)state;
    gather_init(&gather);
    return 0;
}

static void bytes_that_continue_one_another_are_one_span(void **state)
{
    struct iovec iov[GATHER_IOV];
    struct lane a;

    (void)state;
    lane_init(&a);
    gather_add(&gather, &a, slice_of(bytes, 10));
    gather_add(&gather, &a, slice_of(bytes + 10, 5));
    gather_add(&gather, &a, slice_of(bytes + 20, 5));
    assert_ptr_equal(gather_next(&gather), &a);
    assert_int_equal(gather_take(&gather, &a, iov), 2);
    assert_ptr_equal(iov[0].iov_base, bytes);
    assert_int_equal(iov[0].iov_len, 15);
    assert_int_equal(iov[1].iov_len, 5);
    assert_int_equal(gather_take(&gather, &a, iov), 0);
    assert_null(gather_next(&gather));
}

static void lanes_come_in_the_order_of_their_first_bytes(void **state)
{
    struct iovec iov[GATHER_IOV];
    struct lane a, b;

    (void)state;
    lane_init(&a);
    lane_init(&b);
    gather_add(&gather, &b, slice_of(bytes + 2, 1));
    gather_add(&gather, &a, slice_of(bytes, 1));
    gather_add(&gather, &b, slice_of(bytes + 4, 1));
    assert_ptr_equal(gather_next(&gather), &b);
    assert_int_equal(gather_take(&gather, &b, iov), 2);
    assert_ptr_equal(gather_next(&gather), &a);
    assert_int_equal(gather_take(&gather, &a, iov), 1);
    assert_ptr_equal(iov[0].iov_base, bytes);
    assert_null(gather_next(&gather));
}

static void a_lane_that_leaves_is_forgotten(void **state)
{
    struct iovec iov[GATHER_IOV];
    struct lane a;

    (void)state;
    lane_init(&a);
    gather_leave(&a);
    gather_add(&gather, &a, slice_of(bytes, 1));
    gather_leave(&a);
    assert_int_equal(gather_take(&gather, &a, iov), 0);
    assert_null(gather_next(&gather));
    gather_add(&gather, &a, slice_of(bytes + 5, 1));
    assert_int_equal(gather_take(&gather, &a, iov), 1);
    assert_ptr_equal(iov[0].iov_base, bytes + 5);
}

static void a_full_one_gives_everything_in_parts_and_is_empty_again(void **state)
{
    struct iovec iov[GATHER_IOV];
    struct lane a;

    (void)state;
    lane_init(&a);
    for (int round = 0; round < 3; round++) {
        unsigned count, added = 0, taken = 0;

        for (; gather_has_room(&gather); added++)
            gather_add(&gather, &a, slice_of(bytes + 2 * (size_t)added, 1));
        assert_int_equal(added, GATHER_SPANS - 1);
        while ((count = gather_take(&gather, &a, iov))) {
            for (unsigned i = 0; i < count; i++)
                assert_ptr_equal(iov[i].iov_base, bytes + 2 * (size_t)(taken + i));
            taken += count;
        }
        assert_int_equal(taken, added);
        assert_null(gather_next(&gather));
        assert_true(gather_has_room(&gather));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(bytes_that_continue_one_another_are_one_span, set_up),
        cmocka_unit_test_setup(lanes_come_in_the_order_of_their_first_bytes, set_up),
        cmocka_unit_test_setup(a_lane_that_leaves_is_forgotten, set_up),
        cmocka_unit_test_setup(a_full_one_gives_everything_in_parts_and_is_empty_again, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
