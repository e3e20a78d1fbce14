/* key.h - one key that verifies signatures, with the algorithms it may be used for.
 *
 * Threads: reentrant; a key may verify on many threads at once.
 * Memory:  owns what it points to; key_fini() overwrites a secret and accepts a zeroed struct.
 * Errors:  0 on success.  The key_init_*() return -EINVAL for a bad key, -ENOTSUP for a
 *          good one that is not for signatures or of a kind we do not know, -ENOMEM; *why is a
 *          static text then, and the key stays zeroed.
 */
#ifndef RVPN_AUTH_KEY_H
#define RVPN_AUTH_KEY_H

#include "base/slice.h"

#include <openssl/types.h>

#define KEY_KID_MAX 128         /* bytes */
#define KEY_SECRET_MAX 65536U   /* bytes */
#define KEY_SECRET_ADVISED 32U  /* bytes; RFC 7518 section 3.2 for HS256 */
#define KEY_RSA_BITS_MIN 2048   /* RFC 7518 section 3.3 */
#define KEY_RSA_BITS_MAX 8192   /* beyond, one forged token costs milliseconds */
#define KEY_FINGERPRINT 16      /* bytes */
#define KEY_SIGNATURE_MAX 1024U /* bytes: RSA of 8192 bits */
#define KEY_HS256_LEN 32U       /* bytes */

enum key_alg {
    KEY_HS256,
    KEY_HS384,
    KEY_HS512,
    KEY_RS256,
    KEY_RS384,
    KEY_RS512,
    KEY_PS256,
    KEY_PS384,
    KEY_PS512,
    KEY_ES256,
    KEY_ES384,
    KEY_ES512,
    KEY_EDDSA,
    KEY_ALGS
};

#define KEY_BIT(alg) (1U << (alg))

struct key {
    unsigned algs; /* KEY_BIT() of each that it may be used for */
    uint8_t *secret;
    size_t secret_len;
    EVP_PKEY *public_key;                      /* NULL for a secret */
    char kid[KEY_KID_MAX + 1];                 /* "" if it has none */
    char fingerprint[2 * KEY_FINGERPRINT + 1]; /* hex; the same for the same key anywhere */
};

/* The algorithm that a JOSE `alg` names.  Returns 0 or -EINVAL: unknown, "none", wrong case. */
int key_alg_parse(const char *name, enum key_alg *out);

/* A shared secret as old relays have it: of any length but none, for all of HS256 to HS512. */
int key_init_secret(struct key *k, struct slice secret, const char **why);

/* One PEM public key. */
int key_init_pem(struct key *k, struct slice text, const char **why);

/* Takes `pkey`, also when it fails: RSA (for RS256), P-256, P-384, P-521, Ed25519. */
int key_init_public(struct key *k, EVP_PKEY *pkey, const char **why);

void key_fini(struct key *k);

/* Gives the key a kid.  Returns 0 or -EINVAL (empty or too long). */
int key_set_kid(struct key *k, const char *kid);

/* Returns 0 if `signature` is that of `message` by this key with `alg`; -EKEYREJECTED if not,
 * or if the key is not for `alg`. */
int key_verify(const struct key *k, enum key_alg alg, struct slice message, struct slice signature);

/* Signs HS256 with a secret.  Returns 0; -EKEYREJECTED if the key is not for that; -ENOMEM. */
int key_sign(const struct key *k, struct slice message, uint8_t out[KEY_HS256_LEN]);

#endif
