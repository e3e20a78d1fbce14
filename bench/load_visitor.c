#include "load_visitor.h"

#include "load.h"
#include "load_count.h"
#include "load_head.h"
#include "load_loop.h"
#include "load_pattern.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define ENDLESS UINT64_C(1000000000000)
#define DIALLING_MAX 64U
#define REQUEST_MAX 4096U
#define ERRORS_MAX 1000U

enum visitor_state { VISITOR_DIALLING, VISITOR_ASKING, VISITOR_RESTING, VISITOR_OVER };

struct visitor {
    struct source source; /* first: a source is its visitor */
    enum visitor_state state;
    enum work work;
    unsigned index, name;
    bool is_beside, is_in_body;
    uint64_t seed;
    uint64_t sent, to_send; /* of the pattern */
    uint64_t at, bytes;     /* of the answer's body */
    int64_t asked_ns;
    struct visitor *next; /* that rests */
    struct head head;
};

static struct visitor *visitors;
static unsigned visitor_count, connected, dialling, over;
static uint64_t asked;
static struct source listener;
static unsigned accepted;
static struct visitor *resting, **resting_end = &resting;
static uint8_t scratch[SCRATCH_BYTES + 8];

static void dial_visitor(struct visitor *v);
static void on_visitor(struct source *s, uint32_t events);

static bool moves(const struct visitor *v)
{
    return v->work == WORK_DOWN || v->work == WORK_UP || v->work == WORK_ECHO;
}

/* Bytes that this visitor is to move, one way. */
static uint64_t share_of(const struct visitor *v)
{
    return options.amount && !v->is_beside ? options.amount / options.visitors : ENDLESS;
}

static int format_request(struct visitor *v, char *out, int seed_width)
{
    static const char *const paths[] = {
        [WORK_DOWN] = "GET /down", [WORK_UP] = "POST /up",        [WORK_ECHO] = "POST /echo",
        [WORK_ASK] = "GET /ask",   [WORK_SHORT] = "GET /short",   [WORK_TOUCH] = "GET /touch",
        [WORK_IDLE] = "GET /ask",  [WORK_HANDSHAKES] = "GET /ask"};
    uint64_t number = moves(v) ? share_of(v) : v->work == WORK_TOUCH ? v->index : options.answer;
    char name[NAME_SIZE], length[64] = "";

    name_write(v->name, name);
    if (v->to_send)
        (void)snprintf(length, sizeof(length), "Content-Length: %ju\r\n", (uintmax_t)v->to_send);
    return snprintf(out, REQUEST_MAX, "%s/%0*ju/%ju HTTP/1.1\r\nHost: %s\r\n%s\r\n", paths[v->work],
                    seed_width, (uintmax_t)v->seed, (uintmax_t)number, name, length);
}

/* Leading zeros make up for the length that is wanted.  Returns the request's length. */
static size_t write_request(struct visitor *v, char *out)
{
    int len = format_request(v, out, 10), more = (int)options.request - len;

    if (more > 0 && !moves(v))
        len = format_request(v, out, 10 + more);
    if (len >= (int)REQUEST_MAX)
        die("a long request");
    return (size_t)len;
}

static size_t write_hello(const struct visitor *v, uint8_t *out)
{
    static uint8_t hello[2048];
    static size_t len, at;
    char name[NAME_SIZE];
    size_t name_len;

    if (len == 0) {
        name_write(0, name);
        len = hello_write(name, hello, sizeof(hello));
        at = (size_t)((uint8_t *)memmem(hello, len, name, strlen(name)) - hello);
    }
    name_write(v->name, name);
    name_len = strlen(name);
    memcpy(hello + at, name, name_len);
    memcpy(out, hello, len);
    return len;
}

static void ask(struct visitor *v, bool is_first)
{
    size_t len = is_first && options.by == BY_SNI ? write_hello(v, scratch) : 0;

    v->state = VISITOR_ASKING;
    v->is_in_body = false;
    v->sent = v->at = 0;
    v->to_send = v->work == WORK_UP || v->work == WORK_ECHO ? share_of(v) : 0;
    asked += !is_first;
    if (is_first) {
        static uint32_t serial;

        serial += UINT32_C(2654435761); /* odd: no two are the same */
        v->seed = serial;
    }
    len += write_request(v, (char *)scratch + len);
    if (!is_first || v->work != WORK_SHORT)
        v->asked_ns = now_ns();
    if (send(v->source.fd, scratch, len, MSG_NOSIGNAL) != (ssize_t)len)
        die("a request is not taken");
    source_watch(&v->source, v->is_beside && options.beside_stalls
                                 ? EPOLLHUP
                                 : EPOLLIN | (v->to_send ? EPOLLOUT : 0U));
}

