#include "edge/names.h"

bool names_is_own(const struct edge_rules *rules, const struct hostname *host)
{
    if (hostname_is_address(host))
        return true;
    for (size_t i = 0; i < rules->name_count; i++) {
        if (hostname_is_equal(&rules->names[i], host))
            return true;
    }
    return false;
}

bool names_may_serve(const struct edge_rules *rules, const struct hostname *host)
{
    return !names_is_own(rules, host);
}

bool names_may_open(const struct edge_rules *rules, uint16_t port)
{
    for (size_t i = 0; i < rules->own_port_count; i++) {
        if (port == rules->own_ports[i])
            return false;
    }
    for (size_t i = 0; i < rules->tcp_port_count; i++) {
        if (port >= rules->tcp_ports[i].first && port <= rules->tcp_ports[i].last)
            return true;
    }
    return false;
}
