/* load.c - loads a relay, a proxy or a tunnel from both of its ends, and says what that took.
 *
 * One process, one thread, one epoll.  See the text of --help.
 */
#include "load.h"

#include "load_count.h"
#include "load_handshake.h"
#include "load_link.h"
#include "load_loop.h"
#include "load_visitor.h"

#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char help[] =
    "usage: load FAR_END VISITORS WORK [OPTION]...\n"
    "\n"
    "Prints one line of JSON: bytes that came (each of them compared with what was sent),\n"
    "requests, their times, and what the watched processes used meanwhile.\n"
    "\n"
    "The far end, which serves:\n"
    "  --relay PORT         devices: M-PROXY v1 in masked WebSocket messages over TLS 1.3\n"
    "    --tunnels N        how many (1)\n"
    "    --names N          they serve by turns: bench.example if 1, else n00000.bench.example "
    "...\n"
    "    --secret FILE      the relay's, to sign their tokens with (its state folder has it)\n"
    "    --token TEXT       or one for all\n"
    "    --raw-port PORT    put into the token\n"
    "    --frame BYTES      64 to 65536, headers included (16384)\n"
    "    --messages 1|2     WebSocket messages in a frame: clients up to 0.19, or later (1)\n"
    "    --forward PORT     to a service there, which may be another --service (one tunnel only)\n"
    "    --resume           handshakes with the relay's last ticket\n"
    "  --service PORT       plain TCP, for a tunnel that brings its own client\n"
    "  --legs PORT          TLS connections to a proxy that ends TLS, one for each visitor\n"
    "  --burst BYTES        that a link sends in one go (262144)\n"
    "  --unsent BYTES       TCP_NOTSENT_LOWAT of links, so that answers do not wait in a socket\n"
    "\n"
    "Visitors, which ask:\n"
    "  --visit PORT         where they connect (the relay's)\n"
    "  --accept PORT        or where the proxy of --legs brings them\n"
    "  --by host|port|sni   how they say whom they want (host; port says nothing)\n"
    "  --visitors N         how many (1)\n"
    "  --request BYTES, --answer BYTES   of small ones, heads included (100, 200)\n"
    "  --pause MS           between an answer and the next request (0)\n"
    "  --beside down|up|stall --besides N [--elsewhere]\n"
    "                       others that move much meanwhile, or ask for much and take nothing;\n"
    "                       on other names than the first\n"
    "\n"
    "Work:\n"
    "  --work down|up|both|echo|ask|short|touch|idle|handshakes|none|openssl\n"
    "     down, up   bytes without end to the visitor, to the device; both: by turns\n"
    "     ask        requests on connections that stay\n"
    "     short      connect, request, answer, and the device ends it\n"
    "     touch      connect, first byte at the device, reset\n"
    "     idle       one request, then nothing\n"
    "     handshakes devices that come, are let in and go; --tunnels at once\n"
    "     openssl    handshakes in memory, the side of the server: with --certificate and --key\n"
    "  --warm S, --seconds S    before, and while it is measured (0.5, 3)\n"
    "  --amount N           instead: so many bytes or requests in all, measured from their start\n"
    "  --hold               says {\"open\":...} once all is open; then, for each line of input,\n"
    "                       what there was since the last; ends with its input\n"
    "  --watch PID,...      processes whose CPU and memory are told\n"
    "  --cpu N              runs on this core only\n"
    "  --urgent             before all others there (SCHED_FIFO)\n"
    "\n"
    "Two binaries against each other: bench/ab.mjs.\n";

struct options options = {
    .tunnels = 1,
    .names = 1,
    .frame = 16384,
    .messages = 1,
    .burst = 262144,
    .visitors = 1,
    .request = 100,
    .answer = 200,
    .warm = 0.5,
    .seconds = 3,
    .cpu = CPUS_ANY,
};

void name_write(unsigned index, char out[NAME_SIZE])
{
    if (options.names > 1)
        (void)snprintf(out, NAME_SIZE, "n%05u.bench.example", index % options.names);
    else
        (void)snprintf(out, NAME_SIZE, "bench.example");
}

