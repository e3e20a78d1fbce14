/* ticket.h - that something has been counted somewhere, to be given back once by whoever ends up
 * holding it.
 *
 * A ticket is moved by copying it and emptying the first, as ticket_move() does.
 *
 * Threads: a ticket belongs to one loop at a time; giving back works on any.
 */
#ifndef RVPN_BASE_TICKET_H
#define RVPN_BASE_TICKET_H

#include <stddef.h>

/* All zero is an empty one. */
struct ticket {
    void (*give_back)(void *counter);
    void *counter;
};

static inline struct ticket ticket_move(struct ticket *from)
{
    struct ticket moved = *from;

    *from = (struct ticket){NULL, NULL};
    return moved;
}

/* Fine for an empty one. */
static inline void ticket_give_back(struct ticket *t)
{
    struct ticket last = ticket_move(t);

    if (last.give_back)
        last.give_back(last.counter);
}

#endif
