/* probe.h - the owner of a conn, in a test: notes every event, and does in each what it was told.
 */
#ifndef RVPN_TESTS_UNIT_NET_PROBE_H
#define RVPN_TESTS_UNIT_NET_PROBE_H

#include "net/conn.h"

#include "pump.h"
#include "wire.h"

enum probe_event { PROBE_BYTES, PROBE_DRAIN, PROBE_EOF, PROBE_LOST, PROBE_EVENTS };
enum probe_act { PROBE_GOES_ON, PROBE_CLOSES, PROBE_RESETS, PROBE_FINISHES, PROBE_DETACHES };

struct probe {
    struct conn *conn;
    size_t room;
    size_t take_max; /* most bytes it takes at once */
    size_t full_at;  /* it has no more room once it has so many; 0: never */
    uint8_t *bytes;
    size_t len, size;
    size_t offered; /* by the last on_bytes() */
    unsigned count[PROBE_EVENTS];
    size_t len_at_eof;
    int lost_err;
    int detached; /* the fd of PROBE_DETACHES */
    enum probe_act act[PROBE_EVENTS];
    SSL_CTX *start_tls; /* at the first byte */
    struct probe *heir; /* gets the conn at the first byte */
};

static inline void probe_note(struct probe *p, enum probe_event event)
{
    assert_non_null(p->conn); /* no event after the conn has been let go */
    assert_int_equal(p->count[PROBE_LOST], 0);
    p->count[event]++;
    switch (p->act[event]) {
    case PROBE_GOES_ON: return;
    case PROBE_CLOSES: conn_close(p->conn); break;
    case PROBE_RESETS: conn_reset(p->conn); break;
    case PROBE_FINISHES: conn_finish(p->conn); break;
    case PROBE_DETACHES: p->detached = conn_detach(p->conn); break;
    }
    p->conn = NULL;
}

static const struct conn_ops probe_ops;

static size_t probe_room(void *owner)
{
    return ((struct probe *)owner)->room;
}

static size_t probe_on_bytes(void *owner, uint8_t *in, size_t len)
{
    struct probe *p = owner;
    size_t take = len < p->take_max ? len : p->take_max;

    assert_true(len > 0);
    memset(in - LOOP_HEADROOM, 0xee, LOOP_HEADROOM);
    p->offered = len;
    if (p->start_tls) {
        assert_int_equal(conn_start_tls(p->conn, p->start_tls), 0);
        p->start_tls = NULL;
        return 0;
    }
    if (p->heir) {
        p->heir->conn = p->conn;
        conn_set_owner(p->conn, &probe_ops, p->heir);
        p->conn = NULL;
        return 0;
    }
    if (p->len + take > p->size) {
        p->size = (p->len + take) * 2;
        p->bytes = realloc(p->bytes, p->size);
        assert_non_null(p->bytes);
    }
    if (take)
        memcpy(p->bytes + p->len, in, take);
    p->len += take;
    if (p->full_at && p->len >= p->full_at)
        p->room = 0;
    memset(in, 0xdd, take); /* they are the owner's to spoil */
    probe_note(p, PROBE_BYTES);
    return take;
}

static void probe_on_drain(void *owner)
{
    probe_note(owner, PROBE_DRAIN);
}

static void probe_on_eof(void *owner)
{
    struct probe *p = owner;

    p->len_at_eof = p->len;
    probe_note(p, PROBE_EOF);
}

static void probe_on_lost(void *owner, int err)
{
    struct probe *p = owner;

    p->lost_err = err;
    assert_true(err < 0);
    if (p->act[PROBE_LOST] == PROBE_GOES_ON)
        p->act[PROBE_LOST] = PROBE_CLOSES;
    probe_note(p, PROBE_LOST);
}

static const struct conn_ops probe_ops = {
    .room = probe_room,
    .on_bytes = probe_on_bytes,
    .on_drain = probe_on_drain,
    .on_eof = probe_on_eof,
    .on_lost = probe_on_lost,
};

/* Takes everything as it comes. */
static inline void probe_init(struct probe *p)
{
    *p = (struct probe){.room = SIZE_MAX, .take_max = SIZE_MAX, .detached = -1};
}

static inline void probe_open(struct probe *p, struct loop *loop, int fd)
{
    probe_init(p);
    assert_int_equal(conn_new(loop, fd, &probe_ops, p, &p->conn), 0);
}

static inline void probe_free(struct probe *p)
{
    if (p->conn)
        conn_close(p->conn);
    if (p->detached != -1)
        (void)close(p->detached);
    free(p->bytes);
    probe_init(p);
}

#endif
