#include "proto/http_head.h"

#include <errno.h>

#define LINE_END "\r\n"
#define STATUS_LINE_MAX 8192U

/* Every step takes from here and says 1 (taken), 0 (more is needed first) or -Exxx. */
struct cursor {
    const uint8_t *at;
    const uint8_t *end;
};

struct parse {
    struct http_head *head;
    struct hostname target_host; /* of the absolute or authority form */
    uint16_t default_port;       /* of the target's scheme */
    bool has_target_host;
    bool has_length;
    bool has_coding;
};

/* RFC 9110, WebDAV and its kin, caches, UPnP. */
static const char *const methods[] = {
    "GET",     "POST",       "PUT",         "HEAD",       "OPTIONS",     "DELETE",   "PATCH",
    "CONNECT", "TRACE",      "QUERY",       "PROPFIND",   "PROPPATCH",   "MKCOL",    "COPY",
    "MOVE",    "LOCK",       "UNLOCK",      "REPORT",     "SEARCH",      "ACL",      "BIND",
    "REBIND",  "UNBIND",     "CHECKIN",     "CHECKOUT",   "UNCHECKOUT",  "MERGE",    "UPDATE",
    "LABEL",   "MKACTIVITY", "MKWORKSPACE", "MKCALENDAR", "ORDERPATCH",  "LINK",     "UNLINK",
    "PURGE",   "SOURCE",     "NOTIFY",      "SUBSCRIBE",  "UNSUBSCRIBE", "M-SEARCH",
};

/* A set of byte values, one bit each: a long head is looked at again and again while it comes. */
struct bytes {
    uint32_t word[8];
};

/* RFC 9110 5.6.2 */
static const struct bytes token_bytes = {{0, 0x03ff6cfaU, 0xc7fffffeU, 0x57ffffffU, 0, 0, 0, 0}};

/* Visible ASCII but `#`: more than RFC 3986 has, as browsers send more. */
static const struct bytes target_bytes = {{0, 0xfffffff6U, 0xffffffffU, 0x7fffffffU, 0, 0, 0, 0}};

/* Of a field's value, RFC 9110 5.5: visible, space, tab, 0x80 and up. */
static const struct bytes text_bytes = {{0x00000200U, 0xffffffffU, 0xffffffffU, 0x7fffffffU,
                                         0xffffffffU, 0xffffffffU, 0xffffffffU, 0xffffffffU}};

static bool has_byte(const struct bytes *set, uint8_t c)
{
    return set->word[c >> 5] >> (c & 31) & 1;
}

bool http_is_token_byte(uint8_t c)
{
    return has_byte(&token_bytes, c);
}

bool http_is_text_byte(uint8_t c)
{
    return has_byte(&text_bytes, c);
}

/* Takes the bytes of one set; there must be another after them. */
static int take_run(struct cursor *c, const struct bytes *set, struct slice *out)
{
    const uint8_t *from = c->at;
    const uint8_t *at = from;

    while (at < c->end && has_byte(set, *at))
        at++;
    *out = slice_of(from, (size_t)(at - from));
    c->at = at;
    return at < c->end;
}

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

/* Whether none of eight bytes is a control byte, by carries and borrows into their highest bits
 * (Warren, Hacker's Delight, 6-1): a byte below 0x20 borrows, and 0x7f is the one that is 0 when
 * 0x7f is taken off. */
static bool is_plain_word(const uint8_t *at)
{
    uint64_t word, other;

    memcpy(&word, at, sizeof(word));
    other = word ^ EACH_BYTE(0x7f);
    return ((((word - EACH_BYTE(0x20)) & ~word) | ((other - EACH_BYTE(1)) & ~other)) &
            EACH_BYTE(0x80)) == 0;
}

/* As take_run() of text_bytes: values are the most of a head. */
static int take_value(struct cursor *c, struct slice *out)
{
    const uint8_t *from = c->at;
    int got;

    while (c->end - c->at >= 8 && is_plain_word(c->at))
        c->at += 8;
    got = take_run(c, &text_bytes, out);
    *out = slice_of(from, (size_t)(c->at - from));
    return got;
}

