#include "net/supply.h"

void supply_take_descriptor(struct supply *s)
{
    if (s)
        (void)atomic_fetch_add_explicit(&s->descriptors, 1, memory_order_relaxed);
}

void supply_give_descriptor(struct supply *s)
{
    if (s)
        (void)atomic_fetch_sub_explicit(&s->descriptors, 1, memory_order_relaxed);
}

void supply_settle(struct supply *s)
{
    if (s)
        (void)atomic_fetch_add_explicit(&s->settled, 1, memory_order_relaxed);
}

void supply_unsettle(struct supply *s)
{
    if (s)
        (void)atomic_fetch_sub_explicit(&s->settled, 1, memory_order_relaxed);
}

bool supply_may_settle(const struct supply *s)
{
    return !s || !s->descriptors_max ||
           atomic_load_explicit(&s->settled, memory_order_relaxed) <
               s->descriptors_max - s->descriptors_reserved;
}

enum supply_level supply_descriptors(const struct supply *s)
{
    unsigned held;

    if (!s || !s->descriptors_max)
        return SUPPLY_AMPLE;
    held = atomic_load_explicit(&s->descriptors, memory_order_relaxed);
    if (held >= s->descriptors_max)
        return SUPPLY_SPENT;
    return held > s->descriptors_max - s->descriptors_reserved ? SUPPLY_SHORT : SUPPLY_AMPLE;
}

unsigned supply_read_descriptors(const struct supply *s)
{
    return s ? atomic_load_explicit(&s->descriptors, memory_order_relaxed) : 0;
}

size_t supply_read_memory(const struct supply *s)
{
    return s ? atomic_load_explicit(&s->memory, memory_order_relaxed) : 0;
}

size_t supply_tell_memory(struct supply *s, size_t told, size_t now)
{
    if (s && now != told) /* a fall wraps around, and so does the sum */
        (void)atomic_fetch_add_explicit(&s->memory, now - told, memory_order_relaxed);
    return now;
}

size_t supply_read_queues(const struct supply *s)
{
    return s ? atomic_load_explicit(&s->queues, memory_order_relaxed) : 0;
}

size_t supply_tell_queues(struct supply *s, size_t told, size_t now)
{
    if (s && now != told)
        (void)atomic_fetch_add_explicit(&s->queues, now - told, memory_order_relaxed);
    return now;
}

enum supply_level supply_memory(const struct supply *s, enum supply_level before)
{
    /* Twentieths of the limit, by level. */
    static const size_t enter[] = {0, 16, 18, 20}, leave[] = {0, 15, 17, 19};
    enum supply_level level = SUPPLY_SPENT;
    size_t part, held;

    if (!s || !s->memory_max)
        return SUPPLY_AMPLE;
    part = s->memory_max / 20;
    held = atomic_load_explicit(&s->memory, memory_order_relaxed);
    while (level > SUPPLY_AMPLE && held < part * (before >= level ? leave : enter)[level])
        level--;
    return level;
}
