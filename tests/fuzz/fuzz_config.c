/* Any bytes as a configuration file: accepted ones print as a file that is accepted again. */
#include "server/config.h"
#include "server/config_print.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_print(const struct config *c)
{
    struct config *again = NULL;
    struct config_error why;
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return;
    config_print(c, to);
    if (fclose(to) || config_parse(slice_of(text, size), "again", &again, &why))
        abort();
    config_free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = NULL;
    struct config_error why = {""};

    if (config_parse(slice_of(data, size), "fuzz", &c, &why) == 0)
        check_print(c);
    else if (!why.text[0])
        abort();
    config_free(c);
    return 0;
}
