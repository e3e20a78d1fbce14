#include "admin/counts.h"

#include "base/slab.h"
#include "edge/credential.h"

#include <jansson.h>

static void add_seat(const struct seat *s, void *arg)
{
    meter_sum(&s->meter, arg);
}

static int put(json_t *object, const char *key, uint64_t value)
{
    return json_object_set_new(object, key, json_integer((json_int_t)value));
}

static int put_range(json_t *object, const uint64_t sum[TALLY_IDS], unsigned from, unsigned to)
{
    int err = 0;

    for (unsigned id = from; id < to && !err; id++)
        err = put(object, tally_name[id], sum[id]);
    return err;
}

static int put_supply(json_t *object, const struct supply *s)
{
    int err = put(object, "descriptors", supply_read_descriptors(s));

    if (!err)
        err = put(object, "descriptors_max", s ? s->descriptors_max : 0);
    if (!err)
        err = put(object, "memory", supply_read_memory(s));
    if (!err)
        err = put(object, "memory_queues", supply_read_queues(s));
    if (!err)
        err = put(object, "memory_slabs", slab_bytes());
    return err ? err : put(object, "memory_max", s ? s->memory_max : 0);
}

static int put_aes(json_t *object, const struct trust *trust)
{
    const char *aes = trust->certificates.properties ? "vector" : "openssl";

    return json_object_set_new(object, "aes", json_string(aes));
}

char *counts_write(const struct edge *e)
{
    struct registry_counts counts = registry_count(e->setting.registry);
    uint64_t sum[TALLY_IDS] = {0}, tunnels[METER_IDS] = {0};
    json_t *root = json_object(), *refused = json_object();
    char *text = NULL;

    registry_each(e->setting.registry, add_seat, tunnels);
    for (unsigned i = 0; i < e->worker_count; i++)
        tally_sum(&e->workers[i].tally, sum);
    if (!put(root, "workers", e->worker_count) && !put(root, "tunnels", counts.sessions) &&
        !put(root, "streams", tunnels[METER_STREAMS_OPEN]) &&
        !put(root, "queued_to_device", tunnels[METER_QUEUED_TO_DEVICE]) &&
        !put(root, "queued_to_visitor", tunnels[METER_QUEUED_TO_VISITOR]) &&
        !put_range(root, sum, 0, TALLY_REFUSED_FIRST) && !put_supply(root, e->loop->supply) &&
        !put_aes(root, e->trust) && !put_range(refused, sum, TALLY_REFUSED_FIRST, TALLY_IDS) &&
        !json_object_set(root, "refused", refused))
        text = json_dumps(root, JSON_COMPACT);
    json_decref(refused);
    json_decref(root);
    return text;
}

void counts_serve(const struct front_request *request)
{
    if (credential_has_scope(request, "admin"))
        front_respond_json(request, counts_write(request->edge));
}
