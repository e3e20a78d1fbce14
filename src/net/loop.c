#include "net/loop.h"

#include "base/clock.h"
#include "base/slab.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SPARE_CHUNKS 64 /* 4 MiB of big chunks are kept for the next burst */
#define TRIM_MS 1000
#define TRIM_BYTES 1048576U /* less is not worth a walk through the heap */
#define SHORT_LOOK_MS 100   /* while memory is short: other loops may have given back */

static void on_bell(struct watch *w, unsigned ready)
{
    eventfd_t rings;

    (void)ready;
    (void)eventfd_read(w->fd, &rings); /* the mailbox is opened in every turn */
}

int loop_init(struct loop *l, void *receiver)
{
    int err;

    *l = (struct loop){.epoll_fd = -1, .now_ms = clock_now_ms()};
    list_init(&l->tasks);
    list_init(&l->graves);
    list_init(&l->wanting);
    pool_init(&l->pool, SPARE_CHUNKS);
    pace_init(&l->pace);
    wheel_init(&l->wheel, l->now_ms);
    err = mailbox_init(&l->mailbox, receiver);
    if (err)
        goto fail;
    err = -ENOMEM;
    l->cipher = malloc(LOOP_CIPHER_BYTES);
    l->plain = malloc(LOOP_HEADROOM + LOOP_PLAIN_BYTES);
    if (l->plain)
        l->plain += LOOP_HEADROOM;
    if (!l->cipher || !l->plain)
        goto fail;
    /* Touched now, so that memory in use is the same before and after the first traffic. */
    memset(l->cipher, 0, LOOP_CIPHER_BYTES);
    memset(l->plain - LOOP_HEADROOM, 0, LOOP_HEADROOM + LOOP_PLAIN_BYTES);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd == -1) {
        err = -errno;
        goto fail;
    }
    l->bell.on_ready = on_bell;
    err = loop_watch(l, &l->bell, l->mailbox.bell, LOOP_READ);
    if (err)
        goto fail;
    return 0;

fail:
    loop_fini(l);
    return err;
}

static void free_graves(struct loop *l)
{
    struct list *link;

    while ((link = list_take(&l->graves))) {
        struct grave *g = LIST_OWNER(link, struct grave, link);

        g->free(g);
    }
}

void loop_fini(struct loop *l)
{
    mailbox_fini(&l->mailbox);
    if (l->graves.next)
        free_graves(l);
    if (l->epoll_fd != -1)
        (void)close(l->epoll_fd);
    free(l->cipher);
    if (l->plain)
        free(l->plain - LOOP_HEADROOM);
    pool_fini(&l->pool);
    *l = (struct loop){.epoll_fd = -1};
}

static uint32_t to_epoll(unsigned interest)
{
    return (interest & LOOP_READ ? EPOLLIN : 0U) | (interest & LOOP_WRITE ? EPOLLOUT : 0U);
}

int loop_watch(struct loop *l, struct watch *w, int fd, unsigned interest)
{
    struct epoll_event event = {.events = to_epoll(interest), .data.ptr = w};

    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) == -1)
        return -errno;
    w->fd = fd;
    w->interest = interest;
    return 0;
}

void loop_set_interest(struct loop *l, struct watch *w, unsigned interest)
{
    struct epoll_event event = {.events = to_epoll(interest), .data.ptr = w};

    if (w->fd == -1 || interest == w->interest)
        return;
    w->interest = interest;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, w->fd, &event); /* the fd is ours and in there */
}

void loop_unwatch(struct loop *l, struct watch *w)
{
    if (w->fd == -1)
        return;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, NULL);
    w->fd = -1;
}

void loop_unwatch_closing(struct watch *w)
{
    w->fd = -1;
}

void task_init(struct task *t, void (*run)(struct task *t))
{
    list_init(&t->link);
    t->run = run;
}

void loop_defer(struct loop *l, struct task *t)
{
    if (list_is_empty(&t->link))
        list_push(&l->tasks, &t->link);
}

void task_cancel(struct task *t)
{
    list_remove(&t->link);
}

void loop_want_descriptor(struct loop *l, struct task *t)
{
    if (list_is_empty(&t->link))
        list_push(&l->wanting, &t->link);
}

void loop_take_descriptor(struct loop *l)
{
    supply_take_descriptor(l->supply);
}

