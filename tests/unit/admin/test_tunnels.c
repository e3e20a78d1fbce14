#include "admin/tunnels.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static void join(struct registry *r, struct seat *s, uint64_t id, const char *label)
{
    *s = (struct seat){.id = id, .worker = 1, .since_unix = 951782399};
    assert_int_equal(address_parse(slice_text("192.0.2.7:4711"), &s->peer), 0);
    seat_init(s);
    registry_join(r, s);
    if (*label)
        registry_set_label(r, s, slice_text(label));
}

static void leave(struct registry *r, struct seat *s)
{
    LIST_EACH (&s->claims, at) {
        struct claim *c = LIST_OWNER(at, struct claim, link);

        registry_release(r, c, 0);
        claim_free(c);
    }
    registry_leave(r, s);
}

static void claim(struct registry *r, struct seat *s, struct claim *c)
{
    assert_non_null(c);
    assert_int_equal(registry_claim(r, s, c), 0);
    meter_add(&c->meter, METER_STREAMS, 3);
}

static json_t *page_of(struct registry *r, uint64_t after)
{
    char *text = tunnels_write(r, after);
    json_t *document;

    assert_non_null(text);
    document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    free(text);
    return document;
}

static json_t *document_of(struct registry *r)
{
    return page_of(r, 0);
}

