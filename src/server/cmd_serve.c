#include "server/capacity.h"
#include "server/cmd.h"
#include "server/config_print.h"
#include "server/relay.h"

#include <stdio.h>
#include <unistd.h>

static int print_help(void)
{
    (void)fputs("usage: rvpn serve [-c FILE] [flags]\n\n"
                "Answers visitors and devices until SIGTERM or SIGINT; SIGHUP reads keys and\n"
                "certificates again.  Each flag is also a key of the file (--log-level is\n"
                "log_level) and a variable (RVPN_LOG_LEVEL).  A flag beats a variable, a variable\n"
                "the file, the file the default.  Flags that take a list may be repeated.\n\n",
                stdout);
    config_print_flags(stdout);
    return cmd_end("serve");
}

int cmd_serve(int argc, char *argv[])
{
    struct config_error why;
    struct config *config;
    int err;

    if (cmd_has_help(argc, argv))
        return print_help();
    capacity_start_slabs();
    if (config_load(argc, argv, environ, &config, &why))
        return cmd_fail(CMD_USAGE, "serve", why.text);
    log_init(config->log_level, config->log_format);
    for (size_t i = 0; i < config->ignored.count; i++)
        log_event(LOG_WARN, "variable_ignored", LOG_STR("name", config->ignored.at[i]),
                  LOG_STR("why", "names no key"));
    err = relay_run(config, argc, argv);
    config_free(config);
    return err ? CMD_FAILED : 0;
}
