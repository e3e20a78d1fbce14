/* jwt.h - a token (RFC 7519) to verified claims, and claims to an HS256 token.
 *
 * The signature comes first (jws.h), then the payload's JSON (no member twice, no depth over 16),
 * then the rules: audience, issuer, times.
 *
 * Threads: reentrant; a keyring may be used by many threads at once.
 * Memory:  *out is owned by the caller: claims_fini().  Untouched on failure.
 * Errors:  -EKEYREJECTED  form, key, signature, issuer, audience, not yet valid, exp missing
 *          -EKEYEXPIRED   all is well but `exp` has passed
 *          -EINVAL        signed by a key of ours, but a claim has a form we do not take
 *          -ENOMEM
 * Units:   unix seconds.
 */
#ifndef RVPN_AUTH_JWT_H
#define RVPN_AUTH_JWT_H

#include "auth/claims.h"
#include "auth/jws.h"
#include "auth/keyring.h"

enum jwt_exp { JWT_EXP_OPTIONAL, JWT_EXP_REQUIRED };

struct jwt_rules {
    const char *audience; /* one of `aud` must be this; NULL: not looked at */
    const char *issuer;   /* `iss` must be this; NULL: not looked at (old clients send a number) */
    int64_t leeway;       /* seconds by which clocks may differ, for exp and nbf */
    enum jwt_exp exp;
};

/* Verifies all of `token` as of `now_unix`.  On failure *why, unless `why` is NULL, is a
 * static text for the log. */
int jwt_verify(const struct keyring *kr, const struct jwt_rules *rules, struct slice token,
               int64_t now_unix, struct claims *out, const char **why);

/* Writes a token that says what `c` does, for `rules->audience` and `rules->issuer` where set,
 * signed HS256 with the first secret of `kr`; NUL-terminated.  Zero times and NULL texts are left
 * out, but a NULL token_id is drawn at random.
 * Returns its length; -ENOKEY if `kr` has no secret; -EMSGSIZE if it is over JWS_MAX or
 * does not fit out[0..size); -EINVAL if a text is not UTF-8; -ENOMEM. */
int jwt_write(const struct keyring *kr, const struct jwt_rules *rules, const struct claims *c,
              char *out, size_t size);

#endif
