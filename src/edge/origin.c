#include "edge/origin.h"

#include "proto/hostname.h"

#include <string.h>

/* The port of a host that may leave it to its scheme. */
static unsigned port_of(const struct hostname *host, unsigned usual)
{
    return host->port ? host->port : usual;
}

bool origin_is_foreign(const struct http_head *head)
{
    static const char https[] = "https://", http[] = "http://";
    const struct http_field *origin = http_head_field(head, "Origin");
    const struct hostname *own = &head->host;
    struct hostname page;
    struct slice value;
    unsigned usual;

    if (!origin)
        return false;
    value = origin->value;
    if (value.len > strlen(https) && memcmp(value.ptr, https, strlen(https)) == 0) {
        value = slice_from(value, strlen(https));
        usual = 443;
    } else if (value.len > strlen(http) && memcmp(value.ptr, http, strlen(http)) == 0) {
        value = slice_from(value, strlen(http));
        usual = 80;
    } else {
        return true;
    }
    return hostname_parse_authority(value, &page) || !hostname_is_equal(&page, own) ||
           port_of(&page, usual) != port_of(own, usual);
}
