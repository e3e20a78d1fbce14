#include "server/config_memory.h"

#include "server/config.h"

#include <errno.h>
#include <stdlib.h>

struct config_chunk {
    struct config_chunk *next;
    size_t size;
    max_align_t bytes[];
};

void *config_memory_take(struct config *c, size_t size)
{
    struct config_chunk *chunk = calloc(1, sizeof(*chunk) + size);

    if (!chunk)
        return NULL;
    chunk->size = size;
    chunk->next = c->chunks;
    c->chunks = chunk;
    return chunk->bytes;
}

char *config_memory_copy(struct config *c, struct slice s)
{
    char *text = config_memory_take(c, s.len + 1);

    if (text && s.len)
        memcpy(text, s.ptr, s.len);
    return text;
}

void config_memory_free(struct config *c)
{
    while (c->chunks) {
        struct config_chunk *chunk = c->chunks;

        c->chunks = chunk->next;
        explicit_bzero(chunk->bytes, chunk->size);
        free(chunk);
    }
}

/* All lists look like this, but for the type of what they point to: hence memcpy. */
struct any_list {
    void *at;
    size_t count;
};

int config_list_append(struct config *c, void *list, const void *item, size_t size)
{
    struct any_list l;
    char *grown;

    memcpy(&l, list, sizeof(l));
    grown = config_memory_take(c, (l.count + 1) * size);
    if (!grown)
        return -ENOMEM;
    if (l.count)
        memcpy(grown, l.at, l.count * size);
    memcpy(grown + l.count * size, item, size);
    l.at = grown;
    l.count++;
    memcpy(list, &l, sizeof(l));
    return 0;
}

size_t config_list_count(const void *list)
{
    struct any_list l;

    memcpy(&l, list, sizeof(l));
    return l.count;
}

void config_list_clear(void *list)
{
    memset(list, 0, sizeof(struct any_list));
}
