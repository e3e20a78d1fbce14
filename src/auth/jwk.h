/* jwk.h - a JSON Web Key (RFC 7517) to a key.
 *
 * `use` and `key_ops` must allow verifying, `alg` narrows what the key is good for, numbers have
 * their exact lengths, secrets are as long as their hash at least, and private keys are refused.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_AUTH_JWK_H
#define RVPN_AUTH_JWK_H

#include "auth/key.h"

#include <jansson.h>

/* Makes *out, `kid` included, to be ended with key_fini().  Returns what key_init_*() do. */
int jwk_parse(const json_t *jwk, struct key *out, const char **why);

#endif
