/* slab.h - memory for what there are thousands of and stays long: pieces of one size lie beside
 * each other, and pages without a piece go back to the system.
 *
 * In the heap, what a TLS handshake needs for a moment lies between what a connection needs for
 * days, and what is left free between those is of use to nobody.  Here each size (SLAB_MAX bytes
 * at most, in steps) has boards of its own; a piece has no head, is taken from the front of its
 * board, and which of them are taken stands at the board's beginning.  Bigger pieces come from the
 * heap; so do all before slab_start(), or without it.
 *
 * Threads: any.  A thread has boards of its own and takes no lock for their pieces; what another
 *          one frees is left with it under one.
 * Memory:  what slab_alloc() gave is freed with slab_free() only.
 * Errors:  NULL when out of memory.
 * Units:   bytes.
 */
#ifndef RVPN_BASE_SLAB_H
#define RVPN_BASE_SLAB_H

#include <stddef.h>

#define SLAB_MAX 8192U
#define SLAB_BOARD 131072U

/* Sets `space` bytes of addresses aside, in whole boards; they cost nothing until they are used.
 * Main thread, once, before anything else is called.  Returns 0; -ENOMEM and all stays in the heap.
 */
int slab_start(size_t space);

/* Aligned for anything.  zalloc: all zero.  resize: as realloc(3), but `size` is not 0. */
void *slab_alloc(size_t size);
void *slab_zalloc(size_t size);
void *slab_resize(void *piece, size_t size);
void slab_free(void *piece);

/* Gives the pages to the system in which this thread has no piece. */
void slab_trim(void);

/* What all threads have taken from the system, free pieces included. */
size_t slab_bytes(void);

#endif
