#include "tunnel/registry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* Allocations that still succeed; below 0 they all do. */
static int allocations_left = -1;

static bool allocation_fails(void)
{
    if (allocations_left < 0)
        return false;
    return allocations_left-- == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);

void *__wrap_calloc(size_t count, size_t size)
{
    return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return allocation_fails() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return allocation_fails() ? NULL : __real_strdup(text);
}

static struct seat *seat_new(struct registry *r, uint64_t id, unsigned worker)
{
    struct seat *s = calloc(1, sizeof(*s));

    assert_non_null(s);
    s->id = id;
    s->worker = worker;
    seat_init(s);
    registry_join(r, s);
    return s;
}

/* Ends the session as its owner would: releases and frees its claims, leaves. */
static void seat_free(struct registry *r, struct seat *s, int64_t now_unix)
{
    LIST_EACH (&s->claims, at) {
        struct claim *c = LIST_OWNER(at, struct claim, link);

        registry_release(r, c, now_unix);
        claim_free(c);
    }
    registry_leave(r, s);
    free(s);
}

/* Claims `name` (or the port, if it is ":port") and frees the claim where that fails. */
static int claim(struct registry *r, struct seat *s, const char *name, const char *subject)
{
    struct claim *c = name[0] == ':'
                          ? claim_new_port((uint16_t)strtoul(name + 1, NULL, 10), subject)
                          : claim_new_host(slice_text(name), subject);
    int err;

    assert_non_null(c);
    err = registry_claim(r, s, c);
    if (err)
        claim_free(c);
    return err;
}

/* Who is found: the session's number, or minus the last_seen, or 0. */
static int64_t find(struct registry *r, const char *host)
{
    struct route route = {0};
    enum registry_answer answer =
        host[0] == ':' ? registry_find_port(r, (uint16_t)strtoul(host + 1, NULL, 10), &route)
                       : registry_find(r, slice_text(host), &route);

    if (answer == REGISTRY_FOUND)
        return (int64_t)route.session_id;
    return answer == REGISTRY_AWAY ? -route.last_seen_unix : 0;
}

static void the_exact_name_comes_first_and_then_the_longest_wildcard(void **state)
{
    static const struct {
        const char *host;
        int64_t found;
    } rows[] = {
        {"a.b.c", 1},     {"b.b.c", 2},  {"x.a.b.c", 2}, {"b.c", 3}, {"x.c", 3}, {"a.x.c", 3},
        {"x.y.z.q.c", 3}, {"c", 0},      {"a.b", 0},     {"cc", 0},  {"bc", 0},  {"*.c", 0},
        {"*.b.c", 0},     {"*", 0},      {"", 0},        {".", 0},   {".c", 0},  {"xb.c", 3},
        {"a.b.c.", 0},    {"a..b.c", 2}, {"A.B.C", 0},
    };
    struct registry *r = registry_new();
    struct seat *s[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        s[i] = seat_new(r, i + 1, i);
    assert_int_equal(claim(r, s[0], "a.b.c", "jon"), 0);
    assert_int_equal(claim(r, s[1], "*.b.c", "ann"), 0);
    assert_int_equal(claim(r, s[2], "*.c", "bob"), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (find(r, rows[i].host) != rows[i].found)
            fail_msg("%s found %d", rows[i].host, (int)find(r, rows[i].host));
    }
    for (unsigned i = 0; i < 3; i++)
        seat_free(r, s[i], 1);
    registry_free(r);
}

static void a_route_names_worker_and_session(void **state)
{
    struct registry *r = registry_new();
    struct seat *s = seat_new(r, UINT64_C(1) << 40, 7);
    struct route route = {0};

    (void)state;
    assert_int_equal(claim(r, s, "a.test", "jon"), 0);
    assert_int_equal(registry_find(r, slice_text("a.test"), &route), REGISTRY_FOUND);
    assert_int_equal(route.session_id, UINT64_C(1) << 40);
    assert_int_equal(route.worker, 7);
    seat_free(r, s, 1);
    registry_free(r);
}

static void a_host_longer_than_any_name_is_unknown(void **state)
{
    struct registry *r = registry_new();
    struct route route = {0};
    char host[600];

    (void)state;
    memset(host, '.', sizeof(host));
    for (size_t len = 0; len <= sizeof(host); len++)
        assert_int_equal(registry_find(r, slice_of(host, len), &route), REGISTRY_UNKNOWN);
    registry_free(r);
}

static void ports_are_not_names(void **state)
{
    struct registry *r = registry_new();
    struct seat *s = seat_new(r, 1, 0);
    struct route route;

    (void)state;
    assert_int_equal(claim(r, s, ":65535", "jon"), 0);
    assert_int_equal(find(r, ":65535"), 1);
    assert_int_equal(find(r, ":6553"), 0);
    assert_int_equal(registry_find(r, slice_text(":65535"), &route), REGISTRY_UNKNOWN);
    assert_int_equal(registry_find(r, slice_text("65535"), &route), REGISTRY_UNKNOWN);
    seat_free(r, s, 9);
    assert_int_equal(find(r, ":65535"), -9);
    registry_free(r);
}

static void sessions_of_one_name_take_turns(void **state)
{
    struct registry *r = registry_new();
    struct seat *s[3];
    unsigned hits[4] = {0};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        s[i] = seat_new(r, i + 1, i);
        assert_int_equal(claim(r, s[i], "a.test", "jon"), 0);
        assert_int_equal(find(r, "a.test"), i + 1); /* the newest has the next visitor */
    }
    for (unsigned i = 0; i < 30; i++)
        hits[find(r, "a.test")]++;
    for (unsigned i = 1; i <= 3; i++)
        assert_int_equal(hits[i], 10);
    seat_free(r, s[1], 1);
    for (unsigned i = 0; i < 30; i++)
        hits[find(r, "a.test")]++;
    assert_int_equal(hits[1], 25);
    assert_int_equal(hits[2], 10);
    assert_int_equal(hits[3], 25);
    seat_free(r, s[0], 1);
    seat_free(r, s[2], 1);
    registry_free(r);
}

