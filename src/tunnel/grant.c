#include "tunnel/grant.h"

#include "base/slab.h"

#include <errno.h>

/* Copies `text` to *at, and moves that behind it. */
static const char *put_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *put = memcpy(*at, text, size);

    *at += size;
    return put;
}

struct grant *grant_new(const char *subject, const char *token_id, const char *label,
                        int64_t expires_at)
{
    const char *texts[] = {subject ? subject : "", token_id ? token_id : "", label ? label : ""};
    size_t size = strlen(texts[0]) + strlen(texts[1]) + strlen(texts[2]) + 3;
    struct grant *g = slab_zalloc(sizeof(*g) + size);
    char *at;

    if (!g)
        return NULL;
    at = g->text;
    g->subject = put_text(&at, texts[0]);
    g->token_id = put_text(&at, texts[1]);
    g->label = put_text(&at, texts[2]);
    g->expires_at = expires_at;
    return g;
}

void grant_free(struct grant *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->host_count; i++)
        slab_free(g->hosts[i]);
    slab_free(g->hosts);
    slab_free(g->ports);
    ticket_give_back(&g->ticket);
    slab_free(g);
}

bool grant_has_host(const struct grant *g, struct slice host)
{
    for (size_t i = 0; i < g->host_count; i++) {
        if (slice_is_text(host, g->hosts[i]))
            return true;
    }
    return false;
}

bool grant_has_port(const struct grant *g, uint16_t port)
{
    for (size_t i = 0; i < g->port_count; i++) {
        if (g->ports[i] == port)
            return true;
    }
    return false;
}

int grant_add_host(struct grant *g, struct slice host)
{
    char **more;
    char *copy;

    if (!host.len || host.ptr[0] == ':' || memchr(host.ptr, '\0', host.len))
        return -EINVAL;
    if (grant_has_host(g, host))
        return 0;
    if (host.len > GRANT_HOST_LEN_MAX || g->host_count == GRANT_HOSTS_MAX)
        return -EMSGSIZE;
    copy = slab_alloc(host.len + 1);
    more = copy ? slab_resize(g->hosts, (g->host_count + 1) * sizeof(*more)) : NULL;
    if (!more) {
        slab_free(copy);
        return -ENOMEM;
    }
    (void)slice_write(host, copy, host.len + 1);
    g->hosts = more;
    g->hosts[g->host_count++] = copy;
    return 0;
}

int grant_add_port(struct grant *g, uint16_t port)
{
    uint16_t *more;

    if (!port)
        return -EINVAL;
    if (grant_has_port(g, port))
        return 0;
    if (g->port_count == GRANT_PORTS_MAX)
        return -EMSGSIZE;
    more = slab_resize(g->ports, (g->port_count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    g->ports = more;
    g->ports[g->port_count++] = port;
    return 0;
}
