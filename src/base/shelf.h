/* shelf.h - small pieces of memory that stay long, apart from the heap.
 *
 * A few bytes that outlive thousands of connections hold a page each when they lie between them.
 * Here pieces of up to SHELF_PIECE bytes lie beside each other on boards of SHELF_BOARD bytes; an
 * empty board goes back to the system.  Bigger pieces come from the heap.
 *
 * Threads: any one at a time.
 * Errors:  NULL when out of memory.
 * Units:   bytes.
 */
#ifndef RVPN_BASE_SHELF_H
#define RVPN_BASE_SHELF_H

#include "base/list.h"

#include <stddef.h>

#define SHELF_PIECE 96U
#define SHELF_BOARD 131072U /* what the heap maps for itself: see capacity.c */

struct shelf {
    struct list boards; /* that have room */
};

void shelf_init(struct shelf *s);

/* A piece of `size` bytes, all zero, until shelf_free() with the same size. */
void *shelf_alloc(struct shelf *s, size_t size);
void shelf_free(struct shelf *s, void *piece, size_t size);

#endif