static void another_subject_cannot_take_a_name_while_it_is_served(void **state)
{
    static const char *const names[] = {"a.test", "*.a.test", ":2222"};
    struct registry *r = registry_new();
    struct seat *jon = seat_new(r, 1, 0);
    struct seat *ann = seat_new(r, 2, 1);
    struct registry_counts counts;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(claim(r, jon, names[i], "jon"), 0);
        assert_int_equal(claim(r, ann, names[i], "ann"), -EACCES);
        assert_int_equal(claim(r, ann, names[i], ""), -EACCES);
    }
    assert_true(list_is_empty(&ann->claims));
    /* Below somebody's wildcard, and a wildcard above somebody's name: other names. */
    assert_int_equal(claim(r, ann, "b.a.test", "ann"), 0);
    assert_int_equal(claim(r, ann, "*.test", "ann"), 0);
    seat_free(r, jon, 5);
    assert_int_equal(find(r, "a.test"), 2); /* by her wildcard */
    assert_int_equal(claim(r, ann, "a.test", "ann"), 0);
    counts = registry_count(r);
    assert_int_equal(counts.names, 3);
    assert_int_equal(counts.away, 2);
    seat_free(r, ann, 5);
    registry_free(r);
}

static void a_name_is_away_when_its_last_session_has_gone(void **state)
{
    struct registry *r = registry_new();
    struct seat *s[2] = {seat_new(r, 1, 0), seat_new(r, 2, 0)};

    (void)state;
    assert_int_equal(claim(r, s[0], "a.test", "jon"), 0);
    assert_int_equal(claim(r, s[1], "a.test", "jon"), 0);
    seat_free(r, s[0], 100);
    assert_int_equal(find(r, "a.test"), 2);
    seat_free(r, s[1], 200);
    assert_int_equal(find(r, "a.test"), -200);
    s[0] = seat_new(r, 3, 0);
    assert_int_equal(claim(r, s[0], "a.test", "ann"), 0);
    assert_int_equal(find(r, "a.test"), 3);
    assert_int_equal(registry_count(r).away, 0);
    seat_free(r, s[0], 300);
    assert_int_equal(find(r, "a.test"), -300);
    registry_free(r);
}

