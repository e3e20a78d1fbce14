#include "net/conn.h"

#include "net/tls.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RECORD_BYTES 16384U /* the largest TLS record's plaintext (RFC 8446 5.1) */
#define FLUSH_IOV 64U
#define RESET_POLL_MS 20
/* A recv() of ciphertext needs this much plaintext room: itself and a partial record before it. */
#define TAKE_ROOM (LOOP_CIPHER_BYTES + 2 * RECORD_BYTES)

enum conn_state {
    CONN_OPEN,
    CONN_LOST,      /* on_lost() is due at the end of the turn, or has been told */
    CONN_FINISHING, /* no owner any more; see conn_finish() */
    CONN_CLOSED     /* waits for its grave */
};

enum conn_sending {
    CONN_SENDING,
    CONN_ENDING, /* FIN follows the last queued byte */
    CONN_ENDED
};

struct conn {
    int fd;
    struct watch watch; /* of fd, until the conn is lost */
    struct loop *loop;
    const struct conn_ops *ops;
    void *owner;
    enum conn_state state;
    enum conn_sending sending;
    enum { CONN_RECEIVING, CONN_EOF } receiving;
    enum { CONN_ENDS_WITH_FIN, CONN_ENDS_WITH_RESET } manner;
    int lost_err;
    int64_t reset_by_ms; /* ENDED with a reset to come */
    struct tls *tls;     /* NULL: plain */
    struct buf out;      /* what the socket has not taken; ciphertext under TLS */
    struct buf unsealed; /* TLS: plaintext of this turn, up to one record */
    struct buf kept;     /* what the owner has not taken */
    struct task turn;    /* flush, offer again, tell of a loss: at the end of this turn */
    struct deadline finish_by;
    struct grave grave;
    uint64_t wire_in, wire_out;
};

static bool is_alive(const struct conn *c)
{
    return c->state == CONN_OPEN || c->state == CONN_FINISHING;
}

static bool has_turn(const struct conn *c)
{
    return !list_is_empty(&c->turn.link);
}

/* Interest is computed from the queues and the owner's room, never remembered. */
static void update_interest(struct conn *c)
{
    unsigned interest = c->out.len ? LOOP_WRITE : 0U;

    if (!is_alive(c))
        return;
    if (c->receiving == CONN_RECEIVING && c->ops->room(c->owner) > 0)
        interest |= LOOP_READ;
    loop_set_interest(c->loop, &c->watch, interest);
}

