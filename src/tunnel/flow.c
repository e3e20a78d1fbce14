#include "tunnel/flow.h"

static enum flow_state next_state(enum flow_state now, const struct flow_marks *marks,
                                  size_t queued)
{
    switch (now) {
    case FLOW_RUNNING:
        if (queued > marks->hard)
            return FLOW_BLOCKED;
        return queued > marks->high ? FLOW_PAUSED : FLOW_RUNNING;
    case FLOW_PAUSED:
        if (queued > marks->hard)
            return FLOW_BLOCKED;
        return queued > marks->low ? FLOW_PAUSED : FLOW_RUNNING;
    case FLOW_BLOCKED:
        if (queued > marks->high)
            return FLOW_BLOCKED;
        return queued > marks->low ? FLOW_PAUSED : FLOW_RUNNING;
    case FLOW_OVER: break;
    }
    return now;
}

unsigned flow_on_queued(struct flow *f, const struct flow_marks *marks, size_t queued)
{
    enum flow_state was = f->state;
    unsigned due = 0;

    f->state = next_state(was, marks, queued);
    if (was == FLOW_RUNNING && f->state != FLOW_RUNNING)
        due |= FLOW_SEND_PAUSE;
    if (was != FLOW_RUNNING && f->state == FLOW_RUNNING)
        due |= FLOW_SEND_RESUME;
    if (was != FLOW_BLOCKED && f->state == FLOW_BLOCKED)
        due |= FLOW_BLOCK;
    if (was == FLOW_BLOCKED && f->state != FLOW_BLOCKED)
        due |= FLOW_UNBLOCK;
    return due;
}

unsigned flow_on_end(struct flow *f)
{
    enum flow_state was = f->state;

    f->state = FLOW_OVER;
    return was == FLOW_BLOCKED ? FLOW_UNBLOCK : 0;
}
