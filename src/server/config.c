#include "server/config.h"

#include "server/config_draft.h"
#include "server/config_memory.h"
#include "server/config_yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void config_free(struct config *c)
{
    if (!c)
        return;
    config_memory_free(c);
    free(c);
}

/* Gives the finished configuration, or frees it. */
static int finish(struct config_draft *d, int err, struct config **out)
{
    if (!err)
        err = config_draft_check(d);
    if (err)
        config_free(d->config);
    else
        *out = d->config;
    return err;
}

static int set_file_name(struct config_draft *d, const char *name)
{
    d->config->file = config_memory_copy(d->config, slice_text(name));
    if (d->config->file)
        return 0;
    (void)snprintf(d->why->text, sizeof(d->why->text), "out of memory");
    return -ENOMEM;
}

int config_parse(struct slice yaml, const char *name, struct config **out, struct config_error *why)
{
    struct config_draft d;
    int err = config_draft_init(&d, why);

    if (!err)
        err = set_file_name(&d, name);
    if (!err)
        err = config_yaml_parse(yaml, &d);
    return finish(&d, err, out);
}

/* Reads all of `fd`, at most CONFIG_FILE_MAX bytes and one, so that more is noticed.  It may be a
 * pipe.  Returns how many, or -Exxx. */
static ssize_t read_all(int fd, uint8_t bytes[CONFIG_FILE_MAX + 1])
{
    size_t used = 0;

    while (used <= CONFIG_FILE_MAX) {
        ssize_t got = read(fd, bytes + used, CONFIG_FILE_MAX + 1 - used);

        if (got == -1 && errno != EINTR)
            return -errno;
        if (got == 0)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)used;
}

static int load_file(struct config_draft *d, const char *name)
{
    uint8_t *bytes = malloc(CONFIG_FILE_MAX + 1);
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t len = fd == -1 ? -errno : -ENOMEM;
    int err;

    if (fd != -1 && bytes)
        len = read_all(fd, bytes);
    if (len < 0) {
        err = (int)len;
        (void)snprintf(d->why->text, sizeof(d->why->text), "%s: %s", name, strerror(-err));
    } else {
        err = set_file_name(d, name);
        if (!err)
            err = config_yaml_parse(slice_of(bytes, (size_t)len), d);
        explicit_bzero(bytes, CONFIG_FILE_MAX + 1);
    }
    if (fd != -1)
        (void)close(fd);
    free(bytes);
    return err;
}

/* The value of the variable `name` in `env`; NULL if it is not there or empty. */
static const char *find_variable(char *const env[], const char *name)
{
    size_t len = strlen(name);

    for (; env && *env; env++)
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=' && (*env)[len + 1])
            return *env + len + 1;
    return NULL;
}

static int set_variables(struct config_draft *d, char *const env[])
{
    struct config_place place = {.layer = CONFIG_VARIABLE};
    char name[CONFIG_NAME_SIZE];
    int err = 0;

    for (size_t i = 0; i < config_keys_count && !err; i++) {
        const char *value = find_variable(env, config_variable_write(config_keys[i].name, name));

        if (value)
            err = config_draft_set(d, &config_keys[i], place, slice_text(value));
    }
    return err;
}

static bool is_known_variable(struct slice name)
{
    char known[CONFIG_NAME_SIZE];

    for (size_t i = 0; i < config_keys_count; i++)
        if (slice_is_text(name, config_variable_write(config_keys[i].name, known)))
            return true;
    return slice_is_text(name, "RVPN_CONFIG");
}

/* Variables that look like ours may be for another program, or a slip: noted, not refused. */
static int note_ignored(struct config *c, char *const env[])
{
    int err = 0;

    for (; env && *env && !err; env++) {
        struct slice name = slice_of(*env, strcspn(*env, "="));
        const char *copy;

        if (strncmp(*env, "RVPN_", 5) != 0 || is_known_variable(name) ||
            c->ignored.count == CONFIG_LIST_MAX)
            continue;
        copy = config_memory_copy(c, name);
        err = copy ? config_list_append(c, &c->ignored, &copy, sizeof(copy)) : -ENOMEM;
    }
    return err;
}

