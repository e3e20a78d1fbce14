#include "server/config_print.h"

#include "server/config_draft.h"
#include "server/config_memory.h"

#include <inttypes.h>

#define WIDTH 78U /* columns of a line of help */

enum purpose { FOR_FLAGS, FOR_FILE };

/* What follows the name of a flag. */
static const char *argument(const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_TEXT: return " TEXT";
    case CONFIG_PATH: return " PATH";
    case CONFIG_UINT: return " N";
    case CONFIG_SIZE: return " SIZE";
    case CONFIG_DURATION: return " TIME";
    case CONFIG_CHOICE: return " WORD";
    case CONFIG_BOOL: return "[=BOOL]";
    case CONFIG_IP: return " IP";
    case CONFIG_ADDRESSES: return " ADDR:PORT";
    case CONFIG_HOSTS: return " HOST";
    case CONFIG_PORTS: return " PORTS";
    case CONFIG_SIGNERS:
    case CONFIG_CERTIFICATES: break;
    }
    return "";
}

/* Writes `text` in words, broken at WIDTH, each line after `prefix`. */
static void print_wrapped(FILE *to, const char *prefix, const char *text)
{
    size_t column = 0;

    while (*text) {
        size_t len = strcspn(text, " ");

        if (column && column + 1 + len > WIDTH) {
            (void)fputc('\n', to);
            column = 0;
        }
        (void)fprintf(to, "%s%.*s", column ? " " : prefix, (int)len, text);
        column += (column ? 1 : strlen(prefix)) + len;
        text += len + strspn(text + len, " ");
    }
    (void)fputc('\n', to);
}

/* Writes the help of `key`, its range, and for flags its default, which a file shows itself. */
static void print_help(FILE *to, const char *prefix, const struct config_key *key,
                       enum purpose purpose)
{
    const char *initial = purpose == FOR_FLAGS ? key->initial : NULL;
    bool is_text = key->type == CONFIG_TEXT || key->type == CONFIG_PATH;
    char range[CONFIG_RANGE_SIZE];
    char text[512];

    (void)config_key_range(key, range);
    if (is_text)
        range[0] = 0;
    (void)snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", key->help, range[0] || initial ? " (" : "",
                   range, range[0] && initial ? "; " : "", initial ? "default " : "",
                   initial ? initial : "", range[0] || initial ? ")" : "");
    print_wrapped(to, prefix, text);
}

void config_print_flags(FILE *to)
{
    char name[CONFIG_NAME_SIZE];

    (void)fputs("  -c, --config FILE\n      read this YAML file first\n", to);
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (config_key_is_maps(key))
            continue;
        (void)fprintf(to, "  %s%s\n", config_flag_write(key->name, name), argument(key));
        print_help(to, "      ", key, FOR_FLAGS);
    }
    (void)fputs("\nIn the configuration file only:\n", to);
    for (size_t i = 0; i < config_keys_count; i++) {
        if (!config_key_is_maps(&config_keys[i]))
            continue;
        (void)fprintf(to, "  %s\n", config_keys[i].name);
        print_help(to, "      ", &config_keys[i], FOR_FLAGS);
    }
}

/* Whether YAML reads `text` as this very text without quotes, wherever we write it. */
static bool is_plain(const char *text)
{
    static const char bytes[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";

    return text[0] != '-' && text[0] && strspn(text, bytes) == strlen(text) &&
           strcmp(text, "null") != 0;
}

/* Values hold no control characters: parse_text() refused them. */
static void print_text(FILE *to, const char *text)
{
    if (is_plain(text)) {
        (void)fputs(text, to);
        return;
    }
    (void)fputc('"', to);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', to);
        (void)fputc(*text, to);
    }
    (void)fputc('"', to);
}

static void print_choice(FILE *to, const char *choices, const void *field)
{
    unsigned at;

    for (memcpy(&at, field, sizeof(at)); at > 0; at--)
        choices += strcspn(choices, "|") + 1;
    (void)fprintf(to, "%.*s", (int)strcspn(choices, "|"), choices);
}

/* Entry `i` of a list that is not one of maps. */
static void print_item(FILE *to, const struct config_key *key, const void *field, size_t i)
{
    if (key->type == CONFIG_ADDRESSES) {
        print_text(to, ((const struct config_addresses *)field)->at[i].text);
    } else if (key->type == CONFIG_HOSTS) {
        print_text(to, ((const struct config_texts *)field)->at[i]);
    } else {
        struct config_port_range range = ((const struct config_ports *)field)->at[i];

        (void)fprintf(to, "%u", range.first);
        if (range.last != range.first)
            (void)fprintf(to, "-%u", range.last);
    }
}

