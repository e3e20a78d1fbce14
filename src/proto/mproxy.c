#include "proto/mproxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>

#define FIRST_BYTE 0xFEU /* 255 less the version */
#define FRONT 2U         /* bytes before the text of a header */
#define TEXT_MAX 255U
#define FIELDS 8U
#define FIELDS_MIN 4U

static const struct word {
    const char *text;
    uint8_t len;
    enum mproxy_kind kind;
} words[] = {
    {"end", 3, MPROXY_END},         {"error", 5, MPROXY_ERROR},
    {"pause", 5, MPROXY_PAUSE},     {"resume", 6, MPROXY_RESUME},
    {"control", 7, MPROXY_CONTROL}, {"connection", 10, MPROXY_CONNECTION},
};

#define WORDS (sizeof(words) / sizeof(words[0]))
#define OUR_WORD_MAX 6U /* "resume": control has no template, and connection is never sent */

static enum mproxy_kind kind_of(struct slice service)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (service.len == words[i].len &&
            slice_is_equal(service, slice_of(words[i].text, words[i].len)))
            return words[i].kind;
    }
    return MPROXY_DATA;
}

static struct slice word_of(enum mproxy_kind kind)
{
    for (size_t i = 0; i < WORDS; i++) {
        if (words[i].kind == kind)
            return slice_of(words[i].text, words[i].len);
    }
    return (struct slice){NULL, 0};
}

/* Cuts `text` at its commas; the last field keeps whatever more there are, and fields that are not
 * there are empty.  Returns how many there are. */
static unsigned split(struct slice text, struct slice fields[FIELDS])
{
    unsigned count = 0;
    size_t from = 0;

    for (size_t i = 0; i < text.len && count < FIELDS - 1; i++) {
        if (text.ptr[i] != ',')
            continue;
        fields[count++] = slice_of(text.ptr + from, i - from);
        from = i + 1;
    }
    fields[count++] = slice_of(text.ptr + from, text.len - from);
    for (unsigned i = count; i < FIELDS; i++)
        fields[i] = (struct slice){NULL, 0};
    return count;
}

static int parse_head(struct slice text, uint64_t body_max, struct mproxy_head *out)
{
    struct slice fields[FIELDS];
    uint64_t body_len;

    if (split(text, fields) < FIELDS_MIN || slice_parse_uint(fields[3], UINT64_MAX, &body_len))
        return -EPROTO;
    if (body_len > body_max)
        return -EMSGSIZE;
    /* One by one: a compound literal is zeroed first, which took a third of the time here. */
    out->kind = kind_of(fields[4]);
    out->body_len = body_len;
    out->cid = slice_of(text.ptr, (size_t)(fields[3].ptr - text.ptr) - 1);
    out->has_cid = out->cid.len > 2; /* more than the two commas */
    out->family = fields[0];
    out->address = fields[1];
    out->port = fields[2];
    out->service = fields[4];
    out->service_port = fields[5];
    out->name = fields[6];
    out->real_service = fields[7];
    return 0;
}

void mproxy_decoder_init(struct mproxy_decoder *d, uint64_t body_max, uint8_t *head)
{
    *d = (struct mproxy_decoder){.body_max = body_max, .head = head};
}

static ssize_t fail(struct mproxy_decoder *d, int err)
{
    d->err = err;
    return err;
}

/* The header at head[0..) is whole: tells it.  Returns `used`, or -Exxx. */
static ssize_t on_head(struct mproxy_decoder *d, const uint8_t *head, size_t used,
                       struct mproxy_event *out)
{
    int err = parse_head(slice_of(head + FRONT, head[1]), d->body_max, &out->head);

    if (err)
        return fail(d, err);
    d->held = 0;
    d->body_left = out->head.body_len;
    out->kind = MPROXY_HEAD;
    return (ssize_t)used;
}

/* A header that does not lie whole in one piece of input is gathered in head[]. */
static ssize_t gather_head(struct mproxy_decoder *d, const uint8_t *in, size_t len,
                           struct mproxy_event *out)
{
    size_t used = 0;

    while (used < len) {
        size_t need = d->held < FRONT ? FRONT : FRONT + (size_t)d->head[1];
        size_t n = need - d->held < len - used ? need - d->held : len - used;

        memcpy(d->head + d->held, in + used, n);
        d->held = (uint16_t)(d->held + n);
        used += n;
        if (d->held >= FRONT && d->held == FRONT + (size_t)d->head[1])
            return on_head(d, d->head, used, out);
    }
    return (ssize_t)used;
}

