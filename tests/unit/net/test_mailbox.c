#include "net/mailbox.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define SENDERS 4
#define PARCELS 20000

struct letter {
    struct parcel parcel;
    unsigned sender, number;
};

struct desk {
    struct mailbox mailbox;
    unsigned next[SENDERS]; /* the number that each sender's next letter must have */
    unsigned opened;
};

static void open_letter(struct parcel *p, void *receiver)
{
    struct letter *l = LIST_OWNER(p, struct letter, parcel);
    struct desk *desk = receiver;

    if (desk) {
        assert_int_equal(l->number, desk->next[l->sender]);
        desk->next[l->sender]++;
        desk->opened++;
    }
    free(l);
}

static void send_letter(struct mailbox *m, unsigned sender, unsigned number)
{
    struct letter *l = calloc(1, sizeof(*l));

    l->parcel.open = open_letter;
    l->sender = sender;
    l->number = number;
    list_init(&l->parcel.link);
    mailbox_send(m, &l->parcel);
}

static bool has_rung(struct mailbox *m)
{
    struct pollfd p = {.fd = m->bell, .events = POLLIN};
    eventfd_t rings;

    if (poll(&p, 1, 0) != 1)
        return false;
    (void)eventfd_read(m->bell, &rings);
    return true;
}

static void the_bell_rings_for_a_sleeper_and_once(void **state)
{
    struct desk desk = {0};

    (void)state;
    assert_int_equal(mailbox_init(&desk.mailbox, &desk), 0);
    send_letter(&desk.mailbox, 0, 0);
    assert_false(has_rung(&desk.mailbox));
    assert_false(mailbox_may_sleep(&desk.mailbox));
    mailbox_open_all(&desk.mailbox);
    assert_int_equal(desk.opened, 1);
    assert_true(mailbox_may_sleep(&desk.mailbox));
    send_letter(&desk.mailbox, 0, 1);
    assert_true(has_rung(&desk.mailbox));
    send_letter(&desk.mailbox, 0, 2);
    assert_false(has_rung(&desk.mailbox));
    mailbox_open_all(&desk.mailbox);
    assert_int_equal(desk.opened, 3);
    mailbox_fini(&desk.mailbox);
    mailbox_fini(&(struct mailbox){0});
}

static void what_nobody_opened_frees_itself(void **state)
{
    struct desk desk = {0};

    (void)state;
    assert_int_equal(mailbox_init(&desk.mailbox, &desk), 0);
    send_letter(&desk.mailbox, 0, 0);
    send_letter(&desk.mailbox, 0, 1);
    mailbox_fini(&desk.mailbox);
    assert_int_equal(desk.opened, 0);
}

struct sender {
    pthread_t thread;
    struct mailbox *to;
    unsigned number;
};

static void *run_sender(void *arg)
{
    struct sender *s = arg;

    for (unsigned i = 0; i < PARCELS; i++)
        send_letter(s->to, s->number, i);
    return NULL;
}

/* A receiver that sleeps whenever it may would hang here if a ring were ever lost. */
static void nothing_is_lost_nor_overtaken_between_threads(void **state)
{
    struct desk desk = {0};
    struct sender senders[SENDERS];
    struct pollfd bell;
    eventfd_t rings;

    (void)state;
    assert_int_equal(mailbox_init(&desk.mailbox, &desk), 0);
    bell = (struct pollfd){.fd = desk.mailbox.bell, .events = POLLIN};
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.to = &desk.mailbox, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, run_sender, &senders[i]), 0);
    }
    while (desk.opened < SENDERS * PARCELS) {
        if (mailbox_may_sleep(&desk.mailbox)) {
            assert_int_equal(poll(&bell, 1, 20000), 1);
            (void)eventfd_read(desk.mailbox.bell, &rings);
        }
        mailbox_open_all(&desk.mailbox);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    mailbox_fini(&desk.mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bell_rings_for_a_sleeper_and_once),
        cmocka_unit_test(what_nobody_opened_frees_itself),
        cmocka_unit_test(nothing_is_lost_nor_overtaken_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
