/* trust_load.h - from the configuration and the state folder to a struct trust.
 *
 * What the relay made for itself on the way (its secret, its certificate) is logged.
 *
 * Threads: main thread.
 * Errors:  0 or -Exxx, which has been logged.
 */
#ifndef RVPN_SERVER_TRUST_LOAD_H
#define RVPN_SERVER_TRUST_LOAD_H

#include "edge/trust.h"
#include "server/config.h"

/* Gives *out: trust_free() it.  TLS tickets of `old` (may be NULL) stay good.  Keeps `config` and
 * `properties`: those of the providers that TLS is to prefer, or NULL. */
int trust_load(const struct config *config, const char *properties, const struct trust *old,
               struct trust **out);
void trust_free(struct trust *t);

#endif
