#include "server/config_text.h"

#include <errno.h>

struct unit {
    const char *name;
    uint64_t size;
};

/* A number and one of `units`, which ends with a NULL name. */
static int parse_in_units(struct slice text, const struct unit *units, uint64_t *out)
{
    uint64_t number;
    size_t digits = 0;

    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    if (slice_parse_uint(slice_of(text.ptr, digits), UINT64_MAX, &number))
        return -EINVAL;
    while (units->name && !slice_is_text(slice_from(text, digits), units->name))
        units++;
    if (!units->name || number > INT64_MAX / units->size)
        return -EINVAL;
    *out = number * units->size;
    return 0;
}

int config_size_parse(struct slice text, uint64_t *bytes)
{
    static const struct unit units[] = {
        {"", 1}, {"KiB", 1ULL << 10}, {"MiB", 1ULL << 20}, {"GiB", 1ULL << 30}, {NULL, 0}};

    return parse_in_units(text, units, bytes);
}

int config_duration_parse(struct slice text, uint64_t *ms)
{
    static const struct unit units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                        {"h", 3600000}, {"d", 86400000}, {NULL, 0}};

    if (slice_is_text(text, "0")) {
        *ms = 0;
        return 0;
    }
    return parse_in_units(text, units, ms);
}

int config_ports_parse(struct slice text, struct config_port_range *out)
{
    const uint8_t *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    size_t head = dash ? (size_t)(dash - text.ptr) : text.len;
    uint64_t first;
    uint64_t last;

    if (slice_parse_uint(slice_of(text.ptr, head), UINT16_MAX, &first))
        return -EINVAL;
    last = first;
    if (dash && slice_parse_uint(slice_from(text, head + 1), UINT16_MAX, &last))
        return -EINVAL;
    if (first == 0 || last < first)
        return -EINVAL;
    *out = (struct config_port_range){(uint16_t)first, (uint16_t)last};
    return 0;
}
