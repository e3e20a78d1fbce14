#include "tunnel/tenure.h"

#include "base/clock.h"
#include "base/slab.h"

#include <errno.h>

#define EXPIRY_CHECK_MS 3600000 /* wall clocks are set: look again at least hourly */
#define FEW 16U                 /* claims that are looked through for every visitor */

static struct slice key_of(const struct claim *c)
{
    return c->port ? slice_of(c->port_key, sizeof(c->port_key)) : slice_text(c->host);
}

/* The map is good while it holds all of them: without memory for it the list has to do. */
static bool has_map(const struct session *s)
{
    return s->claim_count > FEW && s->claims.count == s->claim_count;
}

static void add_all(struct session *s)
{
    LIST_EACH (&s->seat.claims, link) {
        struct claim *c = LIST_OWNER(link, struct claim, link);

        if (map_put(&s->claims, key_of(c), c))
            return;
    }
}

/* The seat has it already. */
static void add_claim(struct session *s, struct claim *c)
{
    if (++s->claim_count == FEW + 1)
        add_all(s);
    else if (s->claim_count > FEW)
        (void)map_put(&s->claims, key_of(c), c);
}

/* The seat has it still. */
static void remove_claim(struct session *s, struct claim *c)
{
    (void)map_remove(&s->claims, key_of(c));
    if (--s->claim_count <= FEW)
        map_fini(&s->claims);
}

static struct claim *find_host(const struct session *s, struct slice host)
{
    return has_map(s) ? map_find(&s->claims, host) : claim_find_host(&s->seat.claims, host);
}

static struct claim *find_port(const struct session *s, uint16_t port)
{
    uint8_t key[CLAIM_PORT_KEY];

    claim_write_port_key(port, key);
    return has_map(s) ? map_find(&s->claims, slice_of(key, sizeof(key)))
                      : claim_find_port(&s->seat.claims, port);
}

static void release_claim(struct session *s, struct claim *c, int64_t now_unix)
{
    LIST_EACH (&s->streams, link) {
        struct stream *st = LIST_OWNER(link, struct stream, link);

        if (st->claim == c) {
            stream_stop(st);
            st->claim = NULL;
        }
    }
    remove_claim(s, c);
    registry_release(s->setting->registry, c, now_unix);
    s->ops->on_released(s->owner, c);
    claim_free(c);
}

static struct claim *claim_of(struct session *s, const struct grant *g, size_t i)
{
    if (i < g->host_count)
        return find_host(s, slice_text(g->hosts[i]));
    return find_port(s, g->ports[i - g->host_count]);
}

static void release_first(struct session *s, const struct grant *g, size_t count, int64_t now_unix)
{
    for (size_t i = 0; i < count; i++) {
        struct claim *c = claim_of(s, g, i);

        if (c && --c->holders == 0)
            release_claim(s, c, now_unix);
    }
}

/* Claims the i-th name or port of the grant, or holds the claim there is. */
static int take_claim(struct session *s, const struct grant *g, size_t i)
{
    struct claim *c = claim_of(s, g, i);
    int err;

    if (c) {
        if (strcmp(c->subject, g->subject) != 0)
            return -EACCES;
        c->holders++;
        return 0;
    }
    if (i < g->host_count)
        c = claim_new_host(slice_text(g->hosts[i]), g->subject);
    else
        c = claim_new_port(g->ports[i - g->host_count], g->subject);
    if (!c)
        return -ENOMEM;
    err = registry_claim(s->setting->registry, &s->seat, c);
    if (!err)
        err = s->ops->on_claimed(s->owner, c);
    if (!err) {
        add_claim(s, c);
        return 0;
    }
    if (c->name)
        registry_release(s->setting->registry, c, clock_unix());
    claim_free(c);
    return err;
}

static void start_expiry(struct session *s)
{
    int64_t first = 0, in_ms;

    deadline_stop(&s->expiry);
    for (unsigned i = 0; i < s->grant_count; i++) {
        int64_t at = s->grants[i]->expires_at;

        if (at && (!first || at < first))
            first = at;
    }
    if (!first)
        return;
    in_ms = first - clock_unix() > EXPIRY_CHECK_MS / 1000 ? EXPIRY_CHECK_MS
                                                          : first * 1000 - clock_unix_ms();
    in_ms = in_ms < 0 ? 0 : in_ms;
    loop_start_deadline(s->setting->loop, &s->expiry, in_ms);
}