static void lose(struct conn *c, int err)
{
    if (!is_alive(c))
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

static int seal_unsealed(struct conn *c)
{
    struct iovec iov[4];
    size_t total;
    unsigned count = buf_peek(&c->unsealed, iov, 4, &total);
    int err = 0;

    for (unsigned i = 0; i < count && !err; i++)
        err = tls_seal(c->tls, iov[i].iov_base, iov[i].iov_len);
    buf_drop(&c->unsealed, total);
    return err;
}

/* Sends what the socket takes.  Returns 0 or -Exxx; a full socket is no error. */
static int send_queued(struct conn *c)
{
    struct iovec iov[FLUSH_IOV];

    while (c->out.len) {
        size_t total;
        struct msghdr message = {.msg_iov = iov};
        ssize_t sent;

        message.msg_iovlen = buf_peek(&c->out, iov, FLUSH_IOV, &total);
        sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (sent == -1)
            return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        c->wire_out += (size_t)sent;
        buf_drop(&c->out, (size_t)sent);
        if ((size_t)sent < total)
            return 0;
    }
    return 0;
}

/* A reset destroys what the kernel has not delivered yet: wait for that, for a while. */
static void reset_when_delivered(struct conn *c)
{
    int undelivered = 0;

    (void)ioctl(c->fd, SIOCOUTQ, &undelivered);
    if (undelivered && c->loop->now_ms < c->reset_by_ms)
        loop_start_deadline(c->loop, &c->finish_by, RESET_POLL_MS);
    else
        conn_reset(c);
}

static void end_sending(struct conn *c)
{
    c->sending = CONN_ENDED;
    if (c->manner == CONN_ENDS_WITH_RESET) {
        c->reset_by_ms = c->loop->now_ms + CONN_LINGER_MS;
        reset_when_delivered(c);
        return;
    }
    (void)shutdown(c->fd, SHUT_WR);
    if (c->state != CONN_FINISHING)
        return;
    if (c->receiving == CONN_EOF)
        conn_close(c);
    else
        loop_start_deadline(c->loop, &c->finish_by, CONN_LINGER_MS);
}

/* Returns whether the queue has fallen. */
static bool flush(struct conn *c)
{
    size_t before = conn_queued(c);
    int err = c->tls ? seal_unsealed(c) : 0;

    if (!err)
        err = send_queued(c);
    if (err) {
        lose(c, err);
        return false;
    }
    if (c->sending == CONN_ENDING && c->out.len == 0)
        end_sending(c);
    return conn_queued(c) < before;
}

static int write_tls(struct conn *c, const uint8_t *bytes, size_t len)
{
    size_t whole;
    int err;

    loop_defer(c->loop, &c->turn);
    if (c->unsealed.len && c->unsealed.len + len >= RECORD_BYTES) {
        size_t part = RECORD_BYTES - c->unsealed.len;

        err = buf_put(&c->unsealed, bytes, part);
        if (!err)
            err = seal_unsealed(c);
        if (err)
            return err;
        bytes += part;
        len -= part;
    }
    whole = len - len % RECORD_BYTES;
    err = tls_seal(c->tls, bytes, whole);
    if (!err && len > whole)
        err = buf_put(&c->unsealed, bytes + whole, len - whole);
    return err;
}

/* Queues what is left of iov[] after its first `skip` bytes. */
static int queue_rest(struct conn *c, const struct iovec *iov, unsigned count, size_t skip)
{
    int err = 0;

    for (unsigned i = 0; i < count && !err; i++) {
        size_t from = skip < iov[i].iov_len ? skip : iov[i].iov_len;

        skip -= from;
        err = buf_put(&c->out, (const uint8_t *)iov[i].iov_base + from, iov[i].iov_len - from);
    }
    if (!has_turn(c))
        update_interest(c);
    return err;
}

static int write_plain(struct conn *c, const struct iovec *iov, unsigned count, size_t total)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count};
    ssize_t sent = 0;

    if (c->out.len == 0) {
        sent = sendmsg(c->fd, &message, MSG_NOSIGNAL);
        if (sent == -1 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (sent > 0)
            c->wire_out += (size_t)sent;
        else
            sent = 0;
    }
    return (size_t)sent == total ? 0 : queue_rest(c, iov, count, (size_t)sent);
}

