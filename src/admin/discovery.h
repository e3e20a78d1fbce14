/* discovery.h - the document from which later devices learn where to connect.
 *
 * Threads: reentrant.
 */
#ifndef RVPN_ADMIN_DISCOVERY_H
#define RVPN_ADMIN_DISCOVERY_H

#include "edge/front.h"

#define DISCOVERY_SIZE 160U

/* Writes the document, with a NUL.  `port` is what the device asked, 0 for the usual one of
 * `scheme`.  Returns `out`. */
char *discovery_write(const char *scheme, uint16_t port, char out[DISCOVERY_SIZE]);

/* The "GET" route of /_apis/telebit.cloud/index.json. */
void discovery_serve(const struct front_request *request);

#endif
