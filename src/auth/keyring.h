/* keyring.h - the keys whose signatures the relay believes, found by kid.
 *
 * Built once from the configuration, then only read; a reload builds another one and swaps it.
 * Each key carries its algorithms from what it is (a secret: HS256, HS384, HS512; RSA: RS256;
 * P-256: ES256; P-384: ES384; P-521: ES512; Ed25519: EdDSA; a JWK with `alg`: that one alone),
 * never from a token.
 *
 * A token that names a kid is checked with the key of that kid and no other.  One that names
 * none (the 2016 to 2018 clients) is tried on the keys whose algorithm fits, in the order they
 * were added, at most KEYRING_TRIES of them.
 *
 * Threads: adding belongs to whoever builds it; reading from any thread.
 * Memory:  copies all it is given; secrets are overwritten when it is freed.
 * Errors:  0 on success; -EINVAL not a usable key; -EEXIST the kid is taken; -EDQUOT more than
 *          KEYRING_KEYS; -ENOMEM.  Nothing is added then and keyring_why() says what is wrong.
 */
#ifndef RVPN_AUTH_KEYRING_H
#define RVPN_AUTH_KEYRING_H

#include "auth/key.h"

#define KEYRING_KEYS 64
#define KEYRING_TRIES 8
#define KEYRING_TEXT_MAX 1048576U /* bytes of one PEM or JWKS text */

struct keyring;

/* Gives the caller an empty keyring.  Returns 0 or -ENOMEM. */
int keyring_new(struct keyring **out);
void keyring_free(struct keyring *kr);

/* `kid` may be NULL in all three: the key has none then (in a JWK its own `kid` is used).
 *
 * A shared secret, byte for byte; not empty, and not a PEM text given by mistake. */
int keyring_add_secret(struct keyring *kr, const char *kid, struct slice secret);

/* One PEM public key: RSA, P-256, P-384, P-521, Ed25519.  A private key is refused: the relay
 * has no use for it. */
int keyring_add_pem(struct keyring *kr, const char *kid, struct slice text);

/* A JWK, or a JWKS ({"keys":[...]}).  `alg`, `use` and `key_ops` are honoured: keys of a set that
 * are not for signatures are passed over.  All of a set is added or nothing.  A set that
 * mixes secrets with public keys is refused: whoever may read the one may not the other. */
int keyring_add_jwks(struct keyring *kr, struct slice text);

/* How many keys there are; with none, nothing may be started that asks for tokens. */
size_t keyring_count(const struct keyring *kr);

/* Whether a secret is shorter than KEY_SECRET_ADVISED, so that it can be guessed from any one
 * token: legal, since the old relays' were, but worth a warning. */
bool keyring_has_short_secret(const struct keyring *kr);

/* What was wrong in the last call that failed: "line 3: ...", "key 2 (kid a): RSA of 1024 bits, at
 * least 2048 are needed".  Never holds key material.  Lent until the next keyring_add_*(). */
const char *keyring_why(const struct keyring *kr);

/* The keys to try on a token with this `kid` (NULL: it names none) and `alg`: at most `max`, lent
 * for the keyring's life.  Returns how many. */
size_t keyring_find(const struct keyring *kr, const char *kid, enum key_alg alg,
                    const struct key **out, size_t max);

/* The first secret, to sign with; NULL if there is none. */
const struct key *keyring_signer(const struct keyring *kr);

#endif
