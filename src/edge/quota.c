#include "edge/quota.h"

#include "base/bucket.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slab.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#define KEY_MAX 768U        /* what is counted, a subject, a token's id */
#define REFILL_MS 1000      /* an empty bucket is full after this, and can be forgotten */
#define FORGOTTEN_AT_ONCE 2 /* for each that comes: all workers wait for the lock meanwhile */

enum counted { CONNECTIONS, TUNNELS, STREAMS, HANDSHAKES };

struct holder {
    struct quota *quota;
    uint32_t count;
    struct bucket bucket; /* HANDSHAKES */
    struct list recent;   /* HANDSHAKES: in the quota's recent */
    size_t key_len;
    uint8_t key[]; /* of the quota's map: first what is counted, then whose */
};

struct quota {
    pthread_mutex_t lock;
    const struct quota_limits *limits;
    struct bucket_rate handshakes; /* of one address */
    struct map holders;
    struct list recent; /* handshakes of the last second, longest ago first */
    uint32_t recent_count;
};

struct key {
    uint8_t bytes[KEY_MAX];
    size_t len;
};

static void put(struct key *k, const void *bytes, size_t len)
{
    if (len > KEY_MAX - k->len)
        len = KEY_MAX - k->len;
    memcpy(k->bytes + k->len, bytes, len);
    k->len += len;
}

static void start_key(struct key *k, enum counted what)
{
    k->bytes[0] = (uint8_t)what;
    k->len = 1;
}

/* The IPv4 address, or the first half of the IPv6 address. */
static void key_of_address(struct key *k, enum counted what, const struct address *a)
{
    start_key(k, what);
    if (a->sa.sa_family == AF_INET6)
        put(k, &a->in6.sin6_addr, 8);
    else
        put(k, &a->in.sin_addr, 4);
}

static void key_of_token(struct key *k, enum counted what, struct quota_token token)
{
    start_key(k, what);
    put(k, token.subject, strlen(token.subject) + 1);
    put(k, token.id, strlen(token.id));
}

static struct slice slice_of_key(const struct key *k)
{
    return slice_of(k->bytes, k->len);
}

static void forget(struct quota *q, struct holder *h)
{
    (void)map_remove(&q->holders, slice_of(h->key, h->key_len));
    slab_free(h);
}

/* The holder under that key, a new one if there was none; NULL when out of memory. */
static struct holder *find_or_add(struct quota *q, const struct key *k)
{
    struct holder *h = map_find(&q->holders, slice_of_key(k));

    if (h)
        return h;
    h = slab_zalloc(sizeof(*h) + k->len);
    if (!h)
        return NULL;
    h->quota = q;
    h->key_len = k->len;
    memcpy(h->key, k->bytes, k->len);
    list_init(&h->recent);
    if (map_put(&q->holders, slice_of(h->key, h->key_len), h)) {
        slab_free(h);
        return NULL;
    }
    return h;
}

/* ticket.give_back */
static void give_back(void *counter)
{
    struct holder *h = counter;
    struct quota *q = h->quota;

    (void)pthread_mutex_lock(&q->lock);
    if (--h->count == 0)
        forget(q, h);
    (void)pthread_mutex_unlock(&q->lock);
}

static enum quota_answer take(struct quota *q, const struct key *k, uint64_t limit,
                              struct ticket *out)
{
    enum quota_answer answer = QUOTA_WITHIN;
    struct holder *h;

    (void)pthread_mutex_lock(&q->lock);
    h = find_or_add(q, k);
    if (h) {
        h->count++;
        answer = h->count > 2 * limit ? QUOTA_FAR_OVER
                 : h->count > limit   ? QUOTA_OVER
                                      : QUOTA_WITHIN;
        *out = (struct ticket){give_back, h};
    }
    (void)pthread_mutex_unlock(&q->lock);
    return answer;
}

enum quota_answer quota_take_connection(struct quota *q, const struct address *peer,
                                        struct ticket *out)
{
    struct key k;

