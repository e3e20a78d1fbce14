/* admission.h - a device's tokens: which are taken and given back, what each is good for here, and
 * what the device is told about it.
 *
 * Threads: belongs to its worker's loop.
 */
#ifndef RVPN_EDGE_ADMISSION_H
#define RVPN_EDGE_ADMISSION_H

#include "auth/claims.h"
#include "edge/edge.h"

/* Why something was not done, as clients have known it since 2016.  Static texts. */
struct admission_refusal {
    const char *message;
    const char *code;
    enum tally_id why; /* of a token that is refused: what it is counted as */
};

struct control_fault admission_fault(const struct admission_refusal *r);

/* Whether a device has been greeted already.  The greeting comes before the grant. */
enum admission_greeting { ADMISSION_GREETING_DUE, ADMISSION_GREETED };

void admission_greet(struct session *s);

/* Adds what the token grants and tells the device.  Returns NULL, also if it was there already. */
const struct admission_refusal *admission_add_token(struct edge *e, struct session *s,
                                                    struct slice token,
                                                    enum admission_greeting greeting);

/* The same of a token that admission_judge() has found to say `claims`, which it takes. */
const struct admission_refusal *admission_add_claims(struct edge *e, struct session *s,
                                                     struct claims *claims,
                                                     enum admission_greeting greeting);

/* Takes back what only this token granted; "*" means all tokens.  Returns NULL if it was there. */
const struct admission_refusal *admission_delete_token(struct edge *e, struct session *s,
                                                       struct slice token);

/* Before there is a session: whether admission_add_token() could take the token now.  Returns 0;
 * -EKEYREJECTED it is no good; -EACCES one of its names is served by somebody else;
 * -EDQUOT it has as many tunnels as it may have, who are asked whether they still live.  On 0 *out
 * is what it says, and the caller's. */
int admission_judge(struct edge *e, struct slice token, struct claims *out);

#endif
