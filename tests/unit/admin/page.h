/* page.h - one worker's edge in a test, and a page at the other end of a WebSocket to it, both on
 * one loop.  Units: bytes, milliseconds. */
#ifndef RVPN_TESTS_UNIT_ADMIN_PAGE_H
#define RVPN_TESTS_UNIT_ADMIN_PAGE_H

#include "admin/websocket.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PAGE_PATIENCE_MS 20000
#define PAGE_MAX (4U << 20)
#define FIN_BIT 0x80U

struct page {
    struct loop loop;
    struct edge_rules rules;
    struct trust trust;
    struct edge edge;
    int fd; /* the page's end */
    struct watch watch;
    struct deadline alarm;
    uint8_t *got; /* PAGE_MAX */
    size_t len;   /* that have come and not been taken */
    enum { PAGE_OPEN, PAGE_ENDED } state;
    int log_fd; /* what is logged */
};

/* A frame as it came. */
struct frame {
    bool is_fin;
    unsigned opcode;
    size_t len;
    uint8_t payload[70000];
};

static struct page *page_at(struct watch *w)
{
    return LIST_OWNER(w, struct page, watch);
}

static void page_on_ready(struct watch *w, unsigned ready)
{
    struct page *p = page_at(w);
    ssize_t got = recv(p->fd, p->got + p->len, PAGE_MAX - p->len, 0);

    (void)ready;
    if (got > 0) {
        p->len += (size_t)got;
    } else if (got == 0 || errno != EAGAIN) {
        p->state = PAGE_ENDED;
        loop_unwatch(&p->loop, w);
    }
    loop_stop(&p->loop);
}

static void page_on_alarm(struct deadline *d)
{
    loop_stop(&LIST_OWNER(d, struct page, alarm)->loop);
}

/* Runs the loop until something has come, or for `ms`. */
static inline void page_turn(struct page *p, int64_t ms)
{
    loop_start_deadline(&p->loop, &p->alarm, ms);
    p->loop.state = LOOP_RUNNING;
    loop_run(&p->loop);
}

void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

/* What is logged goes to a file of the page's; complaints of tests and sanitizers do not. */
static inline void page_catch_log(struct page *p)
{
    static int real = -1;

    if (real == -1) {
        real = dup(STDERR_FILENO);
        stderr = fdopen(real, "w");
        assert_non_null(stderr);
        (void)setvbuf(stderr, NULL, _IONBF, 0);
        if (__sanitizer_set_report_fd)
            __sanitizer_set_report_fd((void *)(intptr_t)real);
    }
    p->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(dup2(p->log_fd, STDERR_FILENO) != -1);
}

static inline struct page *page_new(void)
{
    struct page *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    assert_int_equal(loop_init(&p->loop, NULL), 0);
    p->rules.limits.pulse.interval_ms = PAGE_PATIENCE_MS;
    p->rules.limits.pulse.timeout_ms = PAGE_PATIENCE_MS;
    p->rules.dwell_ms = PAGE_PATIENCE_MS;
    p->rules.auth_timeout_ms = PAGE_PATIENCE_MS;
    edge_init(&p->edge, &(struct edge_parts){.workers = &p->edge,
                                             .worker_count = 1,
                                             .loop = &p->loop,
                                             .rules = &p->rules,
                                             .trust = &p->trust});
    p->got = malloc(PAGE_MAX);
    assert_non_null(p->got);
    deadline_init(&p->alarm, page_on_alarm);
    p->watch = (struct watch){.fd = -1, .on_ready = page_on_ready};
    p->fd = -1;
    page_catch_log(p);
    return p;
}

/* The relay's end of a new connection. */
static inline struct conn *page_connect(struct page *p)
{
    static const struct conn_ops nobody;
    struct conn *conn = NULL;
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_new(&p->loop, fds[0], &nobody, NULL, &conn), 0);
    p->fd = fds[1];
    assert_int_equal(loop_watch(&p->loop, &p->watch, p->fd, LOOP_READ), 0);
    return conn;
}

static inline void page_hang_up(struct page *p)
{
    loop_unwatch(&p->loop, &p->watch);
    (void)close(p->fd);
    p->fd = -1;
}