void loop_give_descriptor(struct loop *l)
{
    supply_give_descriptor(l->supply);
    list_move_all(&l->wanting, &l->tasks);
}

void loop_bury(struct loop *l, struct grave *g)
{
    list_push(&l->graves, &g->link);
}

void loop_start_deadline(struct loop *l, struct deadline *d, int64_t in_ms)
{
    deadline_start(d, &l->wheel, l->now_ms + in_ms);
}

static void run_tasks(struct loop *l)
{
    struct list *link;

    while ((link = list_take(&l->tasks))) {
        struct task *t = LIST_OWNER(link, struct task, link);

        t->run(t);
    }
}

static void call_ready(const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct watch *w = events[i].data.ptr;
        uint32_t bits = events[i].events;

        if (w->fd == -1) /* closed earlier in this turn */
            continue;
        w->on_ready(w, (bits & EPOLLIN ? LOOP_READ : 0U) | (bits & EPOLLOUT ? LOOP_WRITE : 0U) |
                           (bits & (EPOLLHUP | EPOLLERR) ? LOOP_HANGUP : 0U));
    }
}

size_t loop_memory(const struct loop *l)
{
    return pool_bytes(&l->pool) + l->fixed_bytes;
}

enum supply_level loop_memory_level(const struct loop *l)
{
    return l->memory.level;
}

/* Spare chunks go back to the heap, and the heap's free pages to the system when there must be many
 * of them: free() keeps what lies below something that is still in use. */
static void trim(struct loop *l)
{
    pool_trim(&l->pool);
    l->memory.trim_at_ms = 0;
    if (l->memory.peak_bytes - l->memory.lately_bytes < TRIM_BYTES)
        return;
    l->memory.peak_bytes = l->memory.lately_bytes;
    slab_trim();
    (void)malloc_trim(0);
}

static void mind_memory(struct loop *l)
{
    size_t held = loop_memory(l);
    enum supply_level before = l->memory.level;

    l->memory.told_bytes = supply_tell_memory(l->supply, l->memory.told_bytes, held);
    l->memory.told_queues =
        supply_tell_queues(l->supply, l->memory.told_queues, pool_bytes(&l->pool));
    l->memory.level = supply_memory(l->supply, before);
    if (l->memory.level != before && l->on_memory_level)
        l->on_memory_level(l->mailbox.receiver);
    if (held > l->memory.peak_bytes)
        l->memory.peak_bytes = held;
    if (held > l->memory.lately_bytes)
        l->memory.lately_bytes = held;
    if (l->memory.trim_at_ms && l->now_ms >= l->memory.trim_at_ms)
        trim(l);
    if (!l->memory.trim_at_ms &&
        (l->pool.spare_count || l->memory.peak_bytes - held >= TRIM_BYTES)) {
        l->memory.trim_at_ms = l->now_ms + TRIM_MS;
        l->memory.lately_bytes = held;
    }
}

static int shorter(int wait, int64_t most)
{
    if (most < 0)
        most = 0;
    return wait < 0 || wait > most ? (int)most : wait;
}

/* How long to wait for events: not at all while a parcel or a task waits. */
static int wait_ms(struct loop *l)
{
    int wait = wheel_wait_ms(&l->wheel, l->now_ms);

    if (!list_is_empty(&l->tasks) || !mailbox_may_sleep(&l->mailbox))
        return 0;
    if (l->memory.trim_at_ms)
        wait = shorter(wait, l->memory.trim_at_ms - l->now_ms);
    if (l->memory.level != SUPPLY_AMPLE)
        wait = shorter(wait, SHORT_LOOK_MS);
    return wait;
}

void loop_run(struct loop *l)
{
    struct epoll_event events[PACE_EVENTS_MAX];

    while (l->state == LOOP_RUNNING) {
        int count = epoll_wait(l->epoll_fd, events, (int)l->pace.events, wait_ms(l));

        l->now_ms = clock_now_ms();
        pace_begin(&l->pace, count > 0 ? (unsigned)count : 0, clock_now_ns());
        mailbox_open_all(&l->mailbox);
        call_ready(events, count);
        wheel_run(&l->wheel, l->now_ms);
        mind_memory(l);
        run_tasks(l);
        free_graves(l);
        pace_end(&l->pace, clock_now_ns());
    }
}

void loop_stop(struct loop *l)
{
    l->state = LOOP_STOPPING;
}
