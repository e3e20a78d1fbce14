#include "edge/edge.h"

#include "edge/device.h"
#include "edge/front.h"
#include "edge/shortage.h"
#include "edge/visitor.h"

static void on_memory_level(void *receiver)
{
    device_on_memory_all(receiver);
}

void edge_init(struct edge *e, const struct edge_parts *parts)
{
    *e = (struct edge){
        .worker = parts->worker,
        .loop = parts->loop,
        .rules = parts->rules,
        .trust = parts->trust,
        .workers = parts->workers,
        .worker_count = parts->worker_count,
        .quota = parts->quota,
        .setting = {.loop = parts->loop,
                    .registry = parts->registry,
                    .gather = &e->gather,
                    .limits = parts->rules->limits},
    };
    gate_init(&e->gate, &parts->rules->gate, parts->loop->now_ms);
    gather_init(&e->gather);
    map_init(&e->devices);
    map_init(&e->ports);
    list_init(&e->visitors);
    list_init(&e->fronts);
    list_init(&e->sockets);
    shortage_init(e);
    e->loop->on_memory_level = on_memory_level;
}

void edge_fini(struct edge *e)
{
    map_fini(&e->devices);
    map_fini(&e->ports);
}

uint64_t edge_new_id(struct edge *e)
{
    return ++e->last_id * e->worker_count + e->worker;
}

int64_t edge_patience_ms(const struct edge_rules *rules)
{
    int64_t stall_ms = rules->limits.visitor_stall_ms;

    return stall_ms > CONN_KEEPALIVE_MS ? stall_ms : CONN_KEEPALIVE_MS;
}

void edge_accept(struct edge *e, int fd, const struct address *peer, uint16_t port)
{
    visitor_accept(e, fd, peer, port, VISITOR_ON_SHARED_PORT);
}

void edge_drain(struct edge *e)
{
    e->state = EDGE_DRAINING;
    visitor_close_all(e);
    gate_close_all(e);
    front_close_all(e);
    device_drain_all(e);
}

void edge_drain_now(struct edge *e)
{
    device_leave_all(e, WS_CODE_GOING_AWAY, "relay is stopping");
}