static ssize_t feed_head(struct mproxy_decoder *d, const uint8_t *in, size_t len,
                         struct mproxy_event *out)
{
    if (d->held)
        return gather_head(d, in, len, out);
    if (in[0] != FIRST_BYTE)
        return fail(d, -EPROTO);
    if (len < FRONT || len - FRONT < in[1])
        return gather_head(d, in, len, out);
    return on_head(d, in, FRONT + (size_t)in[1], out);
}

ssize_t mproxy_decoder_feed(struct mproxy_decoder *d, const uint8_t *in, size_t len,
                            struct mproxy_event *out)
{
    size_t n;

    out->kind = MPROXY_NONE;
    if (d->err)
        return d->err;
    if (len == 0)
        return 0;
    if (d->body_left == 0)
        return feed_head(d, in, len, out);
    n = d->body_left < len ? (size_t)d->body_left : len;
    d->body_left -= n;
    out->kind = MPROXY_BODY;
    out->span = slice_of(in, n);
    out->is_last = d->body_left == 0;
    return (ssize_t)n;
}

static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};

static void set_port(struct mproxy_key *key, uint16_t port)
{
    key->bytes[16] = (uint8_t)(port >> 8);
    key->bytes[17] = (uint8_t)port;
}

struct mproxy_key mproxy_key_ipv4(const uint8_t address[4], uint16_t port)
{
    struct mproxy_key key = {{0}};

    memcpy(key.bytes, mapped, sizeof(mapped));
    memcpy(key.bytes + sizeof(mapped), address, 4);
    set_port(&key, port);
    return key;
}

struct mproxy_key mproxy_key_ipv6(const uint8_t address[16], uint16_t port)
{
    struct mproxy_key key = {{0}};

    memcpy(key.bytes, address, 16);
    set_port(&key, port);
    return key;
}

/* Four numbers of 0 to 255 without leading zeros, three dots. */
static bool parse_ipv4(struct slice text, uint8_t out[4])
{
    size_t at = 0;

    for (unsigned i = 0; i < 4; i++) {
        size_t from = at;
        unsigned value = 0;

        for (; at < text.len && at - from < 3 && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++)
            value = value * 10 + text.ptr[at] - '0';
        if (at == from || value > 255 || (text.ptr[from] == '0' && at - from > 1))
            return false;
        out[i] = (uint8_t)value;
        if (i < 3 && (at == text.len || text.ptr[at++] != '.'))
            return false;
    }
    return at == text.len;
}

static bool parse_ipv6(struct slice text, uint8_t out[16])
{
    char copy[MPROXY_ADDRESS_SIZE];

    if (text.len >= sizeof(copy) || (text.len && memchr(text.ptr, '\0', text.len)))
        return false;
    return inet_pton(AF_INET6, slice_write(text, copy, sizeof(copy)), out) == 1;
}

int mproxy_key_parse(struct slice address, struct slice port, struct mproxy_key *out)
{
    uint8_t bytes[16];
    uint64_t number;

    if (slice_parse_uint(port, UINT16_MAX, &number))
        return -EINVAL;
    if (parse_ipv4(address, bytes))
        *out = mproxy_key_ipv4(bytes, (uint16_t)number);
    else if (parse_ipv6(address, bytes))
        *out = mproxy_key_ipv6(bytes, (uint16_t)number);
    else
        return -EINVAL;
    return 0;
}

static bool is_ipv4(const struct mproxy_key *key)
{
    return memcmp(key->bytes, mapped, sizeof(mapped)) == 0;
}

static size_t digits_of(uint32_t value)
{
    size_t count = 1;

    for (; value >= 10; value /= 10)
        count++;
    return count;
}

static size_t write_uint(uint8_t *out, uint32_t value)
{
    size_t count = digits_of(value);

    for (size_t i = count; i-- > 0; value /= 10)
        out[i] = (uint8_t)('0' + value % 10);
    return count;
}

void mproxy_key_write_address(const struct mproxy_key *key, char out[MPROXY_ADDRESS_SIZE])
{
    const uint8_t *ipv4 = key->bytes + sizeof(mapped);
    size_t len = 0;

    if (!is_ipv4(key)) { /* cannot fail: there is room */
        (void)inet_ntop(AF_INET6, key->bytes, out, MPROXY_ADDRESS_SIZE);
        return;
    }
    for (unsigned i = 0; i < 4; i++) { /* inet_ntop() prints: it is slow, and visitors are many */
        len += write_uint((uint8_t *)out + len, ipv4[i]);
        out[len++] = i < 3 ? '.' : '\0';
    }
}