static int take_text(struct cursor *c, const char *text)
{
    while (*text) {
        if (c->at == c->end)
            return 0;
        if (*c->at != (uint8_t)*text)
            return -EPROTO;
        c->at++;
        text++;
    }
    return 1;
}

static int take_digit(struct cursor *c, int *out)
{
    if (c->at == c->end)
        return 0;
    if (*c->at < '0' || *c->at > '9')
        return -EPROTO;
    *out = *c->at++ - '0';
    return 1;
}

/* A word that no method begins with is refused as unknown at once, whatever may end it. */
static int take_method(struct cursor *c, struct slice *out)
{
    struct cursor at = *c;
    struct slice word;
    bool has_end = take_run(&at, &token_bytes, &word);
    bool has_space = has_end && *at.at == ' ';
    bool begins_one = false;

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct slice known = slice_text(methods[i]);

        if (word.len > known.len || !slice_is_equal(word, slice_of(known.ptr, word.len)))
            continue;
        begins_one = true;
        if (has_space && word.len == known.len) {
            *out = word;
            c->at = at.at + 1;
            return 1;
        }
    }
    if (!begins_one)
        return -ENOSYS;
    if (!has_end)
        return 0;
    return word.len && has_space ? -ENOSYS : -EPROTO;
}

static void split_path(struct http_head *head, struct slice target)
{
    const uint8_t *mark = target.len ? memchr(target.ptr, '?', target.len) : NULL;

    head->path = target;
    if (mark) {
        head->path.len = (size_t)(mark - target.ptr);
        head->query = slice_from(target, head->path.len + 1);
    }
    if (head->path.len == 0)
        head->path = slice_text("/");
}

/* "http://AUTHORITY/path?query"; no other scheme has a host that we could serve. */
static int parse_absolute(struct parse *p)
{
    static const struct {
        const char *text;
        uint16_t port;
    } schemes[] = {{"http://", 80}, {"https://", 443}};
    struct slice target = p->head->target;

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct slice rest = slice_from(target, strlen(schemes[i].text));
        size_t len = 0;

        if (!slice_is_text_nocase(slice_of(target.ptr, target.len - rest.len), schemes[i].text))
            continue;
        while (len < rest.len && rest.ptr[len] != '/' && rest.ptr[len] != '?')
            len++;
        p->default_port = schemes[i].port;
        split_path(p->head, slice_from(rest, len));
        return hostname_parse_authority(slice_of(rest.ptr, len), &p->target_host) ? -EPROTO : 0;
    }
    return -EPROTO;
}

static int parse_target(struct parse *p)
{
    struct http_head *head = p->head;

    if (slice_is_text(head->method, "CONNECT")) {
        head->target_form = HTTP_TARGET_AUTHORITY;
        p->has_target_host = true;
        if (hostname_parse_authority(head->target, &p->target_host) || p->target_host.port == 0)
            return -EPROTO;
        p->default_port = p->target_host.port;
        return 0;
    }
    if (head->target.ptr[0] == '/') {
        head->target_form = HTTP_TARGET_ORIGIN;
        split_path(head, head->target);
        return 0;
    }
    if (slice_is_text(head->target, "*")) {
        head->target_form = HTTP_TARGET_ASTERISK;
        head->path = head->target;
        return slice_is_text(head->method, "OPTIONS") ? 0 : -EPROTO;
    }
    head->target_form = HTTP_TARGET_ABSOLUTE;
    p->has_target_host = true;
    return parse_absolute(p);
}

static int take_target(struct cursor *c, struct parse *p)
{
    int err;

    if (!take_run(c, &target_bytes, &p->head->target))
        return 0;
    if (p->head->target.len == 0 || *c->at != ' ')
        return -EPROTO;
    c->at++;
    err = parse_target(p);
    return err ? err : 1;
}

