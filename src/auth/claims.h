/* claims.h - what a token says, once its signature has been believed.
 *
 * Threads: reentrant.
 * Memory:  owns all it points to; claims_fini() accepts a zeroed struct.
 * Units:   times are unix seconds.
 */
#ifndef RVPN_AUTH_CLAIMS_H
#define RVPN_AUTH_CLAIMS_H

#include "base/slice.h"

#include <jansson.h>

#define CLAIMS_HOSTS_MAX 1024
#define CLAIMS_PORTS_MAX 1024
#define CLAIMS_HOST_MAX 253 /* bytes of one name, RFC 1035 */
#define CLAIMS_TEXT_MAX 255 /* bytes of subject, label, token id, scope, issuer */

/* The latest time a token may name: the end of the year 9999.  Milliseconds in place of seconds
 * would be beyond it. */
#define CLAIMS_TIME_MAX 253402300799

struct claims {
    char *subject;     /* who owns the names: `sub`, else `device.id`, else "key:KID" or
                          "key:FINGERPRINT" of the key that signed; never NULL or empty */
    char *label;       /* for display: device.hostname, device.id, hostname, id; NULL if none */
    char *token_id;    /* `jti`, else 32 hex digits of the token's SHA-256 */
    char *scope;       /* NULL if none */
    char **hosts;      /* `domains`, else [`name`]; lower case, no trailing dot; "*.x" allowed */
    size_t host_count; /* 0: the token names none, which the caller judges */
    uint16_t *ports;   /* `ports`, numbers or decimal strings; 1 to 65535 */
    size_t port_count;
    int64_t expires_at; /* the first second in which it is no longer good; 0 = never */
    int64_t issued_at;  /* 0 if it does not say */
    int64_t not_before; /* 0 if it does not say */
};

/* Reads all but the default subject and token id, which are NULL where `document` does not say.
 * Returns 0; -EKEYREJECTED if a time has no sense; -EINVAL if anything else has a form we do not
 * take (a name that is no DNS name, a port that is none, a text that is none); -ENOMEM.  Then
 * *why is a static text and *out untouched. */
int claims_parse(const json_t *document, struct claims *out, const char **why);

void claims_fini(struct claims *c);

/* Whether `scope`, a list separated by spaces, holds `word`. */
bool claims_has_scope(const struct claims *c, const char *word);

#endif
