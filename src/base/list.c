#include "base/list.h"

void list_init(struct list *l)
{
    l->next = l->prev = l;
}

bool list_is_empty(const struct list *l)
{
    return l->next == l;
}

static void insert_between(struct list *prev, struct list *next, struct list *link)
{
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}

void list_push(struct list *head, struct list *link)
{
    insert_between(head->prev, head, link);
}

void list_push_front(struct list *head, struct list *link)
{
    insert_between(head, head->next, link);
}

void list_remove(struct list *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    list_init(link);
}

struct list *list_take(struct list *head)
{
    struct list *first = head->next;

    if (first == head)
        return NULL;
    list_remove(first);
    return first;
}

void list_move_all(struct list *from, struct list *to)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}
