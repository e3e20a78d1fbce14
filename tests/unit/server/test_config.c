/* What a configuration accepts, what it refuses and how it says so, and who beats whom. */
#include "server/config.h"

#include "server/config_key.h"
#include "server/config_print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NAME "relay.yaml"

static struct config *parse(const char *yaml)
{
    struct config_error why = {""};
    struct config *c = NULL;

    if (config_parse(slice_text(yaml), NAME, &c, &why))
        fail_msg("refused: %s", why.text);
    return c;
}

static void expect_refused(const char *yaml, size_t len, const char *line)
{
    struct config *untouched = (struct config *)&len;
    struct config *c = untouched;
    struct config_error why = {""};

    if (!config_parse(slice_of(yaml, len), NAME, &c, &why))
        fail_msg("accepted: %s", yaml);
    assert_string_equal(why.text, line);
    assert_ptr_equal(c, untouched);
}

static const struct {
    const char *yaml;
    const char *line;
} refused[] = {
    /* keys */
    {"sniff_byte: 4KiB", NAME ":1: sniff_byte: no such key"},
    {"echo: true\n\nworkers: 1\nworkers: 2", NAME ":4: workers: given twice"},
    {"\"wor\\e[31mkers\": 1", NAME ":1: wor?[31mkers: no such key"},
    {"? [a]\n: b", NAME ":1: a key must be a plain word"},
    /* numbers, sizes, times */
    {"workers: 257", NAME ":1: workers: out of range (0 to 256)"},
    {"workers: -1", NAME ":1: workers: not a number (0 to 256)"},
    {"workers: 1.5", NAME ":1: workers: not a number (0 to 256)"},
    {"workers: 4 # cores\nstreams_max: 0", NAME ":2: streams_max: out of range (1 to 1000000)"},
    {"workers: 18446744073709551616", NAME ":1: workers: not a number (0 to 256)"},
    {"sniff_bytes: 4095", NAME ":1: sniff_bytes: out of range (4KiB to 64KiB)"},
    {"sniff_bytes: 65537", NAME ":1: sniff_bytes: out of range (4KiB to 64KiB)"},
    {"sniff_bytes: 64KB", NAME ":1: sniff_bytes: not a size like 64KiB or 4096 (4KiB to 64KiB)"},
    {"sniff_bytes: KiB", NAME ":1: sniff_bytes: not a size like 64KiB or 4096 (4KiB to 64KiB)"},
    {"sniff_bytes: 18014398509481984KiB",
     NAME ":1: sniff_bytes: not a size like 64KiB or 4096 (4KiB to 64KiB)"},
    {"sniff_timeout: 5", NAME ":1: sniff_timeout: not a time like 500ms, 10s or 5m (100ms to 5m)"},
    {"sniff_timeout: 99ms", NAME ":1: sniff_timeout: out of range (100ms to 5m)"},
    {"sniff_timeout: 106751991168d",
     NAME ":1: sniff_timeout: not a time like 500ms, 10s or 5m (100ms to 5m)"},
    /* words */
    {"vector_aes: on", NAME ":1: vector_aes: not one of the choices (auto or off)"},
    {"http: Forward", NAME ":1: http: not one of the choices (forward or redirect)"},
    {"log_level: trace", NAME ":1: log_level: not one of the choices (error, warn, info or debug)"},
    {"echo: yes", NAME ":1: echo: neither true nor false (true or false)"},
    /* hosts, addresses, ports */
    {"name: exa mple.org", NAME ":1: name: not a host name or IP address"},
    {"name: [a.example, '*.b.example']", NAME ":1: name: not a host name or IP address"},
    {"listen: localhost:80", NAME ":1: listen: not an address and port like 127.0.0.1:8000, "
                                  "[::1]:8000 or 8000"},
    {"listen: 2001:db8::1:80", NAME ":1: listen: not an address and port like "
                                    "127.0.0.1:8000, [::1]:8000 or 8000"},
    {"listen: 127.0.0.1:65536", NAME ":1: listen: not an address and port like "
                                     "127.0.0.1:8000, [::1]:8000 or 8000"},
    {"listen:\n  - 8000\n  - 8001x", NAME ":3: listen: not an address and port like "
                                          "127.0.0.1:8000, [::1]:8000 or 8000"},
    {"listen: \"127.0.0.1\\0:80\"", NAME ":1: listen: not an address and port like "
                                         "127.0.0.1:8000, [::1]:8000 or 8000"},
    {"tcp_bind: 127.0.0.1:80", NAME ":1: tcp_bind: not an IP address like 0.0.0.0 or ::"},
    {"tcp_ports: [0-10]",
     NAME ":1: tcp_ports: not a port or a range like 30000-39999 (1 to 65535)"},
    {"tcp_ports: [20-10]",
     NAME ":1: tcp_ports: not a port or a range like 30000-39999 (1 to 65535)"},
    {"listen: []", NAME ":1: listen: needs at least one entry"},
    {"name: []", NAME ":1: name: needs at least one entry"},
    /* texts */
    {"secret_file: \"\"", NAME ":1: secret_file: needs a value (1 to 3000 characters)"},
    {"token_issuer: \"a\\nb\"",
     NAME ":1: token_issuer: holds a control character (1 to 255 characters)"},
    /* shapes */
    {"workers: [1]", NAME ":1: workers: takes one value, not a list"},
    {"workers: {a: 1}", NAME ":1: workers: takes a value, not a map"},
    {"listen: [[8000]]", NAME ":1: listen: takes a list of single values"},
    {"workers:", NAME ":1: workers: needs a value"},
    {"secret_file: ~", NAME ":1: secret_file: needs a value"},
    {"name: [a.example, null]", NAME ":1: name: needs a value"},
    {"- workers", NAME ":1: must be lines of `key: value`"},
    {"workers", NAME ":1: must be lines of `key: value`"},
    {"workers: 1\n---\nworkers: 2", NAME ":2: a second document"},
    {"workers: &a 1", NAME ":1: anchors and aliases are not allowed"},
    {"workers: *a", NAME ":1: anchors and aliases are not allowed"},
    {"&a workers: 1", NAME ":1: anchors and aliases are not allowed"},
    {"name: &a [x]", NAME ":1: anchors and aliases are not allowed"},
    {"workers: !!str 1", NAME ":1: tags are not allowed"},
    {"!x {workers: 1}", NAME ":1: tags are not allowed"},
    {"echo: true\nworkers: 1: 2", NAME ":2: mapping values are not allowed in this context"},
    {"echo: true\nname: [a\n", NAME ":3: did not find expected ',' or ']'"},
    {"workers: \"1", NAME ":1: found unexpected end of stream"},
    {"a\tb: \x01", NAME ":1: control characters are not allowed"},
    /* lists of maps */
    {"keys: secret", NAME ":1: keys: takes a list of maps"},
    {"keys: {kid: a}", NAME ":1: keys: takes a list of maps"},
    {"keys: [a]", NAME ":1: keys[0]: must be a map of keys and values"},
    {"keys:\n  - kid: a\n    secret: b\n  - kid: c",
     NAME ":4: keys[1]: needs one of secret, secret_file, pem and jwks"},
    {"keys: [{kid: a, secret: b, pem: c}]",
     NAME ":1: keys[0]: needs one of secret, secret_file, pem and jwks"},
    {"keys: [{kid: a, jwks: c}]",
     NAME ":1: keys[0]: takes no kid: the keys of a JWK set bring their own"},
    {"keys: [{kid: a, secret: b, kid: c}]", NAME ":1: keys[0].kid: given twice"},
    {"keys: [{kid: a, secret: b, alg: none}]", NAME ":1: keys[0].alg: no such key"},
    {"keys: [{kid: a, secret: [b]}]", NAME ":1: keys[0].secret: takes one value"},
    {"keys:\n- kid: a\n  secret:\n", NAME ":3: keys[0].secret: needs a value"},
    {"keys: [{secret: \"\"}]", NAME ":1: keys[0].secret: needs a value (1 to 4096 characters)"},
    {"keys: [{kid: a, secret: x}, {kid: a, secret: y}]", NAME ":1: keys: the kid a is there twice"},
    {"certificates: [{certificate: a}]",
     NAME ":1: certificates[0]: needs both certificate and key"},
    /* between keys */
    {"stream_low: 1MiB", NAME ":1: stream_low: must be below stream_high"},
    {"echo: true\nstream_high: 4MiB", NAME ":2: stream_high: must be below stream_hard"},
    {"tunnel_high: 512KiB", NAME ":1: tunnel_high: must be above tunnel_low"},
    {"memory_limit: 512", NAME ":1: memory_limit: must be 0 or at least 1MiB"},
    {"stream_high: 2MiB\nstream_hard: 2MiB", NAME ":2: stream_hard: must be above stream_high"},
};

