#include "tunnel/dialect.h"

bool dialect_has_control(enum dialect d)
{
    return d == DIALECT_FIRST || d == DIALECT_CONTROL;
}

bool dialect_has_pause(enum dialect d)
{
    return d == DIALECT_CONTROL;
}

bool dialect_has_silent_open(enum dialect d)
{
    return d == DIALECT_CONTROL;
}

size_t dialect_end_len(enum dialect d)
{
    return dialect_has_control(d) ? 1 : 0;
}

enum mproxy_fields dialect_fields(enum dialect d)
{
    return d == DIALECT_GO_2017 ? MPROXY_FIELDS_5 : MPROXY_FIELDS_7;
}
