#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX ((size_t)1048576)
#define BIG ((size_t)BUF_CHUNK_BIG)

/* The nth allocation from now on fails; 0: none does. */
static int fail_at;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);

void *__wrap_malloc(size_t size)
{
    if (fail_at && --fail_at == 0)
        return NULL;
    return __real_malloc(size);
}

static uint8_t source[4 * 1024 * 1024];

/* The queue must hold source[from..from + len). */
static void check(struct buf *b, size_t from, size_t len)
{
    struct iovec iov[1024];
    size_t total, at = from;
    unsigned count = buf_peek(b, iov, 1024, &total);

    assert_int_equal(b->len, len);
    assert_int_equal(total, len);
    for (unsigned i = 0; i < count; i++) {
        assert_true(iov[i].iov_len > 0);
        assert_memory_equal(iov[i].iov_base, source + at, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    assert_int_equal(at, from + len);
}

static int set_up(void **state)
{
    static struct pool pool;

    for (size_t i = 0; i < sizeof(source); i++)
        source[i] = (uint8_t)(i * 2654435761U >> 13);
    pool_init(&pool, 4);
    *state = &pool;
    fail_at = 0;
    return 0;
}

/* Whatever a test did, nothing is out in the end. */
static int tear_down(void **state)
{
    struct pool *pool = *state;
    size_t held = pool->held_bytes;

    pool_fini(pool);
    return held ? -1 : 0;
}

static void an_empty_queue_holds_no_memory(void **state)
{
    struct pool *pool = *state;
    struct buf b;
    uint8_t *joined = source;

    buf_init(&b, pool, MAX);
    assert_int_equal(buf_put(&b, source, 0), 0);
    check(&b, 0, 0);
    assert_int_equal(buf_join(&b, &joined), 0);
    assert_null(joined);
    assert_int_equal(pool->held_bytes, 0);
    assert_int_equal(buf_put(&b, source, 10), 0);
    assert_int_equal(pool->held_bytes, BUF_CHUNK_SMALL);
    buf_drop(&b, 10);
    assert_int_equal(pool->held_bytes, 0);
    buf_fini(&b);
    buf_fini(&(struct buf){0});
}

static void bytes_come_out_as_they_went_in_across_chunks(void **state)
{
    static const size_t sizes[] = {1,     4095,  1,     4096,   4097,   65535, 65536,
                                   65537, 65536, 61440, 131072, 200000, 3};
    struct buf b;
    size_t put = 0, dropped = 0;

    buf_init(&b, *state, MAX);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(buf_put(&b, source + put, sizes[i]), 0);
        put += sizes[i];
        check(&b, dropped, put - dropped);
    }
    for (size_t step = 1; dropped < put; step = step * 3 + 1) {
        buf_drop(&b, step);
        dropped = dropped + step < put ? dropped + step : put;
        check(&b, dropped, put - dropped);
    }
    buf_fini(&b);
}

static void the_maximum_is_exact_and_nothing_is_queued_past_it(void **state)
{
    struct buf b;

    buf_init(&b, *state, 100);
    assert_int_equal(buf_put(&b, source, 101), -ENOBUFS);
    check(&b, 0, 0);
    assert_int_equal(buf_put(&b, source, 100), 0);
    assert_int_equal(buf_put(&b, source, 1), -ENOBUFS);
    assert_int_equal(buf_put(&b, source, SIZE_MAX), -ENOBUFS);
    check(&b, 0, 100);
    buf_drop(&b, 1);
    assert_int_equal(buf_put(&b, source + 100, 1), 0);
    check(&b, 1, 100);
    buf_fini(&b);
}

static void peeking_gives_no_more_than_was_asked_for(void **state)
{
    struct buf b;
    struct iovec iov[2];
    size_t total;

    buf_init(&b, *state, MAX);
    assert_int_equal(buf_put(&b, source, 3 * BIG), 0);
    assert_int_equal(buf_peek(&b, iov, 2, &total), 2);
    assert_int_equal(total, 2 * BIG);
    assert_int_equal(buf_peek(&b, iov, 0, &total), 0);
    assert_int_equal(total, 0);
    buf_fini(&b);
}

static void dropping_more_than_there_is_drops_all(void **state)
{
    struct buf b;

    buf_init(&b, *state, MAX);
    assert_int_equal(buf_put(&b, source, 70000), 0);
    buf_drop(&b, SIZE_MAX);
    check(&b, 0, 0);
    assert_int_equal(buf_put(&b, source, 5), 0);
    check(&b, 0, 5);
    buf_fini(&b);
}

static void joining_gives_one_run_and_the_queue_goes_on(void **state)
{
    struct buf b;
    uint8_t *run;
    size_t put = 0;

    buf_init(&b, *state, MAX);
    assert_int_equal(buf_put(&b, source, 100), 0);
    put = 100;
    assert_int_equal(buf_join(&b, &run), 0);
    assert_memory_equal(run, source, put);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(buf_put(&b, source + put, 3001), 0);
        put += 3001;
        assert_int_equal(buf_join(&b, &run), 0);
        assert_memory_equal(run, source, put);
        check(&b, 0, put);
    }
    buf_drop(&b, 5000);
    assert_int_equal(buf_join(&b, &run), 0);
    assert_memory_equal(run, source + 5000, put - 5000);
    buf_fini(&b);
}