static void who_is_here_beats_who_is_away_and_of_the_away_the_nearest_name_counts(void **state)
{
    struct registry *r = registry_new();
    struct seat *here = seat_new(r, 1, 0), *away = seat_new(r, 2, 0);

    (void)state;
    assert_int_equal(claim(r, away, "a.b.c", "jon"), 0);
    seat_free(r, away, 100);
    away = seat_new(r, 3, 0);
    assert_int_equal(claim(r, away, "*.b.c", "jon"), 0);
    seat_free(r, away, 200);
    assert_int_equal(claim(r, here, "*.c", "jon"), 0);
    assert_int_equal(find(r, "a.b.c"), 1);
    assert_int_equal(find(r, "x.b.c"), 1);
    seat_free(r, here, 300);
    assert_int_equal(find(r, "a.b.c"), -100);
    assert_int_equal(find(r, "x.b.c"), -200);
    assert_int_equal(find(r, "x.y.c"), -300);
    registry_free(r);
}

static void come_and_go(struct registry *r, unsigned number)
{
    struct seat *s = seat_new(r, 1, 0);
    char host[32];

    (void)snprintf(host, sizeof(host), "n%u.test", number);
    assert_int_equal(claim(r, s, host, "jon"), 0);
    seat_free(r, s, number + 1);
}

static void the_name_that_has_been_away_longest_is_forgotten_first(void **state)
{
    struct registry *r = registry_new();

    (void)state;
    for (unsigned i = 0; i < REGISTRY_AWAY_MAX; i++)
        come_and_go(r, i);
    assert_int_equal(find(r, "n0.test"), -1);
    come_and_go(r, 0); /* the newest now */
    come_and_go(r, REGISTRY_AWAY_MAX);
    assert_int_equal(registry_count(r).away, REGISTRY_AWAY_MAX);
    assert_int_equal(registry_count(r).names, 0);
    assert_int_equal(find(r, "n0.test"), -1);
    assert_int_equal(find(r, "n1.test"), 0);
    assert_int_equal(find(r, "n2.test"), -3);
    assert_int_equal(find(r, "n65536.test"), -65537);
    registry_free(r);
}

struct seen {
    unsigned seats;
    unsigned claims;
    uint64_t streams;
    char labels[128];
};

static void see(const struct seat *s, void *arg)
{
    struct seen *seen = arg;
    size_t at = strlen(seen->labels);

    seen->seats++;
    (void)snprintf(seen->labels + at, sizeof(seen->labels) - at, "%s,", s->label);
    LIST_EACH (&s->claims, link) {
        const struct claim *c = LIST_OWNER(link, struct claim, link);

        assert_int_equal(c->seat->id, s->id);
        assert_int_equal(c->seat->worker, s->worker);
        seen->claims++;
        seen->streams += meter_read(&c->meter, METER_STREAMS);
    }
}

static void each_session_is_shown_with_its_claims_and_their_meters(void **state)
{
    struct registry *r = registry_new();
    struct seat *s[2] = {seat_new(r, 1, 0), seat_new(r, 2, 3)};
    struct seen seen = {0};

    (void)state;
    assert_int_equal(claim(r, s[0], "a.test", "jon"), 0);
    assert_int_equal(claim(r, s[0], ":2222", "jon"), 0);
    assert_int_equal(claim(r, s[1], "a.test", "jon"), 0);
    meter_add(&claim_find_host(&s[0]->claims, slice_text("a.test"))->meter, METER_STREAMS, 3);
    meter_add(&claim_find_host(&s[1]->claims, slice_text("a.test"))->meter, METER_STREAMS, 4);
    registry_set_label(r, s[0], slice_text("laptop"));
    registry_set_label(r, s[1], slice_text("pi"));
    registry_each(r, see, &seen);
    assert_int_equal(seen.seats, 2);
    assert_int_equal(seen.claims, 3);
    assert_int_equal(seen.streams, 7);
    assert_string_equal(seen.labels, "laptop,pi,");
    assert_int_equal(registry_count(r).sessions, 2);
    assert_int_equal(registry_count(r).names, 2);
    seat_free(r, s[0], 1);
    seat_free(r, s[1], 1);
    assert_int_equal(registry_count(r).sessions, 0);
    registry_free(r);
}

