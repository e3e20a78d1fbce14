/* Help, example, man page and effective configuration say the same as the table. */
#include "server/config_print.h"

#include "server/config_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* What `print` prints; the caller frees it. */
static char *printed(void (*print)(FILE *to))
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    print(to);
    assert_int_equal(fclose(to), 0);
    return text;
}

static char *printed_config(const struct config *c)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    assert_non_null(to);
    config_print(c, to);
    assert_int_equal(fclose(to), 0);
    return text;
}

/* A file of the source tree; the caller frees it. */
static char *read_source(const char *name)
{
    char path[512];
    char *text = calloc(1, 1 << 20);
    FILE *from;

    (void)snprintf(path, sizeof(path), "%s/../../%s", RVPN_VECTORS, name);
    from = fopen(path, "r");
    assert_non_null(from);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, from) > 0);
    (void)fclose(from);
    return text;
}

static struct config *parse(const char *yaml)
{
    struct config_error why = {""};
    struct config *c = NULL;

    if (config_parse(slice_text(yaml), "example", &c, &why))
        fail_msg("%s", why.text);
    return c;
}

static void the_help_has_every_flag(void **state)
{
    char *help = printed(config_print_flags);

    (void)state;
    for (size_t i = 0; i < config_keys_count; i++) {
        char name[CONFIG_NAME_SIZE];
        char line[CONFIG_NAME_SIZE + 8];

        if (config_key_is_maps(&config_keys[i]))
            (void)snprintf(line, sizeof(line), "\n  %s\n", config_keys[i].name);
        else
            (void)snprintf(line, sizeof(line), "\n  %s",
                           config_flag_write(config_keys[i].name, name));
        if (!strstr(help, line))
            fail_msg("no help for %s", config_keys[i].name);
    }
    free(help);
}

static void no_line_of_help_is_wider_than_a_terminal(void **state)
{
    char *texts[] = {printed(config_print_flags), printed(config_print_example)};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        for (const char *at = texts[i]; *at; at += strcspn(at, "\n") + 1)
            assert_in_range(strcspn(at, "\n"), 0, 80);
        free(texts[i]);
    }
}

/* Whether the entry of `key` in the manual, whose lines were joined, says `text`. */
static bool says(const char *manual, const struct config_key *key, const char *text)
{
    char start[CONFIG_NAME_SIZE + 16];
    const char *entry;
    const char *found;
    const char *end;

    (void)snprintf(start, sizeof(start), " .It Cm %s ", key->name);
    entry = strstr(manual, start);
    if (!entry)
        return false;
    found = strstr(entry, text);
    end = strstr(entry + 1, " .It ");
    return found && (!end || found < end);
}

static void the_manual_has_an_entry_for_every_key(void **state)
{
    char *manual = read_source("docs/man/rvpn.yaml.5");
    char text[CONFIG_RANGE_SIZE];

    (void)state;
    for (char *at = manual; *at; at++)
        if (*at == '\n')
            *at = ' ';
    for (size_t i = 0; i < config_keys_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (!says(manual, key, ""))
            fail_msg("no entry for %s", key->name);
        if ((key->type == CONFIG_UINT || key->type == CONFIG_SIZE ||
             key->type == CONFIG_DURATION) &&
            !says(manual, key, config_key_range(key, text)))
            fail_msg("the entry for %s does not say %s", key->name, text);
        (void)snprintf(text, sizeof(text), "Default: %s. ", key->initial ? key->initial : "");
        if (key->initial && !says(manual, key, text))
            fail_msg("the entry for %s does not say \"%s\"", key->name, text);
    }
    free(manual);
}

static void the_example_in_the_tree_is_the_one_we_write(void **state)
{
    char *example = printed(config_print_example);
    char *file = read_source("rvpn.example.yaml");

    (void)state;
    assert_string_equal(file, example);
    free(file);
    free(example);
}

/* Takes the # off every line that is not prose ("# "). */
static void uncomment(char *text)
{
    char *to = text;

    for (const char *at = text; *at; at++) {
        bool starts = at == text || at[-1] == '\n';

        if (starts && at[0] == '#' && (at[1] != ' ' || at[2] == ' '))
            continue;
        *to++ = *at;
    }
    *to = 0;
}

static void the_example_uncommented_is_the_defaults_and_its_samples(void **state)
{
    char *example = printed(config_print_example);
    struct config *defaults = parse("secret_file: token-secret\n"
                                    "token_audience: relay.example.com\n"
                                    "token_issuer: https://issuer.example.com/\n"
                                    "keys:\n"
                                    "- {kid: main, secret_file: token-secret}\n"
                                    "- {kid: issuer, pem: issuer-public.pem}\n"
                                    "- {jwks: issuers.json}\n"
                                    "certificates:\n"
                                    "- certificate: relay.example.com.pem\n"
                                    "  key: relay.example.com-key.pem\n");
    struct config *sample;
    char *expected = printed_config(defaults);
    char *got;

    (void)state;
    uncomment(example);
    sample = parse(example);
    got = printed_config(sample);
    assert_string_equal(got, expected);
    free(got);
    free(expected);
    free(example);
    config_free(sample);
    config_free(defaults);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    struct config *c =
        parse("token_audience: \"a \\\"quoted\\\" \\\\ #text: ü\"\n"
              "token_issuer: \"null\"\nsecret_file: \"-\"\n"
              "listen: [\"[::1]:80\", \":8\"]\ntcp_ports: []\nname: [a-b.c, 1.2.3.4]\n"
              "log_level: debug\necho: true\ngrace: 90s\nstream_hard: 1025KiB\n"
              "keys: [{jwks: \"x y\"}]\n");
    char *once = printed_config(c);
    struct config *again = parse(once);
    char *twice = printed_config(again);

    (void)state;
    assert_string_equal(once, twice);
    assert_string_equal(again->token_audience, "a \"quoted\" \\ #text: ü");
    assert_string_equal(again->token_issuer, "null");
    assert_int_equal(again->stream_hard, 1049600);
    assert_int_equal(again->tcp_ports.count, 0);
    free(once);
    free(twice);
    config_free(c);
    config_free(again);
}

static void secrets_are_masked(void **state)
{
    struct config *c = parse("keys: [{kid: a, secret: do-not-show-me}]");
    char *text = printed_config(c);

    (void)state;
    assert_null(strstr(text, "do-not-show-me"));
    assert_non_null(strstr(text, "    secret: \"***\"\n"));
    free(text);
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_help_has_every_flag),
        cmocka_unit_test(no_line_of_help_is_wider_than_a_terminal),
        cmocka_unit_test(the_manual_has_an_entry_for_every_key),
        cmocka_unit_test(the_example_in_the_tree_is_the_one_we_write),
        cmocka_unit_test(the_example_uncommented_is_the_defaults_and_its_samples),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(secrets_are_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
