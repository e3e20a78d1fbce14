/* config_draft.h - a configuration while it is put together, and where each value came from.
 *
 * Threads: main thread.
 * Errors:  0, -EINVAL or -ENOMEM; every function that fails has filled *d->why, place and all.
 */
#ifndef RVPN_SERVER_CONFIG_DRAFT_H
#define RVPN_SERVER_CONFIG_DRAFT_H

#include "server/config_value.h"

enum config_layer { CONFIG_DEFAULT, CONFIG_FILE, CONFIG_VARIABLE, CONFIG_FLAG };

/* Where a value was given. */
struct config_place {
    enum config_layer layer;
    size_t line; /* in the file config->file, from 1; 0: the file as a whole */
};

struct config_draft {
    struct config *config;
    struct config_error *why;
    struct config_place places[CONFIG_KEYS_MAX]; /* of config_keys[] */
};

/* A draft of all defaults.  d->config must be freed with config_free(), also after a failure. */
int config_draft_init(struct config_draft *d, struct config_error *why);

/* Says that `subject` (a key's name, "keys[0].kid", or NULL) was refused at `place`, as
 * "file:line: key: reason", "RVPN_KEY: reason" or "--key: reason".  Returns -EINVAL. */
int config_draft_refuse(struct config_draft *d, struct config_place place, const char *subject,
                        const char *reason);

/* Sets all of `key`, a row of config_keys[]; a list's entries stand between commas. */
int config_draft_set(struct config_draft *d, const struct config_key *key,
                     struct config_place place, struct slice text);

/* Makes `key` a list without entries, then adds one. */
void config_draft_begin(struct config_draft *d, const struct config_key *key,
                        struct config_place place);
int config_draft_add(struct config_draft *d, const struct config_key *key,
                     struct config_place place, struct slice text);

/* Whether `layer` has given `key` a value already. */
bool config_draft_has(const struct config_draft *d, const struct config_key *key,
                      enum config_layer layer);

/* Sets one key of an entry of a list of maps; `subject` names it in errors. */
int config_draft_set_entry(struct config_draft *d, const struct config_key *key, void *entry,
                           struct config_place place, const char *subject, struct slice text);

/* Appends an entry to a list of maps. */
int config_draft_add_entry(struct config_draft *d, const struct config_key *key, const void *entry,
                           struct config_place place);

/* Checks what must hold between keys: marks in order, lists with enough entries. */
int config_draft_check(struct config_draft *d);

#endif
