/* supply.h - what all loops of the process share: descriptors and memory.
 *
 * Counts what connections and listeners hold.  A loop counts descriptors one by one, and says now
 * and then how much memory it holds; between that the sum is off by what one turn can bring.
 * Without limits (all zero, or no supply at all) there is always enough.
 *
 * Threads: any thread, by relaxed atomics; the limits are set before the workers start.
 * Units:   descriptors; bytes.
 */
#ifndef RVPN_NET_SUPPLY_H
#define RVPN_NET_SUPPLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct supply {
    unsigned descriptors_max;      /* that connections and listeners may hold; 0: no limit */
    unsigned descriptors_reserved; /* the last so many are not for everybody */
    size_t memory_max;             /* 0: no limit */
    _Atomic unsigned descriptors;  /* held now */
    _Atomic unsigned settled;      /* ... by who is to stay: devices, and their visitors */
    _Atomic size_t memory;
    _Atomic size_t queues; /* of that, the chunks of all queues and those that are spare */
};

/* In this order.  Of descriptors: AMPLE, SHORT when no more than the reserve is left, SPENT. */
enum supply_level {
    SUPPLY_AMPLE,
    SUPPLY_SHORT, /* of memory, from 80 %: whoever has much gets less */
    SUPPLY_OUT,   /* ... from 90 %: the rest is for those who are there */
    SUPPLY_SPENT, /* ... 100 % */
};

/* All take NULL for a supply without limits. */
void supply_take_descriptor(struct supply *s);
void supply_give_descriptor(struct supply *s);
enum supply_level supply_descriptors(const struct supply *s);

/* One of those that are held has settled, or is leaving; and whether another one may settle
 * without the reserve.  Whoever comes and is turned away must not count here: a crowd of them would
 * keep everybody out. */
void supply_settle(struct supply *s);
void supply_unsettle(struct supply *s);
bool supply_may_settle(const struct supply *s);

unsigned supply_read_descriptors(const struct supply *s);
size_t supply_read_memory(const struct supply *s);

size_t supply_read_queues(const struct supply *s);

/* A loop that said last that it holds `told` bytes holds `now`.  Returns `now`. */
size_t supply_tell_memory(struct supply *s, size_t told, size_t now);
size_t supply_tell_queues(struct supply *s, size_t told, size_t now);

/* How it is with memory, if it was `before` a moment ago: a level is left only some way below
 * where it is entered. */
enum supply_level supply_memory(const struct supply *s, enum supply_level before);

#endif
