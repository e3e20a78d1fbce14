#include "server/cmd.h"

#include "auth/keyring.h"
#include "net/certificates.h"
#include "server/config_print.h"
#include "server/signers.h"

#include <assert.h>
#include <stdio.h>
#include <unistd.h>

static int print_help(void)
{
    (void)fputs("usage: rvpn check [-c FILE] [flags of serve]\n"
                "       rvpn check --example\n\n"
                "Reads the configuration and the keys and certificates it names, says ok and\n"
                "prints what they come to; or says what is wrong, and exits with 2.  Neither\n"
                "looks into the state folder nor makes anything.\n\n"
                "  --example\n"
                "      print a configuration file with every key and its default\n",
                stdout);
    return cmd_end("check");
}

/* Reads the keys, as a start would. */
static int check_signers(const struct config *c, struct state_error *why)
{
    struct state_secret own = {.len = 0};
    struct keyring *keyring;
    int err = signers_use_state(c) ? 0 : signers_take_secret(c, NULL, &own, why);

    if (!err)
        err = signers_load(c, &own, &keyring, why);
    explicit_bzero(&own, sizeof(own));
    if (!err)
        keyring_free(keyring);
    return err;
}

static int check_certificates(const struct config *c, struct state_error *why)
{
    struct certificates certificates = {.count = 0};
    int err = 0;

    for (size_t i = 0; i < c->certificates.count && !err; i++)
        err = certificates_add(&certificates, c->certificates.at[i].certificate,
                               c->certificates.at[i].key, why->text);
    certificates_fini(&certificates);
    return err;
}

static_assert(sizeof(((struct state_error *)0)->text) >= CERTIFICATES_WHY,
              "certificates_add() writes its reason there");

int cmd_check(int argc, char *argv[])
{
    struct config_error why;
    struct state_error state_why;
    struct config *config;
    int code = 0;

    if (cmd_has_help(argc, argv))
        return print_help();
    if (argc == 1 && strcmp(argv[0], "--example") == 0) {
        config_print_example(stdout);
        return cmd_end("check");
    }
    if (config_load(argc, argv, environ, &config, &why))
        return cmd_fail(CMD_USAGE, "check", why.text);
    for (size_t i = 0; i < config->ignored.count; i++)
        (void)fprintf(stderr, "rvpn check: %s: names no key, ignored\n", config->ignored.at[i]);
    if (check_signers(config, &state_why) || check_certificates(config, &state_why)) {
        code = cmd_fail(CMD_USAGE, "check", state_why.text);
    } else {
        (void)puts("ok");
        config_print(config, stdout);
        code = cmd_end("check");
    }
    config_free(config);
    return code;
}