static void print_list(FILE *to, const struct config_key *key, const void *field)
{
    size_t count = config_list_count(field);

    (void)fputc('[', to);
    for (size_t i = 0; i < count; i++) {
        (void)fputs(i ? ", " : "", to);
        print_item(to, key, field, i);
    }
    (void)fputc(']', to);
}

/* One value that is neither a list nor text that may be missing. */
static void print_value(FILE *to, const struct config_key *key, const void *field)
{
    char text[32];

    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_PATH: print_text(to, *(const char *const *)field); break;
    case CONFIG_UINT: (void)fprintf(to, "%" PRIu32, *(const uint32_t *)field); break;
    case CONFIG_SIZE:
        (void)fputs(config_size_write(*(const size_t *)field, text, sizeof(text)), to);
        break;
    case CONFIG_DURATION:
        (void)fputs(config_duration_write((uint64_t) * (const int64_t *)field, text, sizeof(text)),
                    to);
        break;
    case CONFIG_CHOICE: print_choice(to, key->form, field); break;
    case CONFIG_BOOL: (void)fputs(*(const bool *)field ? "true" : "false", to); break;
    case CONFIG_IP: print_text(to, ((const struct config_address *)field)->text); break;
    case CONFIG_ADDRESSES:
    case CONFIG_HOSTS:
    case CONFIG_PORTS: print_list(to, key, field); break;
    case CONFIG_SIGNERS:
    case CONFIG_CERTIFICATES: break;
    }
}

/* One entry of a list of maps.  A secret is masked. */
static void print_entry(FILE *to, const struct config_entry *kind, const char *entry)
{
    const char *lead = "  - ";

    for (size_t i = 0; i < kind->count; i++) {
        const char *text = *(const char *const *)(const void *)(entry + kind->keys[i].offset);

        if (!text)
            continue;
        (void)fprintf(to, "%s%s: ", lead, kind->keys[i].name);
        print_text(to, strcmp(kind->keys[i].name, "secret") == 0 ? "***" : text);
        (void)fputc('\n', to);
        lead = "    ";
    }
}

static void print_maps(FILE *to, const struct config_key *key, const void *field)
{
    const struct config_entry *kind = config_key_entry(key);
    size_t count = config_list_count(field);
    const char *at;

    memcpy(&at, field, sizeof(at));
    (void)fprintf(to, "%s:%s\n", key->name, count ? "" : " []");
    for (size_t i = 0; i < count; i++)
        print_entry(to, kind, at + i * kind->size);
}

static bool is_missing(const struct config_key *key, const void *field)
{
    return (key->type == CONFIG_TEXT || key->type == CONFIG_PATH) && !*(const char *const *)field;
}

void config_print(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];
        const void *field = (const char *)c + key->offset;

        if (is_missing(key, field))
            continue;
        if (config_key_is_maps(key)) {
            print_maps(to, key, field);
            continue;
        }
        (void)fprintf(to, "%s: ", key->name);
        print_value(to, key, field);
        (void)fputc('\n', to);
    }
}

/* The example of a list of maps, each of its lines commented out. */
static void print_commented(FILE *to, const char *lines)
{
    while (*lines) {
        size_t len = strcspn(lines, "\n") + 1;

        (void)fprintf(to, "#%.*s", (int)len, lines);
        lines += len;
    }
}

void config_print_example(FILE *to)
{
    struct config_draft d;
    struct config_error why;
    int err = config_draft_init(&d, &why);

    print_wrapped(to, "# ",
                  "What `rvpn serve` can be told, with its defaults.  Written by `rvpn check "
                  "--example`; rvpn.yaml(5) tells more.");
    print_wrapped(to, "# ",
                  "Sizes take KiB, MiB, GiB; times take ms, s, m, h, d.  Paths begin at this "
                  "file's folder.");
    for (size_t i = 0; i < config_keys_count && !err; i++) {
        const struct config_key *key = &config_keys[i];

        (void)fputc('\n', to);
        print_help(to, "# ", key, FOR_FILE);
        (void)fprintf(to, "#%s:%s", key->name, config_key_is_maps(key) ? "\n" : " ");
        if (config_key_is_maps(key)) {
            print_commented(to, key->form);
            continue;
        }
        if (key->initial)
            print_value(to, key, (const char *)d.config + key->offset);
        else
            print_text(to, key->form);
        (void)fputc('\n', to);
    }
    config_free(d.config);
}
