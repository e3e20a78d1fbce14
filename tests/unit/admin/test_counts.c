#include "admin/counts.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>

static json_int_t number_in(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void every_counter_is_there_and_summed_over_the_workers(void **state)
{
    struct edge *edges = calloc(2, sizeof(*edges));
    struct registry *registry = registry_new();
    struct seat seat = {.id = 1};
    static struct supply supply = {.descriptors_max = 9, .memory_max = 99};
    static struct trust trust = {.certificates.properties = "?provider=any"};
    static struct loop loop;
    json_t *document;
    const json_t *refused;
    char *text;

    (void)state;
    assert_true(edges && registry);
    loop.supply = &supply;
    edges[0].loop = &loop;
    edges[0].trust = &trust;
    edges[0].workers = edges;
    edges[0].worker_count = 2;
    edges[0].setting.registry = registry;
    for (unsigned id = 0; id < TALLY_IDS; id++) {
        tally_add(&edges[0].tally, (enum tally_id)id);
        for (unsigned i = 0; i < id; i++)
            tally_add(&edges[1].tally, (enum tally_id)id);
    }
    seat_init(&seat);
    registry_join(registry, &seat);
    meter_add(&seat.meter, METER_STREAMS_OPEN, 3);
    meter_add(&seat.meter, METER_QUEUED_TO_DEVICE, 5);
    meter_add(&seat.meter, METER_QUEUED_TO_VISITOR, 7);
    (void)supply_tell_queues(&supply, 0, 4096);
    (void)supply_tell_queues(&supply, 4096, 1024);
    text = counts_write(edges);
    assert_non_null(text);
    document = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(document);
    assert_int_equal(number_in(document, "workers"), 2);
    assert_int_equal(number_in(document, "descriptors_max"), 9);
    assert_int_equal(number_in(document, "memory_max"), 99);
    assert_string_equal(json_string_value(json_object_get(document, "aes")), "vector");
    assert_int_equal(number_in(document, "tunnels"), 1);
    assert_int_equal(number_in(document, "streams"), 3);
    assert_int_equal(number_in(document, "queued_to_device"), 5);
    assert_int_equal(number_in(document, "queued_to_visitor"), 7);
    assert_int_equal(number_in(document, "memory_queues"), 1024);
    assert_int_equal(number_in(document, "memory_slabs"), 0);
    refused = json_object_get(document, "refused");
    for (unsigned id = 0; id < TALLY_IDS; id++)
        assert_int_equal(number_in(id < TALLY_REFUSED_FIRST ? document : refused, tally_name[id]),
                         id + 1);
    assert_int_equal(json_object_size(refused), TALLY_IDS - TALLY_REFUSED_FIRST);
    json_decref(document);
    free(text);
    registry_leave(registry, &seat);
    registry_free(registry);
    free(edges);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_is_there_and_summed_over_the_workers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
