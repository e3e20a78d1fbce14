#include "tunnel/registry.h"

#include "base/map.h"
#include "base/shelf.h"
#include "base/slab.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define KEY_MAX 255U /* bytes; a port's key is ":" and its number, which no name is */

/* A name that is served now (it has claims) or was of late (it is in `away`). */
struct registry_name {
    struct list claims;  /* by claim.by_name; the first one gets the next visitor */
    struct list doubted; /* the same, of seats in doubt; gets visitors while `claims` is empty */
    struct list away;    /* in registry.away, oldest first, while there are no claims */
    int64_t last_seen_unix;
    uint32_t len;
    uint8_t key[]; /* of map `names` */
};

struct registry {
    pthread_mutex_t lock;
    struct list seats;
    size_t seat_count;
    uint64_t joined;    /* so far */
    struct map names;   /* live and away */
    struct shelf shelf; /* of struct registry_name: they outlive sessions by days */
    struct list away;
    size_t away_count;
};

void seat_init(struct seat *s)
{
    memset(&s->meter, 0, sizeof(s->meter));
    list_init(&s->claims);
    list_init(&s->link);
    s->label = NULL;
    s->standing = SEAT_TRUSTED;
    s->trusted_until_ms = 0;
}

struct registry *registry_new(void)
{
    struct registry *r = calloc(1, sizeof(*r));

    if (!r)
        return NULL;
    (void)pthread_mutex_init(&r->lock, NULL); /* cannot fail without attributes */
    list_init(&r->seats);
    list_init(&r->away);
    map_init(&r->names);
    shelf_init(&r->shelf);
    return r;
}

static struct slice key_of(const struct registry_name *n)
{
    return slice_of(n->key, n->len);
}

static void free_name(struct registry *r, struct registry_name *n)
{
    shelf_free(&r->shelf, n, sizeof(*n) + n->len);
}

static void forget(struct registry *r, struct registry_name *n)
{
    (void)map_remove(&r->names, key_of(n));
    list_remove(&n->away);
    r->away_count--;
    free_name(r, n);
}

