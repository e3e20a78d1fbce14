#include "tunnel/quarantine.h"

#include "base/slab.h"

struct inmate {
    struct list link;
    struct mproxy_key key;
    int64_t until_ms;
};

static struct slice key_slice(const struct mproxy_key *key)
{
    return slice_of(key->bytes, sizeof(key->bytes));
}

void quarantine_init(struct quarantine *q)
{
    map_init(&q->by_key);
    list_init(&q->oldest_first);
}

static void release_oldest(struct quarantine *q)
{
    struct inmate *i = LIST_OWNER(q->oldest_first.next, struct inmate, link);

    list_remove(&i->link);
    (void)map_remove(&q->by_key, key_slice(&i->key));
    slab_free(i);
}

void quarantine_fini(struct quarantine *q)
{
    while (q->oldest_first.next && !list_is_empty(&q->oldest_first))
        release_oldest(q);
    map_fini(&q->by_key);
}

void quarantine_release_due(struct quarantine *q, int64_t now_ms)
{
    while (!list_is_empty(&q->oldest_first) &&
           LIST_OWNER(q->oldest_first.next, struct inmate, link)->until_ms <= now_ms)
        release_oldest(q);
}

void quarantine_add(struct quarantine *q, const struct mproxy_key *key, int64_t now_ms)
{
    struct inmate *i;

    quarantine_release_due(q, now_ms);
    if (q->by_key.count >= QUARANTINE_MAX)
        release_oldest(q);
    if (map_find(&q->by_key, key_slice(key)))
        return;
    i = slab_alloc(sizeof(*i));
    if (!i)
        return;
    *i = (struct inmate){.key = *key, .until_ms = now_ms + QUARANTINE_MS};
    list_init(&i->link);
    if (map_put(&q->by_key, key_slice(&i->key), i)) {
        slab_free(i);
        return;
    }
    list_push(&q->oldest_first, &i->link);
}

bool quarantine_has(struct quarantine *q, const struct mproxy_key *key, int64_t now_ms)
{
    quarantine_release_due(q, now_ms);
    return map_find(&q->by_key, key_slice(key)) != NULL;
}