static void a_failed_allocation_refuses_the_claim_and_changes_nothing(void **state)
{
    struct registry *r = registry_new();
    struct seat *s = seat_new(r, 1, 0);
    struct claim *c = claim_new_host(slice_text("a.test"), "jon");
    int failures = 0;

    (void)state;
    for (int err = -ENOMEM; err; failures++) {
        allocations_left = failures;
        err = registry_claim(r, s, c);
        allocations_left = -1;
        if (!err)
            break;
        assert_int_equal(err, -ENOMEM);
        assert_true(list_is_empty(&s->claims));
        assert_int_equal(registry_count(r).names, 0);
        assert_int_equal(find(r, "a.test"), 0);
    }
    assert_int_equal(failures, 2); /* the name, the map's first slots */
    assert_int_equal(find(r, "a.test"), 1);
    seat_free(r, s, 8);

    s = seat_new(r, 2, 0);
    c = claim_new_host(slice_text("a.test"), "jon");
    allocations_left = 0;
    assert_int_equal(registry_claim(r, s, c), 0); /* a name that is away is there already */
    allocations_left = -1;
    assert_int_equal(find(r, "a.test"), 2);
    assert_int_equal(registry_count(r).away, 0);
    seat_free(r, s, 9);
    registry_free(r);
}

static void making_one_without_memory_fails_cleanly(void **state)
{
    (void)state;
    allocations_left = 0;
    assert_null(registry_new());
    allocations_left = 0;
    assert_null(claim_new_host(slice_text("a.test"), "jon"));
    allocations_left = -1;
    registry_free(NULL);
}

/* A claim as a device makes it: what else serves the name comes into doubt.  The numbers of those
 * who are asked, as text. */
static const char *take_over(struct registry *r, struct seat *s, const char *name, int64_t now_ms)
{
    static char asked[256];
    struct doubts doubts;
    size_t len = 0;
    const struct claim *c;

    assert_int_equal(claim(r, s, name, "jon"), 0);
    c = name[0] == ':' ? claim_find_port(&s->claims, (uint16_t)strtoul(name + 1, NULL, 10))
                       : claim_find_host(&s->claims, slice_text(name));
    registry_doubt(r, c, now_ms, &doubts);
    asked[0] = '\0';
    for (size_t i = 0; i < doubts.count; i++) {
        assert_int_equal(doubts.at[i].worker, doubts.at[i].session_id % 2);
        len += (size_t)snprintf(asked + len, sizeof(asked) - len, "%u ",
                                (unsigned)doubts.at[i].session_id);
    }
    return asked;
}

static void who_comes_back_gets_all_visitors_until_its_former_self_has_answered(void **state)
{
    static const char *const names[] = {"a.test", "*.a.test", ":2222"};
    static const char *const asked_for[] = {"a.test", "x.a.test", ":2222"};
    struct registry *r = registry_new();

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct seat *old = seat_new(r, 1, 1);
        struct seat *new = seat_new(r, 2, 0);

        assert_string_equal(take_over(r, old, names[i], 0), "");
        assert_string_equal(take_over(r, new, names[i], 0), "1 ");
        for (int visitor = 0; visitor < 5; visitor++)
            assert_int_equal(find(r, asked_for[i]), 2);
        registry_trust(r, old, 1000);
        assert_int_equal(find(r, asked_for[i]) + find(r, asked_for[i]), 3);
        assert_int_equal(find(r, asked_for[i]) + find(r, asked_for[i]), 3);
        seat_free(r, old, 1);
        seat_free(r, new, 1);
    }
    registry_free(r);
}

