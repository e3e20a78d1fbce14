#include "base/map.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS 3000

/* The nth allocation from now on fails; 0: none does. */
static int fail_at;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);

void *__wrap_calloc(size_t count, size_t size)
{
    if (fail_at && --fail_at == 0)
        return NULL;
    return __real_calloc(count, size);
}

struct item {
    uint32_t key;
    bool is_in;
};

static struct slice key_of(const struct item *i)
{
    return slice_of(&i->key, sizeof(i->key));
}

static void a_value_is_found_under_its_key_only(void **state)
{
    struct map m;
    int a, b;

    (void)state;
    map_init(&m);
    assert_null(map_find(&m, slice_text("x")));
    assert_null(map_remove(&m, slice_text("x")));
    assert_int_equal(map_put(&m, slice_text("x"), &a), 0);
    assert_int_equal(map_put(&m, slice_text("xy"), &b), 0);
    assert_int_equal(map_put(&m, slice_of(NULL, 0), &m), 0);
    assert_ptr_equal(map_find(&m, slice_text("x")), &a);
    assert_ptr_equal(map_find(&m, slice_text("xy")), &b);
    assert_ptr_equal(map_find(&m, slice_of(NULL, 0)), &m);
    assert_null(map_find(&m, slice_text("y")));
    assert_int_equal(m.count, 3);
    map_fini(&m);
    map_fini(&m);
}

static void a_second_value_takes_the_place_of_the_first(void **state)
{
    struct map m;
    int a, b;

    (void)state;
    map_init(&m);
    assert_int_equal(map_put(&m, slice_text("k"), &a), 0);
    assert_int_equal(map_put(&m, slice_text("k"), &b), 0);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_remove(&m, slice_text("k")), &b);
    assert_null(map_find(&m, slice_text("k")));
    assert_int_equal(m.count, 0);
    map_fini(&m);
}

static void two_maps_place_one_key_under_different_seeds(void **state)
{
    struct map a, b;
    uint64_t seed[2];

    (void)state;
    map_init(&a);
    map_init(&b);
    assert_int_equal(a.seed[0] | a.seed[1], 0); /* no key, no seed */
    assert_int_equal(map_put(&a, slice_text("x"), &a), 0);
    assert_int_equal(map_put(&b, slice_text("x"), &b), 0);
    assert_memory_not_equal(a.seed, b.seed, sizeof(a.seed));
    memcpy(seed, a.seed, sizeof(seed));
    assert_ptr_equal(map_remove(&a, slice_text("x")), &a);
    assert_int_equal(map_put(&a, slice_text("x"), &a), 0);
    assert_memory_equal(a.seed, seed, sizeof(seed)); /* drawn once */
    map_fini(&a);
    map_fini(&b);
}

/* Compares the map with what it must hold. */
static void check(const struct map *m, struct item *items, size_t count)
{
    size_t in = 0, at = 0, walked = 0;
    struct item *i;

    for (size_t n = 0; n < count; n++) {
        assert_ptr_equal(map_find(m, key_of(&items[n])), items[n].is_in ? &items[n] : NULL);
        in += items[n].is_in;
    }
    assert_int_equal(m->count, in);
    while ((i = map_next(m, &at))) {
        assert_true(i->is_in);
        walked++;
    }
    assert_int_equal(walked, in);
}

static void random_puts_and_removals_agree_with_a_plain_array(void **state)
{
    struct item *items = calloc(KEYS, sizeof(*items));
    struct map m;

    (void)state;
    srandom(20);
    map_init(&m);
    for (uint32_t n = 0; n < KEYS; n++)
        items[n].key = n * 7;
    for (int round = 0; round < 60000; round++) {
        struct item *i = &items[random() % KEYS];
        bool put = random() % 100 < (round / 10000 % 2 ? 25 : 75); /* grow and shrink in turns */

        if (put)
            assert_int_equal(map_put(&m, key_of(i), i), 0);
        else
            assert_ptr_equal(map_remove(&m, key_of(i)), i->is_in ? i : NULL);
        i->is_in = put;
        if (round % 5000 == 0)
            check(&m, items, KEYS);
    }
    check(&m, items, KEYS);
    map_fini(&m);
    free(items);
}

