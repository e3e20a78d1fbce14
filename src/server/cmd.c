#include "server/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool cmd_has_help(int argc, char *const argv[])
{
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    return false;
}

int cmd_fail(int code, const char *name, const char *text)
{
    (void)fprintf(stderr, "rvpn %s: %s\n", name, text);
    return code;
}

int cmd_end(const char *name)
{
    return fflush(stdout) == 0 ? 0 : cmd_fail(CMD_FAILED, name, strerror(errno));
}
