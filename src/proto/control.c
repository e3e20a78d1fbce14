#include "proto/control.h"

#include "proto/utf8.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define ID_MAX (INT64_C(1) << 53) /* what a JavaScript number holds exactly */

/* Brackets within brackets, counted before anything recursive sees them. */
static bool is_shallow(const uint8_t *in, size_t len)
{
    unsigned depth = 0;
    bool is_quoted = false;

    for (size_t i = 0; i < len; i++) {
        if (in[i] == '"')
            is_quoted = !is_quoted;
        else if (is_quoted)
            i += in[i] == '\\'; /* and what it escapes */
        else if ((in[i] == '[' || in[i] == '{') && ++depth > CONTROL_DEPTH_MAX)
            return false;
        else if ((in[i] == ']' || in[i] == '}') && depth > 0)
            depth--;
    }
    return true;
}

/* The text of `value`; empty if it is none. */
static struct slice text_of(const json_t *value)
{
    if (!json_is_string(value))
        return (struct slice){NULL, 0};
    return slice_of(json_string_value(value), json_string_length(value));
}

struct slice control_text(const struct control *c, const char *name)
{
    return text_of(json_object_get(json_array_get(c->document, 2), name));
}

static int parse_answer(struct control *c, const json_t *detail)
{
    if (json_is_null(detail)) {
        c->kind = CONTROL_OK;
        return 0;
    }
    if (!json_is_object(detail))
        return -EPROTO;
    c->kind = CONTROL_ERROR;
    c->message = text_of(json_object_get(detail, "message"));
    c->code = text_of(json_object_get(detail, "code"));
    return 0;
}

static int parse_token(struct control *c, enum control_kind kind)
{
    c->kind = kind;
    c->token = text_of(json_array_get(c->document, 2));
    return 0;
}

static int parse_auth(struct control *c)
{
    static const char *const names[] = {"jwt", "token", "access_token"};
    const json_t *argument = json_array_get(c->document, 2);

    if (!json_is_object(argument))
        return parse_token(c, CONTROL_AUTH);
    c->kind = CONTROL_AUTH;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !c->token.len; i++)
        c->token = control_text(c, names[i]);
    return 0;
}

static int parse_command(struct control *c, const json_t *name)
{
    if (!json_is_string(name))
        return -EPROTO;
    c->command = text_of(name);
    if (slice_is_text(c->command, "add_token"))
        return parse_token(c, CONTROL_ADD_TOKEN);
    if (slice_is_text(c->command, "delete_token"))
        return parse_token(c, CONTROL_DELETE_TOKEN);
    if (slice_is_text(c->command, "auth") || slice_is_text(c->command, "authn") ||
        slice_is_text(c->command, "authz"))
        return parse_auth(c);
    c->kind = CONTROL_UNKNOWN;
    return 0;
}

static int parse_document(struct control *c)
{
    const json_t *id = json_array_get(c->document, 0);
    const json_t *second = json_array_get(c->document, 1);
    json_int_t number = json_integer_value(id);

    if (!json_is_integer(id) || !second || number > ID_MAX || number < -ID_MAX)
        return -EPROTO;
    c->id = number < 0 ? -number : number;
    return number > 0 ? parse_command(c, second) : parse_answer(c, second);
}

int control_parse(const uint8_t *in, size_t len, struct control *out)
{
    struct control c = {0};
    json_error_t error;
    int err;

    if (len > CONTROL_MAX)
        return -EMSGSIZE;
    if (!is_shallow(in, len))
        return -EPROTO;
    c.document = json_loadb((const char *)in, len, JSON_REJECT_DUPLICATES, &error);
    if (!c.document)
        return json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EPROTO;
    err = parse_document(&c);
    if (err)
        goto fail;
    *out = c;
    return 0;

fail:
    control_fini(&c);
    return err;
}

void control_fini(struct control *c)
{
    json_decref(c->document);
    *c = (struct control){0};
}

