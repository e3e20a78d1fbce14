#include "edge/ports.h"

#include "base/log.h"
#include "edge/shortage.h"
#include "edge/visitor.h"
#include "net/listener.h"

#include <errno.h>
#include <stdlib.h>

struct open_port {
    struct listener listener;
    struct edge *edge;
    uint16_t port;
    unsigned claims;
    struct grave grave; /* this turn may still have an event for the listener */
};

static void free_grave(struct grave *g)
{
    free(LIST_OWNER(g, struct open_port, grave));
}

static struct slice key_of(const uint16_t *port)
{
    return slice_of(port, sizeof(*port));
}

static void on_accept(struct listener *l, int fd, const struct address *peer)
{
    struct open_port *p = LIST_OWNER(l, struct open_port, listener);

    visitor_accept(p->edge, fd, peer, p->port, VISITOR_ON_OWN_PORT);
}

static void on_trouble(struct listener *l, int err)
{
    struct open_port *p = LIST_OWNER(l, struct open_port, listener);

    shortage_on_trouble(p->edge, l, p->port, err);
}

static int start(struct edge *e, uint16_t port)
{
    struct open_port *p = calloc(1, sizeof(*p));
    struct address at = e->rules->tcp_bind;
    int err;

    if (!p)
        return -ENOMEM;
    p->edge = e;
    p->port = port;
    p->claims = 1;
    p->grave.free = free_grave;
    p->listener.on_accept = on_accept;
    p->listener.on_trouble = on_trouble;
    p->listener.patience_ms = edge_patience_ms(e->rules);
    address_set_port(&at, port);
    err = listener_start(&p->listener, e->loop, &at);
    if (err == -EACCES) /* of the system; ours means that it is another subject's */
        err = -EPERM;
    if (!err)
        err = map_put(&e->ports, key_of(&p->port), p);
    if (err) {
        listener_stop(&p->listener);
        free(p);
        return err;
    }
    log_event(LOG_INFO, "port_open", LOG_UINT("port", port), LOG_UINT("worker", e->worker));
    return 0;
}

int ports_open(struct edge *e, uint16_t port)
{
    struct open_port *p = map_find(&e->ports, key_of(&port));

    if (!p)
        return start(e, port);
    p->claims++;
    return 0;
}

void ports_close(struct edge *e, uint16_t port)
{
    struct open_port *p = map_find(&e->ports, key_of(&port));

    if (!p || --p->claims > 0)
        return;
    (void)map_remove(&e->ports, key_of(&p->port));
    listener_stop(&p->listener);
    loop_bury(e->loop, &p->grave);
    log_event(LOG_INFO, "port_close", LOG_UINT("port", port), LOG_UINT("worker", e->worker));
}
