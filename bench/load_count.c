#include "load_count.h"

#include "load.h"
#include "load_loop.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TIMES_MAX (4U << 20)
#define THREADS_MAX 64U

/* What a process has used so far. */
struct usage {
    double cpu; /* seconds, of all threads that are still there */
    double thread_cpu[THREADS_MAX];
    unsigned threads;
    long rss_kib;
};

struct counts counts;

static struct counts before;
static struct usage usage_before[WATCHED_MAX];
static int64_t started_ns;
static double load_before;
static uint32_t times[TIMES_MAX]; /* in units of 100 ns */
static unsigned time_count;

void count_request(int64_t ns)
{
    counts.requests++;
    if (time_count < TIMES_MAX)
        times[time_count++] = ns / 100 < UINT32_MAX ? (uint32_t)(ns / 100) : UINT32_MAX;
}

/* The number that follows `key` in the file; 0 if there is none. */
static uint64_t read_number(const char *path, const char *key)
{
    char text[4096];
    const char *at;
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

    if (file)
        (void)fclose(file);
    text[len] = 0;
    at = strstr(text, key);
    return at ? strtoull(at + strlen(key), NULL, 10) : 0;
}

static struct usage usage_of(int pid)
{
    struct usage u = {0};
    char path[512];
    DIR *dir;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    u.rss_kib = (long)read_number(path, "VmRSS:");
    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        double cpu;

        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
        cpu = (double)read_number(path, "") / 1e9;
        u.cpu += cpu;
        if (u.threads < THREADS_MAX)
            u.thread_cpu[u.threads++] = cpu;
    }
    if (dir)
        (void)closedir(dir);
    return u;
}

static double load_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void count_start(void)
{
    before = counts;
    time_count = 0;
    for (unsigned i = 0; i < options.watched; i++)
        usage_before[i] = usage_of(options.watch[i]);
    load_before = load_seconds();
    started_ns = now_ns();
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void print_times(void)
{
    const uint32_t *half = &times[time_count / 2], *most = &times[(size_t)time_count * 99 / 100];

    qsort(times, time_count, sizeof(times[0]), compare);
    (void)printf(",\"p50_us\":%.1f,\"p99_us\":%.1f,\"max_us\":%.1f", *half / 10.0, *most / 10.0,
                 times[time_count - 1] / 10.0);
}

/* What the thread used that used most meanwhile. */
static double busiest(const struct usage *from, const struct usage *to)
{
    double most = 0;

    for (unsigned i = 0; i < to->threads; i++) {
        double used = to->thread_cpu[i] - (i < from->threads ? from->thread_cpu[i] : 0);

        most = used > most ? used : most;
    }
    return most;
}

static void print_usage(double gigabytes, double requests)
{
    double cpu = 0;

    (void)printf(",\"watched\":[");
    for (unsigned i = 0; i < options.watched; i++) {
        struct usage u = usage_of(options.watch[i]);

        (void)printf("%s{\"pid\":%d,\"cpu_s\":%.4f,\"busiest_s\":%.4f,\"rss_kib\":%ld}",
                     i ? "," : "", options.watch[i], u.cpu - usage_before[i].cpu,
                     busiest(&usage_before[i], &u), u.rss_kib);
        cpu += u.cpu - usage_before[i].cpu;
    }
    (void)printf("],\"cpu_s\":%.4f", cpu);
    if (gigabytes > 0)
        (void)printf(",\"s_per_gb\":%.4f", cpu / gigabytes);
    if (requests > 0)
        (void)printf(",\"us_per_request\":%.3f", cpu / requests * 1e6);
}

void count_print(void)
{
    double seconds = (double)(now_ns() - started_ns) / 1e9;
    double load = load_seconds() - load_before;
    double down = (double)(counts.down - before.down), up = (double)(counts.up - before.up);
    double requests = (double)(counts.requests - before.requests);

    (void)printf("{\"seconds\":%.4f,\"down\":%.0f,\"up\":%.0f,\"gbit_s\":%.3f", seconds, down, up,
                 (down + up) * 8e-9 / seconds);
    (void)printf(",\"requests\":%.0f,\"per_second\":%.1f", requests, requests / seconds);
    (void)printf(",\"resumed\":%ju,\"errors\":%ju", (uintmax_t)(counts.resumed - before.resumed),
                 (uintmax_t)(counts.errors - before.errors));
    if (time_count)
        print_times();
    if (options.watched)
        print_usage((down + up) / 1e9, requests);
    (void)printf(",\"load_cpu_s\":%.4f}\n", load);
    (void)fflush(stdout);
}
