#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>

struct chunk {
    struct list link;
    uint32_t start, end; /* the bytes not yet dropped are bytes[start..end) */
    uint32_t size;
    uint8_t bytes[];
};

static struct chunk *owner(struct list *link)
{
    return LIST_OWNER(link, struct chunk, link);
}

void pool_init(struct pool *p, size_t spare_max)
{
    *p = (struct pool){.spare_max = spare_max};
    list_init(&p->spare);
}

void pool_trim(struct pool *p)
{
    for (; p->spare_least; p->spare_least--, p->spare_count--)
        free(owner(list_take(&p->spare)));
    p->spare_least = p->spare_count;
}

void pool_fini(struct pool *p)
{
    p->spare_least = p->spare_count;
    pool_trim(p);
}

size_t pool_bytes(const struct pool *p)
{
    return p->held_bytes + p->spare_count * (size_t)BUF_CHUNK_BIG;
}

static struct chunk *chunk_new(struct pool *p, size_t size)
{
    struct list *spare = size == BUF_CHUNK_BIG ? list_take(&p->spare) : NULL;
    struct chunk *c = spare ? owner(spare) : malloc(sizeof(*c) + size);

    if (!c)
        return NULL;
    if (spare)
        p->spare_count--;
    if (p->spare_count < p->spare_least)
        p->spare_least = p->spare_count;
    p->held_bytes += size;
    list_init(&c->link);
    c->start = c->end = 0;
    c->size = (uint32_t)size;
    return c;
}

static void chunk_free(struct pool *p, struct chunk *c)
{
    list_remove(&c->link);
    p->held_bytes -= c->size;
    if (c->size == BUF_CHUNK_BIG && p->spare_count < p->spare_max) {
        list_push_front(&p->spare, &c->link);
        p->spare_count++;
        return;
    }
    free(c);
}

void buf_init(struct buf *b, struct pool *p, size_t max)
{
    *b = (struct buf){.pool = p, .max = max};
    list_init(&b->chunks);
}

void buf_fini(struct buf *b)
{
    if (b->pool)
        buf_drop(b, b->len);
}

/* Room at the end of the last chunk. */
static size_t tail_room(const struct buf *b)
{
    return list_is_empty(&b->chunks) ? 0 : owner(b->chunks.prev)->size - owner(b->chunks.prev)->end;
}

/* Puts enough empty chunks for `len` bytes on `fresh`. */
static int reserve(struct buf *b, size_t len, struct list *fresh)
{
    while (len) {
        size_t size = len > BUF_CHUNK_SMALL || b->len ? BUF_CHUNK_BIG : BUF_CHUNK_SMALL;
        struct chunk *c = chunk_new(b->pool, size);

        if (!c) {
            LIST_EACH (fresh, link)
                chunk_free(b->pool, owner(link));
            return -ENOMEM;
        }
        list_push(fresh, &c->link);
        len -= len < size ? len : size;
    }
    return 0;
}

int buf_put(struct buf *b, const void *bytes, size_t len)
{
    struct list fresh;
    struct list *link = b->chunks.prev;
    const uint8_t *from = bytes;
    size_t room = tail_room(b);

    if (len > b->max - b->len || b->len > b->max)
        return -ENOBUFS;
    list_init(&fresh);
    if (len > room && reserve(b, len - room, &fresh))
        return -ENOMEM;
    if (!room)
        link = fresh.next;
    list_move_all(&fresh, &b->chunks);
    b->len += len;
    for (; len; link = link->next) {
        struct chunk *c = owner(link);
        size_t part = len < c->size - c->end ? len : c->size - c->end;

        memcpy(c->bytes + c->end, from, part);
        c->end += (uint32_t)part;
        from += part;
        len -= part;
    }
    return 0;
}

int buf_put_front(struct buf *b, const void *bytes, size_t len)
{
    struct buf front;
    int err;

    if (len > b->max - b->len || b->len > b->max)
        return -ENOBUFS;
    buf_init(&front, b->pool, len);
    err = buf_put(&front, bytes, len);
    if (err)
        return err;
    list_move_all(&b->chunks, &front.chunks);
    list_move_all(&front.chunks, &b->chunks);
    b->len += len;
    return 0;
}

unsigned buf_peek(const struct buf *b, struct iovec *iov, unsigned max, size_t *total)
{
    unsigned count = 0;

    *total = 0;
    for (struct list *link = b->chunks.next; link != &b->chunks && count < max; link = link->next) {
        struct chunk *c = owner(link);

        iov[count++] = (struct iovec){c->bytes + c->start, c->end - c->start};
        *total += c->end - c->start;
    }
    return count;
}

void buf_drop(struct buf *b, size_t len)
{
    if (len > b->len)
        len = b->len;
    b->len -= len;
    LIST_EACH (&b->chunks, link) {
        struct chunk *c = owner(link);
        size_t part = len < c->end - c->start ? len : c->end - c->start;

        c->start += (uint32_t)part;
        len -= part;
        if (c->start < c->end)
            return;
        chunk_free(b->pool, c);
    }
}

int buf_join(struct buf *b, uint8_t **out)
{
    struct chunk *all;

    if (list_is_empty(&b->chunks)) {
        *out = NULL;
        return 0;
    }
    if (b->chunks.next != b->chunks.prev) {
        /* Doubled, so that joining a queue that grows byte by byte stays cheap. */
        all = chunk_new(b->pool, b->len * 2);
        if (!all)
            return -ENOMEM;
        LIST_EACH (&b->chunks, link) {
            struct chunk *c = owner(link);

            memcpy(all->bytes + all->end, c->bytes + c->start, c->end - c->start);
            all->end += c->end - c->start;
            chunk_free(b->pool, c);
        }
        list_push(&b->chunks, &all->link);
    }
    all = owner(b->chunks.next);
    *out = all->bytes + all->start;
    return 0;
}
