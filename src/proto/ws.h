/* ws.h - WebSocket frames (RFC 6455 section 5): bytes to events, and heads to bytes.
 *
 * The decoder never gathers a message: payload is unmasked where it lies and handed on piece by
 * piece.  Only a head that came in parts and the (at most 125) bytes of a control frame are kept.
 * No extension is spoken, so every reserved bit is an error.
 *
 * Threads: reentrant; a decoder belongs to its loop.
 * Memory:  spans of WS_DATA are lent from in[]; of the other events from the decoder, until its
 *          next feed.
 * Errors:  -EPROTO with the code for our Close frame in `close_code`; the decoder is dead then.
 * Units:   bytes of payload.
 */
#ifndef RVPN_PROTO_WS_H
#define RVPN_PROTO_WS_H

#include "base/slice.h"
#include "proto/utf8.h"
#include "proto/ws_mask.h"

#include <sys/types.h>

#define WS_HEAD_MAX 14U     /* 2, an 8-byte length and a 4-byte key */
#define WS_CONTROL_MAX 125U /* payload of ping, pong and close */
#define WS_CLOSE_MAX (2 + WS_CONTROL_MAX)

enum ws_opcode {
    WS_OP_CONTINUATION = 0x0,
    WS_OP_TEXT = 0x1,
    WS_OP_BINARY = 0x2,
    WS_OP_CLOSE = 0x8,
    WS_OP_PING = 0x9,
    WS_OP_PONG = 0xA,
};

/* RFC 6455 section 7.4.1. */
enum ws_code {
    WS_CODE_NORMAL = 1000,
    WS_CODE_GOING_AWAY = 1001,
    WS_CODE_PROTOCOL = 1002,
    WS_CODE_UNACCEPTABLE = 1003,
    WS_CODE_NONE = 1005, /* never sent: the Close frame was empty */
    WS_CODE_BAD_UTF8 = 1007,
    WS_CODE_POLICY = 1008,
    WS_CODE_TOO_BIG = 1009,
    WS_CODE_INTERNAL = 1011,
    WS_CODE_TRY_LATER = 1013,
};

/* Who sends what a decoder reads: a device must mask, a relay must not. */
enum ws_sender { WS_FROM_DEVICE, WS_FROM_RELAY };

/* What a decoder does with text messages. */
enum ws_text {
    WS_TEXT_CHECKED, /* hands them on, and fails with 1007 at the first byte that is not UTF-8 */
    WS_TEXT_REFUSED, /* fails with 1003 */
};

enum ws_event_kind {
    WS_NONE, /* all bytes are used, and there is nothing to tell */
    WS_DATA, /* the next piece of a text or binary message */
    WS_PING, /* to be answered by a pong with the same span */
    WS_PONG,
    WS_CLOSE, /* whatever follows is swallowed */
};

struct ws_event {
    enum ws_event_kind kind;
    enum ws_opcode opcode; /* DATA: WS_OP_TEXT or WS_OP_BINARY, also for continuations */
    bool is_last;          /* DATA: the message ends with this piece, which may be empty */
    uint16_t code;         /* CLOSE: WS_CODE_NONE if the frame was empty */
    struct slice span;     /* DATA, PING, PONG: the payload; CLOSE: the reason */
};

enum ws_phase { WS_PHASE_HEAD, WS_PHASE_DATA, WS_PHASE_CONTROL, WS_PHASE_CLOSED, WS_PHASE_FAILED };

struct ws_decoder {
    enum ws_sender sender;
    enum ws_text text;
    uint64_t message_max;
    uint64_t message_len; /* of the open message, counting all of the current frame */
    uint64_t frame_len;
    uint64_t frame_at; /* payload bytes of the frame that have been seen */
    enum ws_phase phase;
    uint16_t close_code; /* what to close with after -EPROTO */
    uint8_t opcode;      /* of the current frame */
    uint8_t message;     /* opcode of the open message; 0: none is open */
    bool is_fin;
    uint8_t key[4];
    struct utf8 utf8; /* of the open text; whole between messages */
    uint8_t head_len; /* bytes of a head that came in parts */
    uint8_t head[WS_HEAD_MAX];
    uint8_t control[WS_CONTROL_MAX];
};

/* `message_max` is the most payload one message may have, over all its fragments; 0 sets none. */
void ws_decoder_init(struct ws_decoder *d, enum ws_sender sender, enum ws_text text,
                     uint64_t message_max);

/* Reads in[0..len) up to the next event, unmasking payload in place.  Returns how many bytes were
 * used, at least 1 if len is not 0, and fills *out; call again with the rest until all are used.
 * Returns -EPROTO if the peer broke the protocol. */
ssize_t ws_decoder_feed(struct ws_decoder *d, uint8_t *in, size_t len, struct ws_event *out);

/* How long the head of an unmasked frame of `len` bytes is: 2, 4 or 10.  A head may so be written
 * to end right before a payload that is already in place. */
static inline size_t ws_head_len(uint64_t len)
{
    return len <= 125 ? 2 : len <= 0xFFFF ? 4 : 10;
}

/* Writes the head of a whole, unmasked message (FIN set), as relays send it.
 * Returns ws_head_len(len). */
size_t ws_write_head(uint8_t *out, enum ws_opcode opcode, uint64_t len);

/* As ws_write_head(), but as devices send it: with `key`, by which the caller then masks the
 * payload.  Returns ws_head_len(len) + 4. */
size_t ws_write_head_masked(uint8_t *out, enum ws_opcode opcode, uint64_t len,
                            const uint8_t key[4]);

/* Writes a whole unmasked Close frame to out[0..WS_CLOSE_MAX), empty if `code` is WS_CODE_NONE;
 * a `reason` over 123 bytes is cut before a character.  Returns its length. */
size_t ws_write_close(uint8_t *out, uint16_t code, struct slice reason);

#endif
