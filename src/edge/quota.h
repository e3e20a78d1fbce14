/* quota.h - who has how many: one table for all workers, of what one address or one token may not
 * have too much of.
 *
 * What is counted comes with a ticket, which whoever holds it last gives back.  An IPv6 address
 * stands for its /64, which is what one customer gets.  Asked when a connection, a stream or a
 * tunnel begins and ends, never between.
 *
 * Threads: any thread; one lock inside, never held while anything blocks.
 * Memory:  only what is counted now, and addresses with recent handshakes: QUOTA_RECENT_MAX at
 *          most, of which each handshake forgets a few that are over a second old.  Where memory
 *          fails, nothing is counted and all are let in.
 * Units:   milliseconds on the monotonic clock.
 */
#ifndef RVPN_EDGE_QUOTA_H
#define RVPN_EDGE_QUOTA_H

#include "base/ticket.h"
#include "net/address.h"

#define QUOTA_RECENT_MAX 65536U

/* 0: no limit. */
struct quota_limits {
    uint32_t address_connections;
    uint32_t address_handshakes_per_s; /* that many at once, too */
    uint32_t token_tunnels;
    uint32_t token_streams;
};

struct quota; /* private to quota.c */

/* Main thread.  Keeps `limits`.  NULL when out of memory; all tickets must be back before
 * quota_free(). */
struct quota *quota_new(const struct quota_limits *limits);
void quota_free(struct quota *q);

enum quota_answer {
    QUOTA_WITHIN,
    QUOTA_OVER,     /* the limit; it is counted all the same until the ticket is back */
    QUOTA_FAR_OVER, /* more than twice the limit */
};

/* Counts one more and fills *out, which is empty where there is no limit. */
enum quota_answer quota_take_connection(struct quota *q, const struct address *peer,
                                        struct ticket *out);

/* A token is the id of a subject's: ids of other subjects' may be the same. */
struct quota_token {
    const char *subject, *id;
};
enum quota_answer quota_take_tunnel(struct quota *q, struct quota_token token, struct ticket *out);
enum quota_answer quota_take_stream(struct quota *q, struct quota_token token, struct ticket *out);

/* Whether quota_take_tunnel() would say QUOTA_WITHIN now. */
bool quota_has_tunnel(struct quota *q, struct quota_token token);

/* Whether the address may begin one more handshake now. */
bool quota_take_handshake(struct quota *q, const struct address *peer, int64_t now_ms);

#endif
