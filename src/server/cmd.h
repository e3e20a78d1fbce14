/* cmd.h - the subcommands of `rvpn`.
 *
 * Each is given what stands behind its name on the command line and returns the exit code: 0; 1 for
 * what went wrong; 2 for what was asked wrongly, with one line on standard error.
 *
 * Threads: main thread.
 */
#ifndef RVPN_SERVER_CMD_H
#define RVPN_SERVER_CMD_H

#include <stdbool.h>

#define CMD_FAILED 1
#define CMD_USAGE 2

int cmd_serve(int argc, char *argv[]);
int cmd_check(int argc, char *argv[]);
int cmd_token(int argc, char *argv[]);

/* Whether the arguments ask for help instead. */
bool cmd_has_help(int argc, char *const argv[]);

/* Says "rvpn NAME: text" on standard error.  Returns `code`. */
int cmd_fail(int code, const char *name, const char *text);

/* Flushes standard output.  Returns 0, or CMD_FAILED if not all of it could be written. */
int cmd_end(const char *name);

#endif