static json_int_t number_in(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static const char *text_in(const json_t *object, const char *key)
{
    assert_true(json_is_string(json_object_get(object, key)));
    return json_string_value(json_object_get(object, key));
}

static void nobody_is_an_empty_list(void **state)
{
    struct registry *r = registry_new();
    json_t *document = document_of(r);
    const json_t *counts = json_object_get(document, "counts");

    (void)state;
    assert_true(json_is_array(json_object_get(document, "tunnels")));
    assert_int_equal(json_array_size(json_object_get(document, "tunnels")), 0);
    assert_int_equal(number_in(counts, "tunnels"), 0);
    assert_int_equal(number_in(counts, "names"), 0);
    assert_int_equal(number_in(counts, "away"), 0);
    json_decref(document);
    registry_free(r);
}

static void a_tunnel_shows_itself_its_names_and_every_counter(void **state)
{
    struct registry *r = registry_new();
    struct seat first, second;
    json_t *document;
    const json_t *tunnel, *names;

    (void)state;
    join(r, &first, 7, "laptop \"one\"");
    join(r, &second, 8, "phone");
    claim(r, &first, claim_new_host(slice_text("a.example"), "me"));
    claim(r, &first, claim_new_port(30001, "me"));
    claim(r, &second, claim_new_host(slice_text("a.example"), "me"));
    meter_add(&first.meter, METER_PAYLOAD_TO_DEVICE, 1ULL << 40);
    document = document_of(r);
    assert_int_equal(json_array_size(json_object_get(document, "tunnels")), 2);
    assert_int_equal(number_in(json_object_get(document, "counts"), "tunnels"), 2);
    assert_int_equal(number_in(json_object_get(document, "counts"), "names"), 2);
    tunnel = json_array_get(json_object_get(document, "tunnels"), 0);
    assert_int_equal(number_in(tunnel, "id"), 7);
    assert_int_equal(number_in(tunnel, "worker"), 1);
    assert_string_equal(text_in(tunnel, "peer"), "192.0.2.7:4711");
    assert_string_equal(text_in(tunnel, "label"), "laptop \"one\"");
    assert_string_equal(text_in(tunnel, "since"), "2000-02-28T23:59:59Z");
    assert_int_equal(number_in(tunnel, "payload_to_device"), 1LL << 40);
    names = json_object_get(tunnel, "names");
    assert_int_equal(json_array_size(names), 2);
    assert_string_equal(text_in(json_array_get(names, 0), "host"), "a.example");
    assert_null(json_object_get(json_array_get(names, 0), "port"));
    assert_int_equal(number_in(json_array_get(names, 1), "port"), 30001);
    assert_null(json_object_get(json_array_get(names, 1), "host"));
    assert_string_equal(text_in(json_array_get(names, 1), "subject"), "me");
    for (int i = 0; i < METER_IDS; i++) {
        (void)number_in(tunnel, meter_name[i]);
        assert_int_equal(number_in(json_array_get(names, 1), meter_name[i]),
                         i == METER_STREAMS ? 3 : 0);
    }
    tunnel = json_array_get(json_object_get(document, "tunnels"), 1);
    assert_string_equal(text_in(tunnel, "label"), "phone");
    assert_int_equal(json_array_size(json_object_get(tunnel, "names")), 1);
    json_decref(document);
    leave(r, &first);
    leave(r, &second);
    document = document_of(r);
    assert_int_equal(number_in(json_object_get(document, "counts"), "away"), 2);
    json_decref(document);
    registry_free(r);
}

static void a_label_that_is_not_utf8_does_not_spoil_the_list(void **state)
{
    struct registry *r = registry_new();
    struct seat s;
    json_t *document;

    (void)state;
    join(r, &s, 1, "caf\xE9");
    document = document_of(r);
    assert_string_equal(text_in(json_array_get(json_object_get(document, "tunnels"), 0), "label"),
                        "");
    json_decref(document);
    leave(r, &s);
    registry_free(r);
}

static void name_of(unsigned i, char host[32])
{
    (void)snprintf(host, 32, "h%u.example", i);
}

/* Returns where the next page begins; 0: nowhere.  *at is the first tunnel's id, and then the next
 * page's. */
static uint64_t check_page(struct registry *r, uint64_t after, unsigned *at, size_t size)
{
    json_t *document = page_of(r, after);
    const json_t *list = json_object_get(document, "tunnels");
    const json_t *next = json_object_get(document, "next");
    uint64_t then = next ? (uint64_t)json_integer_value(next) : 0;
    char host[32];

    assert_int_equal(json_array_size(list), size);
    for (size_t i = 0; i < size; i++, ++*at) {
        const json_t *t = json_array_get(list, i);

        name_of(*at, host);
        assert_int_equal(number_in(t, "id"), *at);
        assert_string_equal(text_in(json_array_get(json_object_get(t, "names"), 0), "host"), host);
    }
    json_decref(document);
    return then;
}

static void many_tunnels_are_all_there_page_by_page(void **state)
{
    enum { PAGES = 4, MANY = PAGES * TUNNELS_PAGE + 1 };
    struct registry *r = registry_new();
    struct seat *seats = calloc(MANY, sizeof(*seats));
    uint64_t after = 0;
    unsigned at = 0;
    char host[32];

    (void)state;
    assert_non_null(seats);
    for (unsigned i = 0; i < MANY; i++) {
        join(r, seats + i, i, "");
        name_of(i, host);
        claim(r, seats + i, claim_new_host(slice_text(host), "me"));
    }
    for (unsigned i = 0; i < PAGES; i++) {
        after = check_page(r, after, &at, TUNNELS_PAGE);
        assert_int_not_equal(after, 0);
        leave(r, seats + at - 1); /* where a page ended may be gone */
    }
    assert_int_equal(check_page(r, after, &at, 1), 0);
    for (unsigned i = 0; i < MANY; i++)
        if ((i + 1) % TUNNELS_PAGE)
            leave(r, seats + i);
    free(seats);
    registry_free(r);
}

static void a_page_has_few_names_but_a_tunnel_is_whole(void **state)
{
    struct registry *r = registry_new();
    struct seat seats[2];
    uint64_t after;
    unsigned at = 0;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        join(r, seats + i, i, "");
        for (unsigned n = 0; n <= TUNNELS_PAGE_NAMES; n++) {
            char host[32];

            name_of(n ? 100000 * i + n : i, host);
            claim(r, seats + i, claim_new_host(slice_text(host), "me"));
        }
    }
    after = check_page(r, 0, &at, 1);
    assert_int_not_equal(after, 0);
    assert_int_equal(check_page(r, after, &at, 1), 0);
    for (unsigned i = 0; i < 2; i++)
        leave(r, seats + i);
    registry_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_an_empty_list),
        cmocka_unit_test(a_tunnel_shows_itself_its_names_and_every_counter),
        cmocka_unit_test(a_label_that_is_not_utf8_does_not_spoil_the_list),
        cmocka_unit_test(many_tunnels_are_all_there_page_by_page),
        cmocka_unit_test(a_page_has_few_names_but_a_tunnel_is_whole),
    };

    return cmocka_run_group_tests_name("admin/tunnels", tests, NULL, NULL);
}
