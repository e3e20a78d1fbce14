#include "server/config_yaml.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <yaml.h>

#define SUBJECT_SIZE 160U /* "certificates[255]." and a key, cut if hostile */

struct reader {
    struct config_draft *draft;
    yaml_parser_t parser;
    yaml_event_t event; /* the last one; zeroed before the first */
    uint64_t seen;      /* bit i: row i of config_keys[] has been set */
};

static_assert(CONFIG_KEYS_MAX <= 64, "seen has 64 bits");

static struct config_place place_of(const struct reader *r)
{
    return (struct config_place){CONFIG_FILE, r->event.start_mark.line + 1};
}

static int refuse(struct reader *r, const char *subject, const char *reason)
{
    (void)config_draft_refuse(r->draft, place_of(r), subject, reason);
    return -EINVAL;
}

static int refuse_syntax(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    size_t line = p->error == YAML_READER_ERROR ? p->mark.line : p->problem_mark.line;
    struct config_place place = {CONFIG_FILE, line + 1};

    (void)config_draft_refuse(r->draft, place, NULL, p->problem ? p->problem : "not YAML");
    return p->error == YAML_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

/* Anchors let a small file become a big one, and tags call for types that we do not have. */
static const char *decoration(const yaml_event_t *e)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;

    if (e->type == YAML_SCALAR_EVENT) {
        anchor = e->data.scalar.anchor;
        tag = e->data.scalar.tag;
    } else if (e->type == YAML_SEQUENCE_START_EVENT) {
        anchor = e->data.sequence_start.anchor;
        tag = e->data.sequence_start.tag;
    } else if (e->type == YAML_MAPPING_START_EVENT) {
        anchor = e->data.mapping_start.anchor;
        tag = e->data.mapping_start.tag;
    }
    if (e->type == YAML_ALIAS_EVENT || anchor)
        return "anchors and aliases are not allowed";
    return tag ? "tags are not allowed" : NULL;
}

/* Goes on to the next event. */
static int next(struct reader *r)
{
    const char *reason;

    yaml_event_delete(&r->event);
    if (!yaml_parser_parse(&r->parser, &r->event))
        return refuse_syntax(r);
    reason = decoration(&r->event);
    return reason ? refuse(r, NULL, reason) : 0;
}

static struct slice scalar(const struct reader *r)
{
    return slice_of(r->event.data.scalar.value, r->event.data.scalar.length);
}

/* Whether the scalar is YAML's null: nothing at all, ~ or null, without quotes. */
static bool is_null(const struct reader *r)
{
    struct slice s = scalar(r);

    return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (s.len == 0 || slice_is_text(s, "~") || slice_is_text(s, "null"));
}

/* Appends `key`, which may be hostile, to the subject. */
static void append_name(char subject[SUBJECT_SIZE], struct slice key)
{
    size_t used = strlen(subject);

    for (size_t i = 0; i < key.len && i < 64 && used + 1 < SUBJECT_SIZE; i++)
        subject[used++] = key.ptr[i] > 0x20 && key.ptr[i] < 0x7f ? (char)key.ptr[i] : '?';
    subject[used] = 0;
}

/* Reads the name of a key, appends it to the subject, and goes on to its value.  Stores its row
 * of keys[0..count) in *out and marks it in *seen. */
static int read_name(struct reader *r, const struct config_entry *among, uint64_t *seen,
                     char subject[SUBJECT_SIZE], const struct config_key **out)
{
    const struct config_key *key;
    uint64_t bit;

    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, *subject ? subject : NULL, "a key must be a plain word");
    append_name(subject, scalar(r));
    key = config_key_find(among->keys, among->count, scalar(r));
    if (!key)
        return refuse(r, subject, "no such key");
    bit = 1ULL << (key - among->keys);
    if (*seen & bit)
        return refuse(r, subject, "given twice");
    *seen |= bit;
    *out = key;
    return next(r);
}

/* Reads one key of an entry of a list of maps. */
static int read_entry_pair(struct reader *r, const struct config_entry *kind, void *entry,
                           const char *of, uint64_t *seen)
{
    char subject[SUBJECT_SIZE];
    const struct config_key *key = NULL;
    int err;

    (void)snprintf(subject, sizeof(subject), "%.*s.", (int)sizeof(subject) - 2, of);
    err = read_name(r, kind, seen, subject, &key);
    if (err)
        return err;
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, subject, "takes one value");
    if (is_null(r))
        return refuse(r, subject, "needs a value");
    return config_draft_set_entry(r->draft, key, entry, place_of(r), subject, scalar(r));
}

union any_entry {
    struct config_signer signer;
    struct config_certificate certificate;
};