static void forget_oldest(struct registry *r)
{
    forget(r, LIST_OWNER(r->away.next, struct registry_name, away));
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    assert(list_is_empty(&r->seats));
    while (r->away_count)
        forget_oldest(r);
    map_fini(&r->names);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

void registry_join(struct registry *r, struct seat *s)
{
    (void)pthread_mutex_lock(&r->lock);
    list_push(&r->seats, &s->link);
    s->order = ++r->joined;
    r->seat_count++;
    (void)pthread_mutex_unlock(&r->lock);
}

void registry_leave(struct registry *r, struct seat *s)
{
    assert(list_is_empty(&s->claims));
    (void)pthread_mutex_lock(&r->lock);
    list_remove(&s->link);
    r->seat_count--;
    slab_free(s->label);
    s->label = NULL;
    (void)pthread_mutex_unlock(&r->lock);
}

void registry_set_label(struct registry *r, struct seat *s, struct slice label)
{
    size_t size = (label.len < SEAT_LABEL_MAX ? label.len : SEAT_LABEL_MAX) + 1;

    (void)pthread_mutex_lock(&r->lock);
    slab_free(s->label);
    s->label = slab_alloc(size);
    if (s->label)
        (void)slice_write(label, s->label, size);
    (void)pthread_mutex_unlock(&r->lock);
}

static struct slice port_key(uint16_t port, char text[8])
{
    (void)snprintf(text, 8, ":%u", port);
    return slice_text(text);
}

static bool is_live(const struct registry_name *n)
{
    return !list_is_empty(&n->claims) || !list_is_empty(&n->doubted);
}

/* Of a live name: all its claims are of one subject. */
static bool is_owner(const struct registry_name *n, const char *subject)
{
    const struct list *claims = list_is_empty(&n->claims) ? &n->doubted : &n->claims;

    return strcmp(LIST_OWNER(claims->next, struct claim, by_name)->subject, subject) == 0;
}

/* A name that nobody has, as yet without claims and not in `away`.  NULL when out of memory. */
static struct registry_name *add_name(struct registry *r, struct slice key)
{
    struct registry_name *n = shelf_alloc(&r->shelf, sizeof(*n) + key.len);

    if (!n)
        return NULL;
    list_init(&n->claims);
    list_init(&n->doubted);
    list_init(&n->away);
    n->len = (uint32_t)key.len;
    memcpy(n->key, key.ptr, key.len);
    if (map_put(&r->names, key_of(n), n)) {
        free_name(r, n);
        return NULL;
    }
    return n;
}

/* The name under `key`, live, with `subject` as its owner. */
static int take_name(struct registry *r, struct slice key, const char *subject,
                     struct registry_name **out)
{
    struct registry_name *n = map_find(&r->names, key);

    if (n && is_live(n)) {
        *out = n;
        return is_owner(n, subject) ? 0 : -EACCES;
    }
    if (n)
        r->away_count--;
    else
        n = add_name(r, key);
    if (!n)
        return -ENOMEM;
    list_remove(&n->away);
    *out = n;
    return 0;
}

static struct list *list_for(struct registry_name *n, const struct seat *s)
{
    return s->standing == SEAT_DOUBTED ? &n->doubted : &n->claims;
}

int registry_claim(struct registry *r, struct seat *s, struct claim *c)
{
    struct registry_name *n = NULL;
    char text[8];
    struct slice key = c->port ? port_key(c->port, text) : slice_text(c->host);
    int err;

    assert(!c->name && key.len && c->host[0] != ':');
    (void)pthread_mutex_lock(&r->lock);
    err = take_name(r, key, c->subject, &n);
    if (!err) {
        c->name = n;
        c->seat = s;
        list_push_front(list_for(n, s), &c->by_name);
        list_push(&s->claims, &c->link);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return err;
}

bool registry_is_taken(struct registry *r, struct slice host, const char *subject)
{
    const struct registry_name *n;
    bool taken;

    (void)pthread_mutex_lock(&r->lock);
    n = map_find(&r->names, host);
    taken = n && is_live(n) && !is_owner(n, subject);
    (void)pthread_mutex_unlock(&r->lock);
    return taken;
}

static void set_away(struct registry *r, struct registry_name *n, int64_t now_unix)
{
    n->last_seen_unix = now_unix;
    list_push(&r->away, &n->away);
    if (++r->away_count > REGISTRY_AWAY_MAX)
        forget_oldest(r);
}

void registry_release(struct registry *r, struct claim *c, int64_t now_unix)
{
    struct registry_name *n = c->name;

    assert(n);
    (void)pthread_mutex_lock(&r->lock);
    list_remove(&c->by_name);
    list_remove(&c->link);
    c->name = NULL;
    if (!is_live(n))
        set_away(r, n, now_unix);
    (void)pthread_mutex_unlock(&r->lock);
}

static struct route route_of(const struct claim *c)
{
    return (struct route){.session_id = c->seat->id, .worker = c->seat->worker};
}

/* Fills in *out if the name under `key` is live, or away and *answer is still unknown. */
static void look_at(struct registry *r, struct slice key, enum registry_answer *answer,
                    struct route *out)
{
    struct registry_name *n = map_find(&r->names, key);

    if (n && is_live(n)) {
        struct list *claims = list_is_empty(&n->claims) ? &n->doubted : &n->claims;
        struct list *turn = list_take(claims);

        list_push(claims, turn);
        *out = route_of(LIST_OWNER(turn, struct claim, by_name));
        *answer = REGISTRY_FOUND;
    } else if (n && *answer == REGISTRY_UNKNOWN) {
        *out = (struct route){.last_seen_unix = n->last_seen_unix};
        *answer = REGISTRY_AWAY;
    }
}

enum registry_answer registry_find(struct registry *r, struct slice host, struct route *out)
{
    enum registry_answer answer = REGISTRY_UNKNOWN;
    uint8_t name[KEY_MAX];

    /* A visitor asks for a host, not for our keys. */
    if (!host.len || host.len > KEY_MAX || host.ptr[0] == ':' || memchr(host.ptr, '*', host.len))
        return REGISTRY_UNKNOWN;
    memcpy(name, host.ptr, host.len);
    (void)pthread_mutex_lock(&r->lock);
    look_at(r, host, &answer, out);
    for (size_t dot = 1; dot < host.len && answer != REGISTRY_FOUND; dot++) {
        if (name[dot] != '.')
            continue;
        name[dot - 1] = '*';
        look_at(r, slice_of(name + dot - 1, host.len - dot + 1), &answer, out);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return answer;
}

enum registry_answer registry_find_port(struct registry *r, uint16_t port, struct route *out)
{
    enum registry_answer answer = REGISTRY_UNKNOWN;
    char text[8];
    struct slice key = port_key(port, text);

    (void)pthread_mutex_lock(&r->lock);
    look_at(r, key, &answer, out);
    (void)pthread_mutex_unlock(&r->lock);
    return answer;
}

/* All its claims go to the end of where they belong now. */
static void move_claims(struct seat *s)
{
    LIST_EACH (&s->claims, link) {
        struct claim *c = LIST_OWNER(link, struct claim, link);

        list_remove(&c->by_name);
        list_push(list_for(c->name, s), &c->by_name);
    }
}

/* `but` may be NULL. */
static void doubt(struct registry_name *n, const struct seat *but, int64_t now_ms,
                  struct doubts *out)
{
    size_t looks = 0;

    LIST_EACH (&n->claims, at) {
        const struct claim *c = LIST_OWNER(at, struct claim, by_name);

        if (looks++ == REGISTRY_DOUBTS_MAX)
            break;
        if (c->seat == but || now_ms < c->seat->trusted_until_ms)
            continue;
        out->at[out->count++] = route_of(c);
        c->seat->standing = SEAT_DOUBTED;
        move_claims(c->seat);
    }
}

void registry_doubt(struct registry *r, const struct claim *c, int64_t now_ms, struct doubts *out)
{
    out->count = 0;
    (void)pthread_mutex_lock(&r->lock);
    doubt(c->name, c->seat, now_ms, out);
    (void)pthread_mutex_unlock(&r->lock);
}

void registry_doubt_all(struct registry *r, struct slice host, const char *subject, int64_t now_ms,
                        struct doubts *out)
{
    struct registry_name *n;

    out->count = 0;
    (void)pthread_mutex_lock(&r->lock);
    n = map_find(&r->names, host);
    if (n && is_live(n) && is_owner(n, subject))
        doubt(n, NULL, now_ms, out);
    (void)pthread_mutex_unlock(&r->lock);
}

void registry_trust(struct registry *r, struct seat *s, int64_t until_ms)
{
    (void)pthread_mutex_lock(&r->lock);
    s->standing = SEAT_TRUSTED;
    s->trusted_until_ms = until_ms;
    move_claims(s);
    (void)pthread_mutex_unlock(&r->lock);
}

void registry_each(struct registry *r, void (*fn)(const struct seat *s, void *arg), void *arg)
{
    (void)pthread_mutex_lock(&r->lock);
    LIST_EACH (&r->seats, at) {
        fn(LIST_OWNER(at, struct seat, link), arg);
    }
    (void)pthread_mutex_unlock(&r->lock);
}

void registry_each_after(struct registry *r, uint64_t order,
                         bool (*fn)(const struct seat *s, void *arg), void *arg)
{
    (void)pthread_mutex_lock(&r->lock);
    LIST_EACH (&r->seats, at) {
        const struct seat *s = LIST_OWNER(at, struct seat, link);

        if (s->order > order && !fn(s, arg))
            break;
    }
    (void)pthread_mutex_unlock(&r->lock);
}

struct registry_counts registry_count(struct registry *r)
{
    struct registry_counts counts;

    (void)pthread_mutex_lock(&r->lock);
    counts.sessions = r->seat_count;
    counts.away = r->away_count;
    counts.names = r->names.count - r->away_count;
    (void)pthread_mutex_unlock(&r->lock);
    return counts;
}