    *out = (struct ticket){NULL, NULL};
    if (q->limits->address_connections == 0)
        return QUOTA_WITHIN;
    key_of_address(&k, CONNECTIONS, peer);
    return take(q, &k, q->limits->address_connections, out);
}

enum quota_answer quota_take_tunnel(struct quota *q, struct quota_token token, struct ticket *out)
{
    struct key k;

    *out = (struct ticket){NULL, NULL};
    if (q->limits->token_tunnels == 0)
        return QUOTA_WITHIN;
    key_of_token(&k, TUNNELS, token);
    return take(q, &k, q->limits->token_tunnels, out);
}

enum quota_answer quota_take_stream(struct quota *q, struct quota_token token, struct ticket *out)
{
    struct key k;

    *out = (struct ticket){NULL, NULL};
    if (q->limits->token_streams == 0)
        return QUOTA_WITHIN;
    key_of_token(&k, STREAMS, token);
    return take(q, &k, q->limits->token_streams, out);
}

bool quota_has_tunnel(struct quota *q, struct quota_token token)
{
    const struct holder *h;
    struct key k;
    bool has;

    if (q->limits->token_tunnels == 0)
        return true;
    key_of_token(&k, TUNNELS, token);
    (void)pthread_mutex_lock(&q->lock);
    h = map_find(&q->holders, slice_of_key(&k));
    has = !h || h->count < q->limits->token_tunnels;
    (void)pthread_mutex_unlock(&q->lock);
    return has;
}

static void forget_oldest(struct quota *q)
{
    struct holder *h = LIST_OWNER(list_take(&q->recent), struct holder, recent);

    q->recent_count--;
    forget(q, h);
}

/* Whose bucket is full again has nothing that would have to be remembered. */
static void forget_full(struct quota *q, int64_t now_ms)
{
    for (int i = 0; i < FORGOTTEN_AT_ONCE && !list_is_empty(&q->recent); i++) {
        const struct holder *h = LIST_OWNER(q->recent.next, struct holder, recent);

        if (now_ms - h->bucket.filled_ms <= REFILL_MS && q->recent_count <= QUOTA_RECENT_MAX)
            return;
        forget_oldest(q);
    }
}

static bool spend(struct quota *q, const struct key *k, int64_t now_ms)
{
    struct holder *h;

    forget_full(q, now_ms);
    h = find_or_add(q, k);
    if (!h)
        return true;
    if (list_is_empty(&h->recent)) {
        bucket_init(&h->bucket, &q->handshakes, now_ms);
        q->recent_count++;
    }
    list_remove(&h->recent);
    list_push(&q->recent, &h->recent);
    return bucket_take(&h->bucket, &q->handshakes, now_ms);
}

bool quota_take_handshake(struct quota *q, const struct address *peer, int64_t now_ms)
{
    struct key k;
    bool may;

    if (q->handshakes.per_s == 0)
        return true;
    key_of_address(&k, HANDSHAKES, peer);
    (void)pthread_mutex_lock(&q->lock);
    may = spend(q, &k, now_ms);
    (void)pthread_mutex_unlock(&q->lock);
    return may;
}

struct quota *quota_new(const struct quota_limits *limits)
{
    struct quota *q = calloc(1, sizeof(*q));

    if (!q)
        return NULL;
    (void)pthread_mutex_init(&q->lock, NULL); /* cannot fail without attributes */
    q->limits = limits;
    q->handshakes.per_s = q->handshakes.burst = limits->address_handshakes_per_s;
    map_init(&q->holders);
    list_init(&q->recent);
    return q;
}

void quota_free(struct quota *q)
{
    if (!q)
        return;
    while (!list_is_empty(&q->recent))
        forget_oldest(q);
    assert(q->holders.count == 0);
    map_fini(&q->holders);
    (void)pthread_mutex_destroy(&q->lock);
    free(q);
}