static void a_session_in_doubt_is_so_under_all_its_names_and_asked_once(void **state)
{
    struct registry *r = registry_new();
    struct seat *old = seat_new(r, 1, 1), *other = seat_new(r, 2, 0), *new = seat_new(r, 3, 1);

    (void)state;
    assert_int_equal(claim(r, old, "a.test", "jon"), 0);
    assert_int_equal(claim(r, old, "b.test", "jon"), 0);
    assert_int_equal(claim(r, other, "b.test", "jon"), 0);
    assert_string_equal(take_over(r, new, "a.test", 0), "1 ");
    for (int visitor = 0; visitor < 4; visitor++)
        assert_int_equal(find(r, "b.test"), 2);
    assert_string_equal(take_over(r, new, "b.test", 0), "2 ");
    assert_int_equal(claim(r, old, "c.test", "jon"), 0); /* it still talks */
    assert_string_equal(take_over(r, new, "c.test", 0), "");
    assert_int_equal(find(r, "c.test"), 3);
    assert_int_equal(find(r, "c.test"), 3);
    seat_free(r, old, 1);
    seat_free(r, other, 1);
    seat_free(r, new, 1);
    registry_free(r);
}

static void where_all_are_in_doubt_they_take_turns(void **state)
{
    struct registry *r = registry_new();
    struct seat *old[2] = {seat_new(r, 1, 1), seat_new(r, 2, 0)}, *new = seat_new(r, 3, 1);
    unsigned hits[4] = {0};

    (void)state;
    assert_string_equal(take_over(r, old[0], "a.test", 0), "");
    assert_string_equal(take_over(r, old[1], "a.test", 0), "1 ");
    assert_string_equal(take_over(r, new, "a.test", 0), "2 ");
    seat_free(r, new, 1);
    for (int visitor = 0; visitor < 10; visitor++)
        hits[find(r, "a.test")]++;
    assert_int_equal(hits[1], 5);
    assert_int_equal(hits[2], 5);
    seat_free(r, old[1], 2); /* gone while in doubt */
    assert_int_equal(find(r, "a.test"), 1);
    seat_free(r, old[0], 3);
    assert_int_equal(find(r, "a.test"), -3);
    assert_int_equal(registry_count(r).away, 1);
    registry_free(r);
}

static void who_has_lately_answered_is_left_in_peace(void **state)
{
    struct registry *r = registry_new();
    struct seat *s[4];

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        s[i] = seat_new(r, i + 1, (i + 1) % 2);
    assert_string_equal(take_over(r, s[0], "a.test", 5000), "");
    assert_string_equal(take_over(r, s[1], "a.test", 5000), "1 ");
    registry_trust(r, s[0], 6000);
    assert_string_equal(take_over(r, s[2], "a.test", 5999), "2 ");
    assert_string_equal(take_over(r, s[3], "a.test", 6000), "3 1 ");
    for (unsigned i = 0; i < 4; i++)
        seat_free(r, s[i], 1);
    registry_free(r);
}

/* Its token has so many tunnels that one more may not be. */
static void who_is_refused_a_claim_may_throw_doubt_on_its_own_subjects_sessions_only(void **state)
{
    struct registry *r = registry_new();
    struct seat *s[2] = {seat_new(r, 1, 1), seat_new(r, 2, 0)};
    struct doubts doubts;

    (void)state;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(claim(r, s[i], "a.test", "jon"), 0);
    registry_doubt_all(r, slice_text("a.test"), "ann", 0, &doubts);
    assert_int_equal(doubts.count, 0);
    registry_doubt_all(r, slice_text("b.test"), "jon", 0, &doubts);
    assert_int_equal(doubts.count, 0);
    registry_doubt_all(r, slice_text("a.test"), "jon", 0, &doubts);
    assert_int_equal(doubts.count, 2);
    registry_trust(r, s[0], 1000);
    assert_int_equal(find(r, "a.test"), 1);
    assert_int_equal(find(r, "a.test"), 1);
    registry_doubt_all(r, slice_text("a.test"), "jon", 999, &doubts);
    assert_int_equal(doubts.count, 0);
    for (unsigned i = 0; i < 2; i++)
        seat_free(r, s[i], 1);
    registry_doubt_all(r, slice_text("a.test"), "jon", 999, &doubts);
    assert_int_equal(doubts.count, 0);
    registry_free(r);
}

