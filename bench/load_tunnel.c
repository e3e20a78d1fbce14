#include "load_tunnel.h"

#include "load.h"
#include "load_pattern.h"
#include "load_token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 65536U
#define FRAME_MAX (66U << 10)
#define SMALL_MAX 125U /* of a control frame of WebSocket, RFC 6455 section 5.5 */
#define KEPT_BYTES 16U /* of a control frame of M-PROXY: [2,"grant" */

enum { WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };
enum kind { KIND_DATA, KIND_END, KIND_PAUSE, KIND_RESUME, KIND_CONTROL, KIND_NOBODY };

/* How far the bytes from the relay have been read. */
struct tunnel {
    struct head upgrade;
    bool is_open, is_over;
    uint8_t opcode, ws_have, ws[10];
    uint64_t ws_left;
    uint8_t small_len, small[SMALL_MAX];
    uint16_t mp_have;
    uint8_t mp[2 + 255];
    uint64_t mp_left;
    enum kind kind;
    struct talk *talk; /* of the frame that is being read, or was last */
    uint8_t kept_len, kept[KEPT_BYTES];
};

static struct talk *map[BUCKETS]; /* of all tunnels */
static uint8_t frame[FRAME_MAX];

struct tunnel *tunnel_new(void)
{
    struct tunnel *t = calloc(1, sizeof(*t));

    if (!t)
        die("memory");
    return t;
}

