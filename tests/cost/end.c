#include "end.h"

#include "lockstep.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define SOCKET_BUFFER (1 << 20)
#define PORT 20480U

static void fix_socket(int fd)
{
    int size = SOCKET_BUFFER;

    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)) ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) ||
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)))
        lockstep_fail("a socket cannot be fixed");
}

/* The next address of this program, and its port: what the relay writes and hashes is then the same
 * in each run.  Whoever else has that port at the same time has it at another address. */
static struct sockaddr_in next_address(void)
{
    static unsigned count;
    unsigned n = count++;

    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(PORT),
                                .sin_addr.s_addr =
                                    htonl(127U << 24 | (100 + n / 22500) << 16 |
                                          (100 + n / 150 % 150) << 8 | (100 + n % 150))};
}

void end_open(struct end *e)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(lockstep_port()),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char address[INET_ADDRSTRLEN];

    *e = (struct end){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .from = next_address()};
    if (e->fd == -1)
        lockstep_fail("no socket");
    fix_socket(e->fd);
    if (bind(e->fd, (struct sockaddr *)&e->from, sizeof(e->from)) ||
        connect(e->fd, (struct sockaddr *)&to, sizeof(to)) || fcntl(e->fd, F_SETFL, O_NONBLOCK))
        lockstep_fail("no connection");
    (void)snprintf(e->cid, sizeof(e->cid), "IPv4,%s,%u",
                   inet_ntop(AF_INET, &e->from.sin_addr, address, sizeof(address)), PORT);
}

void end_close(struct end *e)
{
    (void)close(e->fd);
    e->fd = -1;
}

void end_send(struct end *e, const void *bytes, size_t len)
{
    if (send(e->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len)
        lockstep_fail("a socket does not take what is sent in one turn");
    e->sent += len;
}

static int has_arrived(const struct end *e)
{
    int waiting = 0;

    return ioctl(lockstep_accepted(&e->from), FIONREAD, &waiting) == 0 &&
           (uint64_t)waiting == e->sent - e->before;
}

void end_settle(struct end *e)
{
    for (unsigned nth = 0; !has_arrived(e); nth++) {
        if (nth > LOCKSTEP_PATIENCE_MS)
            lockstep_fail("what was sent did not arrive");
        (void)poll(NULL, 0, nth ? 1 : 0);
    }
    e->before = e->sent;
}

void end_finish(struct end *e)
{
    struct pollfd at = {.fd = lockstep_accepted(&e->from), .events = POLLRDHUP};

    (void)shutdown(e->fd, SHUT_WR);
    if (poll(&at, 1, LOCKSTEP_PATIENCE_MS) != 1)
        lockstep_fail("an end did not arrive");
}

void end_await(struct end *e, size_t len)
{
    static uint8_t bytes[65536];

    for (unsigned nth = 0; len > 0;) {
        ssize_t got = recv(e->fd, bytes, len < sizeof(bytes) ? len : sizeof(bytes), 0);

        if (got == 0 || (got == -1 && errno != EAGAIN))
            lockstep_fail("the relay has ended a connection");
        if (got > 0)
            len -= (size_t)got;
        else
            lockstep_wait(nth++);
    }
}

void end_await_finish(struct end *e)
{
    uint8_t byte;

    for (unsigned nth = 0; recv(e->fd, &byte, 1, 0) != 0; nth++) {
        if (errno != EAGAIN)
            lockstep_fail("a connection was cut, or has more to say");
        lockstep_wait(nth);
    }
}
