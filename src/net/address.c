#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

/* IPv6 stands in brackets, as its colons could not be told from the port's, and IPv4 does not. */
static int parse_host(struct slice host, struct address *a)
{
    char text[INET6_ADDRSTRLEN];
    bool bare = host.len < 2 || host.ptr[0] != '[' || host.ptr[host.len - 1] != ']';

    if (!bare)
        host = slice_of(host.ptr + 1, host.len - 2);
    if (host.len >= sizeof(text) || memchr(host.ptr, '\0', host.len))
        return -EINVAL;
    (void)slice_write(host, text, sizeof(text));
    a->sa.sa_family = bare ? AF_INET : AF_INET6;
    if (inet_pton(a->sa.sa_family, text,
                  bare ? (void *)&a->in.sin_addr : (void *)&a->in6.sin6_addr) != 1)
        return -EINVAL;
    return 0;
}

int address_parse(struct slice text, struct address *out)
{
    struct address a = {.in6 = {.sin6_family = AF_INET6, .sin6_addr = in6addr_any}};
    size_t colon = text.len;
    uint64_t port;
    int err = 0;

    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon > 1)
        err = parse_host(slice_of(text.ptr, colon - 1), &a);
    if (!err)
        err = slice_parse_uint(slice_from(text, colon), UINT16_MAX, &port);
    if (err)
        return err;
    address_set_port(&a, (uint16_t)port);
    *out = a;
    return 0;
}

socklen_t address_len(const struct address *a)
{
    return a->sa.sa_family == AF_INET ? sizeof(a->in) : sizeof(a->in6);
}

uint16_t address_port(const struct address *a)
{
    return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port : a->in6.sin6_port);
}

void address_set_port(struct address *a, uint16_t port)
{
    if (a->sa.sa_family == AF_INET)
        a->in.sin_port = htons(port);
    else
        a->in6.sin6_port = htons(port);
}

void address_unmap(struct address *a)
{
    struct sockaddr_in in = {.sin_family = AF_INET};

    if (a->sa.sa_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&a->in6.sin6_addr))
        return;
    in.sin_port = a->in6.sin6_port;
    memcpy(&in.sin_addr, a->in6.sin6_addr.s6_addr + 12, sizeof(in.sin_addr));
    a->in = in;
}

void address_write_host(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    const void *from = a->sa.sa_family == AF_INET ? (const void *)&a->in.sin_addr
                                                  : (const void *)&a->in6.sin6_addr;

    if (!inet_ntop(a->sa.sa_family, from, out, ADDRESS_TEXT_MAX))
        out[0] = '\0';
}

void address_write(const struct address *a, char out[ADDRESS_TEXT_MAX])
{
    char host[ADDRESS_TEXT_MAX];

    address_write_host(a, host);
    (void)snprintf(out, ADDRESS_TEXT_MAX, a->sa.sa_family == AF_INET ? "%.45s:%u" : "[%.45s]:%u",
                   host, address_port(a));
}

int address_of_socket(int fd, struct address *out)
{
    struct address a = {0};
    socklen_t len = sizeof(a);

    if (getsockname(fd, &a.sa, &len) == -1)
        return -errno;
    address_unmap(&a);
    *out = a;
    return 0;
}
