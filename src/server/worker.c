#include "server/worker.h"

#include "admin/routes.h"
#include "edge/shortage.h"

#include <errno.h>
#include <stdlib.h>

#define GONE_POLL_MS 20

static struct worker *of_listener(const struct listener *l)
{
    return LIST_OWNER(l->loop, struct worker, loop);
}

static void on_accept(struct listener *l, int fd, const struct address *peer)
{
    edge_accept(of_listener(l)->edge, fd, peer, address_port(&l->bound));
}

static void on_trouble(struct listener *l, int err)
{
    shortage_on_trouble(of_listener(l)->edge, l, address_port(&l->bound), err);
}

static void on_gone(struct deadline *d)
{
    struct worker *w = LIST_OWNER(d, struct worker, gone);

    if (w->loop.conns == 0)
        loop_stop(&w->loop);
    else
        loop_start_deadline(&w->loop, &w->gone, GONE_POLL_MS);
}

static void drain(struct worker *w)
{
    for (size_t i = 0; i < w->listener_count; i++)
        listener_stop(&w->listeners[i]);
    edge_drain(w->edge);
    admin_close_all(w->edge);
    loop_start_deadline(&w->loop, &w->gone, 0);
}

/* parcel.open on the worker's thread; without a receiver nobody is there to obey. */
static void open_order(struct parcel *parcel, void *receiver)
{
    struct order *o = LIST_OWNER(parcel, struct order, parcel);
    struct edge *e = receiver;
    struct worker *w = o->worker;

    if (!e)
        return;
    switch (o->kind) {
    case ORDER_DRAIN: drain(w); return;
    case ORDER_DRAIN_NOW: edge_drain_now(e); return;
    case ORDER_STOP: loop_stop(&w->loop); return;
    case ORDER_TRUST:
        e->trust = o->trust;
        o->parcel.open = o->on_reply;
        mailbox_send(o->reply_to, &o->parcel);
        return;
    case ORDER_KINDS: return;
    }
}

void worker_order(struct worker *w, const struct order *order)
{
    struct order *o = &w->orders[order->kind];

    if (o->state == ORDER_GIVEN && order->kind != ORDER_TRUST)
        return;
    *o = *order;
    o->state = ORDER_GIVEN;
    o->worker = w;
    list_init(&o->parcel.link);
    o->parcel.open = open_order;
    mailbox_send(&w->loop.mailbox, &o->parcel);
}

int worker_init(struct worker *w, struct edge_parts parts, size_t listeners)
{
    int err;

    *w = (struct worker){.edge = &parts.workers[parts.worker]};
    w->listeners = calloc(listeners, sizeof(*w->listeners));
    if (!w->listeners)
        return -ENOMEM;
    err = loop_init(&w->loop, w->edge);
    if (err) {
        free(w->listeners);
        w->listeners = NULL;
        return err;
    }
    w->loop.supply = parts.supply;
    parts.loop = &w->loop;
    edge_init(w->edge, &parts);
    deadline_init(&w->gone, on_gone);
    return 0;
}

void worker_fini(struct worker *w)
{
    if (!w->listeners)
        return;
    for (size_t i = 0; i < w->listener_count; i++)
        listener_stop(&w->listeners[i]);
    loop_fini(&w->loop);
    edge_fini(w->edge);
    free(w->listeners);
    w->listeners = NULL;
}

int worker_listen(struct worker *w, struct address *at)
{
    struct listener *l = &w->listeners[w->listener_count];
    int err;

    l->on_accept = on_accept;
    l->on_trouble = on_trouble;
    l->patience_ms = edge_patience_ms(w->edge->rules);
    err = listener_start(l, &w->loop, at);
    if (err)
        return err;
    w->listener_count++;
    *at = l->bound;
    return 0;
}

static void *run(void *arg)
{
    struct worker *w = arg;

    loop_run(&w->loop);
    mailbox_send(w->keeper, &w->left);
    return NULL;
}

int worker_start(struct worker *w, struct mailbox *keeper,
                 void (*on_left)(struct parcel *parcel, void *receiver))
{
    w->keeper = keeper;
    w->left.open = on_left;
    list_init(&w->left.link);
    return -pthread_create(&w->thread, NULL, run, w);
}

void worker_join(struct worker *w)
{
    (void)pthread_join(w->thread, NULL);
}
