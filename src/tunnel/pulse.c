#include "tunnel/pulse.h"

#include <stdbool.h>

void pulse_init(struct pulse *p, int64_t now_ms)
{
    *p = (struct pulse){.heard_ms = now_ms};
}

void pulse_on_heard(struct pulse *p, int64_t now_ms)
{
    p->heard_ms = now_ms;
    p->state = PULSE_QUIET;
}

int64_t pulse_on_blocked(struct pulse *p)
{
    p->state = PULSE_QUIET;
    return PULSE_PONG_MS;
}

/* How far what is sent has got. */
static void note(struct pulse *p, const struct pulse_sight *sight)
{
    p->delivered = sight->delivered;
    p->behind = sight->queued + (sight->sent - sight->delivered);
}

/* Whether the ping may still be on its way: what it stands behind gets on, if slowly. */
static bool is_under_way(struct pulse *p, const struct pulse_sight *sight)
{
    bool gets_on = p->behind && sight->delivered > p->delivered;

    note(p, sight);
    return gets_on;
}

enum pulse_due pulse_look(struct pulse *p, const struct pulse_limits *limits,
                          const struct pulse_sight *sight, int64_t *again_ms)
{
    int64_t silent_ms = sight->now_ms - p->heard_ms;

    if (sight->reading == PULSE_IS_BLOCKED) {
        *again_ms = PULSE_PONG_MS;
        return PULSE_SEND_PONG;
    }
    *again_ms = limits->timeout_ms;
    if (p->state == PULSE_PINGED)
        return is_under_way(p, sight) ? PULSE_WAIT : PULSE_DEAD;
    if (silent_ms < limits->interval_ms) {
        *again_ms = limits->interval_ms - silent_ms;
        return PULSE_WAIT;
    }
    note(p, sight);
    p->state = PULSE_PINGED;
    return PULSE_SEND_PING;
}
