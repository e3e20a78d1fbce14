#include "proto/client_hello.h"

#include <errno.h>

#define RECORD_HEAD 5U
#define RECORD_MAX 16384U /* RFC 8446 5.1 */
#define RECORD_HANDSHAKE 22
#define MESSAGE_HEAD 4U
#define MESSAGE_CLIENT_HELLO 1
#define SESSION_ID_MAX 32U
#define EXTENSION_SERVER_NAME 0 /* RFC 6066 3 */
#define EXTENSION_ALPN 16       /* RFC 7301 3.1 */
#define NAME_TYPE_HOST 0

/* The payload of handshake records as one run of bytes. */
struct records {
    const uint8_t *at;
    size_t in_record; /* left of the record that `at` is in */
};

/* A stretch of that run with a length of its own: the message, a list, an extension.  A part must
 * be taken to its end before its parent is taken from again. */
struct part {
    struct records *from;
    size_t left;
};

static size_t u16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* Takes up to `len` bytes that lie side by side; moves into the next record where one has ended.
 * Only where they are known to be there. */
static struct slice records_take(struct records *r, size_t len)
{
    struct slice run;

    if (r->in_record == 0) {
        r->in_record = u16(r->at + 3);
        r->at += RECORD_HEAD;
    }
    run = slice_of(r->at, len < r->in_record ? len : r->in_record);
    r->at += run.len;
    r->in_record -= run.len;
    return run;
}

/* Moves `len` bytes to `to`, or nowhere if that is NULL. */
static int part_take(struct part *p, uint8_t *to, size_t len)
{
    if (len > p->left)
        return -EPROTO;
    p->left -= len;
    while (len) {
        struct slice run = records_take(p->from, len);

        if (to) {
            memcpy(to, run.ptr, run.len);
            to += run.len;
        }
        len -= run.len;
    }
    return 0;
}

/* Reads a length of `width` bytes and splits that many off as `out`. */
static int part_split(struct part *p, size_t width, struct part *out)
{
    uint8_t bytes[2] = {0, 0};

    if (part_take(p, bytes + sizeof(bytes) - width, width) || u16(bytes) > p->left)
        return -EPROTO;
    *out = (struct part){p->from, u16(bytes)};
    p->left -= out->left;
    return 0;
}

static int part_skip(struct part *p)
{
    return part_take(p, NULL, p->left);
}

/* server_name: a list of exactly one host_name. */
static int parse_server_name(struct part *extension, struct hostname *out)
{
    uint8_t text[HOSTNAME_MAX + 1]; /* a trailing dot may be there */
    struct part list;
    struct part name;
    size_t len;
    uint8_t type;

    if (part_split(extension, 2, &list) || extension->left || part_take(&list, &type, 1) ||
        type != NAME_TYPE_HOST || part_split(&list, 2, &name) || list.left)
        return -EPROTO;
    len = name.left;
    if (len > sizeof(text) || part_take(&name, text, len))
        return -EPROTO;
    return hostname_parse(slice_of(text, len), out) ? -EPROTO : 0;
}

static int parse_alpn(struct part *extension, struct client_hello_wish *out)
{
    struct part list;
    struct part name;

    if (part_split(extension, 2, &list) || extension->left || list.left == 0)
        return -EPROTO;
    while (list.left) {
        uint8_t *to = out->alpn + out->alpn_len;

        if (part_split(&list, 1, &name) || name.left == 0)
            return -EPROTO;
        if (name.left + 1 > sizeof(out->alpn) - out->alpn_len) {
            (void)part_skip(&name);
            continue;
        }
        to[0] = (uint8_t)name.left;
        (void)part_take(&name, to + 1, name.left);
        out->alpn_len = (uint16_t)(out->alpn_len + to[0] + 1U);
    }
    return 0;
}

static enum client_hello parse_extensions(struct part *all, struct client_hello_wish *out)
{
    bool has_name = false;
    bool has_alpn = false;

    while (all->left) {
        uint8_t type[2];
        struct part extension;
        int err = 0;

        if (part_take(all, type, 2) || part_split(all, 2, &extension))
            return CLIENT_HELLO_BAD;
        if (u16(type) == EXTENSION_SERVER_NAME) {
            err = has_name ? -EPROTO : parse_server_name(&extension, &out->host);
            has_name = true;
        } else if (u16(type) == EXTENSION_ALPN) {
            err = has_alpn ? -EPROTO : parse_alpn(&extension, out);
            has_alpn = true;
        } else {
            err = part_skip(&extension);
        }
        if (err)
            return CLIENT_HELLO_BAD;
    }
    return has_name ? CLIENT_HELLO_FOUND : CLIENT_HELLO_NO_NAME;
}