/* Thousands come back to one name at once: what each costs is bounded. */
static void one_claim_looks_at_so_many_sessions(void **state)
{
    enum { SEATS = 3 * REGISTRY_DOUBTS_MAX };
    struct registry *r = registry_new();
    struct seat *s[SEATS + 1];
    struct doubts doubts;

    (void)state;
    for (unsigned i = 0; i < SEATS; i++) {
        s[i] = seat_new(r, i + 1, 0);
        assert_int_equal(claim(r, s[i], "a.test", "jon"), 0);
    }
    for (unsigned left = SEATS - 1, asked = 0; left; left -= asked) {
        registry_doubt(r, LIST_OWNER(s[SEATS - 1]->claims.next, struct claim, link), 0, &doubts);
        asked = left < REGISTRY_DOUBTS_MAX - 1 ? left : REGISTRY_DOUBTS_MAX - 1;
        assert_int_equal(doubts.count, asked);
    }
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(find(r, "a.test"), SEATS);
    for (unsigned i = 0; i < SEATS; i++)
        registry_trust(r, s[i], 1000);
    /* One that has been doubted itself, and so is in nobody's way. */
    registry_doubt(r, LIST_OWNER(s[0]->claims.next, struct claim, link), 1000, &doubts);
    assert_in_range(doubts.count, REGISTRY_DOUBTS_MAX - 1, REGISTRY_DOUBTS_MAX);
    for (unsigned i = 0; i < SEATS; i++)
        seat_free(r, s[i], 1);
    registry_free(r);
}

/* Threads.  Each owner thread is a worker whose sessions come and go and count; finders and a
 * reader look at it all meanwhile.  cmocka's asserts are the main thread's only. */
#define OWNERS 3
#define FINDERS 2
#define ROUNDS 3000U
#define SHARED 4 /* names that all owners serve */

struct scene {
    struct registry *r;
    _Atomic unsigned wrong;
    _Atomic unsigned found;
    _Atomic bool over;
};

struct owner {
    struct scene *scene;
    unsigned worker;
};

static void claim_or_count(struct scene *scene, struct seat *s, const char *host,
                           const char *subject)
{
    struct claim *c = claim_new_host(slice_text(host), subject);
    struct doubts doubts;

    if (!c || registry_claim(scene->r, s, c)) {
        scene->wrong++;
        claim_free(c);
        return;
    }
    registry_doubt(scene->r, c, 0, &doubts);
    scene->wrong += doubts.count >= OWNERS;
    meter_add(&c->meter, METER_STREAMS, 1);
}

static void one_session(struct owner *o, unsigned round)
{
    struct seat *s = calloc(1, sizeof(*s));
    char host[32];

    if (!s) {
        o->scene->wrong++;
        return;
    }
    s->worker = o->worker;
    s->id = (uint64_t)o->worker << 32 | round;
    seat_init(s);
    registry_join(o->scene->r, s);
    for (unsigned i = 0; i < SHARED; i++) {
        (void)snprintf(host, sizeof(host), "%sshared%u.test", i % 2 ? "*." : "", i);
        claim_or_count(o->scene, s, host, "all");
    }
    (void)snprintf(host, sizeof(host), "own%u.test", o->worker);
    claim_or_count(o->scene, s, host, host);
    if (round % 2)
        registry_trust(o->scene->r, s, 0);
    registry_set_label(o->scene->r, s, slice_text(host));
    meter_add(&s->meter, METER_STREAMS, 1);
    while (!o->scene->found) /* on a busy machine all may be over before anybody looks */
        (void)sched_yield();
    seat_free(o->scene->r, s, round);
}

static void *own(void *arg)
{
    for (unsigned round = 1; round <= ROUNDS; round++)
        one_session(arg, round);
    return NULL;
}

static void *keep_finding(void *arg)
{
    struct scene *scene = arg;
    struct route route;
    char host[32];

    for (unsigned i = 0; !scene->over; i++) {
        (void)snprintf(host, sizeof(host), "%s%u.test",
                       (i & 4) ? "own" : ((i & 1) ? "x.shared" : "shared"), i % 4);
        if (registry_find(scene->r, slice_text(host), &route) != REGISTRY_FOUND)
            continue;
        scene->found++;
        if (route.worker >= OWNERS || route.session_id >> 32 != route.worker ||
            ((i & 4) && route.worker != i % 4))
            scene->wrong++;
    }
    return NULL;
}