static uint32_t random_mask(void)
{
    static uint64_t state = UINT64_C(0x2545f4914f6cdd1d);

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

/* Writes a message's head.  Returns its length; *mask is for its payload. */
static size_t write_ws(uint8_t *out, uint8_t opcode, size_t len, uint64_t *mask)
{
    uint32_t key = random_mask();
    size_t at = 2;

    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = (uint8_t)(0x80 | len);
    if (len > 125) {
        unsigned bytes = len > 0xffff ? 8 : 2;

        out[1] = len > 0xffff ? 0xff : 0xfe;
        while (bytes--)
            out[at++] = bytes < sizeof(len) ? (uint8_t)(len >> bytes * 8) : 0;
    }
    memcpy(out + at, &key, 4);
    *mask = (uint64_t)key << 32 | key;
    return at + 4;
}

static size_t write_number(uint8_t *out, uint64_t number)
{
    uint8_t digits[20];
    size_t count = 0;

    do
        digits[count++] = (uint8_t)('0' + number % 10);
    while (number /= 10);
    for (size_t i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

/* "family,address,port,LEN,service,port,name" */
static size_t write_mp(uint8_t *out, const struct talk *t, const char *tail, size_t tail_len,
                       size_t body_len)
{
    size_t len = 2;

    memcpy(out + len, t->cid, t->cid_len);
    len += t->cid_len;
    len += write_number(out + len, body_len);
    memcpy(out + len, tail, tail_len);
    len += tail_len;
    out[0] = 0xfe;
    out[1] = (uint8_t)(len - 2);
    return len;
}

/* Sends a frame of the talk's pattern, or of bytes[0..len). */
static void send_frame(struct talk *t, const uint8_t *bytes, size_t len)
{
    uint8_t head[2 + 255];
    size_t head_len = write_mp(head, t, t->tail, t->tail_len, len);
    uint64_t mask;
    size_t at;

    if (len > FRAME_MAX - 512)
        die("a frame of %zu bytes", len);
    at = write_ws(frame, WS_BINARY, head_len + (options.messages == 2 ? 0 : len), &mask);
    memcpy(frame + at, head, head_len);
    mask_bytes(frame + at, head_len, mask);
    at += head_len;
    mask = mask_turn(mask, head_len);
    if (options.messages == 2) {
        link_put(t->link, frame, at);
        at = write_ws(frame, WS_BINARY, len, &mask);
    }
    if (bytes) {
        memcpy(frame + at, bytes, len);
        mask_bytes(frame + at, len, mask);
    } else {
        pattern_fill(frame + at, len, t->seed, t->at, mask);
    }
    link_put(t->link, frame, at + len);
}

void tunnel_say(struct talk *t, const uint8_t *bytes, size_t len)
{
    send_frame(t, bytes, len);
}

void tunnel_say_pattern(struct talk *t, size_t len)
{
    send_frame(t, NULL, len);
}

size_t tunnel_body_max(const struct talk *t)
{
    size_t around = 8 + 2 + (size_t)t->cid_len + 5 + t->tail_len;

    return options.frame > around + 64 ? options.frame - around : 64;
}

static void send_small(struct link *l, uint8_t opcode, const void *bytes, size_t len)
{
    uint64_t mask;
    size_t at = write_ws(frame, opcode, len, &mask);

    if (len)
        memcpy(frame + at, bytes, len);
    mask_bytes(frame + at, len, mask);
    link_put(l, frame, at + len);
}

/* As the clients from 0.20 on say it: no body. */
void tunnel_say_word(struct talk *t, const char *word)
{
    uint8_t head[2 + 255];
    char tail[128];
    const char *port = memchr(t->tail + 1, ',', t->tail_len - 1U); /* ",https,443,name" */
    size_t rest = port ? (size_t)(t->tail + t->tail_len - port) : 0, len = strlen(word);

    tail[0] = ',';
    memcpy(tail + 1, word, len++);
    if (port)
        memcpy(tail + len, port, rest);
    send_small(t->link, WS_BINARY, head, write_mp(head, t, tail, len + rest, 0));
}

static struct talk **place_of(const struct link *l, const char *cid, size_t len)
{
    uint32_t hash = UINT32_C(2166136261) ^ l->index * 2654435761U;
    struct talk **at;

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)cid[i]) * 16777619U;
    at = &map[(hash ^ hash >> 16) % BUCKETS];
    while (*at && ((*at)->link != l || (*at)->cid_len != len || memcmp((*at)->cid, cid, len) != 0))
        at = &(*at)->chain;
    return at;
}

static void remove_talk(struct talk *t)
{
    struct talk **place = place_of(t->link, t->cid, t->cid_len);

    *place = t->chain;
    t->link->tunnel->talk = NULL;
    talk_free(t);
}

/* Its talk is removed once the frame that it ended in has been read. */
void tunnel_say_end(struct talk *t)
{
    tunnel_say_word(t, "end");
}

void tunnel_free(struct link *l)
{
    for (unsigned i = 0; i < BUCKETS && options.work != WORK_HANDSHAKES; i++)
        for (struct talk **at = &map[i]; *at;) {
            struct talk *t = *at;

            if (t->link != l) {
                at = &t->chain;
                continue;
            }
            *at = t->chain;
            talk_free(t);
        }
    free(l->tunnel);
    l->tunnel = NULL;
}

void tunnel_ask_upgrade(struct link *l)
{
    char text[4096], token[2048], name[NAME_SIZE];
    int len;

    name_write(l->index, name);
    token_write(name, token, sizeof(token));
    len = snprintf(text, sizeof(text),
                   "GET / HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                   "Authorization: Bearer %s\r\n\r\n",
                   options.far_port, token);
    link_put(l, (const uint8_t *)text, (size_t)len);
}

static enum kind kind_of(const char *word, size_t len)
{
    static const char *const words[] = {[KIND_END] = "end",
                                        [KIND_PAUSE] = "pause",
                                        [KIND_RESUME] = "resume",
                                        [KIND_CONTROL] = "control"};

    for (enum kind k = KIND_END; k <= KIND_CONTROL; k++)
        if (strlen(words[k]) == len && memcmp(words[k], word, len) == 0)
            return k;
    return len == 5 && memcmp(word, "error", 5) == 0 ? KIND_END : KIND_DATA;
}

static struct talk *add_talk(struct link *l, struct talk **place, const char *cid, size_t cid_len,
                             const char *tail, size_t tail_len)
{
    struct talk *t = talk_new(l);

    if (cid_len > sizeof(t->cid) || tail_len > sizeof(t->tail))
        die("a long header");
    memcpy(t->cid, cid, cid_len);
    memcpy(t->tail, tail, tail_len);
    t->cid_len = (uint8_t)cid_len;
    t->tail_len = (uint8_t)tail_len;
    t->chain = NULL;
    *place = t;
    return t;
}

/* A whole header is there: finds whom it is for. */
static void begin_frame(struct link *l)
{
    struct tunnel *u = l->tunnel;
    const char *text = (const char *)u->mp + 2, *end = (const char *)u->mp + u->mp_have;
    const char *at = text, *word, *word_end;
    char *number_end;
    size_t cid_len;
    struct talk **place;

    for (unsigned i = 0; i < 3; i++)
        if (!(at = memchr(at, ',', (size_t)(end - at))) || ++at == end)
            die("a broken header");
    cid_len = (size_t)(at - text);
    u->mp_left = strtoull(at, &number_end, 10);
    word = number_end < end ? number_end + 1 : end;
    word_end = memchr(word, ',', (size_t)(end - word));
    u->kind = kind_of(word, (size_t)((word_end ? word_end : end) - word));
    u->kept_len = 0;
    if (u->kind == KIND_CONTROL)
        return;
    if (u->talk && u->talk->cid_len == cid_len && memcmp(u->talk->cid, text, cid_len) == 0)
        return;
    place = place_of(l, text, cid_len);
    u->talk = *place;
    if (!u->talk && u->kind == KIND_DATA)
        u->talk = add_talk(l, place, text, cid_len, number_end, (size_t)(end - number_end));
    else if (!u->talk)
        u->kind = KIND_NOBODY;
}

static void end_frame(struct link *l)
{
    static const char ack[] = "\xfe\x0c,,,9,control[-1,null]";
    struct tunnel *u = l->tunnel;

    u->mp_have = 0;
    if (u->kind == KIND_CONTROL && u->kept_len > 4 && memmem(u->kept, u->kept_len, "grant", 5)) {
        if (l->state == LINK_UPGRADE)
            l->is_done = true;
    } else if (u->kind == KIND_CONTROL && memmem(u->kept, u->kept_len, "hello", 5)) {
        send_small(l, WS_BINARY, ack, sizeof(ack) - 1);
    } else if (u->kind == KIND_PAUSE || u->kind == KIND_RESUME) {
        talk_set_paused(u->talk, u->kind == KIND_PAUSE);
    } else if (u->kind == KIND_END) {
        tunnel_say_end(u->talk);
        remove_talk(u->talk);
    } else if (u->kind == KIND_DATA && u->talk->state == TALK_OVER) {
        remove_talk(u->talk);
    }
}

static void take_body(struct tunnel *u, const uint8_t *in, size_t len)
{
    size_t keeps = KEPT_BYTES - u->kept_len < len ? KEPT_BYTES - u->kept_len : len;

    if (u->kind == KIND_DATA) {
        talk_take(u->talk, in, len);
    } else if (u->kind == KIND_CONTROL) {
        memcpy(u->kept + u->kept_len, in, keeps);
        u->kept_len = (uint8_t)(u->kept_len + keeps);
    }
}

/* Copies what is missing of `wanted` bytes.  Returns how many it took. */
static size_t gather(uint8_t *have, size_t had, size_t wanted, const uint8_t *in, size_t len)
{
    size_t count = wanted - had < len ? wanted - had : len;

    memcpy(have + had, in, count);
    return count;
}

static void take_mp(struct link *l, const uint8_t *in, size_t len)
{
    struct tunnel *u = l->tunnel;

    while (len) {
        bool has_head = u->mp_have >= 2 && u->mp_have == 2U + u->mp[1];
        size_t used;

        if (has_head) {
            used = u->mp_left < len ? (size_t)u->mp_left : len;
            take_body(u, in, used);
            u->mp_left -= used;
        } else {
            size_t wanted = u->mp_have < 2 ? 2U : 2U + u->mp[1];

            used = gather(u->mp, u->mp_have, wanted, in, len);
            u->mp_have = (uint16_t)(u->mp_have + used);
            if (u->mp[0] != 0xfe)
                die("not a frame");
            has_head = u->mp_have > 2 && u->mp_have == 2U + u->mp[1];
            if (has_head)
                begin_frame(l);
        }
        if (has_head && u->mp_left == 0)
            end_frame(l);
        in += used;
        len -= used;
    }
}

static size_t take_ws_head(struct tunnel *u, const uint8_t *in, size_t len)
{
    size_t more = u->ws_have < 2            ? 0U
                  : (u->ws[1] & 127) == 126 ? 2U
                  : (u->ws[1] & 127) == 127 ? 8U
                                            : 0U;
    size_t used = gather(u->ws, u->ws_have, 2 + more, in, len);

    u->ws_have = (uint8_t)(u->ws_have + used);
    if (u->ws_have < 2)
        return used;
    more = (u->ws[1] & 127) == 126 ? 2U : (u->ws[1] & 127) == 127 ? 8U : 0U;
    if (u->ws_have < 2 + more)
        return used;
    u->opcode = u->ws[0] & 15;
    u->ws_left = more ? 0 : u->ws[1] & 127U;
    for (size_t i = 0; i < more; i++)
        u->ws_left = u->ws_left << 8 | u->ws[2 + i];
    u->small_len = 0;
    return used;
}

static bool has_ws_head(const struct tunnel *u)
{
    size_t more = (u->ws[1] & 127) == 126 ? 2U : (u->ws[1] & 127) == 127 ? 8U : 0U;

    return u->ws_have >= 2 && u->ws_have == 2 + more;
}

static void take_ws_body(struct link *l, const uint8_t *in, size_t len)
{
    struct tunnel *u = l->tunnel;

    if (u->opcode < WS_CLOSE)
        take_mp(l, in, len);
    else
        u->small_len = (uint8_t)(u->small_len + gather(u->small, u->small_len, SMALL_MAX, in, len));
}

static void end_message(struct link *l)
{
    struct tunnel *u = l->tunnel;

    u->ws_have = 0;
    if (u->opcode == WS_PING)
        send_small(l, WS_PONG, u->small, u->small_len);
    u->is_over |= u->opcode == WS_CLOSE;
}

bool tunnel_take(struct link *l, uint8_t *in, size_t len)
{
    struct tunnel *u = l->tunnel;

    while (len) {
        size_t used;

        if (!u->is_open) {
            used = head_take(&u->upgrade, in, len, &u->is_open);
            if (u->is_open && memcmp(u->upgrade.text, "HTTP/1.1 101", 12) != 0)
                die("the upgrade is refused: %.100s", u->upgrade.text);
        } else if (!has_ws_head(u)) {
            used = take_ws_head(u, in, len);
            if (has_ws_head(u) && u->ws_left == 0)
                end_message(l);
        } else {
            used = u->ws_left < len ? (size_t)u->ws_left : len;
            take_ws_body(l, in, used);
            u->ws_left -= used;
            if (u->ws_left == 0)
                end_message(l);
        }
        in += used;
        len -= used;
    }
    return !u->is_over;
}