static void rest(struct visitor *v)
{
    v->state = VISITOR_RESTING;
    v->next = NULL;
    *resting_end = v;
    resting_end = &v->next;
}

int visitors_wake(int max_ms)
{
    int64_t pause_ns = (int64_t)options.pause_ms * 1000000, now = now_ns();

    while (resting) {
        struct visitor *v = resting;
        int64_t left = v->asked_ns + pause_ns - now;

        if (left > 0)
            return left / 1000000 + 1 < max_ms ? (int)(left / 1000000 + 1) : max_ms;
        resting = v->next;
        if (!resting)
            resting_end = &resting;
        ask(v, false);
    }
    return max_ms;
}

static void finish(struct visitor *v)
{
    v->state = VISITOR_OVER;
    over++;
}

/* Comes again as another, if more is wanted. */
static void come_again(struct visitor *v, enum closing how)
{
    source_close(&v->source, how);
    if (options.amount && asked >= options.amount)
        finish(v);
    else
        dial_visitor(v);
}

static void lose(struct visitor *v)
{
    if (moves(v) || ++counts.errors > ERRORS_MAX)
        die("visitor %u lost its connection", v->index);
    come_again(v, CLOSING_FIN);
}

void visitor_touched(unsigned index, uint64_t seed)
{
    struct visitor *v = index < visitor_count ? &visitors[index] : NULL;

    if (!v || v->source.fd == -1 || v->seed != seed)
        return;
    count_request(now_ns() - v->asked_ns);
    come_again(v, CLOSING_RESET);
}

/* The whole answer has come. */
static void on_answer(struct visitor *v)
{
    if (v->work == WORK_SHORT) /* the device ends it */
        return;
    if (v->work == WORK_ASK) {
        int64_t now = now_ns();

        count_request(now - v->asked_ns);
        v->asked_ns = now;
    }
    if (moves(v) || v->work == WORK_IDLE || (options.amount && asked >= options.amount))
        finish(v);
    else if (options.pause_ms)
        rest(v);
    else
        ask(v, false);
}

static size_t take_head(struct visitor *v, const uint8_t *in, size_t len)
{
    static const char length[] = "content-length:";
    size_t used = head_take(&v->head, in, len, &v->is_in_body);
    const char *at;

    if (!v->is_in_body)
        return used;
    at = strcasestr(v->head.text, length);
    if (strncmp(v->head.text, "HTTP/1.1 200", 12) != 0 || !at)
        die("visitor %u is answered: %.100s", v->index, v->head.text);
    v->bytes = strtoull(at + sizeof(length) - 1, NULL, 10);
    return used;
}

static size_t take_body(struct visitor *v, const uint8_t *in, size_t len)
{
    size_t count = v->bytes - v->at < len ? (size_t)(v->bytes - v->at) : len;

    if (v->work == WORK_UP ? memcmp(in, &"ok"[v->at], count) != 0
                           : !pattern_is(in, count, v->seed, v->at))
        die("other bytes than were sent to visitor %u, near %ju", v->index, (uintmax_t)v->at);
    v->at += count;
    if (v->work == WORK_DOWN || v->work == WORK_ECHO)
        counts.down += count;
    if (v->at == v->bytes)
        on_answer(v);
    return count;
}

static void take(struct visitor *v, const uint8_t *in, size_t len)
{
    if (v->state != VISITOR_ASKING)
        die("visitor %u is told more than it asked", v->index);
    while (len) {
        size_t used = v->is_in_body ? take_body(v, in, len) : take_head(v, in, len);

        if (used == 0)
            die("visitor %u is told more than it asked", v->index);
        in += used;
        len -= used;
    }
}

