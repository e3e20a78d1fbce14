/* trust.h - whom the relay believes and what it shows of itself: keys, token rules, certificates.
 *
 * Built whole at start and at every reload, never changed: a worker keeps to one until it is
 * handed the next.
 *
 * Threads: any thread may read it.
 */
#ifndef RVPN_EDGE_TRUST_H
#define RVPN_EDGE_TRUST_H

#include "auth/jwt.h"
#include "net/certificates.h"

struct trust {
    struct keyring *keyring;
    struct jwt_rules rules;
    struct certificates certificates;
};

#endif
