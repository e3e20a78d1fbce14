/* config_print.h - the table of keys for people: the help of flags, an example file, and what a
 * configuration comes to.
 *
 * Threads: main thread.
 * Errors:  those of `to`, for ferror().
 */
#ifndef RVPN_SERVER_CONFIG_PRINT_H
#define RVPN_SERVER_CONFIG_PRINT_H

#include "server/config.h"

#include <stdio.h>

/* One flag a paragraph, with its range and default. */
void config_print_flags(FILE *to);

/* A YAML file in which every key has its default, commented out. */
void config_print_example(FILE *to);

/* A YAML file that says what `c` says, secrets masked. */
void config_print(const struct config *c, FILE *to);

#endif