int conn_writev(struct conn *c, const struct iovec *iov, unsigned count)
{
    size_t total = 0;
    int err = 0;

    if (!is_alive(c) || c->sending != CONN_SENDING)
        return -ESHUTDOWN;
    for (unsigned i = 0; i < count; i++)
        total += iov[i].iov_len;
    if (total > CONN_QUEUE_MAX - conn_queued(c))
        return -ENOBUFS;
    if (total == 0)
        return 0;
    if (c->tls) {
        for (unsigned i = 0; i < count && !err; i++)
            err = write_tls(c, iov[i].iov_base, iov[i].iov_len);
    } else {
        err = write_plain(c, iov, count, total);
    }
    if (err)
        lose(c, err);
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

void conn_shut(struct conn *c)
{
    if (!is_alive(c) || c->sending != CONN_SENDING)
        return;
    c->sending = CONN_ENDING;
    if (c->tls && !seal_unsealed(c))
        tls_shut(c->tls);
    loop_defer(c->loop, &c->turn);
}

static void start_feeding_tls(struct conn *c, const uint8_t *bytes, size_t len);

/* Copies what was kept to the start of the plain scratch, where new bytes join it. */
static size_t load_kept(struct conn *c)
{
    struct iovec iov[CONN_KEPT_MAX / BUF_CHUNK_BIG + 2];
    size_t total, at = 0;
    unsigned count = buf_peek(&c->kept, iov, sizeof(iov) / sizeof(iov[0]), &total);

    for (unsigned i = 0; i < count; i++) {
        memcpy(c->loop->plain + at, iov[i].iov_base, iov[i].iov_len);
        at += iov[i].iov_len;
    }
    return at;
}

/* Offers the first `len` bytes of the plain scratch and keeps what is not taken. */
static void offer(struct conn *c, size_t len)
{
    bool was_plain = !c->tls;
    uint8_t *in = c->loop->plain;
    size_t taken = c->ops->on_bytes(c->owner, in, len);
    int err;

    if (c->state != CONN_OPEN)
        return;
    buf_drop(&c->kept, c->kept.len);
    if (was_plain && c->tls) {
        start_feeding_tls(c, in + taken, len - taken);
        return;
    }
    if (taken == len)
        return;
    err = buf_put(&c->kept, in + taken, len - taken);
    if (err)
        lose(c, err == -ENOBUFS ? -EMSGSIZE : err);
}

static void see_eof(struct conn *c)
{
    if (c->receiving == CONN_EOF || !is_alive(c))
        return;
    c->receiving = CONN_EOF;
    c->ops->on_eof(c->owner);
}

static void receive_plain(struct conn *c, size_t room)
{
    size_t kept = load_kept(c);
    ssize_t got =
        recv(c->fd, c->loop->plain + kept, room < CONN_READ_MAX ? room : CONN_READ_MAX, 0);

    if (got == -1) {
        if (errno != EAGAIN && errno != EINTR)
            lose(c, -errno);
        return;
    }
    c->wire_in += (size_t)got;
    if (got > 0 || kept > 0)
        offer(c, kept + (size_t)got);
    if (got == 0)
        see_eof(c);
}

/* Decrypts in[0..len) behind the first `at` bytes of the plain scratch.  Returns the plaintext's
 * length; *end is 0 or why there will be no more. */
static size_t decrypt(struct conn *c, const uint8_t *in, size_t len, size_t at, int *end)
{
    ssize_t got;

    tls_feed(c->tls, in, len);
    got = tls_take(c->tls, c->loop->plain + at, LOOP_PLAIN_BYTES - at);
    if (got >= 0 && c->tls->in_len == 0) {
        *end = 0;
        return (size_t)got;
    }
    if (got >= 0) { /* bytes behind an end or an error: ask again for which */
        ssize_t next =
            tls_take(c->tls, c->loop->plain + at + got, LOOP_PLAIN_BYTES - at - (size_t)got);

        *end = next < 0 ? (int)next : -EPROTO;
        return (size_t)got;
    }
    *end = (int)got;
    return 0;
}

static void offer_decrypted(struct conn *c, size_t kept, size_t len, int end)
{
    if (c->out.len) /* a handshake or a key update has something to say */
        loop_defer(c->loop, &c->turn);
    if (len > kept || (end && kept))
        offer(c, len);
    if (end == -ESHUTDOWN)
        see_eof(c);
    else if (end) {
        (void)flush(c); /* the alert that says why */
        lose(c, end);
    }
}

static void start_feeding_tls(struct conn *c, const uint8_t *bytes, size_t len)
{
    size_t got;
    int end;

    if (len > LOOP_CIPHER_BYTES) {
        lose(c, -EMSGSIZE);
        return;
    }
    memcpy(c->loop->cipher, bytes, len);
    got = decrypt(c, c->loop->cipher, len, 0, &end);
    offer_decrypted(c, 0, got, end);
}

static void receive_tls(struct conn *c)
{
    size_t kept = load_kept(c);
    size_t len = kept;
    ssize_t got;
    int end = 0;

    do {
        got = recv(c->fd, c->loop->cipher, LOOP_CIPHER_BYTES, 0);
        if (got <= 0)
            break;
        c->wire_in += (size_t)got;
        len += decrypt(c, c->loop->cipher, (size_t)got, len, &end);
    } while (!end && (size_t)got == LOOP_CIPHER_BYTES && LOOP_PLAIN_BYTES - len >= TAKE_ROOM);
    if (got == 0)
        end = end ? end : -ESHUTDOWN; /* a FIN without close_notify ends it as well */
    else if (got == -1 && errno != EAGAIN && errno != EINTR)
        end = -errno;
    offer_decrypted(c, kept, len, end);
}

/* A hang-up while nobody wants to read: find out whether the connection is still any good. */
static void see_hangup(struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);

    (void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    lose(c, err ? -err : -ECONNRESET);
}

static void receive(struct conn *c, unsigned ready)
{
    size_t room = c->receiving == CONN_RECEIVING ? c->ops->room(c->owner) : 0;

    if (room && c->tls)
        receive_tls(c);
    else if (room)
        receive_plain(c, room);
    else if (ready & LOOP_HANGUP)
        see_hangup(c);
}

static void on_ready(struct watch *w, unsigned ready)
{
    struct conn *c = LIST_OWNER(w, struct conn, watch);

    if (ready & LOOP_WRITE && flush(c) && c->state == CONN_OPEN)
        c->ops->on_drain(c->owner);
    if (is_alive(c) && ready & (LOOP_READ | LOOP_HANGUP))
        receive(c, ready);
    if (!has_turn(c))
        update_interest(c);
}

static void on_turn_end(struct task *t)
{
    struct conn *c = LIST_OWNER(t, struct conn, turn);

    if (c->state == CONN_LOST) {
        c->ops->on_lost(c->owner, c->lost_err);
        return;
    }
    if (flush(c) && c->state == CONN_OPEN)
        c->ops->on_drain(c->owner);
    if (c->state == CONN_OPEN && c->kept.len && c->ops->room(c->owner) > 0)
        offer(c, load_kept(c));
    if (!has_turn(c))
        update_interest(c);
}

void conn_update(struct conn *c)
{
    if (c->state == CONN_OPEN && c->kept.len && c->ops->room(c->owner) > 0)
        loop_defer(c->loop, &c->turn);
    if (!has_turn(c))
        update_interest(c);
}

static size_t finishing_room(void *owner)
{
    (void)owner;
    return CONN_READ_MAX;
}

static size_t finishing_on_bytes(void *owner, uint8_t *in, size_t len)
{
    (void)owner;
    (void)in;
    return len;
}

static void finishing_on_eof(void *owner)
{
    struct conn *c = owner;

    if (c->sending == CONN_ENDED)
        conn_close(c);
}

static const struct conn_ops finishing_ops = {
    .room = finishing_room,
    .on_bytes = finishing_on_bytes,
    .on_eof = finishing_on_eof,
};

static void on_finish_by(struct deadline *d)
{
    struct conn *c = LIST_OWNER(d, struct conn, finish_by);

    if (c->sending == CONN_ENDED && c->manner == CONN_ENDS_WITH_RESET)
        reset_when_delivered(c);
    else
        conn_close(c);
}

static void free_conn(struct grave *g)
{
    free(LIST_OWNER(g, struct conn, grave));
}

int conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner, struct conn **out)
{
    struct conn *c = calloc(1, sizeof(*c));
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
    buf_init(&c->unsealed, &loop->pool, RECORD_BYTES);
    buf_init(&c->kept, &loop->pool, CONN_KEPT_MAX);
    task_init(&c->turn, on_turn_end);
    deadline_init(&c->finish_by, on_finish_by);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    err = loop_watch(loop, &c->watch, fd, LOOP_READ);
    if (err) {
        free(c);
        return err;
    }
    *out = c;
    return 0;
}

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner)
{
    c->ops = ops;
    c->owner = owner;
}

