#include "edge/shortage.h"

#include "base/log.h"
#include "edge/front.h"
#include "edge/visitor.h"

#include <string.h>

#define CALM_MS 1000       /* without a refusal: it is over */
#define SILENT_MS 1000     /* who says nothing for so long may be dropped for another one */
#define DROPPED_AT_ONCE 16 /* of each kind; accepting is tried again soon */

static void on_calm(struct deadline *d)
{
    struct edge *e = LIST_OWNER(d, struct edge, shortage);

    log_event(LOG_INFO, "shortage_over", LOG_UINT("worker", e->worker));
}

void shortage_init(struct edge *e)
{
    deadline_init(&e->shortage, on_calm);
}

/* Starts the time anew after which it is over. */
static const struct refusal *note(struct edge *e, const struct refusal *of)
{
    const struct supply *s = e->loop->supply;

    if (!deadline_is_running(&e->shortage))
        log_event(LOG_WARN, "shortage", LOG_UINT("worker", e->worker),
                  LOG_STR("of", tally_name[of->why]),
                  LOG_UINT("descriptors", supply_read_descriptors(s)),
                  LOG_UINT("memory", supply_read_memory(s)));
    loop_start_deadline(e->loop, &e->shortage, CALM_MS);
    return of;
}

const struct refusal *shortage_for_device(struct edge *e)
{
    return loop_memory_level(e->loop) >= SUPPLY_OUT ? note(e, &refusal_memory) : NULL;
}

const struct refusal *shortage_for_visitor(struct edge *e)
{
    if (!supply_may_settle(e->loop->supply))
        return note(e, &refusal_descriptors);
    return shortage_for_device(e);
}

void shortage_on_trouble(struct edge *e, const struct listener *l, uint16_t port, int err)
{
    int64_t before_ms = e->loop->now_ms - SILENT_MS;

    if (!err)
        log_event(LOG_INFO, "accept_resumed", LOG_UINT("worker", e->worker),
                  LOG_UINT("port", port));
    else if (l->state == LISTENER_WELL)
        log_event(LOG_WARN, "accept_paused", LOG_UINT("worker", e->worker), LOG_UINT("port", port),
                  LOG_STR("why", strerror(-err)));
    if (!err)
        return;
    visitor_drop_silent(e, before_ms, DROPPED_AT_ONCE);
    front_drop_silent(e, before_ms, DROPPED_AT_ONCE);
}