static int take_version(struct cursor *c, int *minor)
{
    int major = 0;
    int got = take_text(c, "HTTP/");

    if (got > 0)
        got = take_digit(c, &major);
    if (got > 0)
        got = take_text(c, ".");
    if (got > 0)
        got = take_digit(c, minor);
    if (got > 0 && (major != 1 || *minor > 1))
        return -EPROTONOSUPPORT;
    return got;
}

static int take_request_line(struct cursor *c, struct parse *p)
{
    int got = 1;

    if (c->at < c->end && *c->at == '\r')
        got = take_text(c, LINE_END);
    if (got > 0)
        got = take_method(c, &p->head->method);
    if (got > 0)
        got = take_target(c, p);
    if (got > 0)
        got = take_version(c, &p->head->minor);
    if (got > 0)
        got = take_text(c, LINE_END);
    return got;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct slice trim(struct slice s)
{
    while (s.len && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Takes the first element off a comma-separated list; false at its end. */
static bool take_element(struct slice *list, struct slice *out)
{
    const uint8_t *comma;

    if (!list->ptr)
        return false;
    comma = list->len ? memchr(list->ptr, ',', list->len) : NULL;
    *out = trim(slice_of(list->ptr, comma ? (size_t)(comma - list->ptr) : list->len));
    *list = comma ? slice_of(comma + 1, list->len - (size_t)(comma + 1 - list->ptr))
                  : slice_of(NULL, 0);
    return true;
}

/* Only "chunked" is read here.  Where it comes last after other codings the request is right and
 * we lack the coding; otherwise its end is unknown (RFC 9112 6.3). */
static int parse_coding(struct slice value)
{
    struct slice element = {NULL, 0};
    unsigned chunked = 0;

    if (slice_is_text_nocase(value, "chunked"))
        return 0;
    while (take_element(&value, &element))
        chunked += slice_is_text_nocase(element, "chunked");
    return chunked == 1 && slice_is_text_nocase(element, "chunked") ? -ENOSYS : -EPROTO;
}

static int on_coding(struct parse *p, struct slice value)
{
    if (p->has_coding || p->has_length || p->head->minor == 0)
        return -EPROTO;
    p->has_coding = true;
    p->head->framing = HTTP_FRAMING_CHUNKED;
    return parse_coding(value);
}

static int on_length(struct parse *p, struct slice value)
{
    /* Signed readers stand behind us: what they cannot count is refused. */
    if (p->has_coding || p->has_length ||
        slice_parse_uint(value, INT64_MAX, &p->head->content_length))
        return -EPROTO;
    p->has_length = true;
    p->head->framing = HTTP_FRAMING_LENGTH;
    return 0;
}

static int on_host(struct parse *p, struct slice value)
{
    if (p->head->has_host || hostname_parse_authority(value, &p->head->host))
        return -EPROTO;
    p->head->has_host = true;
    return 0;
}

static int apply_field(struct parse *p, const struct http_field *f)
{
    if (slice_is_text_nocase(f->name, "host"))
        return on_host(p, f->value);
    if (slice_is_text_nocase(f->name, "content-length"))
        return on_length(p, f->value);
    if (slice_is_text_nocase(f->name, "transfer-encoding"))
        return on_coding(p, f->value);
    return 0;
}

/* A line that begins with a space (folded), has none but a name, or a space before the colon: in
 * each the name's run does not end at a colon. */
static int take_field(struct cursor *c, struct parse *p)
{
    struct http_head *head = p->head;
    struct http_field field;
    int got = take_run(c, &token_bytes, &field.name);

    if (got > 0 && (field.name.len == 0 || *c->at != ':'))
        return -EPROTO;
    if (got > 0) {
        c->at++;
        got = take_value(c, &field.value);
    }
    if (got > 0)
        got = take_text(c, LINE_END);
    if (got <= 0)
        return got;
    if (head->field_count == HTTP_HEAD_FIELDS)
        return -EMSGSIZE;
    field.value = trim(field.value);
    head->fields[head->field_count++] = field;
    got = apply_field(p, &field);
    return got ? got : 1;
}

static int take_fields(struct cursor *c, struct parse *p)
{
    while (c->at < c->end && *c->at != '\r') {
        int got = take_field(c, p);

        if (got <= 0)
            return got;
    }
    return take_text(c, LINE_END);
}

static uint16_t port_of(const struct hostname *h, uint16_t or_else)
{
    return h->port ? h->port : or_else;
}

/* RFC 9112 3.2.2 lets the target win over a Host that differs: whoever stands behind us might not
 * know. */
static int agree_on_host(struct parse *p)
{
    struct http_head *head = p->head;

    if (!head->has_host && head->minor > 0)
        return -EPROTO;
    if (!p->has_target_host)
        return 0;
    if (head->has_host &&
        (!hostname_is_equal(&head->host, &p->target_host) ||
         port_of(&head->host, p->default_port) != port_of(&p->target_host, p->default_port)))
        return -EPROTO;
    head->host = p->target_host;
    head->has_host = true;
    return 0;
}

static void find_connection(struct http_head *head)
{
    bool close = http_head_has_token(head, "connection", "close");

    head->keep_alive =
        !close && (head->minor > 0 || http_head_has_token(head, "connection", "keep-alive"));
    head->wants_upgrade = head->minor > 0 && http_head_has_token(head, "connection", "upgrade") &&
                          http_head_field(head, "upgrade");
    head->expects_continue = head->minor > 0 && http_head_has_token(head, "expect", "100-continue");
}

ssize_t http_head_parse(const uint8_t *in, size_t len, struct http_head *out)
{
    size_t seen = len < HTTP_HEAD_MAX ? len : HTTP_HEAD_MAX;
    struct cursor c = {in, in + seen};
    struct parse p = {.head = out};
    int got;

    memset(out, 0, offsetof(struct http_head, fields));
    got = take_request_line(&c, &p);
    if (got > 0)
        got = take_fields(&c, &p);
    if (got == 0)
        return seen < HTTP_HEAD_MAX ? 0 : -EMSGSIZE;
    if (got > 0 && agree_on_host(&p))
        got = -EPROTO;
    if (got < 0)
        return got;
    find_connection(out);
    return c.at - in;
}

const struct http_field *http_head_field(const struct http_head *head, const char *name)
{
    struct slice wanted = slice_text(name);

    for (unsigned i = 0; i < head->field_count; i++)
        if (slice_is_equal_nocase(head->fields[i].name, wanted))
            return &head->fields[i];
    return NULL;
}

static bool has_element(struct slice list, const char *token)
{
    struct slice element;

    while (take_element(&list, &element)) {
        const uint8_t *mark = element.len ? memchr(element.ptr, ';', element.len) : NULL;

        if (mark)
            element = trim(slice_of(element.ptr, (size_t)(mark - element.ptr)));
        if (slice_is_text_nocase(element, token))
            return true;
    }
    return false;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
    struct slice wanted = slice_text(name);

    for (unsigned i = 0; i < head->field_count; i++)
        if (slice_is_equal_nocase(head->fields[i].name, wanted) &&
            has_element(head->fields[i].value, token))
            return true;
    return false;
}

ssize_t http_status_parse(const uint8_t *in, size_t len, int *status)
{
    struct cursor c = {in, in + (len < STATUS_LINE_MAX ? len : STATUS_LINE_MAX)};
    struct slice reason;
    int digits[3] = {0, 0, 0};
    int minor = 0;
    int got = take_version(&c, &minor);

    if (got > 0)
        got = take_text(&c, " ");
    for (int i = 0; i < 3 && got > 0; i++)
        got = take_digit(&c, &digits[i]);
    if (got > 0)
        got = take_run(&c, &text_bytes, &reason);
    if (got > 0 && reason.len && reason.ptr[0] != ' ')
        return -EPROTO;
    if (got > 0)
        got = take_text(&c, LINE_END);
    if (got < 0 || (got == 0 && len >= STATUS_LINE_MAX))
        return -EPROTO;
    if (got == 0)
        return 0;
    if (digits[0] < 1 || digits[0] > 5)
        return -EPROTO;
    *status = digits[0] * 100 + digits[1] * 10 + digits[2];
    return c.at - in;
}