/* RFC 8446 4.1.2, of which TLS 1.0 to 1.2 differ in nothing that matters here. */
static enum client_hello parse_message(struct part *message, struct client_hello_wish *out)
{
    uint8_t version_and_random[2 + 32];
    struct part session_id;
    struct part suites;
    struct part compressions;
    struct part extensions;

    if (part_take(message, version_and_random, sizeof(version_and_random)) ||
        version_and_random[0] != 3)
        return CLIENT_HELLO_BAD;
    if (part_split(message, 1, &session_id) || session_id.left > SESSION_ID_MAX ||
        part_skip(&session_id))
        return CLIENT_HELLO_BAD;
    if (part_split(message, 2, &suites) || suites.left < 2 || suites.left % 2 || part_skip(&suites))
        return CLIENT_HELLO_BAD;
    if (part_split(message, 1, &compressions) || compressions.left < 1 || part_skip(&compressions))
        return CLIENT_HELLO_BAD;
    if (message->left == 0)
        return CLIENT_HELLO_NO_NAME; /* TLS 1.2 and before may have no extensions at all */
    if (part_split(message, 2, &extensions) || message->left)
        return CLIENT_HELLO_BAD;
    return parse_extensions(&extensions, out);
}

/* Checks as much of a record's head as there is.  An empty record is forbidden, RFC 8446 5.1, and
 * would be a way to make us look at nothing for ever. */
static bool is_record_head(const uint8_t *in, size_t len)
{
    if ((len > 0 && in[0] != RECORD_HANDSHAKE) || (len > 1 && in[1] != 3) ||
        (len > 3 && in[3] > RECORD_MAX >> 8))
        return false;
    return len < RECORD_HEAD || (u16(in + 3) > 0 && u16(in + 3) <= RECORD_MAX);
}

/* Collects the message's head from whatever records it lies in.  `have` counts it on. */
static bool is_message_head(uint8_t *head, size_t *have, struct slice payload)
{
    for (size_t i = 0; i < payload.len && *have < MESSAGE_HEAD; i++)
        head[(*have)++] = payload.ptr[i];
    return (*have < 1 || head[0] == MESSAGE_CLIENT_HELLO) &&
           (*have < 2 || (size_t)head[1] << 16 <= CLIENT_HELLO_MAX) &&
           (*have < MESSAGE_HEAD || ((size_t)head[1] << 16 | u16(head + 2)) <= CLIENT_HELLO_MAX);
}

/* Whether all of the message is there (FOUND).  Counts what is there of it into *have, and how
 * long it is into *want, both with its head. */
static enum client_hello measure(const uint8_t *in, size_t len, size_t *have, size_t *want)
{
    uint8_t head[MESSAGE_HEAD] = {0};
    size_t head_len = 0;

    *have = 0;
    *want = MESSAGE_HEAD;
    for (;;) {
        size_t record;
        size_t there;

        if (!is_record_head(in, len))
            return CLIENT_HELLO_BAD;
        if (len < RECORD_HEAD)
            return CLIENT_HELLO_MORE;
        record = u16(in + 3);
        in += RECORD_HEAD;
        len -= RECORD_HEAD;
        there = record < len ? record : len;
        if (!is_message_head(head, &head_len, slice_of(in, there)))
            return CLIENT_HELLO_BAD;
        *have += there;
        if (head_len == MESSAGE_HEAD)
            *want = MESSAGE_HEAD + ((size_t)head[1] << 16 | u16(head + 2));
        if (head_len == MESSAGE_HEAD && *have >= *want)
            return CLIENT_HELLO_FOUND;
        if (there < record)
            return CLIENT_HELLO_MORE;
        in += record;
        len -= record;
    }
}

enum client_hello client_hello_parse(const uint8_t *in, size_t len, struct client_hello_wish *out)
{
    struct client_hello_wish wish = {.alpn_len = 0};
    struct records records = {in, 0};
    struct part message = {&records, 0};
    size_t have;
    enum client_hello answer = measure(in, len, &have, &message.left);

    if (answer != CLIENT_HELLO_FOUND)
        return answer;
    (void)part_take(&message, NULL, MESSAGE_HEAD);
    answer = parse_message(&message, &wish);
    if (answer == CLIENT_HELLO_FOUND || answer == CLIENT_HELLO_NO_NAME)
        *out = wish;
    return answer;
}

size_t client_hello_missing(const uint8_t *in, size_t len)
{
    size_t have;
    size_t want;

    return measure(in, len, &have, &want) == CLIENT_HELLO_MORE ? want - have : 0;
}

bool client_hello_has_alpn(const struct client_hello_wish *wish, const char *protocol)
{
    for (size_t at = 0; at < wish->alpn_len; at += wish->alpn[at] + 1U)
        if (slice_is_text(slice_of(wish->alpn + at + 1, wish->alpn[at]), protocol))
            return true;
    return false;
}
