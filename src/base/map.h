/* map.h - a hash map from short byte keys to pointers, safe with keys a stranger chooses.
 *
 * Open addressing with linear probing, hashed with SipHash-1-3 under a seed drawn for the first
 * key, so that nobody outside can make keys collide.  Deleting leaves no tombstones.
 *
 * Threads: belongs to its owner.
 * Memory:  keeps each key's pointer: the key must live, unchanged, until it is removed (it is
 *          usually a field of the value).  Owns neither keys nor values.
 */
#ifndef RVPN_BASE_MAP_H
#define RVPN_BASE_MAP_H

#include "base/slice.h"

struct map_slot {
    const uint8_t *key;
    void *value; /* NULL: the slot is free */
    uint32_t len;
    uint32_t hash;
};

struct map {
    struct map_slot *slots; /* NULL while the map is empty */
    size_t size;            /* number of slots: 0 or a power of two */
    size_t count;
    uint64_t seed[2];
};

void map_init(struct map *m);

/* Frees the slots, not the values.  Accepts a zeroed struct. */
void map_fini(struct map *m);

/* The value under `key`, or NULL. */
void *map_find(const struct map *m, struct slice key);

/* Puts `value` (not NULL) under `key`, in place of what was there.
 * Returns 0 or -ENOMEM (the map is as it was). */
int map_put(struct map *m, struct slice key, void *value);

/* Takes out and returns the value under `key`; NULL if there was none. */
void *map_remove(struct map *m, struct slice key);

/* Walks all values: start with *at = 0; NULL at the end.  The map must not change meanwhile. */
void *map_next(const struct map *m, size_t *at);

#endif
