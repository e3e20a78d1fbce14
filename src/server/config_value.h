/* config_value.h - sets one value of one key from text.
 *
 * Threads: main thread.
 * Memory:  copies what it keeps into the configuration.
 * Errors:  -EINVAL or -ENOMEM; *why then holds the reason alone, the caller puts the place in
 *          front of it.
 */
#ifndef RVPN_SERVER_CONFIG_VALUE_H
#define RVPN_SERVER_CONFIG_VALUE_H

#include "server/config.h"
#include "server/config_key.h"

struct config_target {
    struct config *config; /* owns the memory */
    void *base;            /* what offsets count from: the config, or an entry of a list of maps */
    struct slice folder;   /* what relative paths begin with: "", or text that ends with a slash */
};

/* Sets the field of `key`, or appends to it if it is a list (not one of maps). */
int config_value_parse(const struct config_target *to, const struct config_key *key,
                       struct slice text, struct config_error *why);

/* Sets the whole field of `key`; a list's entries stand between commas. */
int config_value_parse_all(const struct config_target *to, const struct config_key *key,
                           struct slice text, struct config_error *why);

/* Fills *why with `reason` and, in parentheses, the range of `key`.  Returns -EINVAL. */
int config_value_refuse(const struct config_key *key, const char *reason, struct config_error *why);

/* Likewise, for a list that has key->max entries already. */
int config_value_refuse_count(const struct config_key *key, struct config_error *why);

#endif
