#include "tunnel/pulse.h"

void pulse_init(struct pulse *p, int64_t now_ms)
{
    *p = (struct pulse){.heard_ms = now_ms};
}

void pulse_on_heard(struct pulse *p, int64_t now_ms)
{
    p->heard_ms = now_ms;
    if (p->state == PULSE_PINGED)
        p->state = PULSE_QUIET;
}

bool pulse_on_ping(struct pulse *p)
{
    bool first = p->habit == PULSE_LISTENS;

    p->habit = PULSE_PINGS;
    return first;
}

bool pulse_on_pong(struct pulse *p, struct slice bytes)
{
    if (p->state != PULSE_PROBED || !slice_is_equal(bytes, slice_of(&p->probe, sizeof(p->probe))))
        return false;
    p->state = PULSE_QUIET;
    return true;
}

int64_t pulse_on_blocked(struct pulse *p)
{
    if (p->state == PULSE_PINGED)
        p->state = PULSE_QUIET;
    return PULSE_PONG_MS;
}

int64_t pulse_on_unblocked(struct pulse *p, const struct pulse_limits *limits, int64_t now_ms)
{
    if (p->state == PULSE_PROBED)
        p->heard_ms = now_ms;
    return limits->probe_ms;
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

int64_t pulse_start_probe(struct pulse *p, const struct pulse_limits *limits,
                          const struct pulse_sight *sight)
{
    note(p, sight);
    p->state = PULSE_PROBED;
    p->probe++;
    p->heard_ms = sight->now_ms;
    return sight->reading == PULSE_IS_BLOCKED ? PULSE_PONG_MS : limits->probe_ms;
}

static enum pulse_due look_quiet(struct pulse *p, const struct pulse_limits *limits,
                                 const struct pulse_sight *sight, int64_t *again_ms)
{
    int64_t patience_ms = limits->interval_ms;
    int64_t silent_ms = sight->now_ms - p->heard_ms;

    if (p->habit == PULSE_PINGS && patience_ms > PULSE_PINGER_MS)
        patience_ms = PULSE_PINGER_MS;
    if (silent_ms < patience_ms) {
        *again_ms = patience_ms - silent_ms;
        return PULSE_WAIT;
    }
    note(p, sight);
    p->state = PULSE_PINGED;
    *again_ms = limits->timeout_ms;
    return PULSE_SEND_PING;
}

static enum pulse_due look_probed(struct pulse *p, const struct pulse_limits *limits,
                                  const struct pulse_sight *sight, int64_t *again_ms)
{
    int64_t silent_ms = sight->now_ms - p->heard_ms;

    if (silent_ms < limits->probe_ms) {
        *again_ms = limits->probe_ms - silent_ms;
        return PULSE_WAIT;
    }
    *again_ms = limits->probe_ms;
    return is_under_way(p, sight) ? PULSE_WAIT : PULSE_REPLACED;
}

enum pulse_due pulse_look(struct pulse *p, const struct pulse_limits *limits,
                          const struct pulse_sight *sight, int64_t *again_ms)
{
    if (sight->reading == PULSE_IS_BLOCKED) {
        *again_ms = PULSE_PONG_MS;
        return PULSE_SEND_PONG;
    }
    switch (p->state) {
    case PULSE_QUIET: return look_quiet(p, limits, sight, again_ms);
    case PULSE_PINGED:
        *again_ms = limits->timeout_ms;
        return is_under_way(p, sight) ? PULSE_WAIT : PULSE_SILENT;
    case PULSE_PROBED: return look_probed(p, limits, sight, again_ms);
    }
    return PULSE_WAIT;
}
