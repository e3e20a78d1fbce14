#include "base/slab.h"

#include "base/list.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ALIGN 16U
#define PAGE 4096U
#define BITS 64U /* of a word */

/* Sizes: every 16th up to 256, 32nd up to 1024, 64th up to 2048, 128th up to SLAB_MAX. */
#define FINE 16U
#define MIDDLE 40U
#define COARSE 56U
#define SIZES 104U

struct arena;

/* At the beginning of its own memory, which is aligned to its size: so a piece finds it. */
struct board {
    struct list link; /* in arena.open, while there is room */
    struct list all;  /* in arena.boards */
    struct arena *arena;
    uint32_t size;  /* of a piece */
    uint32_t first; /* where they begin */
    uint16_t count, used;
    uint16_t full_words; /* in front, at least */
    enum { BOARD_TIGHT, BOARD_FREED } since_trim;
    uint64_t taken[]; /* a bit for each piece */
};

struct piece {
    struct piece *next;
};

/* One thread's. */
struct arena {
    struct arena *next;      /* in space.arenas; they outlive their threads */
    struct list open[SIZES]; /* boards with room */
    struct list boards;
    pthread_mutex_t lock;
    struct piece *returned; /* by other threads, under the lock */
};

/* The addresses that were set aside.  Boards beyond `cut` have never been used. */
static struct {
    uint8_t *base;
    size_t size;
    pthread_mutex_t lock;
    size_t cut;
    uint32_t *spare; /* numbers of boards that were given back */
    size_t spare_count;
    struct arena *arenas;
} space = {.lock = PTHREAD_MUTEX_INITIALIZER};

static _Thread_local struct arena *mine;

static unsigned number_of(size_t size)
{
    if (size <= 256)
        return size ? (unsigned)(size - 1) / 16 : 0;
    if (size <= 1024)
        return FINE + (unsigned)(size - 257) / 32;
    if (size <= 2048)
        return MIDDLE + (unsigned)(size - 1025) / 64;
    return COARSE + (unsigned)(size - 2049) / 128;
}

static uint32_t size_of(unsigned number)
{
    if (number < FINE)
        return (number + 1) * 16;
    if (number < MIDDLE)
        return 256 + (number - FINE + 1) * 32;
    if (number < COARSE)
        return 1024 + (number - MIDDLE + 1) * 64;
    return 2048 + (number - COARSE + 1) * 128;
}

