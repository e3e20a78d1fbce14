/* gcm_provider.h - gcm as a provider of OpenSSL's, called "rvpn", that offers AES-128-GCM and
 * AES-256-GCM and nothing else.
 *
 * TLS stays libssl's.  A context made with the properties prefers what this provider offers and
 * takes the rest from where it always does; a policy of the machine's (a FIPS property in
 * openssl.cnf) still wins.
 *
 * Threads: main thread, before the workers start and after they have gone.
 */
#ifndef RVPN_NET_GCM_PROVIDER_H
#define RVPN_NET_GCM_PROVIDER_H

#include <openssl/types.h>

/* For SSL_CTX_new_ex(3). */
#define GCM_PROVIDER_PROPERTIES "?provider=rvpn"

/* Registers it.  Returns 0 and *why, which library does the work; or -ENOTSUP and *why not. */
int gcm_provider_start(OSSL_PROVIDER **out, const char **why);

/* Once nothing that was made with it is left; NULL is fine. */
void gcm_provider_stop(OSSL_PROVIDER *p);

#endif
