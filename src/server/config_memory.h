/* config_memory.h - what a configuration points to, freed with it in one go.
 *
 * Errors:  NULL or -ENOMEM when there is no memory; what was there before is untouched.
 * Threads: main thread.
 */
#ifndef RVPN_SERVER_CONFIG_MEMORY_H
#define RVPN_SERVER_CONFIG_MEMORY_H

#include "base/slice.h"

struct config;

/* `size` zeroed bytes that live as long as `c`. */
void *config_memory_take(struct config *c, size_t size);

/* `s` as NUL-terminated text that lives as long as `c`. */
char *config_memory_copy(struct config *c, struct slice s);

/* Wipes and frees all of it. */
void config_memory_free(struct config *c);

/* Appends a copy of the `size` bytes at `item` to `list`, which is one of config.h's pairs
 * {pointer, count} of such items. */
int config_list_append(struct config *c, void *list, const void *item, size_t size);

/* The number of entries of such a list; empties it. */
size_t config_list_count(const void *list);
void config_list_clear(void *list);

#endif
