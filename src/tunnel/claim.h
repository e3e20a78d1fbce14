/* claim.h - one name or port that one session serves now.
 *
 * Several sessions may serve one name: each has a claim of its own on it, with its own meter, so
 * that no counter has two writers.  A session holds at most one claim on a name, however many of
 * its tokens grant it: `holders` counts them.
 *
 * Threads: belongs to its session's loop; while it is lent to the registry, `link` and the private
 *          part change only inside registry_*() calls, `host`, `port` and `subject` not at all.
 * Memory:  the session's; registry_release() it before claim_free().
 */
#ifndef RVPN_TUNNEL_CLAIM_H
#define RVPN_TUNNEL_CLAIM_H

#include "base/list.h"
#include "base/slice.h"
#include "meter/meter.h"

#define CLAIM_PORT_KEY 3U /* ":" and the port, which is no name */

struct registry_name; /* private to registry.c */
struct seat;

struct claim {
    const char *host; /* "" for a port; else exact, or "*.x" */
    const char *subject;
    uint16_t port; /* 0 for a name */
    uint8_t port_key[CLAIM_PORT_KEY];
    struct meter meter;
    unsigned holders; /* how many of the session's tokens grant it; starts at 1 */
    struct list link; /* in the seat's claims */

    /* private to registry.c */
    struct list by_name;
    struct registry_name *name; /* NULL: not lent */
    struct seat *seat;

    char text[]; /* host and subject */
};

#define CLAIM_HOST_MAX 255U /* bytes */

/* Copies the texts.  Returns NULL when out of memory or if `host` is longer. */
struct claim *claim_new_host(struct slice host, const char *subject);
struct claim *claim_new_port(uint16_t port, const char *subject);
void claim_free(struct claim *c);

void claim_write_port_key(uint16_t port, uint8_t out[CLAIM_PORT_KEY]);

/* The claim on that very name or port in a list of claims, or NULL. */
struct claim *claim_find_host(const struct list *claims, struct slice host);
struct claim *claim_find_port(const struct list *claims, uint16_t port);

#endif