static size_t write_slice(uint8_t *out, struct slice s)
{
    if (s.len)
        memcpy(out, s.ptr, s.len);
    return s.len;
}

static bool is_field(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7F || s.ptr[i] == ',')
            return false;
    }
    return true;
}

static size_t write_prefix(uint8_t *out, const struct mproxy_key *key)
{
    char address[MPROXY_ADDRESS_SIZE];
    size_t len;

    mproxy_key_write_address(key, address);
    len = write_slice(out, slice_text(is_ipv4(key) ? "IPv4," : "IPv6,"));
    len += write_slice(out + len, slice_text(address));
    out[len++] = ',';
    len += write_uint(out + len, (uint32_t)key->bytes[16] << 8 | key->bytes[17]);
    out[len++] = ',';
    return len;
}

/* Room for everything mproxy_template_init() may be asked to join before it knows that it fits. */
struct parts {
    uint8_t prefix[5 + MPROXY_ADDRESS_SIZE + 1 + 5 + 1];
    uint8_t tail[1 + 5 + 1 + TEXT_MAX];
    size_t prefix_len;
    size_t tail_len;
};

static void write_parts(struct parts *p, const struct mproxy_route *route)
{
    p->prefix_len = write_prefix(p->prefix, &route->key);
    p->tail_len = 0;
    if (route->fields == MPROXY_FIELDS_5)
        return;
    p->tail[p->tail_len++] = ',';
    p->tail_len += write_uint(p->tail + p->tail_len, route->service_port);
    p->tail[p->tail_len++] = ',';
    p->tail_len += write_slice(p->tail + p->tail_len, route->name);
}

int mproxy_template_init(struct mproxy_template *t, const struct mproxy_route *route,
                         uint32_t body_max)
{
    const size_t service_len = route->service.len;
    const size_t word_max = service_len > OUR_WORD_MAX ? service_len : OUR_WORD_MAX;
    struct parts p;
    uint8_t *at = t->text;

    if (service_len == 0 || !is_field(route->service) || !is_field(route->name))
        return -EINVAL;
    if (service_len > TEXT_MAX || route->name.len > TEXT_MAX)
        return -EMSGSIZE;
    write_parts(&p, route);
    if (p.prefix_len + digits_of(body_max) + 1 + word_max + p.tail_len > TEXT_MAX)
        return -EMSGSIZE;
    t->prefix_len = (uint8_t)p.prefix_len;
    t->service_len = (uint8_t)service_len;
    t->tail_len = (uint8_t)p.tail_len;
    at += write_slice(at, slice_of(p.prefix, p.prefix_len));
    at += write_slice(at, route->service);
    (void)write_slice(at, slice_of(p.tail, p.tail_len));
    return 0;
}

static struct slice template_word(const struct mproxy_template *t, enum mproxy_kind kind)
{
    assert(kind <= MPROXY_RESUME);
    return kind == MPROXY_DATA ? slice_of(t->text + t->prefix_len, t->service_len) : word_of(kind);
}

size_t mproxy_template_head_len(const struct mproxy_template *t, enum mproxy_kind kind,
                                uint32_t body_len)
{
    return FRONT + t->prefix_len + digits_of(body_len) + 1 + template_word(t, kind).len +
           t->tail_len;
}

size_t mproxy_template_write(const struct mproxy_template *t, enum mproxy_kind kind,
                             uint32_t body_len, uint8_t *out)
{
    const uint8_t *tail = t->text + t->prefix_len + t->service_len;
    size_t len = FRONT;

    len += write_slice(out + len, slice_of(t->text, t->prefix_len));
    len += write_uint(out + len, body_len);
    out[len++] = ',';
    len += write_slice(out + len, template_word(t, kind));
    len += write_slice(out + len, slice_of(tail, t->tail_len));
    assert(len <= MPROXY_HEAD_MAX);
    out[0] = FIRST_BYTE;
    out[1] = (uint8_t)(len - FRONT);
    return len;
}

size_t mproxy_write_control_head(uint8_t *out, uint32_t body_len)
{
    size_t len = FRONT;

    len += write_slice(out + len, slice_text(",,,"));
    len += write_uint(out + len, body_len);
    len += write_slice(out + len, slice_text(",control"));
    out[0] = FIRST_BYTE;
    out[1] = (uint8_t)(len - FRONT);
    return len;
}
