#include "server/capacity.h"

#include "base/log.h"
#include "base/slab.h"
#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define OWN_DESCRIPTORS 4U    /* for reading keys and certificates again, at any time */
#define LEAST_DESCRIPTORS 16U /* fewer are not worth a start */
#define RESERVED_LEAST 16U    /* for devices and the relay's own pages */
#define RESERVED_SHARE 32U    /* ... or a 32nd */
#define HEAP_MAP_BYTES 131072 /* bigger pieces come from the system and go back to it */
#define SLAB_SPACE_MOST (INT64_C(1) << 36) /* of addresses: room for four million tunnels */
#define SLAB_SPACE_LEAST (INT64_C(1) << 28)
#define SLAB_SPACE_SHARE 4 /* of what addresses there may be, where they are limited */
#define CGROUP_ROOT "/sys/fs/cgroup"

#if defined(__SANITIZE_ADDRESS__)
#define IS_WATCHED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_WATCHED 1
#endif
#endif
#ifndef IS_WATCHED
#define IS_WATCHED 0
#endif

/* What is preloaded may be an allocator that somebody prefers, or watches with: valgrind's is. */
void capacity_start_slabs(void)
{
    struct rlimit limit;
    int64_t size = SLAB_SPACE_MOST;

    if (IS_WATCHED || getenv("LD_PRELOAD"))
        return;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur / SLAB_SPACE_SHARE < (rlim_t)size)
        size = (int64_t)limit.rlim_cur / SLAB_SPACE_SHARE;
    for (; size >= SLAB_SPACE_LEAST; size /= 2) {
        if (slab_start((size_t)size) == 0) {
            tls_use_slabs();
            return;
        }
    }
}

void capacity_raise(void)
{
    struct rlimit limit;

    /* Said, so that it stays: the heap would raise it with every big piece that is freed. */
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_MAP_BYTES);
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* The number in a file such as memory.max; SIZE_MAX if there is none, or "max". */
static size_t read_number(const char *path)
{
    char text[64];
    char *end;
    FILE *file = fopen(path, "re");
    unsigned long long number;
    size_t len;

    if (!file)
        return SIZE_MAX;
    len = fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    text[len] = 0;
    errno = 0;
    number = strtoull(text, &end, 10);
    return end == text || errno || number == 0 ? SIZE_MAX : (size_t)number;
}

size_t capacity_memory(const char *root, const char *group)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t least = pages > 0 && page > 0 ? (size_t)pages * (size_t)page : SIZE_MAX;
    char path[PATH_MAX], file[PATH_MAX + 16];
    size_t top = strlen(root);
    int len = snprintf(path, sizeof(path), "%s%s", root, group);

    if (len < 0 || len >= (int)sizeof(path))
        return least;
    for (char *slash = path; slash;
         slash = strrchr(path + top, '/')) { /* a group and those above */
        size_t most;

        if (slash != path)
            *slash = 0;
        (void)snprintf(file, sizeof(file), "%s/memory.max", path);
        most = read_number(file);
        if (most < least)
            least = most;
    }
    return least;
}

/* The cgroup (version 2) of this process, as "/a/b"; "" if it is not known. */
static void read_group(char *out, int size)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];

    out[0] = 0;
    while (file && fgets(line, sizeof(line), file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "0::/", 4) == 0 && line[4])
            (void)snprintf(out, (size_t)size, "%s", line + 3);
    }
    if (file)
        (void)fclose(file);
}

static unsigned reserve_of(unsigned all, unsigned wanted)
{
    unsigned share = all / RESERVED_SHARE;

    if (!wanted)
        wanted = share > RESERVED_LEAST ? share : RESERVED_LEAST;
    return wanted < all / 2 ? wanted : all / 2;
}

/* The lowest free descriptor is how many are in use: nothing has been closed yet but at once. */
static int measure_descriptors(struct supply *s, unsigned reserved, int spare_fd)
{
    struct rlimit limit = {0};
    int used = fcntl(spare_fd, F_DUPFD_CLOEXEC, 0);
    unsigned all, other;

    if (used == -1 || getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return -errno;
    (void)close(used);
    all = limit.rlim_cur > INT_MAX ? INT_MAX : (unsigned)limit.rlim_cur;
    other = (unsigned)used - supply_read_descriptors(s) + OWN_DESCRIPTORS;
    if (all < other + LEAST_DESCRIPTORS)
        return -EMFILE;
    s->descriptors_max = all - other;
    s->descriptors_reserved = reserve_of(s->descriptors_max, reserved);
    return 0;
}

int capacity_measure(struct supply *s, const struct config *config, int spare_fd)
{
    char group[PATH_MAX];
    int err = measure_descriptors(s, config->descriptors_reserved, spare_fd);

    if (err) {
        log_event(LOG_ERROR, "descriptors_missing", LOG_STR("why", strerror(-err)));
        return err;
    }
    s->memory_max = config->memory_limit;
    if (!s->memory_max) {
        read_group(group, sizeof(group));
        s->memory_max = capacity_memory(CGROUP_ROOT, group) / 2;
    }
    log_event(LOG_INFO, "capacity", LOG_UINT("descriptors", s->descriptors_max),
              LOG_UINT("reserved", s->descriptors_reserved), LOG_UINT("memory", s->memory_max));
    return 0;
}
