#include "server/rules.h"

#include "admin/routes.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t share(uint32_t of_all, unsigned workers)
{
    return (of_all + workers - 1) / workers;
}

/* A tenth of a second's worth may begin at once: what comes between two looks at the clock. */
static struct gate_limits gate_of(const struct config *c, unsigned workers)
{
    uint32_t per_s = share(c->handshakes_per_second, workers);

    return (struct gate_limits){
        .rate = {.per_s = per_s, .burst = per_s < 10 ? 1 : per_s / 10},
        .pending_max = share(c->handshakes_pending, workers),
        .wait_ms = c->handshake_wait_ms,
    };
}

static struct quota_limits quota_of(const struct config *c)
{
    return (struct quota_limits){
        .address_connections = c->address_connections_max,
        .address_handshakes_per_s = c->address_handshakes_per_second,
        .token_tunnels = c->token_tunnels_max,
        .token_streams = c->token_streams_max,
    };
}

static struct session_limits limits_of(const struct config *c)
{
    return (struct session_limits){
        .stream = {.low = c->stream_low, .high = c->stream_high, .hard = c->stream_hard},
        .tunnel = {.low = c->tunnel_low, .high = c->tunnel_high},
        .backlog = c->tunnel_backlog,
        .streams_max = c->streams_max,
        .pulse = {.interval_ms = c->ping_interval_ms,
                  .timeout_ms = c->ping_timeout_ms,
                  .probe_ms = c->takeover_probe_ms},
        .visitor_stall_ms = c->visitor_stall_ms,
        .half_close_ms = c->half_close_ms,
        .tcp_silence_ms = c->tcp_silence_ms,
    };
}

/* Addresses among the names are always the relay's own and need no row. */
static void take_names(struct edge_rules *rules, const struct config *c)
{
    for (size_t i = 0; i < c->names.count; i++) {
        struct hostname *host = &rules->names[rules->name_count];

        if (hostname_parse(slice_text(c->names.at[i]), host) == 0)
            rules->name_count++;
    }
}

int rules_init(struct edge_rules *rules, const struct config *c, unsigned workers)
{
    *rules = (struct edge_rules){
        .http = c->http == CONFIG_HTTP_REDIRECT ? EDGE_HTTP_REDIRECT : EDGE_HTTP_FORWARD,
        .tcp_bind = c->tcp_bind.address,
        .sniff_bytes = c->sniff_bytes,
        .sniff_timeout_ms = c->sniff_timeout_ms,
        .handshake_timeout_ms = c->handshake_timeout_ms,
        .auth_timeout_ms = c->auth_timeout_ms,
        .http_idle_ms = c->http_idle_ms,
        .dwell_ms = c->dwell_ms,
        .echo = c->echo,
        .visitors_max = share(c->visitors_max, workers),
        .tunnels_max = c->tunnels_max,
        .gate = gate_of(c, workers),
        .quota = quota_of(c),
        .limits = limits_of(c),
        .routes = admin_routes,
    };
    rules->names = calloc(c->names.count + 1, sizeof(*rules->names));
    rules->tcp_ports = calloc(c->tcp_ports.count + 1, sizeof(*rules->tcp_ports));
    rules->own_ports = calloc(c->listen.count, sizeof(*rules->own_ports));
    if (!rules->names || !rules->tcp_ports || !rules->own_ports) {
        rules_fini(rules);
        return -ENOMEM;
    }
    take_names(rules, c);
    rules->tcp_port_count = c->tcp_ports.count;
    for (size_t i = 0; i < c->tcp_ports.count; i++)
        rules->tcp_ports[i] =
            (struct edge_ports){c->tcp_ports.at[i].first, c->tcp_ports.at[i].last};
    return 0;
}

void rules_fini(struct edge_rules *rules)
{
    free(rules->names);
    free(rules->tcp_ports);
    free(rules->own_ports);
    *rules = (struct edge_rules){0};
}