static void what_is_wrong_is_said_with_file_line_key_and_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        expect_refused(refused[i].yaml, strlen(refused[i].yaml), refused[i].line);
}

static void too_much_is_refused(void **state)
{
    static char big[CONFIG_FILE_MAX + 1];
    static char names[16384] = "name: [";

    (void)state;
    memset(big, '#', sizeof(big));
    expect_refused(big, sizeof(big), NAME ": larger than 1MiB");
    for (size_t i = 0; i <= CONFIG_LIST_MAX; i++)
        (void)snprintf(names + strlen(names), sizeof(names) - strlen(names), "\n h%zu.example,", i);
    expect_refused(names, strlen(names), NAME ":258: name: too many entries (at most 256)");
    memset(big, '[', sizeof(big));
    expect_refused(big, CONFIG_FILE_MAX, NAME ":1: must be lines of `key: value`");
    (void)snprintf(big, sizeof(big), "name: ");
    big[strlen(big)] = '[';
    expect_refused(big, CONFIG_FILE_MAX, NAME ":1: name: takes a list of single values");
}

static void a_file_without_a_word_is_the_defaults(void **state)
{
    static const char *const rows[] = {
        "",           "\n", "# nothing\n", "---\n",
        "---\n...\n", "~",  "{}",          "\xef\xbb\xbf# a byte order mark\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct config *c = parse(rows[i]);

        assert_int_equal(c->listen.count, 1);
        assert_true(c->listen.at[0].any);
        assert_int_equal(address_port(&c->listen.at[0].address), 8000);
        assert_int_equal(c->names.count, 1);
        assert_string_equal(c->names.at[0], "localhost");
        assert_string_equal(c->state, "rvpn-state");
        assert_null(c->secret_file);
        assert_int_equal(c->workers, 0);
        assert_int_equal(c->log_level, LOG_INFO);
        assert_int_equal(c->http, CONFIG_HTTP_FORWARD);
        assert_int_equal(c->vector_aes, CONFIG_VECTOR_AES_AUTO);
        assert_int_equal(c->sniff_bytes, 65536);
        assert_int_equal(c->sniff_timeout_ms, 5000);
        assert_int_equal(c->stream_low, 262144);
        assert_int_equal(c->stream_hard, 4194304);
        assert_int_equal(c->tcp_ports.at[0].first, 30000);
        assert_int_equal(c->tcp_ports.at[0].last, 39999);
        assert_true(c->tcp_bind.any);
        assert_int_equal(c->tcp_silence_ms, 350);
        assert_int_equal(c->keys.count, 0);
        assert_false(c->echo);
        config_free(c);
    }
}

