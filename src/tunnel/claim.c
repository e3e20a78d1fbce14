#include "tunnel/claim.h"

#include <assert.h>
#include <stdlib.h>

static struct claim *claim_new(const char *subject)
{
    struct claim *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->subject = strdup(subject);
    if (!c->subject) {
        free(c);
        return NULL;
    }
    c->holders = 1;
    list_init(&c->link);
    list_init(&c->by_name);
    return c;
}

struct claim *claim_new_host(struct slice host, const char *subject)
{
    struct claim *c = host.len && host.len < sizeof(c->host) ? claim_new(subject) : NULL;

    if (c)
        slice_write(host, c->host, sizeof(c->host));
    return c;
}

struct claim *claim_new_port(uint16_t port, const char *subject)
{
    struct claim *c = port ? claim_new(subject) : NULL;

    if (c)
        c->port = port;
    return c;
}

void claim_free(struct claim *c)
{
    if (!c)
        return;
    assert(!c->name); /* registry_release() first */
    free(c->subject);
    free(c);
}

struct claim *claim_find_host(const struct list *claims, struct slice host)
{
    LIST_EACH (claims, at) {
        struct claim *c = LIST_OWNER(at, struct claim, link);

        if (!c->port && slice_is_text(host, c->host))
            return c;
    }
    return NULL;
}

struct claim *claim_find_port(const struct list *claims, uint16_t port)
{
    LIST_EACH (claims, at) {
        struct claim *c = LIST_OWNER(at, struct claim, link);

        if (port && c->port == port)
            return c;
    }
    return NULL;
}
