#include "meter/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void every_counter_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (unsigned a = 0; a < TALLY_IDS; a++) {
        assert_non_null(tally_name[a]);
        for (unsigned b = 0; b < a; b++)
            assert_string_not_equal(tally_name[a], tally_name[b]);
    }
}

static void a_sum_is_made_over_workers(void **state)
{
    struct tally t[2] = {0};
    uint64_t sum[TALLY_IDS] = {0};

    (void)state;
    tally_add(&t[0], TALLY_ACCEPTED);
    tally_add(&t[1], TALLY_ACCEPTED);
    tally_add(&t[1], TALLY_PENDING);
    tally_add(&t[1], TALLY_PENDING);
    tally_sub(&t[1], TALLY_PENDING);
    tally_add(&t[0], TALLY_REFUSED_MEMORY);
    tally_sum(&t[0], sum);
    tally_sum(&t[1], sum);
    for (unsigned id = 0; id < TALLY_IDS; id++)
        assert_int_equal(sum[id], id == TALLY_ACCEPTED                                ? 2
                                  : id == TALLY_PENDING || id == TALLY_REFUSED_MEMORY ? 1
                                                                                      : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_has_a_name_of_its_own),
        cmocka_unit_test(a_sum_is_made_over_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
