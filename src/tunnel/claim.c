#include "tunnel/claim.h"

#include "base/slab.h"

#include <assert.h>

static struct claim *claim_new(struct slice host, const char *subject)
{
    size_t subject_size = strlen(subject) + 1;
    struct claim *c = slab_zalloc(sizeof(*c) + host.len + 1 + subject_size);

    if (!c)
        return NULL;
    c->host = slice_write(host, c->text, host.len + 1);
    c->subject = memcpy(c->text + host.len + 1, subject, subject_size);
    c->holders = 1;
    list_init(&c->link);
    list_init(&c->by_name);
    return c;
}

struct claim *claim_new_host(struct slice host, const char *subject)
{
    return host.len && host.len <= CLAIM_HOST_MAX ? claim_new(host, subject) : NULL;
}

struct claim *claim_new_port(uint16_t port, const char *subject)
{
    struct claim *c = port ? claim_new(slice_of("", 0), subject) : NULL;

    if (c) {
        c->port = port;
        claim_write_port_key(port, c->port_key);
    }
    return c;
}

void claim_write_port_key(uint16_t port, uint8_t out[CLAIM_PORT_KEY])
{
    out[0] = ':';
    out[1] = (uint8_t)(port >> 8);
    out[2] = (uint8_t)port;
}

void claim_free(struct claim *c)
{
    if (!c)
        return;
    assert(!c->name); /* registry_release() first */
    slab_free(c);
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