/* Everything must have ended, or ends when the page hangs up. */
static inline void page_free(struct page *p)
{
    if (p->fd != -1)
        page_hang_up(p);
    for (int i = 0; i < 100 && !list_is_empty(&p->edge.sockets); i++)
        page_turn(p, 20);
    page_turn(p, 20);
    assert_true(list_is_empty(&p->edge.sockets));
    assert_int_equal(tally_read(&p->edge.tally, TALLY_PENDING), 0);
    edge_fini(&p->edge);
    loop_fini(&p->loop);
    (void)close(p->log_fd);
    free(p->got);
    free(p);
}

static inline void page_send(struct page *p, const void *bytes, size_t len)
{
    assert_int_equal(send(p->fd, bytes, len, MSG_NOSIGNAL), len);
}

/* Sends one masked frame; `first` is its first byte. */
static inline void page_say(struct page *p, unsigned first, const void *payload, size_t len)
{
    static const uint8_t key[4] = {0x37, 0xFA, 0x21, 0x3D};
    uint8_t *frame = malloc(WS_HEAD_MAX + len);
    size_t head_len;

    assert_non_null(frame);
    head_len = ws_write_head_masked(frame, WS_OP_TEXT, len, key);
    frame[0] = (uint8_t)first;
    if (len)
        memcpy(frame + head_len, payload, len);
    ws_mask(frame + head_len, len, key, 0);
    page_send(p, frame, head_len + len);
    free(frame);
}

static inline void page_say_text(struct page *p, const char *text)
{
    page_say(p, FIN_BIT | WS_OP_TEXT, text, strlen(text));
}

/* Takes a whole frame from what has come.  Returns whether there was one. */
static inline bool page_take(struct page *p, struct frame *out)
{
    size_t len7 = p->len >= 2 ? p->got[1] : 0;
    size_t head_len = len7 == 126 ? 4 : 2;

    assert_true(len7 < 127); /* longer frames are read as bytes, and masked ones are wrong */
    if (p->len < head_len)
        return false;
    out->len = len7 == 126 ? (size_t)(p->got[2] << 8 | p->got[3]) : len7;
    if (p->len < head_len + out->len)
        return false;
    out->is_fin = p->got[0] & FIN_BIT;
    out->opcode = p->got[0] & 0x0FU;
    assert_int_equal(p->got[0] & 0x70U, 0);
    memcpy(out->payload, p->got + head_len, out->len);
    out->payload[out->len] = '\0';
    p->len -= head_len + out->len;
    memmove(p->got, p->got + head_len + out->len, p->len);
    return true;
}

/* Waits for the next frame. */
static inline struct frame *page_hear(struct page *p)
{
    static struct frame frame;

    while (!page_take(p, &frame)) {
        int64_t before_ms = p->loop.now_ms;

        assert_int_equal(p->state, PAGE_OPEN);
        page_turn(p, PAGE_PATIENCE_MS);
        if (p->loop.now_ms - before_ms >= PAGE_PATIENCE_MS)
            fail_msg("nothing came");
    }
    return &frame;
}

static inline void page_hears_text(struct page *p, const char *text)
{
    const struct frame *f = page_hear(p);

    assert_int_equal(f->opcode, WS_OP_TEXT);
    assert_true(f->is_fin);
    assert_string_equal((const char *)f->payload, text);
}

/* The next frame is a Close with `code`, and then the relay hangs up. */
static inline void page_hears_close(struct page *p, unsigned code)
{
    const struct frame *f = page_hear(p);

    assert_int_equal(f->opcode, WS_OP_CLOSE);
    if (code == WS_CODE_NONE) {
        assert_int_equal(f->len, 0);
    } else {
        assert_true(f->len >= 2);
        assert_int_equal(f->payload[0] << 8 | f->payload[1], code);
    }
    while (p->state == PAGE_OPEN)
        page_turn(p, PAGE_PATIENCE_MS);
    assert_int_equal(p->len, 0);
}

/* Whether the log holds `text`. */
static inline bool page_log_has(struct page *p, const char *text)
{
    static char log[1 << 18];
    ssize_t len = pread(p->log_fd, log, sizeof(log) - 1, 0);

    assert_true(len >= 0);
    log[len] = '\0';
    return strstr(log, text) != NULL;
}

#endif
