#include "proto/http_guard.h"

#include <errno.h>

void http_guard_init(struct http_guard *g, const struct hostname *host)
{
    *g = (struct http_guard){.state = HTTP_GUARD_FIRST, .host = *host};
}

bool http_guard_is_waiting(const struct http_guard *g)
{
    return g->state == HTTP_GUARD_ASKED;
}

/* HTTP/2 names a host in each request: an upgrade to it is not followed, so its frames do not pass.
 * Only the first request of a connection may upgrade: a pipelined one's answer could be taken for
 * that of a request before it. */
static enum http_guard_state after_head(const struct http_guard *g, const struct http_head *head)
{
    bool upgrade = head->wants_upgrade && !http_head_has_token(head, "Upgrade", "h2c");

    if (upgrade && (g->state != HTTP_GUARD_FIRST || head->framing != HTTP_FRAMING_NONE))
        return HTTP_GUARD_BAD;
    if (upgrade)
        return HTTP_GUARD_ASKED;
    return head->target_form == HTTP_TARGET_AUTHORITY ? HTTP_GUARD_BAD : HTTP_GUARD_BODY;
}

/* Each look at a head is one from its start: a head that comes in single bytes is looked at again
 * only when it may have become whole, or too long. */
static bool is_due(const struct http_guard *g, const uint8_t *in, size_t len)
{
    return g->seen == 0 || len >= HTTP_HEAD_MAX ||
           (len > g->seen && memchr(in + g->seen, '\n', len - g->seen));
}

static ssize_t pass_head(struct http_guard *g, const uint8_t *in, size_t len)
{
    struct http_head head;
    ssize_t used = is_due(g, in, len) ? http_head_parse(in, len, &head) : 0;

    g->seen = len;
    if (used == 0 && len < HTTP_HEAD_MAX)
        return 0;
    g->seen = 0;
    if (used > 0 && (!head.has_host || hostname_is_equal(&head.host, &g->host))) {
        g->state = after_head(g, &head);
        http_body_init(&g->body, &head);
    } else {
        g->state = HTTP_GUARD_BAD;
    }
    return g->state == HTTP_GUARD_BAD ? -EPROTO : used;
}

static ssize_t pass_body(struct http_guard *g, const uint8_t *in, size_t len)
{
    ssize_t used = http_body_feed(&g->body, in, len);

    if (used < 0)
        g->state = HTTP_GUARD_BAD;
    else if (http_body_is_done(&g->body))
        g->state = HTTP_GUARD_HEAD;
    return used;
}

/* One step; 0 and no other state: nothing more passes now. */
static ssize_t pass(struct http_guard *g, const uint8_t *in, size_t len)
{
    switch (g->state) {
    case HTTP_GUARD_FIRST:
    case HTTP_GUARD_HEAD: return len ? pass_head(g, in, len) : 0;
    case HTTP_GUARD_BODY: return pass_body(g, in, len);
    case HTTP_GUARD_OPAQUE: return (ssize_t)len;
    case HTTP_GUARD_ASKED: return 0;
    case HTTP_GUARD_BAD: break;
    }
    return -EPROTO;
}

ssize_t http_guard_feed(struct http_guard *g, const uint8_t *in, size_t len)
{
    size_t passed = 0;
    enum http_guard_state before;
    ssize_t used;

    do {
        before = g->state;
        used = pass(g, in + passed, len - passed);
        if (used < 0)
            break;
        passed += (size_t)used;
    } while (passed < len && (used > 0 || g->state != before));
    return passed ? (ssize_t)passed : used;
}

void http_guard_on_answer(struct http_guard *g, struct slice bytes)
{
    size_t take = sizeof(g->answer) - g->answer_len;

    if (g->state != HTTP_GUARD_ASKED)
        return;
    if (take > bytes.len)
        take = bytes.len;
    memcpy(g->answer + g->answer_len, bytes.ptr, take);
    g->answer_len += (unsigned)take;
    if (g->answer_len < sizeof("HTTP/1.1 101") - 1)
        return;
    if (memcmp(g->answer, "HTTP/1.", 7) == 0 && memcmp(g->answer + 8, " 101", 4) == 0)
        g->state = HTTP_GUARD_OPAQUE;
    else
        g->state = HTTP_GUARD_HEAD;
}
