#include "server/config_draft.h"

#include "server/config_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_LEAST 1048576U

static int no_memory(struct config_error *why)
{
    (void)snprintf(why->text, sizeof(why->text), "out of memory");
    return -ENOMEM;
}

int config_draft_init(struct config_draft *d, struct config_error *why)
{
    struct config_place place = {.layer = CONFIG_DEFAULT};
    int err = 0;

    *d = (struct config_draft){.config = calloc(1, sizeof(*d->config)), .why = why};
    if (!d->config)
        return no_memory(why);
    for (size_t i = 0; i < config_keys_count && !err; i++)
        if (config_keys[i].initial)
            err = config_draft_set(d, &config_keys[i], place, slice_text(config_keys[i].initial));
    return err;
}

int config_draft_refuse(struct config_draft *d, struct config_place place, const char *subject,
                        const char *reason)
{
    char name[CONFIG_NAME_SIZE] = "";
    char *text = d->why->text;
    size_t size = sizeof(d->why->text);

    switch (place.layer) {
    case CONFIG_FILE:
        if (place.line)
            (void)snprintf(name, sizeof(name), ":%zu", place.line);
        (void)snprintf(text, size, "%s%s: %s%s%s", d->config->file, name, subject ? subject : "",
                       subject ? ": " : "", reason);
        break;
    case CONFIG_VARIABLE:
        (void)snprintf(text, size, "%s: %s", config_variable_write(subject, name), reason);
        break;
    case CONFIG_FLAG:
        (void)snprintf(text, size, "%s: %s", config_flag_write(subject, name), reason);
        break;
    case CONFIG_DEFAULT: (void)snprintf(text, size, "%s: %s", subject, reason); break;
    }
    return -EINVAL;
}

static struct config_target target(const struct config_draft *d, struct config_place place,
                                   void *base)
{
    const char *slash = place.layer == CONFIG_FILE ? strrchr(d->config->file, '/') : NULL;
    struct config_target to = {.config = d->config, .base = base};

    if (slash)
        to.folder = slice_of(d->config->file, (size_t)(slash - d->config->file) + 1);
    return to;
}

/* Puts the place in front of the reason alone. */
static int refuse(struct config_draft *d, struct config_place place, const char *subject, int err,
                  const struct config_error *reason)
{
    if (err)
        (void)config_draft_refuse(d, place, subject, reason->text);
    return err;
}

static void set_place(struct config_draft *d, const struct config_key *key,
                      struct config_place place)
{
    d->places[key - config_keys] = place;
}

int config_draft_set(struct config_draft *d, const struct config_key *key,
                     struct config_place place, struct slice text)
{
    struct config_target to = target(d, place, d->config);
    struct config_error reason;
    int err = config_value_parse_all(&to, key, text, &reason);

    set_place(d, key, place);
    return refuse(d, place, key->name, err, &reason);
}

void config_draft_begin(struct config_draft *d, const struct config_key *key,
                        struct config_place place)
{
    config_list_clear((char *)d->config + key->offset);
    set_place(d, key, place);
}

int config_draft_add(struct config_draft *d, const struct config_key *key,
                     struct config_place place, struct slice text)
{
    struct config_target to = target(d, place, d->config);
    struct config_error reason;
    int err = config_value_parse(&to, key, text, &reason);

    return refuse(d, place, key->name, err, &reason);
}

bool config_draft_has(const struct config_draft *d, const struct config_key *key,
                      enum config_layer layer)
{
    return d->places[key - config_keys].layer == layer;
}

int config_draft_set_entry(struct config_draft *d, const struct config_key *key, void *entry,
                           struct config_place place, const char *subject, struct slice text)
{
    struct config_target to = target(d, place, entry);
    struct config_error reason;
    int err = config_value_parse(&to, key, text, &reason);

    return refuse(d, place, subject, err, &reason);
}

int config_draft_add_entry(struct config_draft *d, const struct config_key *key, const void *entry,
                           struct config_place place)
{
    void *list = (char *)d->config + key->offset;
    struct config_error reason;
    int err;

    if (config_list_count(list) >= key->max)
        err = config_value_refuse_count(key, &reason);
    else if (config_list_append(d->config, list, entry, config_key_entry(key)->size))
        err = no_memory(&reason);
    else
        return 0;
    return refuse(d, place, key->name, err, &reason);
}

static const struct config_key *find(const char *name)
{
    return config_key_find(config_keys, config_keys_count, slice_text(name));
}

/* Refuses marks that are not in order, at whichever of the two was given on top. */
static int check_order(struct config_draft *d, const char *low, size_t low_value, const char *high,
                       size_t high_value)
{
    struct config_place low_place = d->places[find(low) - config_keys];
    struct config_place high_place = d->places[find(high) - config_keys];
    char reason[128];

    if (low_value < high_value)
        return 0;
    if (low_place.layer > high_place.layer) {
        (void)snprintf(reason, sizeof(reason), "must be below %s", high);
        return config_draft_refuse(d, low_place, low, reason);
    }
    (void)snprintf(reason, sizeof(reason), "must be above %s", low);
    return config_draft_refuse(d, high_place, high, reason);
}

/* So little is a mistake in its unit, and would let nobody in. */
static int check_memory_limit(struct config_draft *d)
{
    size_t limit = d->config->memory_limit;

    if (limit == 0 || limit >= MEMORY_LEAST)
        return 0;
    return config_draft_refuse(d, d->places[find("memory_limit") - config_keys], "memory_limit",
                               "must be 0 or at least 1MiB");
}

static int check_count(struct config_draft *d, const struct config_key *key)
{
    if (!config_key_is_list(key) || config_list_count((char *)d->config + key->offset) >= key->min)
        return 0;
    return config_draft_refuse(d, d->places[key - config_keys], key->name,
                               "needs at least one entry");
}

static bool is_same_kid(const struct config_signer *a, const struct config_signer *b)
{
    return a->kid && b->kid && strcmp(a->kid, b->kid) == 0;
}

static int check_kids(struct config_draft *d)
{
    const struct config_signers *keys = &d->config->keys;
    char reason[256];

    for (size_t i = 1; i < keys->count; i++) {
        size_t before = 0;

        while (before < i && !is_same_kid(&keys->at[i], &keys->at[before]))
            before++;
        if (before == i)
            continue;
        (void)snprintf(reason, sizeof(reason), "the kid %s is there twice", keys->at[i].kid);
        return config_draft_refuse(d, d->places[find("keys") - config_keys], "keys", reason);
    }
    return 0;
}

int config_draft_check(struct config_draft *d)
{
    const struct config *c = d->config;
    int err = 0;

    for (size_t i = 0; i < config_keys_count && !err; i++)
        err = check_count(d, &config_keys[i]);
    if (!err)
        err = check_kids(d);
    if (!err)
        err = check_order(d, "stream_low", c->stream_low, "stream_high", c->stream_high);
    if (!err)
        err = check_order(d, "stream_high", c->stream_high, "stream_hard", c->stream_hard);
    if (!err)
        err = check_order(d, "tunnel_low", c->tunnel_low, "tunnel_high", c->tunnel_high);
    if (!err)
        err = check_memory_limit(d);
    return err;
}
