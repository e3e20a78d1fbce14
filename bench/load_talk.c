#include "load_talk.h"

#include "load.h"
#include "load_count.h"
#include "load_forward.h"
#include "load_link.h"
#include "load_pattern.h"
#include "load_tunnel.h"
#include "load_visitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_HEAD 5U /* of a TLS record: type, version, length */
#define ANSWER_MAX 65536U

static uint8_t piece[SCRATCH_BYTES];

struct talk *talk_new(struct link *l)
{
    struct talk *t = malloc(sizeof(*t));

    if (!t)
        die("memory");
    memset(t, 0, offsetof(struct talk, head.text));
    t->cid_len = t->tail_len = 0;
    t->link = l;
    return t;
}

/* In the ring while it has something to send. */
static void mind_ring(struct talk *t)
{
    struct link *l = t->link;
    bool sends = t->state == TALK_DOWN && !t->is_paused && t->at < t->bytes;

    if (sends == (t->next != NULL))
        return;
    if (sends) {
        t->next = l->turn ? l->turn : t;
        t->last = l->turn ? l->turn->last : t;
        t->next->last = t->last->next = t;
        l->turn = l->turn ? l->turn : t;
        return;
    }
    if (l->turn == t)
        l->turn = t->next == t ? NULL : t->next;
    t->next->last = t->last;
    t->last->next = t->next;
    t->next = t->last = NULL;
}

void talk_free(struct talk *t)
{
    t->state = TALK_OVER;
    mind_ring(t);
    if (t->forward)
        forward_free(t->forward);
    free(t);
}

void talk_set_paused(struct talk *t, bool is_paused)
{
    t->is_paused = is_paused;
    mind_ring(t);
    if (t->forward)
        forward_set_paused(t->forward, is_paused);
}

static void say(struct talk *t, const uint8_t *bytes, size_t len)
{
    if (t->link->tunnel)
        tunnel_say(t, bytes, len);
    else
        link_put(t->link, bytes, len);
}

size_t answer_head(char *out, size_t size, uint64_t bytes)
{
    return (size_t)snprintf(out, size, "HTTP/1.1 200 OK\r\nContent-Length: %ju\r\n\r\n",
                            (uintmax_t)bytes);
}

/* An answer of `bytes` in all. */
static void say_answer(struct talk *t, size_t bytes)
{
    char head[128];
    size_t len = answer_head(head, sizeof(head), bytes);

    len = answer_head(head, sizeof(head), bytes > len ? bytes - len : 0);
    if (bytes < len || bytes > ANSWER_MAX)
        die("no answer has %zu bytes", bytes);
    memcpy(piece, head, len);
    pattern_fill(piece + len, bytes - len, t->seed, 0, 0);
    say(t, piece, bytes);
}

size_t talk_send_some(struct talk *t, size_t max)
{
    size_t most = t->link->tunnel ? tunnel_body_max(t) : options.frame;
    size_t len = t->bytes - t->at < most ? (size_t)(t->bytes - t->at) : most;

    len = len < max ? len : max;
    if (t->link->tunnel) {
        tunnel_say_pattern(t, len);
    } else {
        pattern_fill(piece, len, t->seed, t->at, 0);
        link_put(t->link, piece, len);
    }
    t->at += len;
    mind_ring(t);
    return len;
}

/* Whether the path in the first line is `what`; reads the two numbers behind it. */
static bool is_path(struct talk *t, const char *what)
{
    const char *path = strstr(t->head.text, " /");
    size_t len = strlen(what);
    char *end;

    if (!path || strncmp(path + 2, what, len) != 0 || path[2 + len] != '/')
        return false;
    t->seed = strtoull(path + 3 + len, &end, 10);
    t->bytes = *end == '/' ? strtoull(end + 1, NULL, 10) : 0;
    t->at = 0;
    return true;
}

static void say_head(struct talk *t)
{
    char head[128];

    say(t, (const uint8_t *)head, answer_head(head, sizeof(head), t->bytes));
}

static void finish(struct talk *t)
{
    t->state = TALK_OVER;
    if (t->link->tunnel)
        tunnel_say_end(t);
    else
        t->link->is_over = true;
}

static void obey(struct talk *t)
{
    if (is_path(t, "ask")) {
        say_answer(t, (size_t)t->bytes);
    } else if (is_path(t, "short")) {
        say_answer(t, (size_t)t->bytes);
        finish(t);
    } else if (is_path(t, "touch")) {
        visitor_touched((unsigned)t->bytes, t->seed);
    } else if (is_path(t, "down")) {
        say_head(t);
        t->state = TALK_DOWN;
        mind_ring(t);
    } else if (is_path(t, "up")) {
        t->state = TALK_UP;
    } else if (is_path(t, "echo")) {
        say_head(t);
        t->state = TALK_ECHO;
    } else {
        die("not a request: %.80s", t->head.text);
    }
}

static size_t take_head(struct talk *t, const uint8_t *in, size_t len)
{
    bool whole;
    size_t used = head_take(&t->head, in, len, &whole);

    if (whole)
        obey(t);
    return used;
}

static size_t take_pattern(struct talk *t, const uint8_t *in, size_t len)
{
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    size_t count = t->bytes - t->at < len ? (size_t)(t->bytes - t->at) : len;

    if (!pattern_is(in, count, t->seed, t->at))
        die("other bytes than were sent to the device, near %ju", (uintmax_t)t->at);
    if (t->state == TALK_ECHO)
        say(t, in, count);
    t->at += count;
    counts.up += count;
    if (t->at == t->bytes) {
        if (t->state == TALK_UP)
            say(t, (const uint8_t *)ok, sizeof(ok) - 1);
        t->state = TALK_HEAD;
    }
    return count;
}

/* A ClientHello is one TLS record here.  Its head may come in pieces: many visitors that come at
 * once share records of the tunnel, which end anywhere. */
static size_t take_hello(struct talk *t, const uint8_t *in, size_t len)
{
    size_t count = t->skip < len ? t->skip : len;

    if (t->hello_at < HELLO_HEAD) {
        if (t->hello_at >= HELLO_HEAD - 2)
            t->skip = t->skip << 8 | in[0];
        t->hello_at++;
        return 1;
    }
    t->skip -= (unsigned)count;
    if (t->skip == 0)
        t->hello_at = 0;
    return count;
}

void talk_take(struct talk *t, const uint8_t *in, size_t len)
{
    if (options.forward_port) {
        if (!t->forward)
            t->forward = forward_new(t);
        forward_take(t->forward, in, len);
        return;
    }
    while (len) {
        size_t used = len;

        if (t->state == TALK_HEAD && (t->hello_at || (t->head.len == 0 && in[0] == 0x16)))
            used = take_hello(t, in, len);
        else if (t->state == TALK_HEAD)
            used = take_head(t, in, len);
        else if (t->state == TALK_UP || t->state == TALK_ECHO)
            used = take_pattern(t, in, len);
        in += used;
        len -= used;
    }
}