static void a_file_sets_what_it_names(void **state)
{
    struct config *c = parse("listen:\n"
                             "  - 127.0.0.1:0\n"
                             "  - \"[::1]:8443\"\n"
                             "  - 80\n"
                             "name: [Relay.Example.ORG., 192.0.2.1]\n"
                             "workers: 2\n"
                             "log_format: json\n"
                             "log_level: debug\n"
                             "http: redirect\n"
                             "vector_aes: off\n"
                             "keys:\n"
                             "  - kid: main\n"
                             "    secret: 'shhhhh'\n"
                             "  - {pem: /etc/keys/a.pem, kid: b}\n"
                             "  - jwks: set.json\n"
                             "certificates: [{key: k.pem, certificate: c.pem}]\n"
                             "token_require_exp: true\n"
                             "token_audience: relay\n"
                             "token_leeway: 90s\n"
                             "tcp_ports: [5432, 30000-30009]\n"
                             "tcp_bind: 127.0.0.1\n"
                             "grace: 1d\n"
                             "stream_hard: 8MiB\n"
                             "echo: true\n");

    (void)state;
    assert_int_equal(c->listen.count, 3);
    assert_string_equal(c->listen.at[1].text, "[::1]:8443");
    assert_int_equal(address_port(&c->listen.at[1].address), 8443);
    assert_false(c->listen.at[0].any);
    assert_int_equal(c->listen.at[0].address.sa.sa_family, AF_INET);
    assert_true(c->listen.at[2].any);
    assert_string_equal(c->names.at[0], "relay.example.org");
    assert_string_equal(c->names.at[1], "192.0.2.1");
    assert_int_equal(c->workers, 2);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->http, CONFIG_HTTP_REDIRECT);
    assert_int_equal(c->vector_aes, CONFIG_VECTOR_AES_OFF);
    assert_int_equal(c->keys.count, 3);
    assert_string_equal(c->keys.at[0].kid, "main");
    assert_string_equal(c->keys.at[0].secret, "shhhhh");
    assert_string_equal(c->keys.at[1].pem, "/etc/keys/a.pem");
    assert_null(c->keys.at[1].secret);
    assert_null(c->keys.at[2].kid);
    assert_string_equal(c->certificates.at[0].key, "k.pem");
    assert_true(c->token_require_exp);
    assert_int_equal(c->token_leeway_ms, 90000);
    assert_int_equal(c->tcp_ports.count, 2);
    assert_int_equal(c->tcp_ports.at[0].last, 5432);
    assert_int_equal(c->tcp_ports.at[1].last, 30009);
    assert_false(c->tcp_bind.any);
    assert_int_equal(c->grace_ms, 86400000);
    assert_int_equal(c->stream_hard, 8388608);
    assert_true(c->echo);
    config_free(c);
}

