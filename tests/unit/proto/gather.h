/* gather.h - bytes that arrive in pieces, put together. */
#ifndef RVPN_TESTS_UNIT_PROTO_GATHER_H
#define RVPN_TESTS_UNIT_PROTO_GATHER_H

#include "base/slice.h"

#include <stdlib.h>

/* Zeroed: empty. */
struct gather {
    uint8_t *bytes;
    size_t len;
    size_t room;
};

/* Appends `bytes`; where they point nowhere, as many 'x'. */
static inline void gather_add(struct gather *g, struct slice bytes)
{
    if (g->room - g->len <= bytes.len) {
        g->room = (g->room + bytes.len) * 2 + 64;
        g->bytes = realloc(g->bytes, g->room);
        if (!g->bytes)
            abort();
    }
    if (bytes.ptr)
        memcpy(g->bytes + g->len, bytes.ptr, bytes.len);
    else
        memset(g->bytes + g->len, 'x', bytes.len);
    g->len += bytes.len;
}

static inline struct slice gather_slice(const struct gather *g)
{
    return slice_of(g->bytes, g->len);
}

static inline void gather_fini(struct gather *g)
{
    free(g->bytes);
    *g = (struct gather){0};
}

#endif
