#include "tunnel/gather.h"

void gather_init(struct gather *g)
{
    list_init(&g->touched);
    g->used = 1;
}

void lane_init(struct lane *l)
{
    list_init(&l->link);
    l->first = l->last = 0;
}

bool gather_has_room(const struct gather *g)
{
    return g->used < GATHER_SPANS;
}

void gather_add(struct gather *g, struct lane *l, struct slice bytes)
{
    struct gather_span *last = &g->spans[l->last];
    uint32_t at = g->used;

    if (l->last && last->bytes.ptr + last->bytes.len == bytes.ptr) {
        last->bytes.len += bytes.len;
        return;
    }
    g->spans[at] = (struct gather_span){bytes, 0};
    g->used++;
    if (l->last) {
        last->next = at;
    } else {
        l->first = at;
        list_push(&g->touched, &l->link);
    }
    l->last = at;
}

unsigned gather_take(struct gather *g, struct lane *l, struct iovec iov[GATHER_IOV])
{
    unsigned count = 0;

    for (; l->first && count < GATHER_IOV; l->first = g->spans[l->first].next) {
        struct slice bytes = g->spans[l->first].bytes;

        iov[count++] = (struct iovec){(void *)(uintptr_t)bytes.ptr, bytes.len};
    }
    if (!l->first)
        gather_leave(l);
    return count;
}

struct lane *gather_next(struct gather *g)
{
    if (list_is_empty(&g->touched)) {
        g->used = 1;
        return NULL;
    }
    return LIST_OWNER(g->touched.next, struct lane, link);
}

void gather_leave(struct lane *l)
{
    list_remove(&l->link);
    l->first = l->last = 0;
}
