#include "server/cmd.h"

#include "auth/jwt.h"
#include "base/clock.h"
#include "proto/hostname.h"
#include "server/config_text.h"
#include "server/signers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TTL_MS (30LL * 24 * 3600 * 1000)            /* default */
#define TTL_MAX_MS (100LL * 366 * 24 * 3600 * 1000) /* a hundred years */

/* What was asked for. */
struct order {
    struct claims claims; /* points into arrays of its own and into argv */
    uint64_t ttl_ms;      /* 0: never expires */
    const char *kid;      /* NULL: the secret that signers.h chooses */
    char **rest;          /* the arguments that are the configuration's */
    int rest_count;
};

static int print_help(void)
{
    (void)fputs(
        "usage: rvpn token [--host HOST ...] [--port PORT ...] [--ttl TIME] [--sub TEXT]\n"
        "                  [--scope TEXT] [--kid TEXT] [-c FILE] [flags of serve]\n\n"
        "Prints a token for devices, or with --scope admin one for the API, signed with the\n"
        "relay's secret: that of --secret-file or of the configuration, else that of the\n"
        "state folder, which is made if there is none.\n\n"
        "  --host HOST\n"
        "      a name the device may serve, or *.name for all below it; may be repeated\n"
        "  --port PORT\n"
        "      a raw TCP port it may have; may be repeated\n"
        "  --ttl TIME\n"
        "      how long the token is good: 12h, 30d; 0 for ever (default 30d)\n"
        "  --sub TEXT\n"
        "      whose names these are (default: whoever has the key's tokens)\n"
        "  --scope TEXT\n"
        "      admin: may read the API\n"
        "  --kid TEXT\n"
        "      sign with this one of the configuration's keys, which must be a secret\n",
        stdout);
    return cmd_end("token");
}

static const char *add_host(struct order *o, const char *value)
{
    struct hostname host;

    if (o->claims.host_count == CLAIMS_HOSTS_MAX)
        return "too many";
    if (hostname_parse_pattern(slice_text(value), &host) || hostname_is_address(&host))
        return "not a host name, nor *. and a host name";
    o->claims.hosts[o->claims.host_count] = strdup(host.text);
    return o->claims.hosts[o->claims.host_count++] ? NULL : "out of memory";
}

static const char *add_port(struct order *o, const char *value)
{
    uint64_t port;

    if (o->claims.port_count == CLAIMS_PORTS_MAX)
        return "too many";
    if (slice_parse_uint(slice_text(value), UINT16_MAX, &port) || port == 0)
        return "not a port (1 to 65535)";
    o->claims.ports[o->claims.port_count++] = (uint16_t)port;
    return NULL;
}

static const char *set_ttl(struct order *o, const char *value)
{
    if (config_duration_parse(slice_text(value), &o->ttl_ms) || o->ttl_ms > TTL_MAX_MS)
        return "not a time like 12h or 30d (0 to 36600d)";
    if (o->ttl_ms > 0 && o->ttl_ms < 1000)
        return "shorter than a second";
    return NULL;
}

static const char *set_text(char **field, const char *value)
{
    if (!*value || strlen(value) > CLAIMS_TEXT_MAX)
        return "needs 1 to 255 characters";
    free(*field);
    *field = strdup(value);
    return *field ? NULL : "out of memory";
}

static const char *set_sub(struct order *o, const char *value)
{
    return set_text(&o->claims.subject, value);
}

static const char *set_scope(struct order *o, const char *value)
{
    return set_text(&o->claims.scope, value);
}

static const char *set_kid(struct order *o, const char *value)
{
    o->kid = value;
    return *value ? NULL : "needs a value";
}

/* The flags of `token` itself; each setter returns what is wrong with its value, or NULL. */
static const struct {
    const char *name;
    const char *(*set)(struct order *o, const char *value);
} flags[] = {
    {"--host", add_host}, {"--port", add_port},   {"--ttl", set_ttl},
    {"--sub", set_sub},   {"--scope", set_scope}, {"--kid", set_kid},
};

/* Reads the argument at argv[*at], and its value, and moves *at behind them. */
static int take_argument(struct order *o, int argc, char *argv[], int *at)
{
    char *text = argv[(*at)++];
    size_t len = strcspn(text, "=");
    const char *value = text[len] ? text + len + 1 : NULL;
    const char *reason = "needs a value";
    char line[256];

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (!slice_is_text(slice_of(text, len), flags[i].name))
            continue;
        if (!value && *at < argc)
            value = argv[(*at)++];
        if (value)
            reason = flags[i].set(o, value);
        if (!reason)
            return 0;
        (void)snprintf(line, sizeof(line), "%s: %s", flags[i].name, reason);
        return cmd_fail(CMD_USAGE, "token", line);
    }
    o->rest[o->rest_count++] = text;
    return 0;
}

