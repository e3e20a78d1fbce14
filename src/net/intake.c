#include "net/intake.h"

#include "net/outlet.h"

#include <errno.h>
#include <sys/socket.h>

/* A recv() of ciphertext needs this much plaintext room: itself and a partial record before it. */
#define TAKE_ROOM (LOOP_CIPHER_BYTES + 2 * CONN_RECORD_BYTES)

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

/* Offers the first `len` bytes of the plain scratch and keeps what is not taken.  Returns whether
 * that is to be offered again though nothing new has come: who took a part may take more, and a
 * new owner has not seen it yet. */
static bool offer(struct conn *c, size_t len)
{
    bool was_plain = !c->tls, again;
    const struct conn_ops *ops = c->ops;
    uint8_t *in = c->loop->plain;
    size_t taken = c->ops->on_bytes(c->owner, in, len);
    int err = 0;

    if (c->state != CONN_OPEN)
        return false;
    buf_drop(&c->kept, c->kept.len);
    if (was_plain && c->tls) {
        start_feeding_tls(c, in + taken, len - taken);
        return c->kept.len > 0;
    }
    if (taken < len)
        err = buf_put(&c->kept, in + taken, len - taken);
    if (err)
        conn_lose(c, err == -ENOBUFS ? -EMSGSIZE : err);
    again = c->kept.len && (taken || c->ops != ops);
    if (again)
        loop_defer(c->loop, &c->turn);
    return again;
}

static void see_eof(struct conn *c)
{
    if (c->receiving == CONN_RECEIVING)
        c->receiving = CONN_EOF_DUE;
}

/* The end is told behind the last byte, or when the owner waits for more to come before it takes
 * what there is. */
static void tell_eof(struct conn *c)
{
    if (c->receiving != CONN_EOF_DUE || !conn_is_alive(c))
        return;
    c->receiving = CONN_EOF;
    c->ops->on_eof(c->owner);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void receive_plain(struct conn *c, size_t room)
{
    size_t kept = load_kept(c);
    size_t most = least(least(room, c->loop->pace.share), CONN_READ_MAX);
    bool again = false;
    ssize_t got = recv(c->fd, c->loop->plain + kept, most, 0);

    if (got == -1) {
        if (errno != EAGAIN && errno != EINTR)
            conn_lose(c, -errno);
        return;
    }
    c->wire_in += (size_t)got;
    if (got == 0)
        see_eof(c);
    if (got > 0 || kept > 0)
        again = offer(c, kept + (size_t)got);
    if (!again)
        tell_eof(c);
}

/* Decrypts in[0..len) behind the first `at` bytes of the plain scratch, which has room for all.
 * Returns the plaintext's length; *end is 0 or why there will be no more. */
static size_t decrypt(struct conn *c, const uint8_t *in, size_t len, size_t at, int *end)
{
    size_t total = 0;
    ssize_t got;

    tls_feed(c->tls, in, len);
    while ((got = tls_take(c->tls, c->loop->plain + at + total, LOOP_PLAIN_BYTES - at - total)) > 0)
        total += (size_t)got;
    *end = (int)got; /* an end may stand right behind the bytes */
    if (c->tls_bytes > CONN_TLS_BYTES && tls_is_ready(c->tls)) {
        c->tls_bytes -= CONN_HANDSHAKE_BYTES;
        c->loop->fixed_bytes -= CONN_HANDSHAKE_BYTES;
    }
    return total;
}

static void offer_decrypted(struct conn *c, size_t kept, size_t len, int end)
{
    bool again = false;

    if (c->out.len) /* a handshake or a key update has something to say */
        loop_defer(c->loop, &c->turn);
    if (end == -ESHUTDOWN)
        see_eof(c);
    if (len > kept || (end && kept))
        again = offer(c, len);
    if (!again)
        tell_eof(c);
    if (end && end != -ESHUTDOWN && conn_is_alive(c)) {
        (void)outlet_flush(c); /* the alert that says why */
        conn_lose(c, end);
    }
}

static void start_feeding_tls(struct conn *c, const uint8_t *bytes, size_t len)
{
    size_t got;
    int end;

    if (len > LOOP_CIPHER_BYTES) {
        conn_lose(c, -EMSGSIZE);
        return;
    }
    memcpy(c->loop->cipher, bytes, len);
    got = decrypt(c, c->loop->cipher, len, 0, &end);
    offer_decrypted(c, 0, got, end);
}

static void receive_tls(struct conn *c, size_t room)
{
    size_t kept = load_kept(c);
    size_t len = kept;
    size_t most = least(c->loop->pace.share, LOOP_CIPHER_BYTES);
    ssize_t got;
    int end = 0;

    do {
        got = recv(c->fd, c->loop->cipher, most, 0);
        if (got <= 0)
            break;
        c->wire_in += (size_t)got;
        len += decrypt(c, c->loop->cipher, (size_t)got, len, &end);
    } while (!end && (size_t)got == most && len < room && len - kept < c->loop->pace.share &&
             LOOP_PLAIN_BYTES - len >= TAKE_ROOM);
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
    conn_lose(c, err ? -err : -ECONNRESET);
}

/* What nobody will look at is not decrypted either. */
static void swallow(struct conn *c)
{
    ssize_t got = recv(c->fd, c->loop->cipher, LOOP_CIPHER_BYTES, 0);

    if (got > 0) {
        c->wire_in += (size_t)got;
    } else if (got == 0) {
        see_eof(c);
        tell_eof(c);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_lose(c, -errno);
    }
}

void intake_receive(struct conn *c, unsigned ready)
{
    size_t room = c->receiving == CONN_RECEIVING ? c->ops->room(c->owner) : 0;

    if (room && c->kept.len > CONN_KEPT_MAX - TAKE_ROOM && conn_has_turn(c))
        return; /* what is kept is offered first, at the end of this turn */
    if (room && c->state == CONN_FINISHING)
        swallow(c);
    else if (room && c->tls)
        receive_tls(c, room);
    else if (room)
        receive_plain(c, room);
    else if (ready & LOOP_HANGUP)
        see_hangup(c);
    else /* most have room again before more comes, and so never cost the system call */
        loop_set_interest(c->loop, &c->watch, c->watch.interest & ~(unsigned)LOOP_READ);
}

void intake_offer_kept(struct conn *c)
{
    if (c->state == CONN_OPEN && c->kept.len && c->ops->room(c->owner) > 0 &&
        !offer(c, load_kept(c)))
        tell_eof(c);
}