static void the_pool_keeps_some_big_chunks_and_gives_them_back(void **state)
{
    struct pool *pool = *state;
    struct buf b;

    buf_init(&b, pool, MAX);
    assert_int_equal(buf_put(&b, source, 10 * BIG), 0);
    assert_int_equal(pool->held_bytes, 10 * BIG);
    buf_drop(&b, SIZE_MAX);
    assert_int_equal(pool->held_bytes, 0);
    assert_int_equal(pool->spare_count, 4);
    assert_int_equal(buf_put(&b, source, BUF_CHUNK_BIG), 0);
    assert_int_equal(pool->spare_count, 3);
    check(&b, 0, BUF_CHUNK_BIG);
    pool_trim(pool);
    pool_trim(pool);
    assert_int_equal(pool->spare_count, 0);
    assert_int_equal(pool_bytes(pool), BIG);
    buf_fini(&b);
    assert_int_equal(pool->spare_count, 1);
    assert_int_equal(pool_bytes(pool), BIG);
}

static void the_pool_keeps_the_spare_chunks_that_were_needed_lately(void **state)
{
    struct pool *pool = *state;
    struct buf b;

    buf_init(&b, pool, MAX);
    assert_int_equal(buf_put(&b, source, 4 * BIG), 0);
    buf_drop(&b, SIZE_MAX);
    pool_trim(pool); /* none was spare all the time */
    assert_int_equal(pool->spare_count, 4);
    assert_int_equal(buf_put(&b, source, BIG), 0);
    buf_drop(&b, SIZE_MAX);
    pool_trim(pool);
    assert_int_equal(pool->spare_count, 1);
    buf_fini(&b);
}

static void without_memory_the_queue_stays_as_it_was(void **state)
{
    struct buf b;
    uint8_t *run;

    buf_init(&b, *state, MAX);
    assert_int_equal(buf_put(&b, source, 10), 0);
    for (int nth = 1; nth <= 3; nth++) {
        fail_at = nth;
        assert_int_equal(buf_put(&b, source + 10, 3 * BIG), -ENOMEM);
        pool_trim(*state);
        pool_trim(*state); /* a chunk that a failed put() gave back must not serve the next */
        check(&b, 0, 10);
    }
    fail_at = 0;
    assert_int_equal(buf_put(&b, source + 10, BUF_CHUNK_BIG), 0);
    fail_at = 1;
    assert_int_equal(buf_join(&b, &run), -ENOMEM);
    check(&b, 0, 10 + BUF_CHUNK_BIG);
    buf_fini(&b);
}

static void what_is_put_in_front_comes_out_first(void **state)
{
    static const size_t lens[] = {0, 1, BUF_CHUNK_SMALL, BUF_CHUNK_SMALL + 1, 3 * BIG};
    struct buf b;

    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        for (size_t behind = 0; behind <= 2 * BIG; behind += BIG) {
            buf_init(&b, *state, MAX);
            assert_int_equal(buf_put(&b, source + lens[i], behind), 0);
            assert_int_equal(buf_put_front(&b, source, lens[i]), 0);
            assert_int_equal(buf_put(&b, source + lens[i] + behind, 9), 0);
            check(&b, 0, lens[i] + behind + 9);
            assert_int_equal(buf_put_front(&b, source, MAX), -ENOBUFS);
            fail_at = 1;
            assert_int_equal(buf_put_front(&b, source, 3), -ENOMEM);
            fail_at = 0;
            check(&b, 0, lens[i] + behind + 9);
            buf_fini(&b);
        }
    }
}

static void random_puts_and_drops_keep_the_order_of_bytes(void **state)
{
    struct buf b;
    size_t put = 0, dropped = 0;
    uint8_t *run;

    srandom(4);
    buf_init(&b, *state, MAX);
    while (put < sizeof(source) - 100000) {
        size_t len = (size_t)random() % 100000;

        if (random() % 2 || b.len + len > MAX) {
            buf_drop(&b, len);
            dropped = dropped + len < put ? dropped + len : put;
        } else {
            assert_int_equal(buf_put(&b, source + put, len), 0);
            put += len;
        }
        if (random() % 16 == 0)
            assert_int_equal(buf_join(&b, &run), 0);
        check(&b, dropped, put - dropped);
    }
    buf_fini(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_queue_holds_no_memory),
        TEST(bytes_come_out_as_they_went_in_across_chunks),
        TEST(the_maximum_is_exact_and_nothing_is_queued_past_it),
        TEST(peeking_gives_no_more_than_was_asked_for),
        TEST(dropping_more_than_there_is_drops_all),
        TEST(joining_gives_one_run_and_the_queue_goes_on),
        TEST(the_pool_keeps_some_big_chunks_and_gives_them_back),
        TEST(the_pool_keeps_the_spare_chunks_that_were_needed_lately),
        TEST(without_memory_the_queue_stays_as_it_was),
        TEST(what_is_put_in_front_comes_out_first),
        TEST(random_puts_and_drops_keep_the_order_of_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