int conn_start_tls(struct conn *c, SSL_CTX *context)
{
    struct tls *t = malloc(sizeof(*t));
    int err = t ? tls_init(t, context, &c->out) : -ENOMEM;

    if (err) {
        free(t);
        return err;
    }
    c->tls = t;
    return 0;
}

int conn_preload(struct conn *c, struct slice bytes)
{
    int err = bytes.len ? buf_put(&c->kept, bytes.ptr, bytes.len) : 0;

    loop_defer(c->loop, &c->turn);
    return err == -ENOBUFS ? -EMSGSIZE : err;
}

const char *conn_tls_name(const struct conn *c)
{
    return c->tls ? tls_name(c->tls) : NULL;
}

bool conn_is_tls(const struct conn *c)
{
    return c->tls != NULL;
}

/* Everything but the fd. */
static void dismantle(struct conn *c)
{
    c->state = CONN_CLOSED;
    task_cancel(&c->turn);
    deadline_stop(&c->finish_by);
    loop_unwatch(c->loop, &c->watch);
    if (c->tls)
        tls_fini(c->tls);
    free(c->tls);
    c->tls = NULL;
    buf_fini(&c->out);
    buf_fini(&c->unsealed);
    buf_fini(&c->kept);
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
    loop_start_deadline(c->loop, &c->finish_by, conn_queued(c) ? CONN_DRAIN_MS : CONN_LINGER_MS);
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
