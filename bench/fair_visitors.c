/* fair_visitors.c - the plain end of a measurement of fairness: visitors that ask little, beside
 * visitors that move much.
 *
 *     cc -O2 -pthread bench/fair_visitors.c -o fair_visitors
 *     ./fair_visitors PORT SECONDS HOST ASKERS PAUSE_MS BULK_HOST (read|write|stall) BULKS
 *
 * Loopback only.  Each of ASKERS says 64 bytes, waits for 64, pauses, and so on.  Each of BULKS
 * reads or writes without end, or asks for much and reads nothing.  Prints "moving" when all have
 * been at it for a second, then, after SECONDS, one line of JSON: answers, their time in
 * microseconds at the median, at 99 of 100 and at most, and the bytes that BULKS moved meanwhile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK_BYTES 64U
#define PIECE_BYTES 65536U
#define TIMES_MAX 1000000U
#define WARM_MS 1000

enum { BEGINNING, MEASURING, OVER };

static struct job {
    uint16_t port;
    int seconds;
    const char *host;
    unsigned askers;
    int pause_ms;
    const char *bulk_host, *what;
    unsigned bulks;
} job;

static atomic_int phase;
static atomic_ullong moved;
static atomic_uint time_count;
static uint32_t times_us[TIMES_MAX];

static _Noreturn void die(const char *what)
{
    (void)fprintf(stderr, "fair_visitors: %s: %s\n", what, errno ? strerror(errno) : "ended");
    exit(1);
}

static int64_t now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void pause_ms(int ms)
{
    (void)poll(NULL, 0, ms);
}

static int open_connection(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(job.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd == -1 || connect(fd, (struct sockaddr *)&to, sizeof(to)) == -1)
        die("connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    return fd;
}

static void ask(int fd, const char *request)
{
    char in[ASK_BYTES];
    int64_t from = now_us();

    if (send(fd, request, ASK_BYTES, MSG_NOSIGNAL) != (ssize_t)ASK_BYTES)
        die("send");
    for (size_t got = 0; got < ASK_BYTES;) {
        ssize_t more = recv(fd, in + got, ASK_BYTES - got, 0);

        if (more <= 0)
            die("recv");
        got += (size_t)more;
    }
    if (phase == MEASURING) {
        unsigned i = atomic_fetch_add(&time_count, 1);

        if (i < TIMES_MAX)
            times_us[i] = (uint32_t)(now_us() - from);
    }
}

static void *run_asker(void *arg)
{
    char request[ASK_BYTES + 1];
    char line[ASK_BYTES - 4];
    int fd = open_connection();

    (void)snprintf(line, sizeof(line), "GET / HTTP/1.1\r\nHost: %s\r\nX: ", job.host);
    (void)snprintf(request, sizeof(request), "%-60.60s\r\n\r\n", line);
    while (phase != OVER) {
        ask(fd, request);
        if (job.pause_ms)
            pause_ms(job.pause_ms);
    }
    return arg;
}

static void *run_bulk(void *arg)
{
    static const char zeros[PIECE_BYTES];
    char *in = malloc(PIECE_BYTES);
    char head[256];
    int fd = open_connection();
    int len =
        snprintf(head, sizeof(head), "%s /%s HTTP/1.1\r\nHost: %s\r\n%s\r\n",
                 job.what[0] == 'w' ? "POST" : "GET", job.what[0] == 'w' ? "write" : "read",
                 job.bulk_host, job.what[0] == 'w' ? "Content-Length: 1000000000000\r\n" : "");

    if (!in || send(fd, head, (size_t)len, MSG_NOSIGNAL) != len)
        die("head");
    while (phase != OVER) {
        ssize_t done = PIECE_BYTES;

        if (job.what[0] == 's')
            pause_ms(100);
        else if (job.what[0] == 'w')
            done = send(fd, zeros, PIECE_BYTES, MSG_NOSIGNAL);
        else
            done = recv(fd, in, PIECE_BYTES, 0);
        if (done <= 0)
            die("bulk");
        if (phase == MEASURING && job.what[0] != 's')
            moved += (unsigned long long)done;
    }
    return arg;
}

static void start(unsigned count, void *(*run)(void *arg))
{
    pthread_attr_t attr;
    pthread_t thread;

    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, 131072);
    while (count--)
        if (pthread_create(&thread, &attr, run, NULL))
            die("thread");
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

static void print(unsigned count)
{
    if (count == 0 || count > TIMES_MAX)
        die("answers");
    qsort(times_us, count, sizeof(times_us[0]), compare);
    (void)printf("{\"count\":%u,\"p50\":%u,\"p99\":%u,\"most\":%u,\"bytes\":%llu}\n", count,
                 times_us[count / 2], times_us[(size_t)count * 99 / 100], times_us[count - 1],
                 (unsigned long long)moved);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc != 9)
        die("arguments");
    job = (struct job){
        .port = (uint16_t)strtoul(argv[1], NULL, 10),
        .seconds = (int)strtol(argv[2], NULL, 10),
        .host = argv[3],
        .askers = (unsigned)strtoul(argv[4], NULL, 10),
        .pause_ms = (int)strtol(argv[5], NULL, 10),
        .bulk_host = argv[6],
        .what = argv[7],
        .bulks = (unsigned)strtoul(argv[8], NULL, 10),
    };
    start(job.bulks, run_bulk);
    start(job.askers, run_asker);
    pause_ms(WARM_MS);
    phase = MEASURING;
    (void)printf("moving\n");
    (void)fflush(stdout);
    pause_ms(job.seconds * 1000);
    phase = OVER;
    pause_ms(50);
    print(time_count);
    _exit(0); /* whoever is still in send() or recv() */
}
