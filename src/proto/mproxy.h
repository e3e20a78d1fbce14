/* mproxy.h - M-PROXY v1 frames: a decoder fed in pieces, and headers written from a template.
 *
 *     0xFE, header length (one byte), "family,address,port,bodylen[,service[,serviceport[,name
 *     [,servicename]]]]", then bodylen bytes
 *
 * "family,address,port" names the stream (its cid); devices echo it byte for byte.  Bodies are
 * never copied; a header only if it comes in parts.
 *
 * Threads: reentrant; a decoder and a template belong to their loop.
 * Memory:  slices of a head and spans of a body are lent until the next feed; they point into
 *          in[], or for a header that came in parts into the decoder.
 * Errors:  -EPROTO broken frame, -EMSGSIZE body over the maximum; the decoder is dead then.
 * Units:   bytes.
 */
#ifndef RVPN_PROTO_MPROXY_H
#define RVPN_PROTO_MPROXY_H

#include "base/slice.h"

#include <sys/types.h>

#define MPROXY_HEAD_MAX 257U        /* the two bytes in front, and 255 */
#define MPROXY_CONTROL_HEAD_MAX 23U /* ",,,4294967295,control" */
#define MPROXY_ADDRESS_SIZE 46U     /* INET6_ADDRSTRLEN */

/* Field 5.  Any word but these, or none at all, is data. */
enum mproxy_kind {
    MPROXY_DATA,
    MPROXY_END,
    MPROXY_ERROR,
    MPROXY_PAUSE,
    MPROXY_RESUME,
    MPROXY_CONTROL,
    MPROXY_CONNECTION,
};

/* A visitor's address and port as a map key: 16 bytes (IPv4 as ::ffff:a.b.c.d), the port in
 * network order, two zero bytes. */
struct mproxy_key {
    uint8_t bytes[20];
};

struct mproxy_key mproxy_key_ipv4(const uint8_t address[4], uint16_t port);

/* An address in ::ffff:0:0/96 gives the same key as the IPv4 address in it. */
struct mproxy_key mproxy_key_ipv6(const uint8_t address[16], uint16_t port);

/* Reads the text of an address and of a port (decimal, 0 to 65535).
 * Returns 0; -EINVAL if they are anything else (*out is untouched). */
int mproxy_key_parse(struct slice address, struct slice port, struct mproxy_key *out);

/* Writes the address of `key` as NUL-terminated text: dotted if it is IPv4. */
void mproxy_key_write_address(const struct mproxy_key *key, char out[MPROXY_ADDRESS_SIZE]);

struct mproxy_head {
    enum mproxy_kind kind;
    bool has_cid; /* false: family, address and port are all empty (",,,") */
    uint64_t body_len;
    struct slice cid; /* "family,address,port": compare with the last one before parsing a key */
    struct slice family;
    struct slice address;
    struct slice port;
    struct slice service; /* field 5 as it came; empty from the Go client */
    struct slice service_port;
    struct slice name;
    struct slice real_service; /* field 8, of MPROXY_CONNECTION; a newline from the Go client */
};

enum mproxy_event_kind {
    MPROXY_NONE, /* all bytes are used, and there is nothing to tell */
    MPROXY_HEAD, /* a header; if body_len is 0 that was the whole frame */
    MPROXY_BODY, /* the next piece of its body, never empty */
};

struct mproxy_event {
    enum mproxy_event_kind kind;
    bool is_last;            /* BODY: the frame ends with this piece */
    struct slice span;       /* BODY */
    struct mproxy_head head; /* HEAD; untouched by the other kinds, but see Memory */
};

struct mproxy_decoder {
    uint64_t body_max;
    uint64_t body_left; /* of the current frame */
    int err;            /* what it died of; 0 while alive */
    uint16_t held;      /* bytes in head[] */
    uint8_t *head;      /* lent: where a header that comes in parts is put together */
};

/* Keeps `head`, MPROXY_HEAD_MAX bytes.  Between two feeds it may be replaced (d->head) by other
 * memory with the same first d->held bytes. */
void mproxy_decoder_init(struct mproxy_decoder *d, uint64_t body_max, uint8_t *head);

/* Reads in[0..len) up to the next event; WebSocket messages may cut and join frames anywhere.
 * Returns how many bytes were used, at least 1 if len is not 0, and fills *out; call again with
 * the rest until all are used.  Returns -EPROTO or -EMSGSIZE if the stream is broken. */
ssize_t mproxy_decoder_feed(struct mproxy_decoder *d, const uint8_t *in, size_t len,
                            struct mproxy_event *out);

/* How many fields our headers have: 7 for everybody but the Go client of 2017. */
enum mproxy_fields { MPROXY_FIELDS_5, MPROXY_FIELDS_7 };

/* What the headers of one stream say.  Slices are lent to mproxy_template_init(). */
struct mproxy_route {
    struct mproxy_key key; /* the cid; must be unique on its tunnel */
    struct slice service;  /* "http", "https" or "tcp" */
    uint16_t service_port;
    struct slice name; /* empty for tcp */
    enum mproxy_fields fields;
};

/* The headers of one stream, written ahead but for kind and length. */
struct mproxy_template {
    uint8_t prefix_len;  /* "family,address,port," */
    uint8_t service_len; /* "https" */
    uint8_t tail_len;    /* ",443,name" */
    uint8_t text[253];   /* the three, joined; a digit and a comma must go between */
};

/* Copies the route.  Returns 0; -EINVAL if service or name are not plain printable ASCII without
 * comma; -EMSGSIZE if a header with a body of up to `body_max` bytes could pass 255 bytes: the
 * caller may then try a key with a shorter text (IPv6 visitors: up to 39 bytes of it; "::1" is 3),
 * but a name over about 215 bytes never fits. */
int mproxy_template_init(struct mproxy_template *t, const struct mproxy_route *route,
                         uint32_t body_max);

/* The length of the header that mproxy_template_write() would write, so that it can be written
 * to end right before a body that is already in place.  `kind` is DATA, END, ERROR, PAUSE or
 * RESUME; `body_len` at most init's `body_max`. */
size_t mproxy_template_head_len(const struct mproxy_template *t, enum mproxy_kind kind,
                                uint32_t body_len);

/* Writes a header to out[0..MPROXY_HEAD_MAX).  Returns its length. */
size_t mproxy_template_write(const struct mproxy_template *t, enum mproxy_kind kind,
                             uint32_t body_len, uint8_t *out);

/* Writes the header of a control frame to out[0..MPROXY_CONTROL_HEAD_MAX).  Returns its length. */
size_t mproxy_write_control_head(uint8_t *out, uint32_t body_len);

#endif