static int word_of(const char *word, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    die("unknown word %s; see --help", word);
}

static const char *const works[] = {"none",  "down",  "up",   "both",       "echo",    "ask",
                                    "short", "touch", "idle", "handshakes", "openssl", NULL};
static const char *const bys[] = {"host", "port", "sni", NULL};
static const char *const besides[] = {"down", "up", "stall", NULL};

static const struct option longs[] = {
    {"relay", 1, NULL, 'r'},       {"service", 1, NULL, 's'},  {"legs", 1, NULL, 'l'},
    {"tunnels", 1, NULL, 't'},     {"names", 1, NULL, 'n'},    {"secret", 1, NULL, 'S'},
    {"token", 1, NULL, 'T'},       {"raw-port", 1, NULL, 'R'}, {"frame", 1, NULL, 'f'},
    {"forward", 1, NULL, 'F'},     {"messages", 1, NULL, 'm'}, {"resume", 0, NULL, 'u'},
    {"burst", 1, NULL, 'b'},       {"unsent", 1, NULL, 'U'},   {"visit", 1, NULL, 'v'},
    {"accept", 1, NULL, 'a'},      {"by", 1, NULL, 'y'},       {"visitors", 1, NULL, 'V'},
    {"request", 1, NULL, 'q'},     {"answer", 1, NULL, 'A'},   {"pause", 1, NULL, 'p'},
    {"beside", 1, NULL, 'B'},      {"besides", 1, NULL, 'N'},  {"elsewhere", 0, NULL, 'E'},
    {"work", 1, NULL, 'w'},        {"warm", 1, NULL, 'W'},     {"seconds", 1, NULL, 'e'},
    {"amount", 1, NULL, 'M'},      {"hold", 0, NULL, 'H'},     {"watch", 1, NULL, 'P'},
    {"cpu", 1, NULL, 'c'},         {"urgent", 0, NULL, 'X'},   {"key", 1, NULL, 'k'},
    {"certificate", 1, NULL, 'C'}, {"help", 0, NULL, 'h'},     {NULL, 0, NULL, 0}};

static void set_far(enum far far, uint16_t port)
{
    if (options.far != FAR_NONE)
        die("one far end, please");
    options.far = far;
    options.far_port = port;
}

static void set_watch(char *text)
{
    for (char *at = text; *at; at += *at == ',') {
        if (options.watched == WATCHED_MAX)
            die("too many to watch");
        options.watch[options.watched++] = (int)strtol(at, &at, 10);
        if (*at && *at != ',')
            die("--watch takes process ids");
    }
}

static void set_beside(int word)
{
    options.beside = word == 1 ? WORK_UP : WORK_DOWN;
    options.beside_stalls = word == 2;
}

static void set_text(int what, char *text)
{
    switch (what) {
    case 'S': options.secret_file = text; break;
    case 'T': options.token = text; break;
    case 'k': options.key = text; break;
    case 'C': options.certificate = text; break;
    case 'P': set_watch(text); break;
    case 'B': set_beside(word_of(text, besides)); break;
    case 'y': options.by = (enum by)word_of(text, bys); break;
    case 'w': options.work = (enum work)word_of(text, works); break;
    case 'W': options.warm = strtod(text, NULL); break;
    case 'e': options.seconds = strtod(text, NULL); break;
    case 'M': options.amount = strtoull(text, NULL, 10); break;
    default: break;
    }
}