static void paths_in_a_file_start_at_its_folder(void **state)
{
    struct config_error why;
    struct config *c;

    (void)state;
    assert_int_equal(config_parse(slice_text("state: here\nsecret_file: /abs\nkeys: [{pem: k}]"),
                                  "/etc/rvpn/relay.yaml", &c, &why),
                     0);
    assert_string_equal(c->state, "/etc/rvpn/here");
    assert_string_equal(c->secret_file, "/abs");
    assert_string_equal(c->keys.at[0].pem, "/etc/rvpn/k");
    config_free(c);
    assert_int_equal(config_parse(slice_text("state: here"), "/relay.yaml", &c, &why), 0);
    assert_string_equal(c->state, "/here");
    config_free(c);
}

static void a_list_may_be_empty_where_that_means_something(void **state)
{
    struct config *c = parse("tcp_ports: []\nkeys: []\ncertificates: []");

    (void)state;
    assert_int_equal(c->tcp_ports.count, 0);
    config_free(c);
}

/* Every prefix of a good file is good or refused, and leaks nothing. */
static void a_file_may_be_cut_at_every_byte(void **state)
{
    static const char yaml[] =
        "listen: [8000, \"[::1]:1\"]\nkeys:\n  - kid: a\n    secret: \"b\\n\"\n"
        "  - {jwks: c}\nsniff_bytes: 4KiB # d\ntcp_ports: [1-2, 3]\n";

    (void)state;
    for (size_t len = 0; len < sizeof(yaml); len++) {
        struct config_error why = {""};
        struct config *c = NULL;
        char *copy = malloc(len ? len : 1);

        assert_non_null(copy);
        memcpy(copy, yaml, len);
        if (config_parse(slice_of(copy, len), NAME, &c, &why))
            assert_true(strncmp(why.text, NAME ":", strlen(NAME ":")) == 0);
        config_free(c);
        free(copy);
    }
}