int slab_start(size_t size)
{
    size_t boards = size / SLAB_BOARD;
    uint8_t *at = mmap(NULL, size + SLAB_BOARD, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *spare;

    if (at == MAP_FAILED)
        return -ENOMEM;
    spare = mmap(NULL, boards * sizeof(uint32_t), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (spare == MAP_FAILED) {
        (void)munmap(at, size + SLAB_BOARD);
        return -ENOMEM;
    }
    space.base = at + (SLAB_BOARD - (uintptr_t)at % SLAB_BOARD);
    space.size = boards * SLAB_BOARD;
    space.spare = spare;
    /* A huge page would bring back with one piece what was given back. */
    (void)madvise(space.base, space.size, MADV_NOHUGEPAGE);
    return 0;
}

static bool is_ours(const void *piece)
{
    return (uintptr_t)piece - (uintptr_t)space.base < space.size;
}

static void *take_board(void)
{
    uint8_t *at = NULL;

    (void)pthread_mutex_lock(&space.lock);
    if (space.spare_count) {
        at = space.base + (size_t)space.spare[--space.spare_count] * SLAB_BOARD;
    } else if ((space.cut + 1) * SLAB_BOARD <= space.size) {
        at = space.base + space.cut * SLAB_BOARD;
        if (mprotect(at, SLAB_BOARD, PROT_READ | PROT_WRITE) == 0)
            space.cut++;
        else
            at = NULL;
    }
    (void)pthread_mutex_unlock(&space.lock);
    return at;
}

static void give_board(struct board *b)
{
    (void)madvise(b, SLAB_BOARD, MADV_DONTNEED);
    (void)pthread_mutex_lock(&space.lock);
    space.spare[space.spare_count++] = (uint32_t)(((uint8_t *)b - space.base) / SLAB_BOARD);
    (void)pthread_mutex_unlock(&space.lock);
}

size_t slab_bytes(void)
{
    size_t boards;

    (void)pthread_mutex_lock(&space.lock);
    boards = space.cut - space.spare_count;
    (void)pthread_mutex_unlock(&space.lock);
    return boards * SLAB_BOARD;
}

static struct board *add_board(struct arena *a, unsigned number)
{
    struct board *b = take_board();
    uint32_t size = size_of(number);
    uint32_t words = (SLAB_BOARD / size + BITS - 1) / BITS;

    if (!b)
        return NULL;
    *b = (struct board){.arena = a, .size = size};
    b->first = (uint32_t)((sizeof(*b) + words * sizeof(uint64_t) + ALIGN - 1) / ALIGN * ALIGN);
    b->count = (uint16_t)((SLAB_BOARD - b->first) / size);
    memset(b->taken, 0, words * sizeof(uint64_t));
    for (uint32_t i = b->count; i < words * BITS; i++) /* there are none */
        b->taken[i / BITS] |= UINT64_C(1) << i % BITS;
    list_push(&a->boards, &b->all);
    list_push_front(&a->open[number], &b->link);
    return b;
}

static struct arena *add_arena(void)
{
    struct arena *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    for (unsigned i = 0; i < SIZES; i++)
        list_init(&a->open[i]);
    list_init(&a->boards);
    (void)pthread_mutex_init(&a->lock, NULL); /* cannot fail without attributes */
    (void)pthread_mutex_lock(&space.lock);
    a->next = space.arenas;
    space.arenas = a;
    (void)pthread_mutex_unlock(&space.lock);
    return a;
}

static struct board *board_of(const void *piece)
{
    return (struct board *)((uintptr_t)piece & ~(uintptr_t)(SLAB_BOARD - 1));
}

/* By the board's own thread. */
static void put_back(struct board *b, void *piece)
{
    uint32_t at = (uint32_t)((uint8_t *)piece - (uint8_t *)b) - b->first;
    uint32_t i = at / b->size;

    assert(at % b->size == 0 && b->taken[i / BITS] >> i % BITS & 1); /* or it is freed twice */
    b->taken[i / BITS] &= ~(UINT64_C(1) << i % BITS);
    if (i / BITS < b->full_words)
        b->full_words = (uint16_t)(i / BITS);
    if (b->used-- == b->count)
        list_push_front(&b->arena->open[number_of(b->size)], &b->link);
    b->since_trim = BOARD_FREED;
}

static void take_returned(struct arena *a)
{
    struct piece *p, *next;

    (void)pthread_mutex_lock(&a->lock);
    p = a->returned;
    a->returned = NULL;
    (void)pthread_mutex_unlock(&a->lock);
    for (; p; p = next) {
        next = p->next;
        put_back(board_of(p), p);
    }
}

/* A board with room for a piece of that size. */
static struct board *open_board(unsigned number)
{
    if (!mine)
        mine = add_arena();
    if (!mine)
        return NULL;
    if (list_is_empty(&mine->open[number]))
        take_returned(mine);
    if (list_is_empty(&mine->open[number]))
        return add_board(mine, number);
    return LIST_OWNER(mine->open[number].next, struct board, link);
}

void *slab_alloc(size_t size)
{
    struct board *b;
    uint32_t i;

    if (!space.base || size > SLAB_MAX)
        return malloc(size);
    b = open_board(number_of(size));
    if (!b)
        return malloc(size);
    while (b->taken[b->full_words] == UINT64_MAX)
        b->full_words++;
    i = b->full_words * BITS + (uint32_t)__builtin_ctzll(~b->taken[b->full_words]);
    b->taken[i / BITS] |= UINT64_C(1) << i % BITS;
    if (++b->used == b->count)
        list_remove(&b->link);
    return (uint8_t *)b + b->first + (size_t)i * b->size;
}

void *slab_zalloc(size_t size)
{
    void *piece;

    if (!space.base || size > SLAB_MAX)
        return calloc(1, size);
    piece = slab_alloc(size);
    return piece ? memset(piece, 0, size) : NULL;
}

void slab_free(void *piece)
{
    struct board *b;
    struct piece *p = piece;

    if (!is_ours(piece)) {
        free(piece);
        return;
    }
    b = board_of(piece);
    if (b->arena == mine) {
        put_back(b, piece);
        return;
    }
    (void)pthread_mutex_lock(&b->arena->lock);
    p->next = b->arena->returned;
    b->arena->returned = p;
    (void)pthread_mutex_unlock(&b->arena->lock);
}

void *slab_resize(void *piece, size_t size)
{
    size_t old;
    void *moved;

    if (!is_ours(piece)) /* it may shrink there */
        return piece ? realloc(piece, size) : slab_alloc(size);
    old = board_of(piece)->size;
    if (size <= SLAB_MAX && size_of(number_of(size)) == old)
        return piece;
    moved = slab_alloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, piece, old < size ? old : size);
    slab_free(piece);
    return moved;
}

/* Whether a piece lies in the page at `at`, which is not the first. */
static bool is_page_used(const struct board *b, uint32_t at)
{
    uint32_t i = at < b->first ? 0 : (at - b->first) / b->size;
    uint32_t end = (at + PAGE - b->first + b->size - 1) / b->size;

    for (; i < end && i < b->count; i++) {
        if (b->taken[i / BITS] >> i % BITS & 1)
            return true;
    }
    return false;
}

static void drop_pages(struct board *b)
{
    uint32_t from = PAGE;

    for (uint32_t at = PAGE; at <= SLAB_BOARD; at += PAGE) {
        if (at < SLAB_BOARD && !is_page_used(b, at))
            continue;
        if (at > from)
            (void)madvise((uint8_t *)b + from, at - from, MADV_DONTNEED);
        from = at + PAGE;
    }
    b->since_trim = BOARD_TIGHT;
}

void slab_trim(void)
{
    if (!mine)
        return;
    take_returned(mine);
    LIST_EACH (&mine->boards, at) {
        struct board *b = LIST_OWNER(at, struct board, all);

        if (b->used == 0) {
            list_remove(&b->link);
            list_remove(&b->all);
            give_board(b);
        } else if (b->since_trim == BOARD_FREED) {
            drop_pages(b);
        }
    }
}
