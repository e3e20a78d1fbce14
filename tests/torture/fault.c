/* fault.c - makes the nth allocation, or the nth socket call, of the whole program fail.
 *
 * Linked into rvpn-torture in front of the real functions (--wrap), and given to OpenSSL and
 * jansson as theirs.  The counters lie in a file that RVPN_FAULT_FILE names, as three 64-bit
 * numbers of this machine: allocations and socket calls until the one that fails (0: none), and how
 * many have failed.  So the driver arms it anew while one relay runs on.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct fault {
    _Atomic int64_t memory, sockets, failed;
};

static struct fault none;
static struct fault *fault = &none;
static int spares_crypto; /* OpenSSL 3.0 does not survive it while it starts up itself */

/* Whether this is the one. */
static int is_due(_Atomic int64_t *count)
{
    int64_t left = atomic_load(count);

    while (left > 0 && !atomic_compare_exchange_weak(count, &left, left - 1))
        ;
    if (left != 1)
        return 0;
    (void)atomic_fetch_add(&fault->failed, 1);
    return 1;
}

#define WRAP(type, name, ...)                                                                      \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAP(void *, malloc, size_t size)
{
    return is_due(&fault->memory) ? NULL : __real_malloc(size);
}

WRAP(void *, calloc, size_t count, size_t size)
{
    return is_due(&fault->memory) ? NULL : __real_calloc(count, size);
}

WRAP(void *, realloc, void *old, size_t size)
{
    return is_due(&fault->memory) ? NULL : __real_realloc(old, size);
}

WRAP(void *, aligned_alloc, size_t alignment, size_t size)
{
    return is_due(&fault->memory) ? NULL : __real_aligned_alloc(alignment, size);
}

WRAP(char *, strdup, const char *text)
{
    return is_due(&fault->memory) ? NULL : __real_strdup(text);
}

/* Returns whether the call fails, with `err`. */
static int fails(int err)
{
    if (!is_due(&fault->sockets))
        return 0;
    errno = err;
    return 1;
}

WRAP(int, accept4, int fd, struct sockaddr *peer, socklen_t *len, int flags)
{
    return fails(ENOMEM) ? -1 : __real_accept4(fd, peer, len, flags);
}

WRAP(ssize_t, recv, int fd, void *out, size_t size, int flags)
{
    return fails(ECONNRESET) ? -1 : __real_recv(fd, out, size, flags);
}

WRAP(ssize_t, send, int fd, const void *bytes, size_t len, int flags)
{
    return fails(ENOBUFS) ? -1 : __real_send(fd, bytes, len, flags);
}

WRAP(ssize_t, sendmsg, int fd, const struct msghdr *message, int flags)
{
    return fails(ENOBUFS) ? -1 : __real_sendmsg(fd, message, flags);
}

WRAP(int, socket, int family, int type, int protocol)
{
    return fails(EMFILE) ? -1 : __real_socket(family, type, protocol);
}

WRAP(int, setsockopt, int fd, int level, int option, const void *value, socklen_t len)
{
    return fails(ENOMEM) ? -1 : __real_setsockopt(fd, level, option, value, len);
}

WRAP(int, getsockopt, int fd, int level, int option, void *value, socklen_t *len)
{
    return fails(ENOBUFS) ? -1 : __real_getsockopt(fd, level, option, value, len);
}

WRAP(int, getsockname, int fd, struct sockaddr *at, socklen_t *len)
{
    return fails(ENOBUFS) ? -1 : __real_getsockname(fd, at, len);
}

/* What is in the set can always be changed and taken out. */
WRAP(int, epoll_ctl, int epoll, int command, int fd, struct epoll_event *event)
{
    return command == EPOLL_CTL_ADD && fails(ENOMEM) ? -1
                                                     : __real_epoll_ctl(epoll, command, fd, event);
}

WRAP(int, epoll_create1, int flags)
{
    return fails(EMFILE) ? -1 : __real_epoll_create1(flags);
}

WRAP(int, eventfd, unsigned start, int flags)
{
    return fails(EMFILE) ? -1 : __real_eventfd(start, flags);
}

/* All that is asked this way takes one pointer. */
WRAP(int, ioctl, int fd, unsigned long request, void *out)
{
    return fails(EINVAL) ? -1 : __real_ioctl(fd, request, out);
}

WRAP(int, shutdown, int fd, int how)
{
    return fails(ENOTCONN) ? -1 : __real_shutdown(fd, how);
}

WRAP(int, bind, int fd, const struct sockaddr *at, socklen_t len)
{
    return fails(ENOBUFS) ? -1 : __real_bind(fd, at, len);
}

WRAP(int, listen, int fd, int backlog)
{
    return fails(EADDRINUSE) ? -1 : __real_listen(fd, backlog);
}

/* Each of its 20,000 rounds allocates what the one before did. */
/* NOLINTNEXTLINE(readability-function-size): as many parameters as the real one */
WRAP(int, PKCS5_PBKDF2_HMAC, const char *secret, int secret_len, const unsigned char *salt,
     int salt_len, int rounds, const EVP_MD *digest, int len, unsigned char *out)
{
    return __real_PKCS5_PBKDF2_HMAC(secret, secret_len, salt, salt_len, rounds > 2 ? 2 : rounds,
                                    digest, len, out);
}

static void *crypto_malloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return spares_crypto ? __real_malloc(size) : __wrap_malloc(size);
}

static void *crypto_realloc(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return spares_crypto ? __real_realloc(old, size) : __wrap_realloc(old, size);
}

static void crypto_free(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

__attribute__((constructor)) static void arm(void)
{
    const char *path = getenv("RVPN_FAULT_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *map = fd == -1 ? MAP_FAILED
                         : mmap(NULL, sizeof(*fault), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    spares_crypto = getenv("RVPN_FAULT_SPARES_CRYPTO") != NULL;
    if (fd != -1)
        (void)close(fd);
    (void)CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free);
    json_set_alloc_funcs(__wrap_malloc, free);
    if (map != MAP_FAILED)
        fault = map;
}