static void add_up(const struct seat *s, void *arg)
{
    uint64_t sum[METER_IDS] = {0};
    unsigned *wrong = arg;

    meter_sum(&s->meter, sum);
    LIST_EACH (&s->claims, link) {
        meter_sum(&LIST_OWNER(link, struct claim, link)->meter, sum);
    }
    if (sum[METER_STREAMS] > SHARED + 2 || (s->label && strlen(s->label) > SEAT_LABEL_MAX))
        ++*wrong;
}

static void *keep_reading(void *arg)
{
    struct scene *scene = arg;

    while (!scene->over) {
        unsigned wrong = 0;
        struct registry_counts counts = registry_count(scene->r);

        registry_each(scene->r, add_up, &wrong);
        scene->wrong += wrong + (counts.sessions > OWNERS) + (counts.names > SHARED + OWNERS);
    }
    return NULL;
}

static void workers_that_claim_release_and_find_at_once_do_not_disturb_each_other(void **state)
{
    struct scene scene = {.r = registry_new()};
    struct owner owners[OWNERS];
    pthread_t threads[OWNERS], finders[FINDERS], reader;

    (void)state;
    for (unsigned i = 0; i < FINDERS; i++)
        assert_int_equal(pthread_create(&finders[i], NULL, keep_finding, &scene), 0);
    assert_int_equal(pthread_create(&reader, NULL, keep_reading, &scene), 0);
    for (unsigned i = 0; i < OWNERS; i++) {
        owners[i] = (struct owner){&scene, i};
        assert_int_equal(pthread_create(&threads[i], NULL, own, &owners[i]), 0);
    }
    for (unsigned i = 0; i < OWNERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    scene.over = true;
    for (unsigned i = 0; i < FINDERS; i++)
        assert_int_equal(pthread_join(finders[i], NULL), 0);
    assert_int_equal(pthread_join(reader, NULL), 0);
    assert_int_equal(scene.wrong, 0);
    assert_true(scene.found > 0);
    assert_int_equal(registry_count(scene.r).names, 0);
    assert_int_equal(registry_count(scene.r).away, SHARED + OWNERS);
    assert_int_equal(find(scene.r, "own1.test"), -(int64_t)ROUNDS);
    registry_free(scene.r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_exact_name_comes_first_and_then_the_longest_wildcard),
        cmocka_unit_test(a_route_names_worker_and_session),
        cmocka_unit_test(a_host_longer_than_any_name_is_unknown),
        cmocka_unit_test(ports_are_not_names),
        cmocka_unit_test(sessions_of_one_name_take_turns),
        cmocka_unit_test(another_subject_cannot_take_a_name_while_it_is_served),
        cmocka_unit_test(a_name_is_away_when_its_last_session_has_gone),
        cmocka_unit_test(who_is_here_beats_who_is_away_and_of_the_away_the_nearest_name_counts),
        cmocka_unit_test(the_name_that_has_been_away_longest_is_forgotten_first),
        cmocka_unit_test(each_session_is_shown_with_its_claims_and_their_meters),
        cmocka_unit_test(a_failed_allocation_refuses_the_claim_and_changes_nothing),
        cmocka_unit_test(making_one_without_memory_fails_cleanly),
        cmocka_unit_test(who_comes_back_gets_all_visitors_until_its_former_self_has_answered),
        cmocka_unit_test(a_session_in_doubt_is_so_under_all_its_names_and_asked_once),
        cmocka_unit_test(where_all_are_in_doubt_they_take_turns),
        cmocka_unit_test(who_has_lately_answered_is_left_in_peace),
        cmocka_unit_test(who_is_refused_a_claim_may_throw_doubt_on_its_own_subjects_sessions_only),
        cmocka_unit_test(one_claim_looks_at_so_many_sessions),
        cmocka_unit_test(workers_that_claim_release_and_find_at_once_do_not_disturb_each_other),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
