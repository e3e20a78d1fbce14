#include "auth/claims.h"

#include "auth/document.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define LABEL_MAX 63 /* bytes, RFC 1035 */

/* The subjects that stand for a key; a token may not claim one for itself. */
static const char key_prefix[] = "key:";

void claims_fini(struct claims *c)
{
    for (size_t i = 0; i < c->host_count; i++)
        free(c->hosts[i]);
    free(c->hosts);
    free(c->ports);
    free(c->subject);
    free(c->label);
    free(c->token_id);
    free(c->scope);
    *c = (struct claims){0};
}

bool claims_has_scope(const struct claims *c, const char *word)
{
    size_t len = strlen(word);
    const char *at = c->scope;

    while (at && *at) {
        size_t word_len = strcspn(at, " ");

        if (word_len == len && memcmp(at, word, len) == 0)
            return true;
        at += word_len + (at[word_len] == ' ');
    }
    return false;
}

static int refuse(const char **why, int err, const char *text)
{
    *why = text;
    return err;
}

/* ---- names ---- */

static bool is_label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Whether `name`, lower case already, is labels with single dots between them and, so as not to be
 * an IPv4 address, with a last one that is not all digits. */
static bool is_dns_name(const char *name)
{
    size_t label_len = 0;
    bool has_letter = false; /* in the current label */

    for (const char *at = name;; at++) {
        if (*at && *at != '.') {
            if (!is_label_byte(*at) || (*at == '-' && label_len == 0))
                return false;
            has_letter = has_letter || *at < '0' || *at > '9';
            label_len++;
            continue;
        }
        if (label_len == 0 || label_len > LABEL_MAX || at[-1] == '-')
            return false;
        if (*at == '\0')
            return has_letter;
        label_len = 0;
        has_letter = false;
    }
}

/* Gives the canonical form of a name: lower case, without the dot at its end.
 * Returns 0, -EINVAL or -ENOMEM. */
static int host_copy(const char *text, char **out)
{
    size_t len = strlen(text);
    char *name;

    if (len && text[len - 1] == '.')
        len--;
    if (len == 0 || len > CLAIMS_HOST_MAX)
        return -EINVAL;
    name = strndup(text, len);
    if (!name)
        return -ENOMEM;
    for (char *at = name; *at; at++)
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at + 32) : *at;
    if (!is_dns_name(strncmp(name, "*.", 2) == 0 ? name + 2 : name)) {
        free(name);
        return -EINVAL;
    }
    *out = name;
    return 0;
}

/* Adds one name, unless it is there already; c->hosts has room. */
static int add_host(struct claims *c, const json_t *text, const char **why)
{
    char *name = NULL;
    int err = json_is_string(text) ? host_copy(json_string_value(text), &name) : -EINVAL;

    if (err)
        return refuse(why, err, "a domain that is not a DNS name");
    for (size_t i = 0; i < c->host_count; i++) {
        if (strcmp(c->hosts[i], name) == 0) {
            free(name);
            return 0;
        }
    }
    c->hosts[c->host_count++] = name;
    return 0;
}

static int parse_hosts(struct claims *c, const json_t *document, const char **why)
{
    const json_t *domains = json_object_get(document, "domains");
    const json_t *name = json_object_get(document, "name");
    size_t count = domains ? json_array_size(domains) : 1;
    int err = 0;

    if (domains && !json_is_array(domains))
        return refuse(why, -EINVAL, "domains is not an array");
    if (count > CLAIMS_HOSTS_MAX)
        return refuse(why, -EINVAL, "more than 1024 domains");
    if (count == 0 || (!domains && !name))
        return 0;
    c->hosts = calloc(count, sizeof(*c->hosts));
    if (!c->hosts)
        return refuse(why, -ENOMEM, "out of memory");
    if (!domains)
        return add_host(c, name, why);
    for (size_t i = 0; i < count && !err; i++)
        err = add_host(c, json_array_get(domains, i), why);
    return err;
}

/* ---- ports ---- */

