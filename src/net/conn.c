#include "net/conn.h"

#include "base/slab.h"
#include "net/conn_body.h"
#include "net/intake.h"
#include "net/outlet.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <unistd.h>

void conn_set_interest(struct conn *c)
{
    unsigned interest = c->out.len ? LOOP_WRITE : 0U;

    if (!conn_is_alive(c))
        return;
    if (c->receiving == CONN_RECEIVING &&
        (c->watch.interest & LOOP_READ || c->ops->room(c->owner) > 0))
        interest |= LOOP_READ; /* stays until something comes in vain: see intake_receive() */
    loop_set_interest(c->loop, &c->watch, interest);
}

void conn_lose(struct conn *c, int err)
{
    if (!conn_is_alive(c))
        return;
    if (c->state == CONN_FINISHING) {
        conn_close(c);
        return;
    }
    c->state = CONN_LOST;
    c->lost_err = err;
    loop_unwatch(c->loop, &c->watch);
    loop_defer(c->loop, &c->turn);
}

int conn_writev(struct conn *c, const struct iovec *iov, unsigned count)
{
    size_t total = 0;
    int err;

    if (!conn_is_alive(c) || c->sending != CONN_SENDING)
        return -ESHUTDOWN;
    for (unsigned i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (conn_queued(c) > CONN_QUEUE_MAX || total > CONN_QUEUE_MAX - conn_queued(c))
        return -ENOBUFS; /* sealing takes the queue a little past what was let in */
    if (total == 0)
        return 0;
    err = outlet_write(c, iov, count, total);
    if (err)
        conn_lose(c, err);
    return err ? -ESHUTDOWN : 0;
}

int conn_write(struct conn *c, const void *bytes, size_t len)
{
    return conn_writev(c, &(struct iovec){(void *)(uintptr_t)bytes, len}, 1);
}

size_t conn_queued(const struct conn *c)
{
    return c->out.len + c->unsealed.len;
}

size_t conn_record_begun(const struct conn *c)
{
    return c->unsealed.len;
}

void conn_shut(struct conn *c)
{
    if (conn_is_alive(c) && c->sending == CONN_SENDING)
        outlet_shut(c);
}

static unsigned user_timeout(int64_t ms)
{
    return ms < INT_MAX ? (unsigned)ms : (unsigned)INT_MAX;
}

void conn_set_patience(struct conn *c, int64_t ms)
{
    unsigned patience_ms = user_timeout(ms);

    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, sizeof(patience_ms));
}

int conn_inherit(int listening, int64_t patience_ms)
{
    const struct {
        int level, name, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, CONN_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, CONN_PROBE_S},
        {IPPROTO_TCP, TCP_KEEPCNT, CONN_PROBES},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout(patience_ms)},
    };

    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (setsockopt(listening, options[i].level, options[i].name, &options[i].value,
                       sizeof(int)) == -1)
            return -errno;
    }
    return 0;
}

void conn_limit_unsent(struct conn *c, unsigned bytes)
{
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &bytes, sizeof(bytes));
}

void conn_stop_keepalive(struct conn *c)
{
    (void)setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &(int){0}, sizeof(int));
}

static void on_ready(struct watch *w, unsigned ready)
{
    struct conn *c = LIST_OWNER(w, struct conn, watch);

    if (ready & LOOP_WRITE && outlet_flush(c) && c->state == CONN_OPEN)
        c->ops->on_drain(c->owner);
    if (conn_is_alive(c) && ready & (LOOP_READ | LOOP_HANGUP))
        intake_receive(c, ready);
    if (!conn_has_turn(c))
        conn_set_interest(c);
}

void conn_look(struct conn *c)
{
    on_ready(&c->watch, LOOP_READ);
}

static void on_turn_end(struct task *t)
{
    struct conn *c = LIST_OWNER(t, struct conn, turn);

    if (c->state == CONN_LOST) {
        c->ops->on_lost(c->owner, c->lost_err);
        return;
    }
    if (outlet_flush(c) && c->state == CONN_OPEN)
        c->ops->on_drain(c->owner);
    intake_offer_kept(c);
    if (!conn_has_turn(c))
        conn_set_interest(c);
}

void conn_update(struct conn *c)
{
    if (c->state == CONN_OPEN && c->kept.len && c->ops->room(c->owner) > 0)
        loop_defer(c->loop, &c->turn);
    if (!conn_has_turn(c))
        conn_set_interest(c);
}

static size_t finishing_room(void *owner)
{
    (void)owner;
    return CONN_READ_MAX;
}

static void finishing_on_eof(void *owner)
{
    struct conn *c = owner;

    if (c->sending == CONN_ENDED && c->manner == CONN_ENDS_WITH_FIN)
        conn_close(c);
}

static const struct conn_ops finishing_ops = {
    .room = finishing_room,
    .on_eof = finishing_on_eof,
};

int64_t conn_linger_ms(const struct conn *c)
{
    return supply_descriptors(c->loop->supply) == SUPPLY_AMPLE ? CONN_LINGER_MS
                                                               : CONN_SHORT_LINGER_MS;
}

static void start_draining(struct conn *c)
{
    c->drain_from = conn_queued(c);
    loop_start_deadline(c->loop, &c->finish_by, c->drain_from ? CONN_DRAIN_MS : conn_linger_ms(c));
}

