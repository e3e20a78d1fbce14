#include "net/deadline.h"

void wheel_init(struct wheel *w, int64_t now_ms)
{
    for (unsigned i = 0; i < WHEEL_SLOTS; i++)
        list_init(&w->slots[i]);
    for (unsigned i = 0; i < WHEEL_SLOTS / 64; i++)
        w->used[i] = 0;
    w->tick = now_ms / WHEEL_TICK_MS;
}

static bool is_used(const struct wheel *w, unsigned slot)
{
    return (w->used[slot / 64] >> (slot % 64)) & 1;
}

/* Runs what is due in one slot.  What it starts meanwhile goes to later ticks. */
static void run_slot(struct wheel *w, unsigned slot, int64_t now_ms)
{
    struct list due, *link;

    list_init(&due);
    list_move_all(&w->slots[slot], &due);
    w->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    while ((link = list_take(&due))) {
        struct deadline *d = LIST_OWNER(link, struct deadline, link);

        if (d->at_ms > now_ms) { /* a later turn of the wheel */
            list_push(&w->slots[slot], &d->link);
            w->used[slot / 64] |= UINT64_C(1) << (slot % 64);
            continue;
        }
        d->on_time(d);
    }
}

void wheel_run(struct wheel *w, int64_t now_ms)
{
    int64_t last = now_ms / WHEEL_TICK_MS;

    if (last - w->tick > WHEEL_SLOTS)
        w->tick = last - WHEEL_SLOTS; /* one whole turn looks at everything */
    while (w->tick < last) {
        unsigned slot = (unsigned)(++w->tick % WHEEL_SLOTS);

        if (is_used(w, slot))
            run_slot(w, slot, now_ms);
    }
}

int wheel_wait_ms(const struct wheel *w, int64_t now_ms)
{
    for (int64_t ahead = 1; ahead <= WHEEL_SLOTS; ahead++) {
        unsigned slot = (unsigned)((w->tick + ahead) % WHEEL_SLOTS);

        if (slot % 64 == 0 && w->used[slot / 64] == 0) {
            ahead += 63; /* a whole word of empty slots */
            continue;
        }
        if (is_used(w, slot)) {
            int64_t wait = (w->tick + ahead) * WHEEL_TICK_MS - now_ms;

            return wait > 0 ? (int)wait : 0;
        }
    }
    return -1;
}

void deadline_init(struct deadline *d, void (*on_time)(struct deadline *d))
{
    list_init(&d->link);
    d->at_ms = 0;
    d->on_time = on_time;
}

void deadline_start(struct deadline *d, struct wheel *w, int64_t at_ms)
{
    int64_t tick = (at_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    unsigned slot;

    if (tick <= w->tick)
        tick = w->tick + 1;
    slot = (unsigned)(tick % WHEEL_SLOTS);
    list_remove(&d->link);
    d->at_ms = at_ms;
    list_push(&w->slots[slot], &d->link);
    w->used[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void deadline_stop(struct deadline *d)
{
    list_remove(&d->link);
}

bool deadline_is_running(const struct deadline *d)
{
    return !list_is_empty(&d->link);
}
