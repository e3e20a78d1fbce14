#include "admin/tunnels.h"

#include "edge/credential.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#define ATTEMPTS 8 /* names may come between counting and copying */

/* What the registry's lock is held for: plain copies, nothing else. */
struct name_copy {
    char host[256]; /* "" for a port */
    char subject[CLAIMS_TEXT_MAX + 1];
    uint16_t port;
    uint64_t counters[METER_IDS];
};

struct tunnel_copy {
    uint64_t id;
    unsigned worker;
    struct address peer;
    char label[SEAT_LABEL_MAX + 1];
    int64_t since_unix;
    uint64_t order;
    uint64_t counters[METER_IDS];
    size_t name_count; /* of the next names */
};

/* One page. */
struct snapshot {
    struct tunnel_copy *tunnels;
    struct name_copy *names;
    size_t tunnel_count, tunnel_max;
    size_t name_count, name_max;
    enum { SNAPSHOT_WHOLE, SNAPSHOT_CUT } state; /* cut: there are more behind it */
};

static size_t names_of(const struct seat *s)
{
    size_t count = 0;

    LIST_EACH (&s->claims, link) {
        count++;
    }
    return count;
}

static bool count_seat(const struct seat *s, void *arg)
{
    struct snapshot *shot = arg;
    size_t names = names_of(s);

    if (shot->tunnel_max == TUNNELS_PAGE ||
        (shot->tunnel_max && shot->name_max + names > TUNNELS_PAGE_NAMES))
        return false;
    shot->tunnel_max++;
    shot->name_max += names;
    return true;
}

static void copy_claim(const struct claim *c, struct name_copy *out)
{
    (void)slice_write(slice_text(c->host), out->host, sizeof(out->host));
    (void)slice_write(slice_text(c->subject), out->subject, sizeof(out->subject));
    out->port = c->port;
    meter_sum(&c->meter, out->counters);
}

static bool copy_seat(const struct seat *s, void *arg)
{
    struct snapshot *shot = arg;
    struct tunnel_copy *out = shot->tunnels + shot->tunnel_count;

    if (shot->tunnel_count == shot->tunnel_max || names_of(s) > shot->name_max - shot->name_count) {
        shot->state = SNAPSHOT_CUT;
        return false;
    }
    shot->tunnel_count++;
    out->id = s->id;
    out->worker = s->worker;
    out->peer = s->peer;
    (void)slice_write(slice_text(s->label ? s->label : ""), out->label, sizeof(out->label));
    out->since_unix = s->since_unix;
    out->order = s->order;
    meter_sum(&s->meter, out->counters);
    LIST_EACH (&s->claims, link) {
        copy_claim(LIST_OWNER(link, struct claim, link), shot->names + shot->name_count++);
        out->name_count++;
    }
    return true;
}

static void snapshot_fini(struct snapshot *shot)
{
    free(shot->tunnels);
    free(shot->names);
    *shot = (struct snapshot){0};
}

/* Returns whether there was memory. */
static bool snapshot_take(struct registry *r, uint64_t after, struct snapshot *shot)
{
    registry_each_after(r, after, count_seat, shot);
    shot->tunnels = calloc(shot->tunnel_max + 1, sizeof(*shot->tunnels)); /* never of nothing */
    shot->names = calloc(shot->name_max + 1, sizeof(*shot->names));
    if (!shot->tunnels || !shot->names)
        return false;
    registry_each_after(r, after, copy_seat, shot);
    return true;
}

static int put_text(json_t *object, const char *key, const char *text)
{
    /* A label is what a device says of itself: maybe not UTF-8, maybe cut inside a character. */
    json_t *value = json_string(text);

    return json_object_set_new(object, key, value ? value : json_string(""));
}

static int put_number(json_t *object, const char *key, uint64_t value)
{
    return json_object_set_new(object, key, json_integer((json_int_t)value));
}

static int put_counters(json_t *object, const uint64_t counters[METER_IDS])
{
    int err = 0;

    for (int i = 0; i < METER_IDS && !err; i++)
        err = put_number(object, meter_name[i], counters[i]);
    return err;
}

