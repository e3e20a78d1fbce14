/* relay.h - the whole relay: its workers, what they share, and the signals that govern it.
 *
 * SIGTERM or SIGINT drains: no new visitors, streams may finish within `grace`, devices are told to
 * go.  A second one stops at once.  SIGHUP reads keys and certificates again, from the
 * configuration as it is then; what else has changed there waits for a restart.
 *
 * Threads: main thread.
 */
#ifndef RVPN_SERVER_RELAY_H
#define RVPN_SERVER_RELAY_H

#include "server/config.h"

/* Runs until it is told to stop.  argc and argv are what config_load() was given, for reloads.
 * Returns 0, or -Exxx when it could not start, which has been logged. */
int relay_run(const struct config *config, int argc, char *const argv[]);

#endif
