#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

struct member {
    int number;
    struct list link;
};

static int number_of(struct list *link)
{
    return LIST_OWNER(link, struct member, link)->number;
}

/* The members' numbers as digits of one number, first to last; checks the links back as well. */
static int read_list(struct list *head)
{
    int all = 0, back = 0, place = 1;

    LIST_EACH (head, link)
        all = all * 10 + number_of(link);
    for (struct list *link = head->prev; link != head; link = link->prev, place *= 10)
        back += number_of(link) * place;
    assert_int_equal(all, back);
    return all;
}

static void fill(struct list *head, struct member *members, int count)
{
    list_init(head);
    for (int i = 0; i < count; i++) {
        members[i].number = i + 1;
        list_init(&members[i].link);
        list_push(head, &members[i].link);
    }
}

static void members_stand_in_the_order_of_their_coming(void **state)
{
    struct list head;
    struct member members[4];

    (void)state;
    fill(&head, members, 3);
    members[3].number = 4;
    list_push_front(&head, &members[3].link);
    assert_int_equal(read_list(&head), 4123);
    assert_int_equal(number_of(list_take(&head)), 4);
    assert_int_equal(read_list(&head), 123);
}

static void taking_out_twice_is_harmless(void **state)
{
    struct list head;
    struct member members[3];

    (void)state;
    fill(&head, members, 3);
    list_remove(&members[1].link);
    list_remove(&members[1].link);
    assert_int_equal(read_list(&head), 13);
    assert_true(list_is_empty(&members[1].link));
}

static void an_empty_list_gives_nothing(void **state)
{
    struct list head;
    struct member members[1];

    (void)state;
    fill(&head, members, 1);
    assert_false(list_is_empty(&head));
    assert_ptr_equal(list_take(&head), &members[0].link);
    assert_true(list_is_empty(&head));
    assert_null(list_take(&head));
}

static void moving_all_joins_two_lists_and_empties_one(void **state)
{
    struct list a, b;
    struct member members[2], more[2];

    (void)state;
    fill(&a, members, 2);
    fill(&b, more, 2);
    more[0].number = 3;
    more[1].number = 4;
    list_move_all(&b, &a);
    assert_int_equal(read_list(&a), 1234);
    assert_true(list_is_empty(&b));
    list_move_all(&b, &a);
    assert_int_equal(read_list(&a), 1234);
    list_move_all(&a, &b);
    assert_int_equal(read_list(&b), 1234);
    assert_true(list_is_empty(&a));
}

static void the_current_member_may_leave_while_walking(void **state)
{
    struct list head;
    struct member members[5];

    (void)state;
    fill(&head, members, 5);
    LIST_EACH (&head, link) {
        if (number_of(link) % 2)
            list_remove(link);
    }
    assert_int_equal(read_list(&head), 24);
    LIST_EACH (&head, link)
        list_remove(link);
    assert_true(list_is_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_stand_in_the_order_of_their_coming),
        cmocka_unit_test(taking_out_twice_is_harmless),
        cmocka_unit_test(an_empty_list_gives_nothing),
        cmocka_unit_test(moving_all_joins_two_lists_and_empties_one),
        cmocka_unit_test(the_current_member_may_leave_while_walking),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
