/* signers.h - the keys that a configuration names, as a keyring.
 *
 * Which secret signs tokens, beside config->keys: the one of secret_file; else, if there are no
 * keys, the state folder's; else none.  So whoever names keys has those keys and no other.
 *
 * Threads: main thread.
 * Errors:  0 or -Exxx, with one line for a person in state_error.
 */
#ifndef RVPN_SERVER_SIGNERS_H
#define RVPN_SERVER_SIGNERS_H

#include "server/config.h"
#include "server/state.h"

struct keyring;

/* Whether the state folder's secret is the one that signs. */
bool signers_use_state(const struct config *c);

/* Takes the secret that signs beside config->keys; out->len is 0 if there is none.  `s` may be NULL
 * if signers_use_state() says no.  Wipe *out when done with it. */
int signers_take_secret(const struct config *c, struct state *s, struct state_secret *out,
                        struct state_error *why);

/* Takes the secret of one of config->keys, which has a secret or a secret_file. */
int signers_read_secret(const struct config_signer *key, struct state_secret *out,
                        struct state_error *why);

/* Gives a keyring of `own`, if it is not NULL and holds a secret, and of config->keys, in this
 * order: keyring_free() it. */
int signers_load(const struct config *c, const struct state_secret *own, struct keyring **out,
                 struct state_error *why);

#endif