static const char *check_signer(const struct config_signer *s)
{
    int sources =
        (s->secret != NULL) + (s->secret_file != NULL) + (s->pem != NULL) + (s->jwks != NULL);

    if (sources != 1)
        return "needs one of secret, secret_file, pem and jwks";
    if (s->jwks && s->kid)
        return "takes no kid: the keys of a JWK set bring their own";
    return NULL;
}

static const char *check_entry(const struct config_key *key, const union any_entry *entry)
{
    if (key->type == CONFIG_SIGNERS)
        return check_signer(&entry->signer);
    if (!entry->certificate.certificate || !entry->certificate.key)
        return "needs both certificate and key";
    return NULL;
}

/* Reads a map: one entry of `key`. */
static int read_entry(struct reader *r, const struct config_key *key, size_t number)
{
    union any_entry entry = {.signer = {.kid = NULL}};
    struct config_place place = place_of(r);
    char subject[SUBJECT_SIZE];
    const char *reason;
    uint64_t seen = 0;
    int err;

    (void)snprintf(subject, sizeof(subject), "%s[%zu]", key->name, number);
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, subject, "must be a map of keys and values");
    while (!(err = next(r)) && r->event.type != YAML_MAPPING_END_EVENT) {
        err = read_entry_pair(r, config_key_entry(key), &entry, subject, &seen);
        if (err)
            return err;
    }
    if (err)
        return err;
    reason = check_entry(key, &entry);
    if (reason)
        return config_draft_refuse(r->draft, place, subject, reason);
    return config_draft_add_entry(r->draft, key, &entry, place);
}

static int read_item(struct reader *r, const struct config_key *key, size_t number)
{
    if (config_key_is_maps(key))
        return read_entry(r, key, number);
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, key->name, "takes a list of single values");
    if (is_null(r))
        return refuse(r, key->name, "needs a value");
    return config_draft_add(r->draft, key, place_of(r), scalar(r));
}

static int read_list(struct reader *r, const struct config_key *key)
{
    int err;

    if (!config_key_is_list(key))
        return refuse(r, key->name, "takes one value, not a list");
    config_draft_begin(r->draft, key, place_of(r));
    for (size_t i = 0; !(err = next(r)) && r->event.type != YAML_SEQUENCE_END_EVENT; i++) {
        err = read_item(r, key, i);
        if (err)
            return err;
    }
    return err;
}

static int read_pair(struct reader *r)
{
    struct config_entry all = {config_keys, config_keys_count, 0};
    char subject[SUBJECT_SIZE] = "";
    const struct config_key *key = NULL;
    int err = read_name(r, &all, &r->seen, subject, &key);

    if (err)
        return err;
    if (r->event.type == YAML_SEQUENCE_START_EVENT)
        return read_list(r, key);
    if (config_key_is_maps(key))
        return refuse(r, key->name, "takes a list of maps");
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse(r, key->name, "takes a value, not a map");
    if (is_null(r))
        return refuse(r, key->name, "needs a value");
    return config_draft_set(r->draft, key, place_of(r), scalar(r));
}

static int read_root(struct reader *r)
{
    int err;

    if (r->event.type == YAML_SCALAR_EVENT && is_null(r))
        return 0;
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return refuse(r, NULL, "must be lines of `key: value`");
    while (!(err = next(r)) && r->event.type != YAML_MAPPING_END_EVENT) {
        err = read_pair(r);
        if (err)
            return err;
    }
    return err;
}

static int read_stream(struct reader *r)
{
    int err = next(r); /* the start of the stream */

    if (!err)
        err = next(r);
    if (err || r->event.type == YAML_STREAM_END_EVENT)
        return err;
    err = next(r); /* past the start of the document */
    if (!err)
        err = read_root(r);
    if (!err)
        err = next(r); /* the end of the document */
    if (!err)
        err = next(r);
    if (!err && r->event.type != YAML_STREAM_END_EVENT)
        err = refuse(r, NULL, "a second document");
    return err;
}

int config_yaml_parse(struct slice yaml, struct config_draft *d)
{
    struct reader r = {.draft = d};
    int err;

    if (yaml.len > CONFIG_FILE_MAX)
        return config_draft_refuse(d, (struct config_place){CONFIG_FILE, 0}, NULL,
                                   "larger than 1MiB");
    if (!yaml_parser_initialize(&r.parser)) {
        (void)config_draft_refuse(d, (struct config_place){CONFIG_FILE, 0}, NULL, "out of memory");
        return -ENOMEM;
    }
    yaml_parser_set_input_string(&r.parser, yaml.len ? yaml.ptr : (const uint8_t *)"", yaml.len);
    err = read_stream(&r);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return err;
}
