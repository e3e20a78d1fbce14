#include "server/cmd.h"

#include <stdio.h>
#include <string.h>

static int version(int argc, char *argv[]);
static int help(int argc, char *argv[]);

static const struct {
    const char *name;
    int (*run)(int argc, char *argv[]);
    const char *summary;
} commands[] = {
    {"serve", cmd_serve, "answer visitors and devices"},
    {"check", cmd_check, "read the configuration, and say what it comes to or what is wrong"},
    {"token", cmd_token, "print a token for a device"},
    {"version", version, "print the version"},
    {"help", help, "print this, or with a command's name its help"},
};

static int print_usage(FILE *to)
{
    (void)fputs("usage: rvpn COMMAND [arguments]\n\n", to);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        (void)fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].summary);
    (void)fputs("\nrvpn COMMAND --help tells more; so do rvpn(1) and rvpn.yaml(5).\n", to);
    return to == stdout ? cmd_end("help") : CMD_USAGE;
}

static int version(int argc, char *argv[])
{
    if (cmd_has_help(argc, argv)) {
        (void)puts("usage: rvpn version");
        return cmd_end("version");
    }
    if (argc)
        return cmd_fail(CMD_USAGE, "version", "takes no arguments");
    (void)puts("rvpn " RVPN_VERSION);
    return cmd_end("version");
}

static int run(int argc, char *argv[])
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    (void)fprintf(stderr, "rvpn: %s: no such command; rvpn help lists them\n", argv[0]);
    return CMD_USAGE;
}

static int help(int argc, char *argv[])
{
    char *ask[] = {argc ? argv[0] : NULL, (char[]){"--help"}, NULL};

    if (argc == 0 || cmd_has_help(argc, argv) || strcmp(argv[0], "help") == 0)
        return print_usage(stdout);
    return run(2, ask);
}

int main(int argc, char *argv[])
{
    if (argc < 2)
        return print_usage(stderr);
    if (cmd_has_help(1, argv + 1))
        return print_usage(stdout);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return version(0, NULL);
    return run(argc - 1, argv + 1);
}
