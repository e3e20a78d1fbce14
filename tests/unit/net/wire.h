/* wire.h - the other end of a connection, in a test: a plain non-blocking socket. */
#ifndef RVPN_TESTS_UNIT_NET_WIRE_H
#define RVPN_TESTS_UNIT_NET_WIRE_H

#include "net/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

/* A TCP connection over loopback, both ends non-blocking. */
static inline void wire_pair(int ends[2])
{
    struct address a;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(address_parse(slice_text("127.0.0.1:0"), &a), 0);
    assert_int_equal(bind(listener, &a.sa, address_len(&a)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(address_of_socket(listener, &a), 0);
    ends[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(ends[1], &a.sa, address_len(&a)), 0);
    ends[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(ends[0] != -1);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(ends[i], IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    (void)close(listener);
}

/* Sends all of it; for what surely fits. */
static inline void wire_send(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static inline void wire_text(int fd, const char *text)
{
    wire_send(fd, text, strlen(text));
}

/* Closes with a reset. */
static inline void wire_reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
    (void)close(fd);
}

enum wire_end { WIRE_OPEN, WIRE_EOF, WIRE_RESET };

/* All that has come over a wire, and how it ended. */
struct wire_log {
    int fd;
    uint8_t *bytes;
    size_t len, size;
    enum wire_end end;
};

/* Reads what is there. */
static inline void wire_read(struct wire_log *w)
{
    while (w->end == WIRE_OPEN) {
        ssize_t got;

        if (w->size - w->len < 65536) {
            w->size = w->size * 2 + 131072;
            w->bytes = realloc(w->bytes, w->size);
            assert_non_null(w->bytes);
        }
        got = recv(w->fd, w->bytes + w->len, w->size - w->len, 0);
        if (got == -1 && errno == EAGAIN)
            return;
        if (got == -1) {
            assert_int_equal(errno, ECONNRESET);
            w->end = WIRE_RESET;
        } else if (got == 0) {
            w->end = WIRE_EOF;
        } else {
            w->len += (size_t)got;
        }
    }
}

static inline void wire_free(struct wire_log *w)
{
    free(w->bytes);
    *w = (struct wire_log){.fd = -1};
}

#define WIRE_PERIOD 65521U /* a prime: no chunk or record that is lost or doubled goes unseen */

/* Two rounds of the bytes that go over a wire: each tells its place. */
static inline const uint8_t *wire_pattern(void)
{
    static uint8_t pattern[2 * WIRE_PERIOD];

    if (pattern[0])
        return pattern;
    for (size_t i = 0; i < sizeof(pattern); i++)
        pattern[i] = (uint8_t)(i % WIRE_PERIOD * 2654435761U >> 11 | 1);
    return pattern;
}

static inline void wire_fill(uint8_t *bytes, size_t len, size_t from)
{
    for (size_t part; len; bytes += part, from += part, len -= part) {
        part = len < WIRE_PERIOD ? len : WIRE_PERIOD;
        memcpy(bytes, wire_pattern() + from % WIRE_PERIOD, part);
    }
}

static inline void wire_check(const uint8_t *bytes, size_t len, size_t from)
{
    for (size_t part; len; bytes += part, from += part, len -= part) {
        part = len < WIRE_PERIOD ? len : WIRE_PERIOD;
        if (memcmp(bytes, wire_pattern() + from % WIRE_PERIOD, part) != 0)
            fail_msg("the %zu bytes from %zu on are wrong", part, from);
    }
}

/* How many descriptors are open, to see a leak. */
static inline int wire_count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    while (readdir(folder))
        count++;
    (void)closedir(folder);
    return count;
}

#endif