/* Full to three quarters of 16 slots every key meets another: each removal must close its gap. */
/* Almost as full as a map gets, a key stands 1.5 slots behind its place in the mean (Knuth, volume
 * 3, 6.4, theorem K); were it to grow with the number of keys, this would be thousands. */
static void a_hundred_thousand_keys_stand_near_their_places(void **state)
{
    enum { COUNT = 98000 }; /* of 131072 slots */
    struct item *items = calloc(COUNT, sizeof(*items));
    size_t behind = 0;
    struct map m;

    (void)state;
    assert_non_null(items);
    map_init(&m);
    for (uint32_t i = 0; i < COUNT; i++) {
        items[i].key = i;
        assert_int_equal(map_put(&m, key_of(&items[i]), &items[i]), 0);
    }
    assert_int_equal(m.size, 131072);
    for (size_t at = 0; at < m.size; at++) {
        if (m.slots[at].value)
            behind += (at - m.slots[at].hash) & (m.size - 1);
    }
    assert_in_range(behind, COUNT / 2, 2 * COUNT);
    map_fini(&m);
    free(items);
}

static void removal_closes_the_gap_wherever_it_is(void **state)
{
    struct item items[12];
    struct map m;

    (void)state;
    for (int round = 0; round < 300; round++) {
        map_init(&m);
        for (uint32_t n = 0; n < 12; n++) {
            items[n] = (struct item){.key = n, .is_in = true};
            assert_int_equal(map_put(&m, key_of(&items[n]), &items[n]), 0);
        }
        assert_int_equal(m.size, 16);
        for (uint32_t n = 0; n < 12; n++) {
            struct item *gone = &items[(n * 5 + (uint32_t)round) % 12];

            assert_ptr_equal(map_remove(&m, key_of(gone)), gone);
            gone->is_in = false;
            check(&m, items, 12);
        }
        map_fini(&m);
    }
}

static void an_emptied_map_gives_its_memory_back(void **state)
{
    struct item *items = calloc(KEYS, sizeof(*items));
    struct map m;

    (void)state;
    map_init(&m);
    for (uint32_t n = 0; n < KEYS; n++) {
        items[n].key = n;
        assert_int_equal(map_put(&m, key_of(&items[n]), &items[n]), 0);
    }
    assert_true(m.size >= KEYS * 4 / 3);
    for (uint32_t n = 0; n < KEYS; n++)
        assert_ptr_equal(map_remove(&m, key_of(&items[n])), &items[n]);
    assert_null(m.slots);
    assert_int_equal(m.size, 0);
    assert_int_equal(map_put(&m, key_of(&items[0]), &items[0]), 0); /* and is as good as new */
    assert_ptr_equal(map_find(&m, key_of(&items[0])), &items[0]);
    map_fini(&m);
    free(items);
}

static void without_memory_the_map_stays_as_it_was(void **state)
{
    struct item items[13];
    struct map m;

    (void)state;
    map_init(&m);
    fail_at = 1;
    assert_int_equal(map_put(&m, slice_text("k"), &m), -ENOMEM);
    for (uint32_t n = 0; n < 12; n++) {
        items[n] = (struct item){.key = n, .is_in = true};
        assert_int_equal(map_put(&m, key_of(&items[n]), &items[n]), 0);
    }
    items[12] = (struct item){.key = 12};
    fail_at = 1;
    assert_int_equal(map_put(&m, key_of(&items[12]), &items[12]), -ENOMEM);
    check(&m, items, 13);
    map_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_found_under_its_key_only),
        cmocka_unit_test(a_second_value_takes_the_place_of_the_first),
        cmocka_unit_test(two_maps_place_one_key_under_different_seeds),
        cmocka_unit_test(random_puts_and_removals_agree_with_a_plain_array),
        cmocka_unit_test(a_hundred_thousand_keys_stand_near_their_places),
        cmocka_unit_test(removal_closes_the_gap_wherever_it_is),
        cmocka_unit_test(an_emptied_map_gives_its_memory_back),
        cmocka_unit_test(without_memory_the_map_stays_as_it_was),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
