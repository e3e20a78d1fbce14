#include "proto/utf8.h"

#include <errno.h>

/* How many bytes from the start are ASCII, eight at a time; may stop up to seven early. */
static size_t ascii_run(const uint8_t *in, size_t len)
{
    size_t at = 0;
    uint64_t word;

    for (; len - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, in + at, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    return at;
}

/* The first byte of a character: what must follow (RFC 3629 section 4). */
static int take_first(struct utf8 *u, uint8_t byte)
{
    u->low = 0x80;
    u->high = 0xBF;
    if (byte < 0x80) {
        u->more = 0;
    } else if (byte >= 0xC2 && byte <= 0xDF) {
        u->more = 1;
    } else if (byte >= 0xE0 && byte <= 0xEF) {
        u->more = 2;
        u->low = byte == 0xE0 ? 0xA0 : 0x80;
        u->high = byte == 0xED ? 0x9F : 0xBF;
    } else if (byte >= 0xF0 && byte <= 0xF4) {
        u->more = 3;
        u->low = byte == 0xF0 ? 0x90 : 0x80;
        u->high = byte == 0xF4 ? 0x8F : 0xBF;
    } else {
        return -EILSEQ;
    }
    return 0;
}

static int take_next(struct utf8 *u, uint8_t byte)
{
    if (byte < u->low || byte > u->high)
        return -EILSEQ;
    u->low = 0x80;
    u->high = 0xBF;
    u->more--;
    return 0;
}

int utf8_feed(struct utf8 *u, const uint8_t *in, size_t len)
{
    size_t at = 0;

    while (at < len) {
        if (u->more == 0)
            at += ascii_run(in + at, len - at);
        /* The rest of a word that is not all ASCII, byte by byte. */
        for (size_t end = len - at < 8 ? len : at + 8; at < end; at++) {
            int err = u->more ? take_next(u, in[at]) : take_first(u, in[at]);

            if (err)
                return err;
        }
    }
    return 0;
}

bool utf8_is_whole(const struct utf8 *u)
{
    return u->more == 0;
}

bool utf8_is_text(struct slice s)
{
    struct utf8 u = {0};

    return utf8_feed(&u, s.ptr, s.len) == 0 && utf8_is_whole(&u);
}
