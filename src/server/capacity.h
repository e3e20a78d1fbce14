/* capacity.h - what the machine lets this process have: descriptors and memory.
 *
 * Threads: main thread, before the workers start.
 * Units:   bytes.
 */
#ifndef RVPN_SERVER_CAPACITY_H
#define RVPN_SERVER_CAPACITY_H

#include "net/supply.h"
#include "server/config.h"

/* Has slabs used, by OpenSSL too, but for a program that watches each allocation.  Before anything
 * else. */
void capacity_start_slabs(void);

/* Raises the soft limit of descriptors to the hard one. */
void capacity_raise(void);

/* Sets the limits of `s`, once all listeners are there, which it has counted: from the config, or
 * as a share of what there is.  `spare_fd` is any open descriptor.  Returns 0, or -EMFILE if the
 * limit leaves next to none for connections. */
int capacity_measure(struct supply *s, const struct config *config, int spare_fd);

/* The least of the machine's memory and what the cgroups of this process allow, of which `group` is
 * the one that /proc/self/cgroup names; its folder is below `root`. */
size_t capacity_memory(const char *root, const char *group);

#endif
