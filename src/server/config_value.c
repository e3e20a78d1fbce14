#include "server/config_value.h"

#include "proto/hostname.h"
#include "server/config_memory.h"
#include "server/config_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void *field(const struct config_target *to, const struct config_key *key)
{
    return (char *)to->base + key->offset;
}

int config_value_refuse(const struct config_key *key, const char *reason, struct config_error *why)
{
    char range[CONFIG_RANGE_SIZE];

    if (*config_key_range(key, range))
        (void)snprintf(why->text, sizeof(why->text), "%s (%s)", reason, range);
    else
        (void)snprintf(why->text, sizeof(why->text), "%s", reason);
    return -EINVAL;
}

int config_value_refuse_count(const struct config_key *key, struct config_error *why)
{
    (void)snprintf(why->text, sizeof(why->text), "too many entries (at most %" PRIu64 ")",
                   key->max);
    return -EINVAL;
}

static int no_memory(struct config_error *why)
{
    (void)snprintf(why->text, sizeof(why->text), "out of memory");
    return -ENOMEM;
}

static int append(const struct config_target *to, const struct config_key *key, const void *item,
                  size_t size, struct config_error *why)
{
    if (config_list_append(to->config, field(to, key), item, size))
        return no_memory(why);
    return 0;
}

/* Whether `choices` ("a|b|c") has `text`; its position then goes to *at. */
static bool find_choice(const char *choices, struct slice text, unsigned *at)
{
    for (unsigned i = 0;; i++) {
        size_t len = strcspn(choices, "|");

        if (slice_is_equal(text, slice_of(choices, len))) {
            *at = i;
            return true;
        }
        if (!choices[len])
            return false;
        choices += len + 1;
    }
}

static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return true;
    return false;
}

static int parse_text(const struct config_target *to, const struct config_key *key,
                      struct slice text, struct config_error *why)
{
    char *copy;

    if (text.len < key->min || text.len > key->max)
        return config_value_refuse(key, text.len ? "wrong length" : "needs a value", why);
    if (has_control(text))
        return config_value_refuse(key, "holds a control character", why);
    copy = config_memory_copy(to->config, text);
    if (!copy)
        return no_memory(why);
    *(const char **)field(to, key) = copy;
    return 0;
}

static int parse_path(const struct config_target *to, const struct config_key *key,
                      struct slice text, struct config_error *why)
{
    const char **path = field(to, key);
    size_t size = to->folder.len + text.len + 1;
    char *whole;
    int err = parse_text(to, key, text, why);

    if (err || to->folder.len == 0 || **path == '/')
        return err;
    whole = config_memory_take(to->config, size);
    if (!whole)
        return no_memory(why);
    (void)snprintf(whole, size, "%.*s%s", (int)to->folder.len, (const char *)to->folder.ptr, *path);
    *path = whole;
    return 0;
}

static int parse_number(const struct config_target *to, const struct config_key *key,
                        struct slice text, struct config_error *why)
{
    uint64_t number = 0;
    int err;

    if (key->type == CONFIG_SIZE)
        err = config_size_parse(text, &number);
    else if (key->type == CONFIG_DURATION)
        err = config_duration_parse(text, &number);
    else
        err = slice_parse_uint(text, UINT64_MAX, &number);
    if (err)
        return config_value_refuse(key,
                                   key->type == CONFIG_SIZE ? "not a size like 64KiB or 4096"
                                   : key->type == CONFIG_DURATION
                                       ? "not a time like 500ms, 10s or 5m"
                                       : "not a number",
                                   why);
    if (number < key->min || number > key->max)
        return config_value_refuse(key, "out of range", why);
    if (key->type == CONFIG_SIZE)
        *(size_t *)field(to, key) = number;
    else if (key->type == CONFIG_DURATION)
        *(int64_t *)field(to, key) = (int64_t)number;
    else
        *(uint32_t *)field(to, key) = (uint32_t)number;
    return 0;
}

static int parse_choice(const struct config_target *to, const struct config_key *key,
                        struct slice text, struct config_error *why)
{
    unsigned at;

    if (key->type == CONFIG_BOOL) {
        if (!find_choice("false|true", text, &at))
            return config_value_refuse(key, "neither true nor false", why);
        *(bool *)field(to, key) = at == 1;
        return 0;
    }
    if (!find_choice(key->form, text, &at))
        return config_value_refuse(key, "not one of the choices", why);
    memcpy(field(to, key), &at, sizeof(at));
    return 0;
}

