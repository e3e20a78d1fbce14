/* cost.c - what the relay's two hot paths, a new visitor and a new device cost, in instructions.
 *
 * Run by tools/cost.py under callgrind: each work has a dump of its own, of the relay's part
 * alone.  Prints a line for each, between tabs: its name, what one of it is, how many there were,
 * the loop's turns, bytes copied.
 *
 * usage: rvpn-cost STATE_FOLDER
 */
#include "device.h"
#include "lockstep.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 16U
#define REQUEST 100U
#define ANSWER 200U
#define PORTION 131072U /* of bulk, in one turn */
#define FRAME 32768U
#define SMALL_FRAME 1024U

static const char host[] = "x.example.com";
static const char http_request[] = "GET /%0*u HTTP/1.1\r\nHost: x.example.com\r\n"
                                   "Accept: text/html\r\nUser-Agent: cost\r\n\r\n";

static SSL_CTX *context;
static char token[1024], other_token[1024];
static struct device device;
static uint8_t bytes[PORTION]; /* that are sent */

/* What a visitor begins with, and then asks again and again. */
struct taste {
    const char *service; /* field 5 of the answers */
    uint8_t first[2048];
    size_t first_len;
    uint8_t again[REQUEST];
};

static struct taste tls = {.service = "https"}, http = {.service = "http"};

/* The first bytes of a real client. */
static void make_tls(void)
{
    SSL *ssl = SSL_new(context);
    BIO *out = BIO_new(BIO_s_mem());
    int len;

    if (!ssl || !out || SSL_set_tlsext_host_name(ssl, host) != 1)
        lockstep_fail("no TLS for visitors");
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
    (void)SSL_connect(ssl);
    len = BIO_read(out, tls.first, sizeof(tls.first));
    if (len <= 0)
        lockstep_fail("no ClientHello");
    tls.first_len = (size_t)len;
    memset(tls.again, 0x17, sizeof(tls.again));
    SSL_free(ssl);
}

static void make_http(void)
{
    char text[REQUEST + 1];
    int bare = snprintf(text, sizeof(text), http_request, 0, 0U);

    if (snprintf(text, sizeof(text), http_request, (int)REQUEST - bare + 1, 0U) != (int)REQUEST)
        lockstep_fail("no request of that length");
    memcpy(http.first, text, REQUEST);
    memcpy(http.again, text, REQUEST);
    http.first_len = REQUEST;
}

/* Each of `visitors` has sent `len` bytes that have arrived; the device hears and answers them. */
static void exchange(struct end *visitors, unsigned count, const struct taste *t, size_t len)
{
    lockstep_turn();
    for (unsigned i = 0; i < count; i++) {
        device_await(&device, visitors[i].cid, len);
        device_say(&device, visitors[i].cid, t->service, bytes, ANSWER);
    }
    device_flush(&device);
    lockstep_turn();
    for (unsigned i = 0; i < count; i++)
        end_await(&visitors[i], ANSWER);
}

static void come(struct end *visitors, unsigned count, const struct taste *t)
{
    for (unsigned i = 0; i < count; i++)
        end_open(&visitors[i]);
    lockstep_accept(count);
    for (unsigned i = 0; i < count; i++) {
        end_send(&visitors[i], t->first, t->first_len);
        end_settle(&visitors[i]);
    }
    exchange(visitors, count, t, t->first_len);
}

/* The device has said all, and so each visitor has. */
static void go(struct end *visitors, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        device_say(&device, visitors[i].cid, "end", " ", 1);
    device_flush(&device);
    lockstep_turn();
    for (unsigned i = 0; i < count; i++) {
        end_await_finish(&visitors[i]);
        end_finish(&visitors[i]);
    }
    lockstep_turn();
    for (unsigned i = 0; i < count; i++)
        end_close(&visitors[i]);
    device_forget(&device);
}

static void visit(unsigned times, unsigned count, const struct taste *t)
{
    struct end visitors[AT_ONCE];

    lockstep_begin();
    for (unsigned done = 0; done < times; done += count) {
        come(visitors, count, t);
        go(visitors, count);
    }
    lockstep_end();
}

static void ask(unsigned times, unsigned count, const struct taste *t)
{
    struct end visitors[AT_ONCE];

    come(visitors, count, t);
    lockstep_begin();
    for (unsigned done = 0; done < times; done += count) {
        for (unsigned i = 0; i < count; i++) {
            end_send(&visitors[i], t->again, REQUEST);
            end_settle(&visitors[i]);
        }
        exchange(visitors, count, t, REQUEST);
    }
    lockstep_end();
    go(visitors, count);
}

