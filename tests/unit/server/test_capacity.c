#include "server/capacity.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void put(const char *folder, const char *text)
{
    char path[256];
    FILE *file;

    (void)mkdir(folder, 0700);
    (void)snprintf(path, sizeof(path), "%s/memory.max", folder);
    file = text ? fopen(path, "we") : NULL;
    if (file) {
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
    }
}

static void take_away(const char *folder)
{
    char path[256];

    (void)snprintf(path, sizeof(path), "%s/memory.max", folder);
    (void)unlink(path);
    (void)rmdir(folder);
}

static void memory_is_the_least_of_the_machines_and_every_cgroups(void **state)
{
    static const struct {
        const char *top, *middle, *bottom;
        size_t least;
    } rows[] = {
        {NULL, "max\n", "1048576\n", 1048576},  {NULL, "524288\n", "1048576\n", 524288},
        {"262144\n", "max\n", "max\n", 262144}, {NULL, NULL, NULL, 0},
        {"0\n", "nonsense\n", "", 0},
    };
    size_t machine = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char root[] = "/tmp/rvpn-capacity-XXXXXX", middle[64], bottom[64];

        assert_non_null(mkdtemp(root));
        (void)snprintf(middle, sizeof(middle), "%s/a", root);
        (void)snprintf(bottom, sizeof(bottom), "%s/a/b", root);
        put(root, rows[i].top);
        put(middle, rows[i].middle);
        put(bottom, rows[i].bottom);
        assert_int_equal(capacity_memory(root, "/a/b"), rows[i].least ? rows[i].least : machine);
        take_away(bottom);
        take_away(middle);
        take_away(root);
    }
}

static void descriptors_are_what_the_limit_leaves(void **state)
{
    struct config config = {.memory_limit = 4096};
    struct supply s = {.descriptors = 2};
    struct rlimit old, low;
    int lowest = dup(0);

    (void)state;
    assert_true(lowest >= 0);
    (void)close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(capacity_measure(&s, &config, 0), 0);
    assert_int_equal(s.descriptors_max, 128 - lowest + 2 - 4);
    assert_int_equal(s.descriptors_reserved, 16);
    assert_int_equal(s.memory_max, 4096);
    config.descriptors_reserved = 1000;
    assert_int_equal(capacity_measure(&s, &config, 0), 0);
    assert_int_equal(s.descriptors_reserved, s.descriptors_max / 2);
    low.rlim_cur = 16;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(capacity_measure(&s, &config, 0), -EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_the_least_of_the_machines_and_every_cgroups),
        cmocka_unit_test(descriptors_are_what_the_limit_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
