#include "net/outlet.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define FLUSH_IOV 64U
#define RESET_POLL_MS 20

/* Seals what waits for more, and bytes[0..len) behind it: one record. */
static int seal_unsealed(struct conn *c, const uint8_t *bytes, size_t len)
{
    uint8_t record[CONN_RECORD_BYTES];
    struct iovec iov[4];
    size_t total, at = 0;
    unsigned count = buf_peek(&c->unsealed, iov, 4, &total);
    int err;

    if (count == 0)
        return 0;
    if (count == 1 && len == 0) {
        err = tls_seal(c->tls, iov[0].iov_base, total);
    } else {
        for (unsigned i = 0; i < count; at += iov[i++].iov_len)
            memcpy(record + at, iov[i].iov_base, iov[i].iov_len);
        if (len)
            memcpy(record + at, bytes, len);
        err = tls_seal(c->tls, record, at + len);
    }
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

size_t outlet_unacknowledged(const struct conn *c)
{
    int bytes = 0;

    (void)ioctl(c->fd, SIOCOUTQ, &bytes);
    return (size_t)bytes;
}

void outlet_reset_when_delivered(struct conn *c)
{
    if (outlet_unacknowledged(c) && c->loop->now_ms < c->reset_by_ms)
        loop_start_deadline(c->loop, &c->finish_by, RESET_POLL_MS);
    else
        conn_reset(c);
}

static void end_sending(struct conn *c)
{
    c->sending = CONN_ENDED;
    if (c->manner == CONN_ENDS_WITH_RESET) {
        c->reset_by_ms = c->loop->now_ms + CONN_LINGER_MS;
        outlet_reset_when_delivered(c);
        return;
    }
    (void)shutdown(c->fd, SHUT_WR);
    if (c->state != CONN_FINISHING)
        return;
    if (c->receiving != CONN_RECEIVING)
        conn_close(c);
    else
        loop_start_deadline(c->loop, &c->finish_by, conn_linger_ms(c));
}

bool outlet_flush(struct conn *c)
{
    size_t before = conn_queued(c);
    int err = c->tls ? seal_unsealed(c, NULL, 0) : 0;

    if (!err)
        err = send_queued(c);
    if (err) {
        conn_lose(c, err);
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
    if (c->unsealed.len && c->unsealed.len + len >= CONN_RECORD_BYTES) {
        size_t part = CONN_RECORD_BYTES - c->unsealed.len;

        err = seal_unsealed(c, bytes, part);
        if (err)
            return err;
        bytes += part;
        len -= part;
    }
    whole = len - len % CONN_RECORD_BYTES;
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
        if (from == iov[i].iov_len) /* sent, or empty, which may have no address */
            continue;
        err = buf_put(&c->out, (const uint8_t *)iov[i].iov_base + from, iov[i].iov_len - from);
    }
    if (!conn_has_turn(c))
        conn_set_interest(c);
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

int outlet_write(struct conn *c, const struct iovec *iov, unsigned count, size_t total)
{
    int err = 0;

    if (!c->tls)
        return write_plain(c, iov, count, total);
    for (unsigned i = 0; i < count && !err; i++)
        err = write_tls(c, iov[i].iov_base, iov[i].iov_len);
    return err;
}

void outlet_shut(struct conn *c)
{
    c->sending = CONN_ENDING;
    if (c->tls && !seal_unsealed(c, NULL, 0))
        tls_shut(c->tls);
    loop_defer(c->loop, &c->turn);
}
