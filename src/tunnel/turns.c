#include "tunnel/turns.h"

#define DEBT_ROUNDS 1024U /* no debt lasts longer: more than CONN_KEPT_MAX */

void turns_init(struct turns *ts, struct turns_marks marks)
{
    *ts = (struct turns){.marks = marks, .spare = TURNS_SPARE_SUM, .quantum = TURNS_QUANTUM_MAX};
    ts->round = 1;
    list_init(&ts->fresh);
    list_init(&ts->given);
    list_init(&ts->spent);
}

void turn_init(struct turn *t)
{
    *t = (struct turn){.kind = TURN_FRESH};
    list_init(&t->link);
}

static void start_round(struct turns *ts)
{
    size_t share = (ts->marks.high - ts->marks.low) / (ts->readers ? ts->readers : 1);

    if (share < TURNS_QUANTUM_MIN)
        share = TURNS_QUANTUM_MIN;
    ts->quantum = share < TURNS_QUANTUM_MAX ? share - share % TURNS_STEP : TURNS_QUANTUM_MAX;
    ts->readers = 0;
    ts->state = TURNS_OPEN;
    ts->round++;
}

/* What it did not read in rounds that are over is lost; what it read too much it pays back. */
static void renew(const struct turns *ts, struct turn *t)
{
    uint64_t rounds = ts->round - t->round;
    int64_t due = (int64_t)(ts->quantum * (rounds < DEBT_ROUNDS ? rounds : DEBT_ROUNDS));

    if (rounds == 0)
        return;
    t->credit = (t->credit < 0 ? t->credit : 0) + due;
    if (t->credit > (int64_t)ts->quantum)
        t->credit = (int64_t)ts->quantum;
    t->kind = TURN_FRESH;
    t->spare = rounds == 1 && t->spare < 0 ? 0 : TURNS_SPARE;
    t->round = ts->round;
}

static bool has_credit(const struct turn *t)
{
    return t->credit >= (int64_t)TURNS_LEAST;
}

static void wait(struct turns *ts, struct turn *t)
{
    if (!has_credit(t))
        list_push(&ts->spent, &t->link);
    else
        list_push(t->kind == TURN_GIVEN ? &ts->given : &ts->fresh, &t->link);
}

bool turns_has_waiting(const struct turns *ts)
{
    return !list_is_empty(&ts->fresh) || !list_is_empty(&ts->given) || !list_is_empty(&ts->spent);
}

/* Whether who has used up its quantum need not wait: nobody has read but it for a whole round;
 * or the queue is empty, so that nothing would ask again. */
static bool may_go_on(const struct turns *ts, const struct turn *t, size_t queued)
{
    bool is_alone = ts->reader == t && ts->reader_since + 1 < ts->round;

    return !turns_has_waiting(ts) && (queued == 0 || (is_alone && queued <= ts->marks.low));
}

static size_t spare_room(struct turns *ts, struct turn *t)
{
    if (t->kind == TURN_GIVEN || t->spare <= 0 || ts->spare <= 0) {
        wait(ts, t);
        return 0;
    }
    t->reads = TURN_READS_SPARE;
    return TURNS_SPARE;
}

size_t turns_room(struct turns *ts, struct turn *t, size_t queued)
{
    size_t high = ts->marks.high;
    size_t room;

    if (!list_is_empty(&t->link))
        return 0;
    renew(ts, t);
    t->reads = TURN_READS_DUE;
    if (queued > high || high - queued < TURNS_LEAST)
        return spare_room(ts, t);
    while (!has_credit(t) && may_go_on(ts, t, queued)) {
        start_round(ts);
        renew(ts, t);
    }
    if (!has_credit(t)) {
        wait(ts, t);
        return 0;
    }
    room = (size_t)t->credit;
    return room < high - queued ? room : high - queued;
}

void turns_charge(struct turns *ts, struct turn *t, size_t len)
{
    t->credit -= (int64_t)len;
    t->spare -= (int64_t)len; /* of who reads much, nothing is left */
    if (t->reads == TURN_READS_SPARE)
        ts->spare -= (int64_t)len;
    if (ts->reader != t) {
        ts->reader = t;
        ts->reader_since = ts->round;
    }
    if (t->read_round != ts->round) {
        t->read_round = ts->round;
        ts->readers++;
    }
}

static struct turn *of_link(struct list *link)
{
    return link ? LIST_OWNER(link, struct turn, link) : NULL;
}

/* Who has had a turn before.  When all of them have had that of this round, those that have just
 * come and wait are let in front once, so that the round ends for them too. */
static struct turn *take_old(struct turns *ts)
{
    struct turn *t = of_link(list_take(&ts->given));
    bool is_over;

    if (t)
        return t;
    t = of_link(list_take(&ts->spent));
    is_over = !t || t->round == ts->round;
    if (is_over && ts->state == TURNS_OPEN && !list_is_empty(&ts->fresh)) {
        if (t)
            list_push_front(&ts->spent, &t->link);
        list_move_all(&ts->fresh, &ts->given);
        ts->state = TURNS_CLOSING;
        return of_link(list_take(&ts->given));
    }
    if (t && is_over)
        start_round(ts);
    return t;
}

static struct turn *take(struct turns *ts)
{
    struct turn *t = NULL;

    if (ts->last == TURNS_FROM_OLD)
        t = of_link(list_take(&ts->fresh));
    ts->last = t ? TURNS_FROM_FRESH : TURNS_FROM_OLD;
    if (!t)
        t = take_old(ts);
    return t ? t : of_link(list_take(&ts->fresh));
}

struct turn *turns_next(struct turns *ts, size_t queued, size_t *given)
{
    struct turn *t;

    if (queued > ts->marks.low || (queued && queued + *given >= ts->marks.high))
        return NULL;
    ts->spare = TURNS_SPARE_SUM;
    for (t = take(ts); t; t = take(ts)) {
        renew(ts, t);
        if (has_credit(t))
            break;
        list_push(&ts->spent, &t->link);
    }
    if (t) {
        t->kind = TURN_GIVEN;
        *given += (size_t)t->credit;
    }
    return t;
}

void turn_leave(struct turn *t)
{
    list_remove(&t->link);
}