static int take_arguments(struct order *o, int argc, char *argv[])
{
    int code = 0;

    for (int at = 0; at < argc && !code;)
        code = take_argument(o, argc, argv, &at);
    if (!code && !o->claims.host_count && !o->claims.port_count && !o->claims.scope)
        code = cmd_fail(CMD_USAGE, "token", "needs at least one --host, --port or --scope");
    return code;
}

/* The first of config->keys that is a secret and, if `kid` is not NULL, is called so. */
static const struct config_signer *find_signer(const struct config *c, const char *kid)
{
    for (size_t i = 0; i < c->keys.count; i++) {
        const struct config_signer *key = &c->keys.at[i];

        if ((key->secret || key->secret_file) && (!kid || (key->kid && strcmp(key->kid, kid) == 0)))
            return key;
    }
    return NULL;
}

/* Finds the secret to sign with, and its kid, or NULL, in *kid. */
static int take_secret(const struct config *c, const char **kid, struct state_secret *out,
                       struct state_error *why)
{
    bool uses_state = !*kid && signers_use_state(c);
    const struct config_signer *key = find_signer(c, *kid);
    struct state state = {.folder = -1};
    int err = uses_state ? state_open(&state, c->state, why) : 0;

    if (!err && (uses_state || (!*kid && c->secret_file))) {
        err = signers_take_secret(c, &state, out, why);
    } else if (!err && key) {
        *kid = key->kid;
        err = signers_read_secret(key, out, why);
    } else if (!err) {
        (void)snprintf(why->text, sizeof(why->text), "no secret to sign with%s%s",
                       *kid ? " is called " : "", *kid ? *kid : "");
        err = -ENOKEY;
    }
    state_close(&state);
    return err;
}

static int sign(const struct order *o, const struct config *c, const char *kid,
                const struct state_secret *secret)
{
    struct jwt_rules rules = {.audience = c->token_audience, .issuer = c->token_issuer};
    struct keyring *keyring;
    char token[JWS_MAX + 1];
    int len = keyring_new(&keyring);

    if (len)
        return cmd_fail(CMD_FAILED, "token", "out of memory");
    len = keyring_add_secret(keyring, kid, slice_of(secret->text, secret->len));
    if (len)
        (void)cmd_fail(CMD_FAILED, "token", keyring_why(keyring));
    else if ((len = jwt_write(keyring, &rules, &o->claims, token, sizeof(token))) < 0)
        (void)cmd_fail(CMD_FAILED, "token",
                       len == -EMSGSIZE ? "too long: fewer hosts, please" : strerror(-len));
    else
        (void)puts(token);
    keyring_free(keyring);
    return len < 0 ? CMD_FAILED : cmd_end("token");
}

static int run(struct order *o, const struct config *c)
{
    const char *kid = o->kid;
    struct state_secret secret;
    struct state_error why;
    int code;

    o->claims.issued_at = clock_unix();
    if (o->ttl_ms)
        o->claims.expires_at = o->claims.issued_at + (int64_t)(o->ttl_ms / 1000);
    else if (c->token_require_exp)
        return cmd_fail(CMD_USAGE, "token", "--ttl: token_require_exp refuses tokens for ever");
    if (take_secret(c, &kid, &secret, &why))
        return cmd_fail(CMD_FAILED, "token", why.text);
    code = sign(o, c, kid, &secret);
    explicit_bzero(&secret, sizeof(secret));
    return code;
}

int cmd_token(int argc, char *argv[])
{
    struct order order = {.ttl_ms = TTL_MS};
    struct config *config = NULL;
    struct config_error why;
    int code;

    if (cmd_has_help(argc, argv))
        return print_help();
    order.claims.hosts = calloc(CLAIMS_HOSTS_MAX, sizeof(char *));
    order.claims.ports = calloc(CLAIMS_PORTS_MAX, sizeof(uint16_t));
    order.rest = calloc((size_t)argc + 1, sizeof(char *));
    if (!order.claims.hosts || !order.claims.ports || !order.rest)
        code = cmd_fail(CMD_FAILED, "token", "out of memory");
    else
        code = take_arguments(&order, argc, argv);
    if (!code && config_load(order.rest_count, order.rest, environ, &config, &why))
        code = cmd_fail(CMD_USAGE, "token", why.text);
    if (!code)
        code = run(&order, config);
    config_free(config);
    claims_fini(&order.claims);
    free(order.rest);
    return code;
}