/* One flag and its value. */
struct flag {
    const struct config_key *key; /* NULL: --config */
    const char *value;
};

/* The row whose flag is the first `len` bytes of `text`, or NULL. */
static const struct config_key *find_flag(const char *text, size_t len)
{
    char name[CONFIG_NAME_SIZE];

    for (size_t i = 0; i < config_keys_count; i++)
        if (slice_is_text(slice_of(text, len), config_flag_write(config_keys[i].name, name)))
            return &config_keys[i];
    return NULL;
}

static int refuse_flag(struct config_error *why, const char *flag, const char *reason)
{
    (void)snprintf(why->text, sizeof(why->text), "%.*s: %s", (int)strcspn(flag, "="), flag, reason);
    return -EINVAL;
}

/* Reads the flag at argv[*at] and moves *at behind it. */
static int take_flag(int argc, char *const argv[], int *at, struct flag *out,
                     struct config_error *why)
{
    const char *text = argv[(*at)++];
    size_t len = strcspn(text, "=");
    bool is_config = slice_is_text(slice_of(text, len), "--config") || strcmp(text, "-c") == 0;

    out->key = find_flag(text, len);
    if (text[0] != '-')
        return refuse_flag(why, text, "no such argument; flags begin with --");
    if (!out->key && !is_config)
        return refuse_flag(why, text, "no such flag");
    if (text[len] == '=')
        out->value = text + len + 1;
    else if (out->key && out->key->type == CONFIG_BOOL)
        out->value = "true";
    else if (*at < argc)
        out->value = argv[(*at)++];
    else
        return refuse_flag(why, text, "needs a value");
    return 0;
}

/* Finds the file that flags or the environment name: the last flag wins.  NULL: none. */
static int find_file(int argc, char *const argv[], char *const env[], const char **file,
                     struct config_error *why)
{
    struct flag flag;
    int err = 0;

    *file = find_variable(env, "RVPN_CONFIG");
    for (int at = 0; at < argc && !err;) {
        err = take_flag(argc, argv, &at, &flag, why);
        if (!err && !flag.key)
            *file = flag.value;
    }
    return err;
}

static int set_flag(struct config_draft *d, const struct flag *flag)
{
    struct config_place place = {.layer = CONFIG_FLAG};

    if (config_key_is_list(flag->key) && config_draft_has(d, flag->key, CONFIG_FLAG))
        return config_draft_add(d, flag->key, place, slice_text(flag->value));
    return config_draft_set(d, flag->key, place, slice_text(flag->value));
}

static int set_flags(struct config_draft *d, int argc, char *const argv[])
{
    struct flag flag;
    int err = 0;

    for (int at = 0; at < argc && !err;) {
        err = take_flag(argc, argv, &at, &flag, d->why);
        if (!err && flag.key)
            err = set_flag(d, &flag);
    }
    return err;
}

/* The default state folder, if the environment says where such folders are.  The XDG Base
 * Directory Specification has relative paths ignored. */
static int set_state_home(struct config_draft *d, char *const env[])
{
    const char *home = find_variable(env, "XDG_STATE_HOME");
    char *path;

    if (!home || home[0] != '/')
        return 0;
    path = config_memory_take(d->config, strlen(home) + sizeof("/rvpn"));
    if (!path)
        return -ENOMEM;
    (void)snprintf(path, strlen(home) + sizeof("/rvpn"), "%s/rvpn", home);
    d->config->state = path;
    return 0;
}

int config_load(int argc, char *const argv[], char *const env[], struct config **out,
                struct config_error *why)
{
    struct config_draft d;
    const char *file;
    int err = config_draft_init(&d, why);

    if (!err)
        err = find_file(argc, argv, env, &file, why);
    if (!err && (set_state_home(&d, env) || note_ignored(d.config, env))) {
        (void)snprintf(why->text, sizeof(why->text), "out of memory");
        err = -ENOMEM;
    }
    if (!err && file)
        err = load_file(&d, file);
    if (!err)
        err = set_variables(&d, env);
    if (!err)
        err = set_flags(&d, argc, argv);
    return finish(&d, err, out);
}