static void set_number(int what, unsigned number)
{
    switch (what) {
    case 'r': set_far(FAR_RELAY, (uint16_t)number); break;
    case 's': set_far(FAR_SERVICE, (uint16_t)number); break;
    case 'l': set_far(FAR_LEGS, (uint16_t)number); break;
    case 't': options.tunnels = number; break;
    case 'n': options.names = number; break;
    case 'R': options.raw_port = (uint16_t)number; break;
    case 'F': options.forward_port = (uint16_t)number; break;
    case 'f': options.frame = number; break;
    case 'm': options.messages = number; break;
    case 'b': options.burst = number; break;
    case 'U': options.unsent = number; break;
    case 'v': options.visit_port = (uint16_t)number; break;
    case 'V': options.visitors = number; break;
    case 'q': options.request = number; break;
    case 'A': options.answer = number; break;
    case 'p': options.pause_ms = number; break;
    case 'N': options.besides = number; break;
    case 'c': options.cpu = (int)number; break;
    default: break;
    }
}

static void set_urgent(void)
{
    const struct sched_param param = {.sched_priority = 1};

    if (sched_setscheduler(0, SCHED_FIFO, &param) == -1)
        (void)fprintf(stderr, "load: not urgent, as only root may be that\n");
}

static void set_one(int what)
{
    switch (what) {
    case 'u': options.resumes = true; break;
    case 'E': options.beside_elsewhere = true; break;
    case 'H': options.holds = true; break;
    case 'X': set_urgent(); break;
    case 'a':
        options.by = BY_ACCEPT;
        options.visit_port = (uint16_t)strtoul(optarg, NULL, 10);
        break;
    case 'h': (void)fputs(help, stdout); exit(0);
    case '?': die("see --help");
    default:
        if (strchr("STkCPBywWeM", what))
            set_text(what, optarg);
        else
            set_number(what, (unsigned)strtoul(optarg, NULL, 10));
    }
}

static void read_options(int argc, char **argv)
{
    for (int what; (what = getopt_long(argc, argv, "", longs, NULL)) != -1;)
        set_one(what);
    if (argc == 1)
        die("see --help");
    if (options.far == FAR_RELAY && !options.visit_port)
        options.visit_port = options.far_port;
    if (options.far == FAR_RELAY && !options.token && !options.secret_file)
        die("devices need --secret or --token");
    if (options.forward_port && (options.far != FAR_RELAY || options.tunnels != 1))
        die("--forward is for one tunnel");
    if (options.frame < 64 || options.frame > 65536 || options.names == 0)
        die("--frame is 64 to 65536, --names at least 1");
    if (options.work == WORK_NONE || (options.work == WORK_HANDSHAKES && options.by != BY_ACCEPT))
        options.visitors = 0;
}

static void set_cpu(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((unsigned)options.cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set) == -1)
        die("core %d", options.cpu);
}

static void run_until(int64_t end_ns)
{
    for (int64_t left; (left = end_ns - now_ns()) > 0;)
        loop_turn(visitors_wake(left < 100000000 ? (int)(left / 1000000) + 1 : 100));
}

static void on_input(struct source *s, uint32_t events)
{
    char line[256];
    ssize_t got = read(s->fd, line, sizeof(line));

    (void)events;
    if (got <= 0)
        _exit(0);
    count_print();
    count_start();
}

static void hold(void)
{
    static struct source input = {.fd = STDIN_FILENO, .on_events = on_input};

    run_until(now_ns() + (int64_t)(options.warm * 1e9));
    (void)printf("{\"open\":{\"links\":%u,\"visitors\":%u}}\n", links_open_count, options.visitors);
    (void)fflush(stdout);
    count_start();
    source_watch(&input, EPOLLIN);
    for (;;)
        loop_turn(visitors_wake(1000));
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    (void)signal(SIGPIPE, SIG_IGN);
    if (options.cpu != CPUS_ANY)
        set_cpu();
    if (options.work == WORK_OPENSSL)
        return handshakes_in_memory();
    visitors_begin();
    links_open();
    if (options.amount)
        count_start();
    visitors_open();
    if (options.holds)
        hold();
    if (options.amount) {
        while (!visitors_are_over())
            loop_turn(visitors_wake(1000));
    } else {
        run_until(now_ns() + (int64_t)(options.warm * 1e9));
        count_start();
        run_until(now_ns() + (int64_t)(options.seconds * 1e9));
    }
    count_print();
    _exit(0); /* what is open goes with the process */
}
