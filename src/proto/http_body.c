#include "proto/http_body.h"

#include <errno.h>

#define SIZE_DIGITS 16U /* as many as a uint64_t holds */

static int hex_value(uint8_t c)
{
    uint8_t small = c | 0x20;

    if (c >= '0' && c <= '9')
        return c - '0';
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

void http_body_init(struct http_body *b, const struct http_head *head)
{
    *b = (struct http_body){.state = HTTP_BODY_DONE};
    switch (head->framing) {
    case HTTP_FRAMING_NONE: break;
    case HTTP_FRAMING_CHUNKED: b->state = HTTP_BODY_SIZE; break;
    case HTTP_FRAMING_LENGTH:
        b->left = head->content_length;
        b->state = b->left ? HTTP_BODY_LENGTH : HTTP_BODY_DONE;
        break;
    }
}

/* `c` where it must be `due`. */
static enum http_body_state expect(uint8_t c, uint8_t due, enum http_body_state next)
{
    return c == due ? next : HTTP_BODY_BAD;
}

/* What may follow a whole size or a whole extension.  No space (RFC 9112 7.1.1 would have
 * receivers skip it): readers differ on what it is part of. */
static enum http_body_state on_size_part_end(uint8_t c)
{
    return c == ';' ? HTTP_BODY_EXT_START : expect(c, '\r', HTTP_BODY_SIZE_LF);
}

static enum http_body_state on_size(struct http_body *b, uint8_t c)
{
    int value = hex_value(c);

    if (value < 0) {
        bool has_digits = b->count > 0;

        b->count = 0;
        return has_digits ? on_size_part_end(c) : HTTP_BODY_BAD;
    }
    if (b->count++ == SIZE_DIGITS)
        return HTTP_BODY_BAD;
    b->left = b->left << 4 | (unsigned)value;
    return HTTP_BODY_SIZE;
}

static enum http_body_state on_size_lf(struct http_body *b, uint8_t c)
{
    b->count = 0;
    return expect(c, '\n', b->left ? HTTP_BODY_DATA : HTTP_BODY_TRAILER);
}

static enum http_body_state on_ext_name(uint8_t c)
{
    if (http_is_token_byte(c))
        return HTTP_BODY_EXT_NAME;
    return c == '=' ? HTTP_BODY_EXT_EQUALS : on_size_part_end(c);
}

static enum http_body_state on_ext_equals(uint8_t c)
{
    if (c == '"')
        return HTTP_BODY_EXT_QUOTED;
    return http_is_token_byte(c) ? HTTP_BODY_EXT_VALUE : HTTP_BODY_BAD;
}

static enum http_body_state on_ext_quoted(uint8_t c)
{
    if (c == '"')
        return HTTP_BODY_EXT_CLOSED;
    if (c == '\\')
        return HTTP_BODY_EXT_ESCAPED;
    return http_is_text_byte(c) ? HTTP_BODY_EXT_QUOTED : HTTP_BODY_BAD;
}

static enum http_body_state on_trailer(uint8_t c)
{
    if (c == '\r')
        return HTTP_BODY_LAST_LF;
    return http_is_token_byte(c) ? HTTP_BODY_TRAILER_NAME : HTTP_BODY_BAD;
}

static enum http_body_state on_trailer_name(uint8_t c)
{
    if (http_is_token_byte(c))
        return HTTP_BODY_TRAILER_NAME;
    return expect(c, ':', HTTP_BODY_TRAILER_VALUE);
}

static enum http_body_state on_trailer_value(uint8_t c)
{
    return http_is_text_byte(c) ? HTTP_BODY_TRAILER_VALUE : expect(c, '\r', HTTP_BODY_TRAILER_LF);
}

static enum http_body_state next_state(struct http_body *b, uint8_t c)
{
    switch (b->state) {
    case HTTP_BODY_SIZE: return on_size(b, c);
    case HTTP_BODY_EXT_START: return http_is_token_byte(c) ? HTTP_BODY_EXT_NAME : HTTP_BODY_BAD;
    case HTTP_BODY_EXT_NAME: return on_ext_name(c);
    case HTTP_BODY_EXT_EQUALS: return on_ext_equals(c);
    case HTTP_BODY_EXT_VALUE:
        return http_is_token_byte(c) ? HTTP_BODY_EXT_VALUE : on_size_part_end(c);
    case HTTP_BODY_EXT_QUOTED: return on_ext_quoted(c);
    case HTTP_BODY_EXT_ESCAPED: return http_is_text_byte(c) ? HTTP_BODY_EXT_QUOTED : HTTP_BODY_BAD;
    case HTTP_BODY_EXT_CLOSED: return on_size_part_end(c);
    case HTTP_BODY_SIZE_LF: return on_size_lf(b, c);
    case HTTP_BODY_DATA_CR: return expect(c, '\r', HTTP_BODY_DATA_LF);
    case HTTP_BODY_DATA_LF: return expect(c, '\n', HTTP_BODY_SIZE);
    case HTTP_BODY_TRAILER: return on_trailer(c);
    case HTTP_BODY_TRAILER_NAME: return on_trailer_name(c);
    case HTTP_BODY_TRAILER_VALUE: return on_trailer_value(c);
    case HTTP_BODY_TRAILER_LF: return expect(c, '\n', HTTP_BODY_TRAILER);
    case HTTP_BODY_LAST_LF: return expect(c, '\n', HTTP_BODY_DONE);
    case HTTP_BODY_DONE:
    case HTTP_BODY_LENGTH:
    case HTTP_BODY_DATA:
    case HTTP_BODY_BAD:
    case HTTP_BODY_STATES: break;
    }
    return HTTP_BODY_BAD;
}

/* How many bytes the part that `state` is in may have; the rest is bounded by its grammar. */
static unsigned limit_of(enum http_body_state state)
{
    if (state >= HTTP_BODY_EXT_START && state <= HTTP_BODY_EXT_CLOSED)
        return HTTP_BODY_EXTENSION_MAX;
    if (state >= HTTP_BODY_TRAILER && state <= HTTP_BODY_TRAILER_LF)
        return HTTP_BODY_TRAILER_MAX;
    return 0;
}

static enum http_body_state step(struct http_body *b, uint8_t c)
{
    unsigned limit = limit_of(b->state);

    if (limit && b->count++ == limit)
        return HTTP_BODY_BAD;
    return next_state(b, c);
}

/* Passes over as many of `len` bytes as the body or the chunk still has. */
static size_t skip(struct http_body *b, size_t len)
{
    size_t n = b->left < len ? (size_t)b->left : len;

    b->left -= n;
    if (b->left == 0)
        b->state = b->state == HTTP_BODY_LENGTH ? HTTP_BODY_DONE : HTTP_BODY_DATA_CR;
    return n;
}

ssize_t http_body_feed(struct http_body *b, const uint8_t *in, size_t len)
{
    size_t at = 0;

    while (at < len && b->state != HTTP_BODY_DONE && b->state != HTTP_BODY_BAD) {
        if (b->state == HTTP_BODY_LENGTH || b->state == HTTP_BODY_DATA)
            at += skip(b, len - at);
        else
            b->state = step(b, in[at++]);
    }
    return b->state == HTTP_BODY_BAD ? -EPROTO : (ssize_t)at;
}

bool http_body_is_done(const struct http_body *b)
{
    return b->state == HTTP_BODY_DONE;
}
