#include "net/mailbox.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int mailbox_init(struct mailbox *m, void *receiver)
{
    *m = (struct mailbox){.receiver = receiver};
    list_init(&m->parcels);
    m->bell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (m->bell == -1)
        return -errno;
    return -pthread_mutex_init(&m->lock, NULL);
}

static void open_all_for(struct mailbox *m, void *receiver)
{
    struct list *link, arrived;

    list_init(&arrived);
    (void)pthread_mutex_lock(&m->lock);
    list_move_all(&m->parcels, &arrived);
    m->receiver_state = MAILBOX_AWAKE;
    (void)pthread_mutex_unlock(&m->lock);
    while ((link = list_take(&arrived))) {
        struct parcel *p = LIST_OWNER(link, struct parcel, link);

        p->open(p, receiver);
    }
}

void mailbox_fini(struct mailbox *m)
{
    if (!m->parcels.next)
        return;
    open_all_for(m, NULL);
    (void)pthread_mutex_destroy(&m->lock);
    (void)close(m->bell);
}

void mailbox_send(struct mailbox *m, struct parcel *p)
{
    bool asleep;

    (void)pthread_mutex_lock(&m->lock);
    list_push(&m->parcels, &p->link);
    asleep = m->receiver_state == MAILBOX_ASLEEP;
    m->receiver_state = MAILBOX_AWAKE;
    (void)pthread_mutex_unlock(&m->lock);
    if (asleep)
        (void)eventfd_write(m->bell, 1);
}

bool mailbox_may_sleep(struct mailbox *m)
{
    bool empty;

    (void)pthread_mutex_lock(&m->lock);
    empty = list_is_empty(&m->parcels);
    if (empty)
        m->receiver_state = MAILBOX_ASLEEP;
    (void)pthread_mutex_unlock(&m->lock);
    return empty;
}

void mailbox_open_all(struct mailbox *m)
{
    open_all_for(m, m->receiver);
}