static void receive(struct visitor *v)
{
    /* So that the pattern's words lie where words should. */
    uint8_t *in = scratch + (v->is_in_body ? v->at & 7 : 0);
    ssize_t got = recv(v->source.fd, in, SCRATCH_BYTES, 0);

    if (got == -1 && errno == EAGAIN)
        return;
    if (got > 0) {
        take(v, in, (size_t)got);
    } else if (got == 0 && v->work == WORK_SHORT && v->is_in_body && v->at == v->bytes) {
        count_request(now_ns() - v->asked_ns);
        come_again(v, CLOSING_FIN);
    } else if (options.work == WORK_HANDSHAKES) {
        source_close(&v->source, CLOSING_FIN);
        loop_free_later(v);
    } else {
        lose(v);
    }
}

static void send_some(struct visitor *v)
{
    uint64_t left = v->to_send - v->sent;
    size_t len = left < SCRATCH_BYTES ? (size_t)left : SCRATCH_BYTES;
    ssize_t sent;

    pattern_fill(scratch, len, v->seed, v->sent, 0);
    sent = send(v->source.fd, scratch, len, MSG_NOSIGNAL);
    if (sent <= 0)
        return;
    v->sent += (uint64_t)sent;
    if (options.far == FAR_NONE)
        counts.up += (uint64_t)sent;
    if (v->sent == v->to_send)
        source_watch(&v->source, EPOLLIN);
}

static void on_visitor(struct source *s, uint32_t events)
{
    struct visitor *v = (struct visitor *)s;

    if (v->state == VISITOR_DIALLING) {
        dialling--;
        connected++;
        if (dial_error(s->fd))
            lose(v);
        else
            ask(v, true);
        return;
    }
    if (events & EPOLLOUT)
        send_some(v);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        receive(v);
}

/* Those that come again and again go to all names. */
static void dial_visitor(struct visitor *v)
{
    static unsigned turn;

    if ((v->work == WORK_SHORT || v->work == WORK_TOUCH) && !options.beside_elsewhere)
        v->name = turn++ % options.names;
    v->state = VISITOR_DIALLING;
    v->head.len = 0;
    v->asked_ns = now_ns();
    asked += !v->is_beside;
    v->source = (struct source){.fd = dial(options.visit_port), .on_events = on_visitor};
    source_watch(&v->source, EPOLLOUT);
    dialling++;
}

/* A leg's visitor; of a leg that only shakes hands, one that says a byte and waits for the end. */
static void on_accept(struct source *s, uint32_t events)
{
    struct visitor *v = NULL;
    int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd == -1)
        return;
    if (options.work == WORK_HANDSHAKES)
        v = calloc(1, sizeof(*v));
    else if (accepted < visitor_count)
        v = &visitors[accepted++];
    if (!v)
        die("a visitor too many");
    v->source = (struct source){.fd = fd, .on_events = on_visitor};
    if (options.work == WORK_HANDSHAKES) {
        v->state = VISITOR_ASKING;
        (void)send(fd, "", 1, MSG_NOSIGNAL);
        source_watch(&v->source, EPOLLIN);
    } else {
        connected++;
        asked++;
        ask(v, true);
    }
}

static void init(struct visitor *v, unsigned index)
{
    unsigned own_names = options.names > 1 ? options.names - 1 : 1;

    v->index = index;
    v->is_beside = index >= options.visitors;
    v->source.fd = -1;
    v->work = v->is_beside ? options.beside : options.work;
    if (v->work == WORK_BOTH)
        v->work = index % 2 ? WORK_UP : WORK_DOWN;
    v->name = v->is_beside && options.beside_elsewhere ? 1 + index % own_names
              : options.beside_elsewhere               ? 0
                                                       : index % options.names;
}

void visitors_begin(void)
{
    visitors = calloc(options.visitors + options.besides + 1, sizeof(*visitors));
    if (!visitors)
        die("memory");
    for (; visitor_count < options.visitors + options.besides; visitor_count++)
        init(&visitors[visitor_count], visitor_count);
    if (options.by != BY_ACCEPT)
        return;
    listener = (struct source){.fd = listen_on(options.visit_port), .on_events = on_accept};
    source_watch(&listener, EPOLLIN);
}

void visitors_open(void)
{
    if (options.by == BY_ACCEPT)
        return;
    for (unsigned i = 0; i < visitor_count || connected < visitor_count;) {
        for (; i < visitor_count && dialling < DIALLING_MAX; i++)
            dial_visitor(&visitors[i]);
        loop_turn(visitors_wake(1000));
    }
}

bool visitors_are_over(void)
{
    return over >= options.visitors;
}
