/* credential.h - the token that a request to the relay itself brings, and whether it will do.
 *
 * Threads: belongs to its worker's loop.
 * Memory:  a token is lent: it points into the request or into `scratch`.
 */
#ifndef RVPN_EDGE_CREDENTIAL_H
#define RVPN_EDGE_CREDENTIAL_H

#include "auth/jws.h"
#include "edge/front.h"

enum credential {
    CREDENTIAL_NONE,
    CREDENTIAL_QUERY,  /* access_token in the query */
    CREDENTIAL_HEADER, /* "Authorization: Bearer", or the password of "Basic" */
    CREDENTIAL_BAD,    /* too long, or nothing that could be a token */
};

/* Finds it; a field goes before the query.  `scratch` holds what has to be decoded. */
enum credential credential_find(const struct http_head *head, struct slice *token,
                                char scratch[JWS_MAX + 1]);

/* Whether the request's token, in a field and not in the URL, is good and has `scope`; if not, it
 * has been answered 401 or 403. */
bool credential_has_scope(const struct front_request *request, const char *scope);

#endif
