#include "base/map.h"

#include "base/slab.h"

#include <errno.h>
#include <sys/random.h>

#define SLOTS_MIN 4

static uint64_t rotate(uint64_t x, unsigned by)
{
    return (x << by) | (x >> (64 - by));
}

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012). */
static uint32_t hash_key(const struct map *m, struct slice key)
{
    uint64_t v[4] = {m->seed[0] ^ 0x736f6d6570736575, m->seed[1] ^ 0x646f72616e646f6d,
                     m->seed[0] ^ 0x6c7967656e657261, m->seed[1] ^ 0x7465646279746573};
    uint64_t word;
    size_t at = 0;

    for (; at + 8 <= key.len; at += 8) {
        memcpy(&word, key.ptr + at, 8);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)key.len << 56;
    for (unsigned shift = 0; at < key.len; at++, shift += 8)
        word |= (uint64_t)key.ptr[at] << shift;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

/* Many maps never have a key: each idle tunnel has two of them.  A map that is empty again keeps
 * its seed: that of a tunnel's streams is whenever the only visitor has gone. */
static void draw_seed(struct map *m)
{
    if (m->seed[0] | m->seed[1])
        return;
    /* Without entropy the seed is the map's address: weaker, never fatal. */
    if (getrandom(m->seed, sizeof(m->seed), GRND_NONBLOCK) != (ssize_t)sizeof(m->seed))
        m->seed[0] = (uint64_t)(uintptr_t)m;
}

void map_fini(struct map *m)
{
    slab_free(m->slots);
    *m = (struct map){0};
}

static struct slice key_of(const struct map_slot *slot)
{
    return slice_of(slot->key, slot->len);
}

/* The slot that holds `key`, or the free one where it belongs. */
static struct map_slot *slot_for(const struct map *m, struct slice key, uint32_t hash)
{
    size_t mask = m->size - 1;
    size_t at = hash & mask;

    while (m->slots[at].value &&
           (m->slots[at].hash != hash || !slice_is_equal(key_of(&m->slots[at]), key)))
        at = (at + 1) & mask;
    return &m->slots[at];
}

void *map_find(const struct map *m, struct slice key)
{
    return m->size ? slot_for(m, key, hash_key(m, key))->value : NULL;
}

static int resize(struct map *m, size_t size)
{
    struct map bigger = *m;

    bigger.slots = slab_zalloc(size * sizeof(*bigger.slots));
    if (!bigger.slots)
        return -ENOMEM;
    bigger.size = size;
    for (size_t i = 0; i < m->size; i++) {
        if (m->slots[i].value)
            *slot_for(&bigger, key_of(&m->slots[i]), m->slots[i].hash) = m->slots[i];
    }
    slab_free(m->slots);
    *m = bigger;
    return 0;
}

int map_put(struct map *m, struct slice key, void *value)
{
    struct map_slot *slot;
    uint32_t hash;

    if (!m->size)
        draw_seed(m);
    hash = hash_key(m, key);
    if ((m->count + 1) * 4 > m->size * 3) {
        int err = resize(m, m->size ? m->size * 2 : SLOTS_MIN);

        if (err)
            return err;
    }
    slot = slot_for(m, key, hash);
    if (!slot->value)
        m->count++;
    *slot = (struct map_slot){key.ptr, value, (uint32_t)key.len, hash};
    return 0;
}

/* Closes the gap at `hole` by moving back each later slot of the run that may stand there
 * (Knuth, volume 3, 6.4, algorithm R). */
static void close_gap(struct map *m, size_t hole)
{
    size_t mask = m->size - 1;

    for (size_t at = (hole + 1) & mask; m->slots[at].value; at = (at + 1) & mask) {
        size_t home = m->slots[at].hash & mask;

        if (((at - home) & mask) >= ((at - hole) & mask)) {
            m->slots[hole] = m->slots[at];
            hole = at;
        }
    }
    m->slots[hole].value = NULL;
}

void *map_remove(struct map *m, struct slice key)
{
    struct map_slot *slot;
    void *value;

    if (!m->size)
        return NULL;
    slot = slot_for(m, key, hash_key(m, key));
    value = slot->value;
    if (!value)
        return NULL;
    close_gap(m, (size_t)(slot - m->slots));
    m->count--;
    if (m->count == 0) { /* of maps that each connection has, most are empty */
        slab_free(m->slots);
        m->slots = NULL;
        m->size = 0;
    } else if (m->size > SLOTS_MIN && m->count * 8 < m->size) {
        (void)resize(m, m->size / 2); /* too big is harmless */
    }
    return value;
}

void *map_next(const struct map *m, size_t *at)
{
    while (*at < m->size) {
        void *value = m->slots[(*at)++].value;

        if (value)
            return value;
    }
    return NULL;
}
