/* grant.h - what one verified token lets a device serve: names, ports, and until when.
 *
 * A plain value.  Whoever verifies tokens builds it; the tunnel never sees the token itself.
 * Which names are good names is decided before: a grant takes canonical text as it is.
 *
 * Threads: reentrant.
 * Memory:  copies every text it is given.
 * Errors:  0 on success; -EMSGSIZE past a bound, -EINVAL, -ENOMEM: the grant is as it was then.
 * Units:   unix seconds.
 */
#ifndef RVPN_TUNNEL_GRANT_H
#define RVPN_TUNNEL_GRANT_H

#include "base/slice.h"
#include "base/ticket.h"

#define GRANT_HOSTS_MAX 256U
#define GRANT_PORTS_MAX 256U
#define GRANT_HOST_LEN_MAX 255U /* bytes of one name, "*." included */

struct grant {
    const char *subject;  /* who the names belong to; "" is a subject like any other */
    const char *token_id; /* "" if the token has none */
    const char *label;    /* what the device calls itself; "" if it does not say */
    char **hosts;         /* lower case; exact, or "*.x" for everything below x but not x */
    size_t host_count;
    uint16_t *ports; /* raw TCP ports */
    size_t port_count;
    int64_t expires_at;   /* 0: never */
    struct ticket ticket; /* given back with the grant; may be empty */
    char text[];          /* subject, token_id and label */
};

/* NULL stands for "".  Returns NULL when out of memory. */
struct grant *grant_new(const char *subject, const char *token_id, const char *label,
                        int64_t expires_at);
void grant_free(struct grant *g);

/* Adds a name or a port; one that is there already is not added twice.
 * -EINVAL: `host` is empty, starts with a colon or holds a NUL, or `port` is 0. */
int grant_add_host(struct grant *g, struct slice host);
int grant_add_port(struct grant *g, uint16_t port);

bool grant_has_host(const struct grant *g, struct slice host);
bool grant_has_port(const struct grant *g, uint16_t port);

#endif