static char folder[32];
static char file[64];

static int write_file(void **state)
{
    FILE *to;

    (void)state;
    (void)snprintf(folder, sizeof(folder), "/tmp/test_config.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(file, sizeof(file), "%s/relay.yaml", folder);
    to = fopen(file, "w");
    if (!to)
        return -1;
    (void)fputs("workers: 3\nlisten: [1, 2]\nsniff_timeout: 7s\nlog_level: warn\n", to);
    return fclose(to);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(file) || rmdir(folder);
}

static void a_flag_beats_a_variable_beats_the_file_beats_the_default(void **state)
{
    char *argv[] = {(char *)"-c", file, (char *)"--workers", (char *)"5", (char *)"--echo"};
    char *env[] = {(char *)"RVPN_WORKERS=4",
                   (char *)"RVPN_SNIFF_TIMEOUT=8s",
                   (char *)"RVPN_CONFIG=/nonexistent",
                   (char *)"RVPN_LOG_LEVEL=",
                   (char *)"HOME=/",
                   NULL};
    struct config_error why;
    struct config *c;

    (void)state;
    assert_int_equal(config_load(5, argv, env, &c, &why), 0);
    assert_int_equal(c->workers, 5);
    assert_int_equal(c->sniff_timeout_ms, 8000);
    assert_int_equal(c->log_level, LOG_WARN); /* an empty variable says nothing */
    assert_int_equal(c->listen.count, 2);
    assert_int_equal(c->handshake_timeout_ms, 10000);
    assert_true(c->echo);
    assert_string_equal(c->file, file);
    assert_int_equal(c->ignored.count, 0);
    config_free(c);
}

static void a_list_replaces_the_list_below_and_repeated_flags_add_up(void **state)
{
    char *argv[] = {(char *)"--listen=127.0.0.1:0",
                    (char *)"--config",
                    file,
                    (char *)"--listen",
                    (char *)":9",
                    (char *)"--tcp-ports",
                    (char *)"1-2,3",
                    (char *)"--tcp-ports=4"};
    char *env[] = {(char *)"RVPN_LISTEN=7,8,9", (char *)"RVPN_NAME=a.example,b.example", NULL};
    struct config_error why;
    struct config *c;

    (void)state;
    assert_int_equal(config_load(8, argv, env, &c, &why), 0);
    assert_int_equal(c->listen.count, 2);
    assert_string_equal(c->listen.at[0].text, "127.0.0.1:0");
    assert_string_equal(c->listen.at[1].text, ":9");
    assert_int_equal(c->names.count, 2);
    assert_int_equal(c->tcp_ports.count, 3);
    config_free(c);
    assert_int_equal(config_load(0, NULL, env, &c, &why), 0);
    assert_int_equal(c->listen.count, 3);
    config_free(c);
}

static void the_state_folder_is_where_the_desktop_wants_it(void **state)
{
    char *env[] = {(char *)"XDG_STATE_HOME=/var/of/state", NULL};
    char *relative[] = {(char *)"XDG_STATE_HOME=state", NULL};
    char *argv[] = {(char *)"--state", (char *)"mine"};
    struct config_error why;
    struct config *c;

    (void)state;
    assert_int_equal(config_load(0, NULL, env, &c, &why), 0);
    assert_string_equal(c->state, "/var/of/state/rvpn");
    config_free(c);
    assert_int_equal(config_load(2, argv, env, &c, &why), 0);
    assert_string_equal(c->state, "mine");
    config_free(c);
    assert_int_equal(config_load(0, NULL, relative, &c, &why), 0);
    assert_string_equal(c->state, "rvpn-state");
    config_free(c);
}

static void wrong_flags_and_variables_are_named(void **state)
{
    static const struct {
        const char *argv[3];
        const char *variable;
        const char *line;
    } rows[] = {
        {{"--frobnicate", "1"}, NULL, "--frobnicate: no such flag"},
        {{"--worker=1"}, NULL, "--worker: no such flag"},
        {{"-x"}, NULL, "-x: no such flag"},
        {{"relay.yaml"}, NULL, "relay.yaml: no such argument; flags begin with --"},
        {{"--workers"}, NULL, "--workers: needs a value"},
        {{"-c"}, NULL, "-c: needs a value"},
        {{"--workers", "many"}, NULL, "--workers: not a number (0 to 256)"},
        {{"--sniff-bytes=1"}, NULL, "--sniff-bytes: out of range (4KiB to 64KiB)"},
        {{"--echo=perhaps"}, NULL, "--echo: neither true nor false (true or false)"},
        {{"--keys", "a"}, NULL, "--keys: can be given in a file only"},
        {{"--stream-low", "2MiB"}, NULL, "--stream-low: must be below stream_high"},
        {{NULL}, "RVPN_WORKERS=x", "RVPN_WORKERS: not a number (0 to 256)"},
        {{NULL}, "RVPN_KEYS=x", "RVPN_KEYS: can be given in a file only"},
        {{"--config=/nonexistent/a.yaml"}, NULL, "/nonexistent/a.yaml: No such file or directory"},
        {{"--config=/"}, NULL, "/: Is a directory"},
        {{"--config=/dev/zero"}, NULL, "/dev/zero: larger than 1MiB"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *env[] = {(char *)rows[i].variable, NULL};
        struct config_error why = {""};
        struct config *c;
        int argc = 0;

        while (rows[i].argv[argc])
            argc++;
        assert_int_not_equal(config_load(argc, (char *const *)rows[i].argv, env, &c, &why), 0);
        assert_string_equal(why.text, rows[i].line);
    }
}

static void variables_that_name_no_key_are_noted(void **state)
{
    char *env[] = {(char *)"RVPN_WORKER=1", (char *)"RVPN_WORKERS=1", (char *)"RVPNX=1", NULL};
    struct config_error why;
    struct config *c;

    (void)state;
    assert_int_equal(config_load(0, NULL, env, &c, &why), 0);
    assert_int_equal(c->ignored.count, 1);
    assert_string_equal(c->ignored.at[0], "RVPN_WORKER");
    config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_said_with_file_line_key_and_range),
        cmocka_unit_test(too_much_is_refused),
        cmocka_unit_test(a_file_without_a_word_is_the_defaults),
        cmocka_unit_test(a_file_sets_what_it_names),
        cmocka_unit_test(paths_in_a_file_start_at_its_folder),
        cmocka_unit_test(a_list_may_be_empty_where_that_means_something),
        cmocka_unit_test(a_file_may_be_cut_at_every_byte),
        cmocka_unit_test_setup_teardown(a_flag_beats_a_variable_beats_the_file_beats_the_default,
                                        write_file, remove_file),
        cmocka_unit_test_setup_teardown(a_list_replaces_the_list_below_and_repeated_flags_add_up,
                                        write_file, remove_file),
        cmocka_unit_test(the_state_folder_is_where_the_desktop_wants_it),
        cmocka_unit_test(wrong_flags_and_variables_are_named),
        cmocka_unit_test(variables_that_name_no_key_are_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