static void drop_grant_at(struct session *s, unsigned at, int64_t now_unix)
{
    struct grant *g = s->grants[at];

    s->grants[at] = s->grants[--s->grant_count]; /* too much room is harmless */
    release_first(s, g, g->host_count + g->port_count, now_unix);
    grant_free(g);
}

/* Where the grant of the same token is, or grant_count.  Ids are unique to their subjects only. */
static unsigned find_grant(const struct session *s, const struct grant *like)
{
    unsigned at = 0;

    while (at < s->grant_count && (strcmp(s->grants[at]->token_id, like->token_id) != 0 ||
                                   strcmp(s->grants[at]->subject, like->subject) != 0))
        at++;
    return at;
}

static bool is_same(const struct grant *a, const struct grant *b)
{
    bool same = a->expires_at == b->expires_at && a->host_count == b->host_count &&
                a->port_count == b->port_count;

    for (size_t i = 0; i < a->host_count && same; i++)
        same = grant_has_host(b, slice_text(a->hosts[i]));
    for (size_t i = 0; i < a->port_count && same; i++)
        same = grant_has_port(b, a->ports[i]);
    return same;
}

static int make_room(struct session *s)
{
    struct grant **more = slab_resize(s->grants, (s->grant_count + 1) * sizeof(struct grant *));

    if (!more)
        return -ENOMEM;
    s->grants = more;
    return 0;
}

int session_take_grant(struct session *s, struct grant *grant, size_t *refused)
{
    size_t total = grant->host_count + grant->port_count;
    unsigned old = find_grant(s, grant);

    if (old < s->grant_count && is_same(s->grants[old], grant))
        return -EALREADY;
    if (s->grant_count == SESSION_TOKENS_MAX || s->state != SESSION_OPEN)
        return -EDQUOT;
    if (make_room(s))
        return -ENOMEM;
    for (size_t i = 0; i < total; i++) {
        int err = take_claim(s, grant, i);

        if (err) {
            release_first(s, grant, i, clock_unix());
            *refused = i;
            return err;
        }
    }
    if (old < s->grant_count) /* renewed: what both grant has not been let go of */
        drop_grant_at(s, old, clock_unix());
    s->grants[s->grant_count++] = grant;
    if (grant->label[0])
        registry_set_label(s->setting->registry, &s->seat, slice_text(grant->label));
    start_expiry(s);
    return 0;
}

/* Ends streams, and the owner may leave with the last of them: all grants may be gone then. */
int session_drop_grant(struct session *s, const char *token_id, int64_t now_unix)
{
    int err = -ENOENT;

    for (unsigned i = s->grant_count; i-- > 0;) {
        if (i >= s->grant_count || (token_id && strcmp(s->grants[i]->token_id, token_id) != 0))
            continue;
        drop_grant_at(s, i, now_unix);
        err = 0;
    }
    start_expiry(s);
    return err;
}

static void on_expiry(struct deadline *d)
{
    struct session *s = LIST_OWNER(d, struct session, expiry);
    int64_t now_unix = clock_unix();

    for (unsigned i = s->grant_count; i-- > 0;) {
        int64_t at = i < s->grant_count ? s->grants[i]->expires_at : 0;

        if (!at || at > now_unix)
            continue;
        drop_grant_at(s, i, now_unix);
        s->ops->on_end(s->owner, SESSION_END_TOKEN, "token_expired");
    }
    start_expiry(s);
}

bool session_has_token(const struct session *s, const struct grant *like)
{
    return find_grant(s, like) < s->grant_count;
}

const struct grant *session_grant_of(const struct session *s, const struct claim *claim)
{
    for (unsigned i = 0; i < s->grant_count; i++) {
        const struct grant *g = s->grants[i];

        if (claim->port ? grant_has_port(g, claim->port)
                        : grant_has_host(g, slice_text(claim->host)))
            return g;
    }
    return NULL;
}

struct claim *session_claim_for(struct session *s, const struct stream_request *request)
{
    struct slice name = hostname_slice(&request->host);
    struct claim *c;
    char pattern[HOSTNAME_MAX + 3] = "*";

    if (request->service == STREAM_TCP)
        return find_port(s, request->port);
    c = find_host(s, name);
    for (size_t i = 0; !c && i < name.len; i++) {
        if (name.ptr[i] != '.')
            continue;
        (void)slice_write(slice_from(name, i), pattern + 1, sizeof(pattern) - 1);
        c = find_host(s, slice_text(pattern));
    }
    return c;
}

void tenure_init(struct session *s)
{
    map_init(&s->claims);
    deadline_init(&s->expiry, on_expiry);
}
