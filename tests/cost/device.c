#include "device.h"

#include "lockstep.h"

#include <stdio.h>
#include <string.h>

static struct device_stream *stream_of(struct device *d, struct slice cid)
{
    for (unsigned i = 0; i < d->stream_count; i++)
        if (slice_is_text(cid, d->streams[i].cid))
            return &d->streams[i];
    return NULL;
}

static struct device_stream *open_stream(struct device *d, struct slice cid)
{
    struct device_stream *s = &d->streams[d->stream_count++];

    if (d->stream_count > DEVICE_STREAMS || cid.len >= sizeof(s->cid))
        lockstep_fail("a device hears of too many streams");
    *s = (struct device_stream){.heard = 0};
    (void)slice_write(cid, s->cid, sizeof(s->cid));
    return s;
}

static void hear_head(struct device *d, const struct mproxy_head *head)
{
    struct device_stream *s = stream_of(d, head->cid);

    d->now = NULL;
    d->controls += head->kind == MPROXY_CONTROL;
    if (!head->has_cid)
        return;
    if (head->kind == MPROXY_DATA)
        d->now = s ? s : open_stream(d, head->cid);
    else
        lockstep_fail("a device is told that a stream has ended, failed or must pause");
}

static void hear_mproxy(struct device *d, const uint8_t *in, size_t len)
{
    while (len) {
        struct mproxy_event event;
        ssize_t used = mproxy_decoder_feed(&d->mproxy, in, len, &event);

        if (used <= 0)
            lockstep_fail("a device cannot read the relay's frames");
        if (event.kind == MPROXY_HEAD)
            hear_head(d, &event.head);
        else if (event.kind == MPROXY_BODY && d->now)
            d->now->heard += event.span.len;
        in += used;
        len -= (size_t)used;
    }
}

static void hear_ws(struct device *d, uint8_t *in, size_t len)
{
    while (len) {
        struct ws_event event;
        ssize_t used = ws_decoder_feed(&d->ws, in, len, &event);

        if (used <= 0 || event.kind == WS_CLOSE)
            lockstep_fail("the relay has ended a tunnel");
        if (event.kind == WS_DATA)
            hear_mproxy(d, event.span.ptr, event.span.len);
        in += used;
        len -= (size_t)used;
    }
}

/* Waits for the nth time until there is something to read, and reads all that is there. */
static void hear(struct device *d, unsigned nth)
{
    static uint8_t bytes[65536];
    int got = SSL_read(d->ssl, bytes, sizeof(bytes));

    if (got <= 0 && SSL_get_error(d->ssl, got) != SSL_ERROR_WANT_READ)
        lockstep_fail("a device has lost its tunnel");
    if (got <= 0)
        lockstep_wait(nth);
    for (; got > 0; got = SSL_read(d->ssl, bytes, sizeof(bytes)))
        hear_ws(d, bytes, (size_t)got);
}

void device_await(struct device *d, const char *cid, size_t len)
{
    struct device_stream *s = stream_of(d, slice_text(cid));

    for (unsigned nth = 0; !s || s->heard < len; nth++) {
        hear(d, nth);
        s = stream_of(d, slice_text(cid));
    }
    s->heard -= len;
}

void device_forget(struct device *d)
{
    d->stream_count = 0;
    d->now = NULL;
}

static void say_message(struct device *d, enum ws_opcode opcode, const void *head, size_t head_len,
                        struct slice body)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    size_t len = head_len + body.len;

    if (d->out_len + WS_HEAD_MAX + len > sizeof(d->out))
        lockstep_fail("a device says too much at once");
    d->out_len += ws_write_head_masked(d->out + d->out_len, opcode, len, key);
    memcpy(d->out + d->out_len, head, head_len);
    if (body.len)
        memcpy(d->out + d->out_len + head_len, body.ptr, body.len);
    ws_mask(d->out + d->out_len, len, key, 0);
    d->out_len += len;
}

void device_say(struct device *d, const char *cid, const char *word, const void *body, size_t len)
{
    char head[2 + 255];
    int text_len = snprintf(head + 2, sizeof(head) - 2, "%s,%zu,%s", cid, len, word);

    head[0] = (char)0xfe;
    head[1] = (char)text_len;
    say_message(d, WS_OP_BINARY, head, 2 + (size_t)text_len, slice_of(body, len));
}

static void settle(struct device *d)
{
    d->end.sent = BIO_number_written(SSL_get_wbio(d->ssl));
    end_settle(&d->end);
}

void device_flush(struct device *d)
{
    if (d->out_len && SSL_write(d->ssl, d->out, (int)d->out_len) != (int)d->out_len)
        lockstep_fail("a device's socket does not take what is sent in one turn");
    d->out_len = 0;
    settle(d);
}

static void shake_hands(struct device *d)
{
    unsigned nth = 0;
    int done;

    while ((done = SSL_connect(d->ssl)) != 1) {
        if (SSL_get_error(d->ssl, done) != SSL_ERROR_WANT_READ)
            lockstep_fail("a device's TLS handshake has failed");
        if (BIO_number_written(SSL_get_wbio(d->ssl)) != d->end.sent) {
            settle(d);
            lockstep_turn();
            nth = 0;
        } else {
            lockstep_wait(nth++);
        }
    }
}

/* The answer must come before hello: what follows it in the same read is heard. */
static void upgrade(struct device *d, const char *token)
{
    static uint8_t bytes[16384];
    size_t len = 0;
    uint8_t *end = NULL;

    d->out_len = (size_t)snprintf((char *)d->out, sizeof(d->out),
                                  "GET / HTTP/1.1\r\nHost: relay.test\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                  "Authorization: Bearer %s\r\n\r\n",
                                  token);
    device_flush(d);
    lockstep_turn();
    for (unsigned nth = 0; !end; nth++) {
        int got = SSL_read(d->ssl, bytes + len, (int)(sizeof(bytes) - len));

        len += got > 0 ? (size_t)got : 0;
        end = memmem(bytes, len, "\r\n\r\n", 4);
        if (!end)
            lockstep_wait(nth);
    }
    if (memcmp(bytes, "HTTP/1.1 101", 12) != 0)
        lockstep_fail("a device is refused");
    hear_ws(d, end + 4, len - (size_t)(end + 4 - bytes));
}

void device_open(struct device *d, SSL_CTX *context, const char *token)
{
    static const char ack[] = "[-1,null]";

    *d = (struct device){.out_len = 0};
    ws_decoder_init(&d->ws, WS_FROM_RELAY, WS_TEXT_CHECKED, 0);
    mproxy_decoder_init(&d->mproxy, SIZE_MAX, d->mproxy_head);
    d->ssl = SSL_new(context);
    end_open(&d->end);
    lockstep_accept(1);
    if (!d->ssl || SSL_set_fd(d->ssl, d->end.fd) != 1 ||
        SSL_set_tlsext_host_name(d->ssl, "relay.test") != 1)
        lockstep_fail("no TLS for a device");
    shake_hands(d);
    upgrade(d, token);
    for (unsigned nth = 0; d->controls < 2; nth++)
        hear(d, nth);
    device_say(d, ",,", "control", ack, strlen(ack));
    device_flush(d);
    lockstep_turn();
}

void device_close(struct device *d)
{
    static const uint8_t code[] = {0x03, 0xe8};

    say_message(d, WS_OP_CLOSE, code, sizeof(code), slice_of(NULL, 0));
    device_flush(d);
    lockstep_turn();
    end_finish(&d->end);
    lockstep_turn();
    SSL_free(d->ssl);
    end_close(&d->end);
}
