#include "tunnel/grant.h"

#include <errno.h>
#include <stdlib.h>

static char *copy_text(const char *text)
{
    return strdup(text ? text : "");
}

struct grant *grant_new(const char *subject, const char *token_id, const char *label,
                        int64_t expires_at)
{
    struct grant *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->subject = copy_text(subject);
    g->token_id = copy_text(token_id);
    g->label = copy_text(label);
    g->expires_at = expires_at;
    if (!g->subject || !g->token_id || !g->label) {
        grant_free(g);
        return NULL;
    }
    return g;
}

void grant_free(struct grant *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->host_count; i++)
        free(g->hosts[i]);
    free(g->hosts);
    free(g->ports);
    free(g->subject);
    free(g->token_id);
    free(g->label);
    ticket_give_back(&g->ticket);
    free(g);
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
    copy = strndup((const char *)host.ptr, host.len);
    more = copy ? realloc(g->hosts, (g->host_count + 1) * sizeof(*more)) : NULL;
    if (!more) {
        free(copy);
        return -ENOMEM;
    }
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
    more = realloc(g->ports, (g->port_count + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    g->ports = more;
    g->ports[g->port_count++] = port;
    return 0;
}