static void on_finish_by(struct deadline *d)
{
    struct conn *c = LIST_OWNER(d, struct conn, finish_by);

    if (c->sending == CONN_ENDED && c->manner == CONN_ENDS_WITH_RESET)
        outlet_reset_when_delivered(c);
    else if (conn_queued(c) + CONN_DRAIN_LEAST <= c->drain_from)
        start_draining(c);
    else if (conn_queued(c))
        conn_reset(c); /* an end here would make what was cut look whole */
    else
        conn_close(c);
}

static void free_conn(struct grave *g)
{
    slab_free(LIST_OWNER(g, struct conn, grave));
}

int conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner, struct conn **out)
{
    struct conn *c = slab_zalloc(sizeof(*c));
    int err;

    if (!c)
        return -ENOMEM;
    c->fd = fd;
    c->loop = loop;
    c->ops = ops;
    c->owner = owner;
    c->watch.on_ready = on_ready;
    c->grave.free = free_conn;
    buf_init(&c->out, &loop->pool, SIZE_MAX);
    buf_init(&c->unsealed, &loop->pool, CONN_RECORD_BYTES);
    buf_init(&c->kept, &loop->pool, CONN_KEPT_MAX);
    task_init(&c->turn, on_turn_end);
    deadline_init(&c->finish_by, on_finish_by);
    err = loop_watch(loop, &c->watch, fd, LOOP_READ);
    if (err) {
        slab_free(c);
        return err;
    }
    loop->conns++;
    loop->fixed_bytes += CONN_FIXED_BYTES;
    loop_take_descriptor(loop);
    *out = c;
    return 0;
}

void conn_settle(struct conn *c)
{
    if (c->stay == CONN_PASSING)
        supply_settle(c->loop->supply);
    c->stay = CONN_SETTLED;
}

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner)
{
    c->ops = ops;
    c->owner = owner;
}

int conn_start_tls(struct conn *c, SSL_CTX *context)
{
    struct tls *t = slab_alloc(sizeof(*t));
    int err = t ? tls_init(t, context, &c->out) : -ENOMEM;

    if (err) {
        slab_free(t);
        return err;
    }
    c->tls = t;
    c->tls_bytes = CONN_TLS_BYTES + CONN_HANDSHAKE_BYTES;
    c->loop->fixed_bytes += c->tls_bytes;
    return 0;
}

int conn_preload(struct conn *c, struct slice bytes)
{
    int err = bytes.len ? buf_put_front(&c->kept, bytes.ptr, bytes.len) : 0;

    if (!err && c->kept.len && c->receiving == CONN_EOF)
        c->receiving = CONN_EOF_DUE;
    loop_defer(c->loop, &c->turn);
    return err == -ENOBUFS ? -EMSGSIZE : err;
}

const char *conn_tls_name(const struct conn *c)
{
    return c->tls ? tls_name(c->tls) : NULL;
}

enum conn_handshake conn_handshake(const struct conn *c)
{
    if (!tls_is_ready(c->tls))
        return CONN_HANDSHAKE_UNDER_WAY;
    return tls_is_resumed(c->tls) ? CONN_HANDSHAKE_RESUMED : CONN_HANDSHAKE_DONE;
}

void conn_hold(struct conn *c, struct ticket ticket)
{
    c->ticket = ticket;
}

struct ticket conn_take_ticket(struct conn *c)
{
    return ticket_move(&c->ticket);
}

bool conn_is_tls(const struct conn *c)
{
    return c->tls != NULL;
}

/* Everything but the fd. */
static void dismantle(struct conn *c)
{
    c->state = CONN_CLOSED;
    c->loop->conns--;
    if (c->stay == CONN_SETTLED)
        supply_unsettle(c->loop->supply);
    loop_give_descriptor(c->loop);
    task_cancel(&c->turn);
    deadline_stop(&c->finish_by);
    loop_unwatch(c->loop, &c->watch);
    c->loop->fixed_bytes -= CONN_FIXED_BYTES + c->tls_bytes;
    if (c->tls)
        tls_fini(c->tls);
    slab_free(c->tls);
    c->tls = NULL;
    buf_fini(&c->out);
    buf_fini(&c->unsealed);
    buf_fini(&c->kept);
    ticket_give_back(&c->ticket);
    loop_bury(c->loop, &c->grave);
}

int conn_detach(struct conn *c)
{
    int fd = c->fd;

    dismantle(c);
    return fd;
}

void conn_close(struct conn *c)
{
    loop_unwatch_closing(&c->watch);
    (void)close(conn_detach(c));
}

void conn_reset(struct conn *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_close(c);
}

void conn_finish(struct conn *c)
{
    if (c->state == CONN_LOST) {
        conn_close(c);
        return;
    }
    c->state = CONN_FINISHING;
    conn_set_owner(c, &finishing_ops, c);
    buf_drop(&c->kept, c->kept.len);
    start_draining(c);
    conn_shut(c);
    loop_defer(c->loop, &c->turn);
}

void conn_finish_reset(struct conn *c)
{
    c->manner = CONN_ENDS_WITH_RESET;
    conn_finish(c);
}

uint64_t conn_wire_in(const struct conn *c)
{
    return c->wire_in;
}

uint64_t conn_wire_out(const struct conn *c)
{
    return c->wire_out;
}

uint64_t conn_delivered(const struct conn *c)
{
    return c->wire_out - outlet_unacknowledged(c);
}
