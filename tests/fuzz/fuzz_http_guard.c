/* fuzz_http_guard.c - the first byte says how the rest is cut; the device answers an upgrade with
 * 101 if it is odd.  However it is cut as many bytes pass, and what passes as a head is one for
 * the host. */
#include "proto/http_guard.h"

#include <errno.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Offers in[0..len) until no more passes.  Returns how many bytes did; *bad is whether the rest is
 * refused. */
static size_t offer(struct http_guard *g, const uint8_t *in, size_t len, const char *answer,
                    bool *bad)
{
    size_t at = 0;
    ssize_t used;

    do {
        used = http_guard_feed(g, in + at, len - at);
        if (used > (ssize_t)(len - at))
            abort();
        at += used > 0 ? (size_t)used : 0;
        if (!http_guard_is_waiting(g))
            continue;
        if (http_guard_feed(g, in + at, len - at) != 0)
            abort();
        http_guard_on_answer(g, slice_text(answer));
        used = 1;
    } while (used > 0 && at < len);
    *bad = used < 0;
    return at;
}

/* Feeds in[0..len) in steps.  Returns how many bytes passed; *bad is whether it was refused. */
static size_t walk(const uint8_t *in, size_t len, size_t step, const char *answer, bool *bad)
{
    struct http_guard g;
    struct hostname host;
    size_t at = 0, come = 0;

    *bad = false;
    if (hostname_parse(slice_text("a.example"), &host))
        abort();
    http_guard_init(&g, &host);
    while (come < len && !*bad) {
        come = len - come < step ? len : come + step;
        at += offer(&g, in + at, come - at, answer, bad);
    }
    if (*bad && http_guard_feed(&g, in, len) != -EPROTO)
        abort();
    return at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *answer;
    bool bad, bad_in_steps;
    size_t whole, steps;

    if (size < 1)
        return 0;
    answer = data[0] & 1 ? "HTTP/1.1 101 Switching Protocols\r\n" : "HTTP/1.1 200 OK\r\n";
    whole = walk(data + 1, size - 1, size, answer, &bad);
    steps = walk(data + 1, size - 1, data[0] / 2U + 1U, answer, &bad_in_steps);
    /* In pieces more of a broken body may have passed, and less may have been seen to be bad. */
    if (bad ? steps < whole : steps != whole || bad_in_steps)
        abort();
    return 0;
}