/* An IP address without a port is read as one with port 0. */
static int parse_ip(struct slice text, struct address *out)
{
    char ip[ADDRESS_TEXT_MAX];
    char with_port[ADDRESS_TEXT_MAX + 8];

    if (text.len == 0 || text.len >= sizeof(ip) || memchr(text.ptr, 0, text.len))
        return -EINVAL;
    (void)snprintf(with_port, sizeof(with_port),
                   strchr(slice_write(text, ip, sizeof(ip)), ':') ? "[%s]:0" : "%s:0", ip);
    return address_parse(slice_text(with_port), out);
}

/* 2001:db8::1:80 could be read as either of two addresses: IPv6 stands in brackets. */
static int parse_ip_and_port(struct slice text, struct address *out)
{
    const uint8_t *colon = text.len ? memchr(text.ptr, ':', text.len) : NULL;

    if (text.len == 0 || memchr(text.ptr, 0, text.len))
        return -EINVAL;
    if (colon && text.ptr[0] != '[' && colon != memrchr(text.ptr, ':', text.len))
        return -EINVAL;
    return address_parse(text, out);
}

static int parse_address(const struct config_target *to, const struct config_key *key,
                         struct slice text, struct config_error *why)
{
    static const char ip_form[] = "not an IP address like 0.0.0.0 or ::";
    static const char address_form[] =
        "not an address and port like 127.0.0.1:8000, [::1]:8000 or 8000";
    bool is_ip = key->type == CONFIG_IP;
    struct config_address found = {.text = NULL};

    if (is_ip ? parse_ip(text, &found.address) : parse_ip_and_port(text, &found.address))
        return config_value_refuse(key, is_ip ? ip_form : address_form, why);
    found.any = found.address.sa.sa_family == AF_INET6 &&
                IN6_IS_ADDR_UNSPECIFIED(&found.address.in6.sin6_addr);
    found.text = config_memory_copy(to->config, text);
    if (!found.text)
        return no_memory(why);
    if (!is_ip)
        return append(to, key, &found, sizeof(found), why);
    *(struct config_address *)field(to, key) = found;
    return 0;
}

static int parse_host(const struct config_target *to, const struct config_key *key,
                      struct slice text, struct config_error *why)
{
    struct hostname host;
    const char *copy;

    if (hostname_parse(text, &host))
        return config_value_refuse(key, "not a host name or IP address", why);
    copy = config_memory_copy(to->config, hostname_slice(&host));
    return copy ? append(to, key, &copy, sizeof(copy), why) : no_memory(why);
}

static int parse_ports(const struct config_target *to, const struct config_key *key,
                       struct slice text, struct config_error *why)
{
    struct config_port_range range;

    if (config_ports_parse(text, &range))
        return config_value_refuse(key, "not a port or a range like 30000-39999", why);
    return append(to, key, &range, sizeof(range), why);
}

int config_value_parse(const struct config_target *to, const struct config_key *key,
                       struct slice text, struct config_error *why)
{
    if (config_key_is_list(key) && config_list_count(field(to, key)) >= key->max)
        return config_value_refuse_count(key, why);
    switch (key->type) {
    case CONFIG_TEXT: return parse_text(to, key, text, why);
    case CONFIG_PATH: return parse_path(to, key, text, why);
    case CONFIG_UINT:
    case CONFIG_SIZE:
    case CONFIG_DURATION: return parse_number(to, key, text, why);
    case CONFIG_CHOICE:
    case CONFIG_BOOL: return parse_choice(to, key, text, why);
    case CONFIG_IP:
    case CONFIG_ADDRESSES: return parse_address(to, key, text, why);
    case CONFIG_HOSTS: return parse_host(to, key, text, why);
    case CONFIG_PORTS: return parse_ports(to, key, text, why);
    case CONFIG_SIGNERS:
    case CONFIG_CERTIFICATES: break;
    }
    return config_value_refuse(key, "can be given in a file only", why);
}

int config_value_parse_all(const struct config_target *to, const struct config_key *key,
                           struct slice text, struct config_error *why)
{
    if (!config_key_is_list(key) || config_key_is_maps(key))
        return config_value_parse(to, key, text, why);
    config_list_clear(field(to, key));
    if (text.len == 0 && key->min == 0)
        return 0;
    for (;;) {
        const uint8_t *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
        size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
        int err = config_value_parse(to, key, slice_of(text.ptr, len), why);

        if (err || !comma)
            return err;
        text = slice_from(text, len + 1);
    }
}