static void push(unsigned times, unsigned count, size_t frame)
{
    struct end visitors[AT_ONCE];

    come(visitors, count, &tls);
    lockstep_begin();
    for (unsigned done = 0; done < times; done++) {
        for (size_t at = 0; at < PORTION; at += frame)
            device_say(&device, visitors[at / frame % count].cid, tls.service, bytes + at, frame);
        device_flush(&device);
        lockstep_turn();
        for (unsigned i = 0; i < count; i++)
            end_await(&visitors[i], PORTION / count);
    }
    lockstep_end();
    go(visitors, count);
}

static void pull(unsigned times, unsigned count)
{
    struct end visitors[AT_ONCE];

    come(visitors, count, &tls);
    lockstep_begin();
    for (unsigned done = 0; done < times; done++) {
        for (unsigned i = 0; i < count; i++) {
            end_send(&visitors[i], bytes, PORTION / count);
            end_settle(&visitors[i]);
        }
        lockstep_turn();
        for (unsigned i = 0; i < count; i++)
            device_await(&device, visitors[i].cid, PORTION / count);
    }
    lockstep_end();
    go(visitors, count);
}

static void shake_hands(unsigned times)
{
    static struct device other;

    lockstep_begin();
    for (unsigned done = 0; done < times; done++) {
        device_open(&other, context, other_token);
        device_close(&other);
    }
    lockstep_end();
}

static void run_to_visitor(unsigned times)
{
    push(times, 1, FRAME);
}
static void run_to_visitor_small(unsigned times)
{
    push(times, 4, SMALL_FRAME);
}
static void run_to_device(unsigned times)
{
    pull(times, 1);
}
static void run_to_device_many(unsigned times)
{
    pull(times, AT_ONCE);
}
static void run_request(unsigned times)
{
    ask(times, 1, &tls);
}
static void run_requests(unsigned times)
{
    ask(times, AT_ONCE, &tls);
}
static void run_http_requests(unsigned times)
{
    ask(times, AT_ONCE, &http);
}
static void run_visitors(unsigned times)
{
    visit(times, AT_ONCE, &tls);
}
static void run_http_visitors(unsigned times)
{
    visit(times, AT_ONCE, &http);
}

static const struct {
    const char *name;
    void (*run)(unsigned times);
    unsigned times;
    double units; /* in one of the times */
    const char *unit;
} works[] = {
    {"bulk to the visitor", run_to_visitor, 24, PORTION / 1e6, "MB"},
    {"the same to 4, frames of 1 KiB", run_to_visitor_small, 16, PORTION / 1e6, "MB"},
    {"bulk to the device", run_to_device, 24, PORTION / 1e6, "MB"},
    {"the same from 16", run_to_device_many, 24, PORTION / 1e6, "MB"},
    {"request, alone", run_request, 256, 1, "request"},
    {"request, of 16 at once", run_requests, 512, 1, "request"},
    {"the same in clear HTTP", run_http_requests, 512, 1, "request"},
    {"new visitor, TLS", run_visitors, 160, 1, "visitor"},
    {"new visitor, clear HTTP", run_http_visitors, 160, 1, "visitor"},
    {"new device", shake_hands, 8, 1, "device"},
};

/* Each work once to warm up, and once for the figure, in a dump of its own. */
int main(int argc, char *argv[])
{
    if (argc != 2)
        lockstep_fail("usage: rvpn-cost STATE_FOLDER");
    (void)signal(SIGPIPE, SIG_IGN); /* as the relay does */
    context = SSL_CTX_new(TLS_client_method());
    lockstep_start(argv[1]);
    make_tls();
    make_http();
    lockstep_token(host, token, sizeof(token));
    lockstep_token("y.example.com", other_token, sizeof(other_token));
    device_open(&device, context, token);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        struct lockstep_counts counts;

        works[i].run((works[i].times + 7) / 8);
        works[i].run(works[i].times);
        counts = lockstep_dump();
        (void)printf("%s\t%s\t%f\t%llu\t%llu\n", works[i].name, works[i].unit,
                     works[i].units * works[i].times, (unsigned long long)counts.turns,
                     (unsigned long long)counts.copied);
    }
    device_close(&device);
    SSL_CTX_free(context);
    return 0;
}
