/* address.h - a socket address as a value: read from text, written to text, compared.
 *
 * Threads: reentrant.
 * Errors:  0 on success, -EINVAL.
 */
#ifndef RVPN_NET_ADDRESS_H
#define RVPN_NET_ADDRESS_H

#include "base/slice.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_MAX 56 /* [IPv6]:port and NUL */

struct address {
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    };
};

/* Reads "1.2.3.4:80", "[::1]:80", ":80" or "80" (both mean every address, IPv6 and IPv4). */
int address_parse(struct slice text, struct address *out);

socklen_t address_len(const struct address *a);
uint16_t address_port(const struct address *a);
void address_set_port(struct address *a, uint16_t port);

/* An IPv4 address that came in through an IPv6 socket (::ffff:1.2.3.4) becomes plain IPv4. */
void address_unmap(struct address *a);

/* Writes the address without its port, as inet_ntop() does. */
void address_write_host(const struct address *a, char out[ADDRESS_TEXT_MAX]);

/* Writes "1.2.3.4:80" or "[::1]:80". */
void address_write(const struct address *a, char out[ADDRESS_TEXT_MAX]);

/* The local address of `fd`. */
int address_of_socket(int fd, struct address *out);

#endif
