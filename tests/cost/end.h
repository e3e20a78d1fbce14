/* end.h - a visitor's or a device's end of a connection with the relay: a plain socket that knows
 * when all it has sent is with the relay.
 */
#ifndef RVPN_TESTS_COST_END_H
#define RVPN_TESTS_COST_END_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

struct end {
    int fd;
    struct sockaddr_in from; /* of which no two are alike, and all are equally long in text */
    char cid[INET_ADDRSTRLEN + 11];
    uint64_t sent;   /* since it was opened */
    uint64_t before; /* of which the relay has been turned for */
};

/* Connects; lockstep_accept() has the relay accept. */
void end_open(struct end *e);
void end_close(struct end *e);

void end_send(struct end *e, const void *bytes, size_t len);

/* Waits until all that was sent lies in the relay's socket.  Then it is for the caller to turn. */
void end_settle(struct end *e);

/* Sends FIN and waits until that has arrived. */
void end_finish(struct end *e);

/* Waits for the relay's FIN. */
void end_await_finish(struct end *e);

/* Waits for `len` bytes, which may be 0, and throws them away. */
void end_await(struct end *e, size_t len);

#endif