static int port_of(const json_t *member, uint16_t *out)
{
    uint64_t port = 0;

    if (json_is_integer(member) && json_integer_value(member) > 0)
        port = (uint64_t)json_integer_value(member);
    else if (!json_is_string(member) ||
             slice_parse_uint(slice_text(json_string_value(member)), UINT16_MAX, &port))
        return -EINVAL;
    if (port == 0 || port > UINT16_MAX)
        return -EINVAL;
    *out = (uint16_t)port;
    return 0;
}

static int parse_ports(struct claims *c, const json_t *document, const char **why)
{
    const json_t *ports = json_object_get(document, "ports");
    size_t count = json_array_size(ports);

    if (!ports || json_is_null(ports))
        return 0;
    if (!json_is_array(ports) || count > CLAIMS_PORTS_MAX)
        return refuse(why, -EINVAL, "ports is not an array of at most 1024");
    if (count == 0)
        return 0;
    c->ports = calloc(count, sizeof(*c->ports));
    if (!c->ports)
        return refuse(why, -ENOMEM, "out of memory");
    for (size_t i = 0; i < count; i++) {
        uint16_t port = 0;
        size_t at = 0;

        if (port_of(json_array_get(ports, i), &port))
            return refuse(why, -EINVAL, "a port that is not 1 to 65535");
        while (at < c->port_count && c->ports[at] != port)
            at++;
        c->ports[at] = port;
        c->port_count += at == c->port_count;
    }
    return 0;
}

/* ---- times and texts ---- */

/* Reads a NumericDate (RFC 7519 section 2), rounded up: whole seconds compare then as the
 * fraction would.  *out is 0 if there is none, which is why a real 0 becomes 1. */
static int parse_time(const json_t *document, const char *name, int64_t *out, const char **why)
{
    const json_t *member = json_object_get(document, name);
    double value;

    if (!member)
        return 0;
    if (!json_is_number(member))
        return refuse(why, -EKEYREJECTED, "exp, nbf or iat is not a number");
    value = ceil(json_number_value(member));
    if (!isfinite(value) || value > CLAIMS_TIME_MAX)
        return refuse(why, -EKEYREJECTED, "exp, nbf or iat is after the year 9999");
    *out = value < 1 ? 1 : (int64_t)value;
    return 0;
}

static int copy_text(const json_t *object, const char *name, char **out, const char **why)
{
    const char *text = NULL;

    if (document_text(object, name, CLAIMS_TEXT_MAX, &text))
        return refuse(why, -EINVAL, "a claim is not a text of 1 to 255 bytes");
    if (!text || *out)
        return 0;
    *out = strdup(text);
    return *out ? 0 : refuse(why, -ENOMEM, "out of memory");
}

static int parse_texts(struct claims *c, const json_t *document, const char **why)
{
    const json_t *device = json_object_get(document, "device");
    int err;

    if (device && !json_is_null(device) && !json_is_object(device))
        return refuse(why, -EINVAL, "device is not an object");
    /* The first of several that there is wins. */
    if ((err = copy_text(document, "sub", &c->subject, why)) ||
        (err = copy_text(device, "id", &c->subject, why)) ||
        (err = copy_text(device, "hostname", &c->label, why)) ||
        (err = copy_text(device, "id", &c->label, why)) ||
        (err = copy_text(document, "hostname", &c->label, why)) ||
        (err = copy_text(document, "id", &c->label, why)) ||
        (err = copy_text(document, "jti", &c->token_id, why)) ||
        (err = copy_text(document, "scope", &c->scope, why)))
        return err;
    if (c->subject && strncmp(c->subject, key_prefix, strlen(key_prefix)) == 0)
        return refuse(why, -EINVAL, "a subject may not begin with key:");
    return 0;
}

int claims_parse(const json_t *document, struct claims *out, const char **why)
{
    struct claims c = {0};
    int err;

    if ((err = parse_time(document, "exp", &c.expires_at, why)) ||
        (err = parse_time(document, "nbf", &c.not_before, why)) ||
        (err = parse_time(document, "iat", &c.issued_at, why)) ||
        (err = parse_texts(&c, document, why)) || (err = parse_hosts(&c, document, why)) ||
        (err = parse_ports(&c, document, why))) {
        claims_fini(&c);
        return err;
    }
    *out = c;
    return 0;
}