/* Text on its way into a caller's buffer. */
struct sink {
    uint8_t *out;
    size_t size;
    size_t len; /* above `size` once something did not fit */
};

static void put_slice(struct sink *s, struct slice bytes)
{
    if (s->len > s->size || bytes.len > s->size - s->len) {
        s->len = s->size + 1;
        return;
    }
    if (bytes.len)
        memcpy(s->out + s->len, bytes.ptr, bytes.len);
    s->len += bytes.len;
}

static void put(struct sink *s, const char *text)
{
    put_slice(s, slice_text(text));
}

static void put_int(struct sink *s, int64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRId64, value);
    put(s, text);
}

/* One byte inside quotes (RFC 8259 section 7). */
static void put_char(struct sink *s, uint8_t c)
{
    char escape[8];

    if (c == '"' || c == '\\') {
        put_slice(s, slice_of((const uint8_t[]){'\\', c}, 2));
    } else if (c < 0x20 || c == 0x7F) {
        (void)snprintf(escape, sizeof(escape), "\\u%04x", c);
        put(s, escape);
    } else {
        put_slice(s, slice_of(&c, 1));
    }
}

/* `text` in quotes.  JSON is UTF-8: what is not loses its high bytes. */
static void put_quoted(struct sink *s, struct slice text)
{
    bool is_text = utf8_is_text(text);

    put(s, "\"");
    for (size_t i = 0; i < text.len; i++)
        put_char(s, is_text || text.ptr[i] < 0x80 ? text.ptr[i] : '?');
    put(s, "\"");
}

static void put_fault(struct sink *s, struct control_fault fault)
{
    put(s, "{\"message\":");
    put_quoted(s, fault.message);
    put(s, ",\"code\":");
    put_quoted(s, fault.code);
    put(s, "}");
}

static ssize_t sink_end(const struct sink *s)
{
    return s->len <= s->size ? (ssize_t)s->len : -ENOBUFS;
}

ssize_t control_write_hello(uint8_t *out, size_t size)
{
    struct sink s = {out, size, 0};

    put(&s, "[1,\"hello\",[1],[\"add_token\",\"delete_token\",\"auth\",\"authn\",\"authz\"]]");
    return sink_end(&s);
}

ssize_t control_write_grant(uint8_t *out, size_t size, const struct control_grant *grants,
                            size_t count)
{
    struct sink s = {out, size, 0};

    put(&s, "[2,\"grant\",[");
    for (size_t i = 0; i < count; i++) {
        put(&s, i ? ",[" : "[");
        put_quoted(&s, grants[i].service);
        put(&s, ",");
        put_quoted(&s, grants[i].host);
        if (grants[i].port) {
            put(&s, ",");
            put_int(&s, grants[i].port);
        }
        put(&s, "]");
    }
    put(&s, "]]");
    return sink_end(&s);
}

ssize_t control_write_ok(uint8_t *out, size_t size, int64_t id)
{
    struct sink s = {out, size, 0};

    put(&s, "[");
    put_int(&s, -id);
    put(&s, ",null]");
    return sink_end(&s);
}

ssize_t control_write_error(uint8_t *out, size_t size, int64_t id, struct control_fault fault)
{
    struct sink s = {out, size, 0};

    put(&s, "[");
    put_int(&s, -id);
    put(&s, ",");
    put_fault(&s, fault);
    put(&s, "]");
    return sink_end(&s);
}

ssize_t control_write_fault(uint8_t *out, size_t size, struct control_fault fault)
{
    struct sink s = {out, size, 0};

    put_fault(&s, fault);
    return sink_end(&s);
}

ssize_t control_write_text_error(uint8_t *out, size_t size, struct control_fault fault)
{
    struct sink s = {out, size, 0};

    put(&s, "{\"error\":");
    put_fault(&s, fault);
    put(&s, "}");
    return sink_end(&s);
}
