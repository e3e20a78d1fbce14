#include "proto/sniff.h"

#include "proto/client_hello.h"
#include "proto/http_head.h"

#include <errno.h>

#define WORD_MAX 32U /* letters of a method; the longest registered has 17 */

static bool is_word_byte(uint8_t c)
{
    uint8_t small = c | 0x20;

    return (small >= 'a' && small <= 'z') || c == '-' || c == '_';
}

/* A word and a space, after an empty line maybe. */
static enum sniffed_kind word_kind(const uint8_t *in, size_t len)
{
    size_t from = len && in[0] == '\r' ? 2 : 0;
    size_t at = from;

    if (from && len > 1 && in[1] != '\n')
        return SNIFFED_OTHER;
    while (at < len && at - from < WORD_MAX && is_word_byte(in[at]))
        at++;
    if (at >= len)
        return SNIFFED_UNKNOWN;
    return at > from && in[at] == ' ' ? SNIFFED_HTTP : SNIFFED_OTHER;
}

static enum sniffed_kind kind_of(const uint8_t *in, size_t len)
{
    if (len == 0)
        return SNIFFED_UNKNOWN;
    if (in[0] != 0x16)
        return word_kind(in, len);
    if (len == 1)
        return SNIFFED_UNKNOWN;
    return in[1] == 0x03 ? SNIFFED_TLS : SNIFFED_OTHER;
}

static enum sniff sniff_tls(const uint8_t *in, size_t len, struct sniffed *out)
{
    struct client_hello_wish wish;

    switch (client_hello_parse(in, len, &wish)) {
    case CLIENT_HELLO_MORE: out->due_at = len + client_hello_missing(in, len); return SNIFF_MORE;
    case CLIENT_HELLO_NO_NAME: return SNIFF_NO_HOST;
    case CLIENT_HELLO_FOUND: out->host = wish.host; return SNIFF_FOUND;
    case CLIENT_HELLO_BAD: break;
    }
    out->err = -EPROTO;
    return SNIFF_BAD;
}

static enum sniff sniff_http(const uint8_t *in, size_t len, struct sniffed *out)
{
    struct http_head head;
    ssize_t n = http_head_parse(in, len, &head);

    if (n < 0) {
        out->err = (int)n;
        return SNIFF_BAD;
    }
    if (n == 0)
        return SNIFF_MORE;
    if (!head.has_host)
        return SNIFF_NO_HOST;
    out->host = head.host;
    return SNIFF_FOUND;
}

static enum sniff look(const uint8_t *in, size_t len, struct sniffed *out)
{
    switch (out->kind) {
    case SNIFFED_UNKNOWN: return SNIFF_MORE;
    case SNIFFED_TLS: return sniff_tls(in, len, out);
    case SNIFFED_HTTP: return sniff_http(in, len, out);
    case SNIFFED_OTHER: break;
    }
    out->err = -EPROTO;
    return SNIFF_BAD;
}

enum sniff sniff(const uint8_t *in, size_t len, struct sniffed *out)
{
    size_t seen = len < SNIFF_MAX ? len : SNIFF_MAX;
    enum sniff answer;

    out->kind = kind_of(in, seen);
    out->err = 0;
    out->due_at = seen + 1;
    answer = look(in, seen, out);
    if (answer != SNIFF_MORE || seen < SNIFF_MAX)
        return answer;
    out->err = -EMSGSIZE;
    return SNIFF_BAD;
}

bool sniff_is_due(const struct sniffed *last, const uint8_t *in, size_t seen, size_t len)
{
    if (len >= SNIFF_MAX)
        return true;
    if (last->kind == SNIFFED_HTTP)
        return len > seen && memchr(in + seen, '\n', len - seen);
    return len >= last->due_at;
}
