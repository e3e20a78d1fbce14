/* fuzz_hostname.c - a name that is taken is canonical: read again it is the same. */
#include "proto/hostname.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct hostname *h, int (*parse)(struct slice, struct hostname *))
{
    struct hostname again;

    if (h->len == 0 || h->len > HOSTNAME_MAX || h->text[h->len] != '\0' ||
        strlen(h->text) != h->len)
        abort();
    if (parse(hostname_slice(h), &again) || !hostname_is_equal(h, &again) || again.port)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct hostname h;

    if (hostname_parse(in, &h) == 0)
        check(&h, hostname_parse);
    if (hostname_parse_authority(in, &h) == 0)
        check(&h, hostname_parse);
    if (hostname_parse_pattern(in, &h) == 0)
        check(&h, hostname_parse_pattern);
    return 0;
}
