/* list.h - intrusive doubly linked lists.
 *
 * A `struct list` is both the head of a list and the link inside a member.  A link that is in no
 * list points to itself, so taking it out twice is harmless.
 *
 * Threads: reentrant; a list belongs to whoever owns its head.
 * Memory:  the list owns nothing.
 */
#ifndef RVPN_BASE_LIST_H
#define RVPN_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *next, *prev;
};

void list_init(struct list *l);
bool list_is_empty(const struct list *l);

/* Puts `link`, which is in no list, at the end or the start of the list `head`. */
void list_push(struct list *head, struct list *link);
void list_push_front(struct list *head, struct list *link);

/* Takes `link` out of whatever list it is in. */
void list_remove(struct list *link);

/* Takes out and returns the first link, or NULL. */
struct list *list_take(struct list *head);

/* Moves all of `from` to the end of `to`; `from` is empty then. */
void list_move_all(struct list *from, struct list *to);

/* The struct of type `type` whose member `member` is *link. */
#define LIST_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks the list; the current link may be removed and freed inside the loop, no other one.
 * `link` names a variable, so it cannot stand in parentheses. */
/* NOLINTBEGIN(bugprone-macro-parentheses) */
#define LIST_EACH(head, link)                                                                      \
    for (struct list *link = (head)->next, *link##_next = link->next; link != (head);              \
         link = link##_next, link##_next = link->next)
/* NOLINTEND(bugprone-macro-parentheses) */

#endif
