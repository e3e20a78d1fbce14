/* registry.h - which sessions serve which names and ports, and which names did of late.
 *
 * Every worker asks it for every visitor.  A name is canonical text: lower case, no final dot.
 * What a session lends (its seat, its claims) the registry may read on any thread until it is
 * taken back; with it gone from here, no thread but its own knows it.  A route names a session by
 * worker and number, never by pointer: when the visitor arrives there, the session may be gone.
 *
 * Threads: any thread; one lock inside, never held while anything blocks.
 * Memory:  lends, as above; names that nobody serves now are kept, REGISTRY_AWAY_MAX at most, and
 *          the one that has been away longest goes first.
 * Errors:  0 on success, -Exxx on failure.
 * Units:   unix seconds; *_ms milliseconds of the loops' time.
 */
#ifndef RVPN_TUNNEL_REGISTRY_H
#define RVPN_TUNNEL_REGISTRY_H

#include "net/address.h"
#include "tunnel/claim.h"

#define REGISTRY_AWAY_MAX 65536U
#define SEAT_LABEL_MAX 63U
#define REGISTRY_DOUBTS_MAX 32U /* sessions that one claim throws doubt on */

struct registry; /* private to registry.c */

/* A session as the others see it.  Part of the session; it fills in the first block and calls
 * seat_init() before registry_join(). */
struct seat {
    uint64_t id;         /* unique in this process, never reused */
    unsigned worker;     /* whose loop it is on */
    struct address peer; /* the device's */
    int64_t since_unix;

    struct meter meter;
    struct list claims; /* of struct claim, by `link`; changes only inside registry_*() calls */
    uint64_t order;     /* in which they joined, from 1; by registry_join() */

    char *label; /* what the device calls itself, or NULL; see registry_set_label() */

    /* private to registry.c */
    struct list link;
    enum { SEAT_TRUSTED, SEAT_DOUBTED } standing;
    int64_t trusted_until_ms; /* TRUSTED: what is claimed before then throws no doubt on it */
};

/* Empties the lists, the label and the meter, and trusts it; the rest stays. */
void seat_init(struct seat *s);

/* Main thread.  NULL when out of memory; all sessions must have left before registry_free(). */
struct registry *registry_new(void);
void registry_free(struct registry *r);

/* Lends the seat until registry_leave(), before which all its claims must be released. */
void registry_join(struct registry *r, struct seat *s);
void registry_leave(struct registry *r, struct seat *s);

/* Of a seat that has joined.  Copies `label`, of which it cuts what is behind SEAT_LABEL_MAX bytes;
 * out of memory there is none. */
void registry_set_label(struct registry *r, struct seat *s, struct slice label);

/* Lends `c` until registry_release() and puts it into the seat's claims; the seat must have
 * joined, and hold no other claim on that name.  The newest session gets the name's next visitor.
 * Returns 0; -EACCES if a session of another subject serves that very name (the same text: a
 * wildcard does not stand in the way of a name below it); -ENOMEM.  On failure nothing changed. */
int registry_claim(struct registry *r, struct seat *s, struct claim *c);

/* Takes `c` back.  If it was the last on its name, that is away from `now_unix` on. */
void registry_release(struct registry *r, struct claim *c, int64_t now_unix);

/* Whether registry_claim() would refuse `host` to `subject` now. */
bool registry_is_taken(struct registry *r, struct slice host, const char *subject);

enum registry_answer {
    REGISTRY_FOUND,   /* session_id and worker are filled */
    REGISTRY_AWAY,    /* nobody now; last_seen_unix is filled */
    REGISTRY_UNKNOWN, /* *out is untouched */
};

struct route {
    uint64_t session_id;
    unsigned worker;
    int64_t last_seen_unix;
};

/* Who serves `host`, taking turns among the sessions of the name, those in doubt only if there are
 * no others: the exact name first, then the longest "*.x" above it; whoever is here beats whoever
 * is away.  "*.x" does not match x. */
enum registry_answer registry_find(struct registry *r, struct slice host, struct route *out);
enum registry_answer registry_find_port(struct registry *r, uint16_t port, struct route *out);

struct doubts {
    size_t count;
    struct route at[REGISTRY_DOUBTS_MAX];
};

/* Throws doubt on the other sessions of the name or port that `c` has just claimed: its device may
 * have come back, and they may be what it has left behind.  Gives the routes of those that must now
 * be asked; for who is in doubt already, or has lately been trusted, nothing changes.  Looks at
 * REGISTRY_DOUBTS_MAX sessions, `c`'s and those whose turn is next, so that n devices that come
 * back to one name at once cost n steps and not their square. */
void registry_doubt(struct registry *r, const struct claim *c, int64_t now_ms, struct doubts *out);

/* The same for all sessions of `host`, if they are the subject's: one more may not be, and some of
 * them may be dead. */
void registry_doubt_all(struct registry *r, struct slice host, const char *subject, int64_t now_ms,
                        struct doubts *out);

/* The session has answered.  No doubt is thrown on it again before `until_ms`. */
void registry_trust(struct registry *r, struct seat *s, int64_t until_ms);

/* Calls fn for each session, oldest first, under the lock: fn must be short and may not call
 * registry_*(). */
void registry_each(struct registry *r, void (*fn)(const struct seat *s, void *arg), void *arg);

/* The same from the one on that joined next after `order`, until fn says that it is enough. */
void registry_each_after(struct registry *r, uint64_t order,
                         bool (*fn)(const struct seat *s, void *arg), void *arg);

struct registry_counts {
    size_t sessions;
    size_t names; /* and ports, that somebody serves now */
    size_t away;
};

struct registry_counts registry_count(struct registry *r);

#endif
