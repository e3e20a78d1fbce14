#include "base/shelf.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct piece {
    struct piece *next;
};

/* At the beginning of its own memory, which is aligned to its size: so a piece finds it. */
struct board {
    struct list link; /* in shelf.boards, while there is room */
    struct piece *free;
    unsigned used; /* pieces */
    unsigned cut;  /* pieces that have ever been used */
};

#define BOARD_PIECES ((SHELF_BOARD - SHELF_PIECE) / SHELF_PIECE) /* the first one is the head */

static_assert(sizeof(struct board) <= SHELF_PIECE, "the head takes the room of one piece");

void shelf_init(struct shelf *s)
{
    list_init(&s->boards);
}

static struct board *add_board(struct shelf *s)
{
    struct board *b = aligned_alloc(SHELF_BOARD, SHELF_BOARD);

    if (!b)
        return NULL;
    *b = (struct board){0};
    list_push(&s->boards, &b->link);
    return b;
}

void *shelf_alloc(struct shelf *s, size_t size)
{
    struct board *b;
    void *piece;

    if (size > SHELF_PIECE)
        return calloc(1, size);
    b = list_is_empty(&s->boards) ? add_board(s) : LIST_OWNER(s->boards.next, struct board, link);
    if (!b)
        return NULL;
    piece = b->free;
    if (piece)
        b->free = b->free->next;
    else
        piece = (uint8_t *)b + (size_t)SHELF_PIECE * ++b->cut;
    if (++b->used == BOARD_PIECES)
        list_remove(&b->link);
    return memset(piece, 0, SHELF_PIECE);
}

void shelf_free(struct shelf *s, void *piece, size_t size)
{
    struct piece *p = piece;
    struct board *b;

    if (size > SHELF_PIECE) {
        free(piece);
        return;
    }
    b = (struct board *)((uintptr_t)piece & ~(uintptr_t)(SHELF_BOARD - 1));
    p->next = b->free;
    b->free = p;
    if (b->used-- == BOARD_PIECES)
        list_push_front(&s->boards, &b->link);
    if (b->used == 0) {
        list_remove(&b->link);
        free(b);
    }
}