static int put_time(json_t *object, const char *key, int64_t unix_s)
{
    char text[sizeof("9999-12-31T23:59:59Z")];
    struct tm tm;

    if (!gmtime_r(&(time_t){unix_s}, &tm) ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        text[0] = '\0';
    return put_text(object, key, text);
}

static json_t *name_document(const struct name_copy *n)
{
    json_t *object = json_object();
    int err = n->port ? put_number(object, "port", n->port) : put_text(object, "host", n->host);

    if (err || put_text(object, "subject", n->subject) || put_counters(object, n->counters)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *tunnel_document(const struct tunnel_copy *t, const struct name_copy *names)
{
    json_t *object = json_object();
    json_t *list = json_array();
    char peer[ADDRESS_TEXT_MAX];
    int err;

    address_write(&t->peer, peer);
    err = put_number(object, "id", t->id) || put_number(object, "worker", t->worker) ||
          put_text(object, "peer", peer) || put_text(object, "label", t->label) ||
          put_time(object, "since", t->since_unix) || put_counters(object, t->counters) ||
          json_object_set(object, "names", list);

    for (size_t i = 0; i < t->name_count && !err; i++)
        err = json_array_append_new(list, name_document(names + i));
    json_decref(list);
    if (err) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *tunnels_document(const struct snapshot *shot)
{
    json_t *list = json_array();
    const struct name_copy *names = shot->names;

    for (size_t i = 0; i < shot->tunnel_count; i++) {
        const struct tunnel_copy *t = shot->tunnels + i;

        if (json_array_append_new(list, tunnel_document(t, names))) {
            json_decref(list);
            return NULL;
        }
        names += t->name_count;
    }
    return list;
}

/* Where the next page begins, if there is one. */
static int put_next(json_t *root, const struct snapshot *shot)
{
    if (shot->state == SNAPSHOT_WHOLE || shot->tunnel_count == 0)
        return 0;
    return put_number(root, "next", shot->tunnels[shot->tunnel_count - 1].order);
}

static char *snapshot_write(const struct snapshot *shot, const struct registry_counts *counts)
{
    json_t *root = json_object();
    json_t *sums = json_object();
    char *text = NULL;

    if (!put_number(sums, "tunnels", counts->sessions) &&
        !put_number(sums, "names", counts->names) && !put_number(sums, "away", counts->away) &&
        !json_object_set_new(root, "tunnels", tunnels_document(shot)) &&
        !json_object_set(root, "counts", sums) && !put_next(root, shot))
        text = json_dumps(root, JSON_COMPACT);
    json_decref(sums);
    json_decref(root);
    return text;
}

/* A tunnel's names may have become more between counting and copying, so that not one fits. */
char *tunnels_write(struct registry *r, uint64_t after)
{
    struct snapshot shot = {0};
    struct registry_counts counts = registry_count(r);
    char *text = NULL;
    bool has_memory = snapshot_take(r, after, &shot);

    for (int i = 1; i < ATTEMPTS && has_memory && shot.state == SNAPSHOT_CUT && !shot.tunnel_count;
         i++) {
        snapshot_fini(&shot);
        has_memory = snapshot_take(r, after, &shot);
    }
    if (has_memory)
        text = snapshot_write(&shot, &counts);
    snapshot_fini(&shot);
    return text;
}

/* Reads "after=NUMBER"; 0 where there is no query.  -EINVAL. */
static int parse_after(struct slice query, uint64_t *out)
{
    static const char name[] = "after=";

    *out = 0;
    if (!query.len)
        return 0;
    if (query.len < sizeof(name) || memcmp(query.ptr, name, sizeof(name) - 1) != 0)
        return -EINVAL;
    return slice_parse_uint(slice_from(query, sizeof(name) - 1), INT64_MAX, out);
}

void tunnels_serve(const struct front_request *request)
{
    uint64_t after;

    if (!credential_has_scope(request, "admin"))
        return;
    if (parse_after(request->head->query, &after))
        front_refuse(request, 400, "Only after=NUMBER is known here.");
    else
        front_respond_json(request, tunnels_write(request->edge->setting.registry, after));
}
