/* buf.h - a bounded byte queue: a list of chunks, from a pool that each worker has of its own.
 *
 * An empty queue holds no memory.  Chunks come in two sizes: small ones for a remainder, big ones
 * for bulk; the pool keeps a few big ones so that steady traffic does not go to malloc.
 *
 * Threads: a pool and all queues that use it belong to one loop.
 * Memory:  copies what is put in; the pool must outlive its queues.
 * Errors:  0 on success, -ENOBUFS past the queue's maximum, -ENOMEM; nothing is queued then.
 * Units:   bytes.
 */
#ifndef RVPN_BASE_BUF_H
#define RVPN_BASE_BUF_H

#include "base/list.h"
#include "base/slice.h"

#include <sys/uio.h>

#define BUF_CHUNK_BIG 65536U
#define BUF_CHUNK_SMALL 4096U

struct pool {
    struct list spare; /* big chunks */
    size_t spare_count;
    size_t spare_least; /* that have been spare since pool_trim() */
    size_t spare_max;
    size_t held_bytes; /* in all chunks that are out, for gauges */
};

struct buf {
    struct list chunks;
    struct pool *pool;
    size_t len;
    size_t max;
};

void pool_init(struct pool *p, size_t spare_max);
void pool_fini(struct pool *p);

/* Frees the spare chunks that have not been needed since it was last called. */
void pool_trim(struct pool *p);

/* What the pool has taken from the heap. */
size_t pool_bytes(const struct pool *p);

void buf_init(struct buf *b, struct pool *p, size_t max);
void buf_fini(struct buf *b);

/* Appends a copy of bytes[0..len). */
int buf_put(struct buf *b, const void *bytes, size_t len);

/* Puts a copy of bytes[0..len) in front of all others. */
int buf_put_front(struct buf *b, const void *bytes, size_t len);

/* Points iov[0..max) at the front of the queue; lent until it changes.
 * Returns how many entries were filled, and their sum in *total. */
unsigned buf_peek(const struct buf *b, struct iovec *iov, unsigned max, size_t *total);

/* Drops the first `len` bytes, at most all. */
void buf_drop(struct buf *b, size_t len);

/* The queue as one run: where it spans chunks they are joined first.  Lent until it changes.
 * Returns 0 or -ENOMEM. */
int buf_join(struct buf *b, uint8_t **out);

#endif
