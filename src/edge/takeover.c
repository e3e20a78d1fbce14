#include "edge/takeover.h"

#include "edge/device.h"

#include <errno.h>
#include <stdlib.h>

/* Travels from worker to worker until all are asked: that takes memory once, before there is any
 * doubt that nobody could clear up for lack of it. */
struct takeover {
    struct parcel parcel;
    size_t at;
    struct doubts doubts;
};

static void travel(struct takeover *t, struct edge *e)
{
    for (; t->at < t->doubts.count; t->at++) {
        const struct route *to = &t->doubts.at[t->at];
        struct session *s;

        if (to->worker != e->worker) {
            mailbox_send(&e->workers[to->worker].loop->mailbox, &t->parcel);
            return;
        }
        s = device_session(e, to->session_id);
        if (s)
            session_probe(s);
    }
    free(t);
}

/* parcel.open */
static void open_parcel(struct parcel *parcel, void *receiver)
{
    struct takeover *t = LIST_OWNER(parcel, struct takeover, parcel);

    if (receiver)
        travel(t, receiver);
    else
        free(t);
}

static struct takeover *takeover_new(void)
{
    struct takeover *t = malloc(sizeof(*t));

    if (!t)
        return NULL;
    t->parcel.open = open_parcel;
    t->at = 0;
    return t;
}

int takeover_start(struct edge *e, const struct claim *claim)
{
    struct takeover *t = takeover_new();

    if (!t)
        return -ENOMEM;
    registry_doubt(e->setting.registry, claim, e->loop->now_ms, &t->doubts);
    travel(t, e);
    return 0;
}

void takeover_ask_all(struct edge *e, struct slice host, const char *subject)
{
    struct takeover *t = takeover_new();

    if (!t)
        return;
    registry_doubt_all(e->setting.registry, host, subject, e->loop->now_ms, &t->doubts);
    travel(t, e);
}
