#include "proto/hostname.h"

#include <arpa/inet.h>
#include <errno.h>

#define PORT_DIGITS 5U

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Letters, digits, underscores; hyphens inside only (RFC 1123 2.1).  Browsers and resolvers carry
 * the underscore, though no host may be registered with one. */
static bool is_label(struct slice label)
{
    if (label.len == 0 || label.len > HOSTNAME_LABEL_MAX || label.ptr[0] == '-' ||
        label.ptr[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        uint8_t c = lower(label.ptr[i]);

        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_')
            return false;
    }
    return true;
}

/* Whether some reader would take a name that ends with `label` for an IPv4 address, as the URL
 * Standard's "ends in a number" has it: decimal, octal, or hexadecimal. */
static bool is_number(struct slice label)
{
    bool hex = label.len >= 2 && label.ptr[0] == '0' && lower(label.ptr[1]) == 'x';

    for (size_t i = hex ? 2 : 0; i < label.len; i++)
        if (hex ? !is_hex(label.ptr[i]) : !is_digit(label.ptr[i]))
            return false;
    return true;
}

/* Cuts the last label off; -EINVAL where any label is none. */
static int last_label(struct slice name, struct slice *out)
{
    size_t from = 0;

    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.ptr[i] != '.')
            continue;
        *out = slice_of(name.ptr + from, i - from);
        if (!is_label(*out))
            return -EINVAL;
        from = i + 1;
    }
    return 0;
}

static void fill(struct hostname *out, enum hostname_kind kind, struct slice text)
{
    struct hostname h = {.kind = kind, .len = (uint8_t)text.len};

    for (size_t i = 0; i < text.len; i++)
        h.text[i] = (char)lower(text.ptr[i]);
    *out = h;
}

static int parse_name(struct slice in, struct hostname *out)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    struct slice last = {NULL, 0};

    if (in.len && in.ptr[in.len - 1] == '.')
        in.len--;
    if (in.len == 0 || in.len > HOSTNAME_MAX || last_label(in, &last))
        return -EINVAL;
    if (!is_number(last)) {
        fill(out, HOSTNAME_NAME, in);
        return 0;
    }
    if (in.len >= sizeof(text) ||
        inet_pton(AF_INET, slice_write(in, text, sizeof(text)), &address) != 1)
        return -EINVAL;
    fill(out, HOSTNAME_IPV4, in);
    return 0;
}

static int parse_ipv6(struct slice in, struct hostname *out)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (in.len >= sizeof(text) || memchr(in.ptr, '\0', in.len))
        return -EINVAL;
    if (inet_pton(AF_INET6, slice_write(in, text, sizeof(text)), &address) != 1 ||
        !inet_ntop(AF_INET6, &address, text, sizeof(text)))
        return -EINVAL;
    fill(out, HOSTNAME_IPV6, slice_text(text));
    return 0;
}

int hostname_parse(struct slice in, struct hostname *out)
{
    return in.len && memchr(in.ptr, ':', in.len) ? parse_ipv6(in, out) : parse_name(in, out);
}

static int parse_port(struct slice in, uint16_t *out)
{
    uint64_t port = 0;

    if (in.len == 0)
        return 0;
    if (in.len > PORT_DIGITS || slice_parse_uint(in, UINT16_MAX, &port) || port == 0)
        return -EINVAL;
    *out = (uint16_t)port;
    return 0;
}

int hostname_parse_authority(struct slice in, struct hostname *out)
{
    bool bracketed = in.len && in.ptr[0] == '[';
    const uint8_t *end = in.len ? memchr(in.ptr, bracketed ? ']' : ':', in.len) : NULL;
    size_t host_len = end ? (size_t)(end - in.ptr) : in.len;
    struct slice rest = slice_from(in, host_len + (bracketed ? 1 : 0));
    struct hostname h;
    uint16_t port = 0;
    int err;

    if (bracketed && !end)
        return -EINVAL;
    err = bracketed ? parse_ipv6(slice_of(in.ptr + 1, host_len - 1), &h)
                    : parse_name(slice_of(in.ptr, host_len), &h);
    if (!err && rest.len)
        err = rest.ptr[0] == ':' ? parse_port(slice_from(rest, 1), &port) : -EINVAL;
    if (err)
        return err;
    h.port = port;
    *out = h;
    return 0;
}

int hostname_parse_pattern(struct slice in, struct hostname *out)
{
    struct hostname name;
    int err;

    if (in.len < 2 || in.ptr[0] != '*' || in.ptr[1] != '.')
        return hostname_parse(in, out);
    err = parse_name(slice_from(in, 2), &name);
    if (err)
        return err;
    if (name.kind != HOSTNAME_NAME || name.len + 2U > HOSTNAME_MAX)
        return -EINVAL;
    fill(out, HOSTNAME_PATTERN, slice_of(in.ptr, name.len + 2U));
    return 0;
}

bool hostname_is_equal(const struct hostname *a, const struct hostname *b)
{
    return a->kind == b->kind && slice_is_equal(hostname_slice(a), hostname_slice(b));
}

bool hostname_is_address(const struct hostname *h)
{
    return h->kind == HOSTNAME_IPV4 || h->kind == HOSTNAME_IPV6;
}
