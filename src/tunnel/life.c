#include "tunnel/life.h"

#include <assert.h>
#include <stdbool.h>

#define TO(state) (1U << (state))
static const unsigned may_go[LIFE_STATES] = {
    [LIFE_OPEN] =
        TO(LIFE_HALF) | TO(LIFE_DRAINING) | TO(LIFE_BREAKING) | TO(LIFE_LINGERING) | TO(LIFE_GONE),
    [LIFE_HALF] = TO(LIFE_DRAINING_EOF) | TO(LIFE_BREAKING) | TO(LIFE_GONE),
    [LIFE_DRAINING] = TO(LIFE_DRAINING_EOF) | TO(LIFE_LINGERING) | TO(LIFE_GONE),
    [LIFE_DRAINING_EOF] = TO(LIFE_GONE),
    [LIFE_BREAKING] = TO(LIFE_GONE),
    [LIFE_LINGERING] = TO(LIFE_GONE),
};

/* Returns `due`, so that a handler's case is one line. */
static unsigned set_state(struct life *l, enum life_state next, unsigned due)
{
    bool legal = may_go[l->state] & TO(next);

    assert(legal);
    (void)legal;
    l->state = next;
    return due;
}

unsigned life_on_visitor_eof(struct life *l)
{
    assert(l->state < LIFE_GONE);
    switch (l->state) {
    case LIFE_OPEN: return set_state(l, LIFE_HALF, LIFE_START_QUIET);
    case LIFE_DRAINING: return set_state(l, LIFE_DRAINING_EOF, 0);
    case LIFE_LINGERING: return set_state(l, LIFE_GONE, LIFE_FREE);
    case LIFE_HALF:
    case LIFE_DRAINING_EOF:
    case LIFE_BREAKING:
    case LIFE_GONE:
    case LIFE_STATES: break;
    }
    return 0;
}

unsigned life_on_visitor_lost(struct life *l)
{
    assert(l->state < LIFE_GONE);
    switch (l->state) {
    case LIFE_OPEN:
    case LIFE_HALF: return set_state(l, LIFE_GONE, LIFE_SEND_ERROR | LIFE_FREE);
    case LIFE_DRAINING:
    case LIFE_DRAINING_EOF:
    case LIFE_BREAKING:
    case LIFE_LINGERING: return set_state(l, LIFE_GONE, LIFE_FREE);
    case LIFE_GONE:
    case LIFE_STATES: break;
    }
    return 0;
}

/* The answer is whole and with the kernel: FIN.  A visitor that has sent FIN too needs no linger,
 * for nothing of its bytes is unread. */
static unsigned shut(struct life *l)
{
    if (l->state == LIFE_HALF || l->state == LIFE_DRAINING_EOF)
        return set_state(l, LIFE_GONE, LIFE_SHUT_VISITOR | LIFE_FREE);
    return set_state(l, LIFE_LINGERING, LIFE_SHUT_VISITOR | LIFE_START_LINGER);
}

unsigned life_on_device_end(struct life *l, enum life_answer answer)
{
    assert(l->state < LIFE_GONE);
    switch (l->state) {
    case LIFE_OPEN: return answer == LIFE_ANSWER_QUEUED ? set_state(l, LIFE_DRAINING, 0) : shut(l);
    case LIFE_HALF:
        return answer == LIFE_ANSWER_QUEUED ? set_state(l, LIFE_DRAINING_EOF, 0) : shut(l);
    case LIFE_DRAINING: /* it has said so already, or answers our own end */
    case LIFE_DRAINING_EOF:
    case LIFE_BREAKING:
    case LIFE_LINGERING:
    case LIFE_GONE:
    case LIFE_STATES: break;
    }
    return 0;
}

/* The rest of the answer will never come.  Where none had begun there is none to be cut. */
static unsigned cut_off(struct life *l, enum life_answer answer)
{
    switch (answer) {
    case LIFE_ANSWER_NONE: return shut(l);
    case LIFE_ANSWER_SENT: return set_state(l, LIFE_GONE, LIFE_RESET_VISITOR | LIFE_FREE);
    case LIFE_ANSWER_QUEUED: return set_state(l, LIFE_BREAKING, 0);
    }
    return 0;
}

unsigned life_on_device_error(struct life *l, enum life_answer answer)
{
    assert(l->state < LIFE_GONE);
    switch (l->state) {
    case LIFE_OPEN:
    case LIFE_HALF: return cut_off(l, answer);
    case LIFE_DRAINING: /* the answer was whole before */
    case LIFE_DRAINING_EOF:
    case LIFE_BREAKING:
    case LIFE_LINGERING:
    case LIFE_GONE:
    case LIFE_STATES: break;
    }
    return 0;
}

unsigned life_on_tunnel_lost(struct life *l, enum life_answer answer)
{
    return life_on_device_error(l, answer);
}

unsigned life_on_stop(struct life *l, enum life_answer answer)
{
    unsigned end = l->state == LIFE_OPEN || l->state == LIFE_HALF ? LIFE_SEND_END : 0;

    return end | life_on_device_error(l, answer);
}

unsigned life_on_drained(struct life *l)
{
    assert(l->state < LIFE_GONE);
    switch (l->state) {
    case LIFE_DRAINING:
    case LIFE_DRAINING_EOF: return shut(l);
    case LIFE_BREAKING: return set_state(l, LIFE_GONE, LIFE_RESET_VISITOR | LIFE_FREE);
    case LIFE_OPEN:
    case LIFE_HALF:
    case LIFE_LINGERING:
    case LIFE_GONE:
    case LIFE_STATES: break;
    }
    return 0;
}

/* With bytes queued it is the visitor that is slow, and the device may have been told to pause. */
unsigned life_on_quiet(struct life *l, enum life_answer answer)
{
    if (l->state != LIFE_HALF)
        return 0;
    if (answer == LIFE_ANSWER_QUEUED)
        return LIFE_START_QUIET;
    return LIFE_SEND_END | shut(l);
}

unsigned life_on_linger_over(struct life *l)
{
    return l->state == LIFE_LINGERING ? set_state(l, LIFE_GONE, LIFE_FREE) : 0;
}
