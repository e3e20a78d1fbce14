/* session.h - one device: its WebSocket, what it may serve, and the streams through it.
 *
 * Threads: belongs to its loop; other threads see only what its seat lends to the registry.
 * Memory:  frees itself at the end of a turn once the device's connection is gone; the owner is
 *          told with on_end(SESSION_END_SELF) and must not touch it afterwards.
 * Errors:  0 or -Exxx.
 * Units:   bytes, milliseconds; unix seconds for expiry.
 */
#ifndef RVPN_TUNNEL_SESSION_H
#define RVPN_TUNNEL_SESSION_H

#include "net/conn.h"
#include "proto/control.h"
#include "proto/ws.h"
#include "tunnel/drain.h"
#include "tunnel/grant.h"
#include "tunnel/pulse.h"
#include "tunnel/registry.h"
#include "tunnel/stream.h"

#define SESSION_GOODBYE_MS                                                                         \
    1000                       /* between the last END and our Close: old clients crash otherwise */
#define SESSION_TOKENS_MAX 64U /* grants at once */

struct session_limits {
    struct flow_marks stream;  /* what may wait for one visitor */
    struct turns_marks tunnel; /* what may wait for the device before visitors are not read */
    size_t backlog;            /* what may wait for all visitors before each may have little */
    uint32_t streams_max;
    struct pulse_limits pulse;
    int64_t visitor_stall_ms, half_close_ms, tcp_silence_ms;
};

/* What all sessions of one worker share. */
struct session_setting {
    struct loop *loop;
    struct registry *registry;
    struct gather *gather;
    struct session_limits limits;
};

enum session_end {
    SESSION_END_TOKEN,   /* a token's time is over; its names are gone already */
    SESSION_END_STREAMS, /* the last stream has ended */
    SESSION_END_SELF,    /* the device's connection */
};

struct session_ops {
    /* The device has sent a control message. */
    void (*on_control)(void *owner, const struct control *control);

    /* A name or a port is served from now on: a port has to be opened.  An error undoes it. */
    int (*on_claimed)(void *owner, const struct claim *claim);
    void (*on_released)(void *owner, const struct claim *claim);

    /* The device could not serve a visitor, who has not had a byte yet.  Takes `visitor`.  With
     * `hold`, which is lent, the device is lost, and another one may get what it was sent; but
     * not before this event is over: until then the session is still in the registry. */
    void (*on_unserved)(void *owner, struct conn *visitor, enum stream_service service,
                        const struct hold *hold);

    /* Something has ended, see the enum; SELF is the last event. */
    void (*on_end)(void *owner, enum session_end what, const char *why);
};

enum session_state {
    SESSION_OPEN,    /* serves, or waits for a token */
    SESSION_LEAVING, /* streams have been told to end; Close follows */
    SESSION_GONE,    /* the connection is closed or on its way to be */
    SESSION_STATES
};

struct session {
    struct seat seat;
    const struct session_setting *setting;
    const struct session_ops *ops;
    void *owner;
    enum session_state state;
    struct conn *conn; /* NULL when GONE */
    struct ws_decoder ws;
    struct mux mux;
    struct list streams;
    struct turns turns; /* of the streams, towards the device */
    struct drain drain;
    unsigned unsent_limit; /* what conn_limit_unsent() was told */
    unsigned stream_count;
    unsigned blocked;       /* streams whose visitor is so far behind that the tunnel is not read */
    struct backlog backlog; /* what waits for all visitors */
    struct grant **grants;  /* NULL while there is none */
    unsigned grant_count;
    unsigned claim_count;
    struct map claims; /* the seat's claims by key, once there are many: see tenure.c */
    struct pulse pulse;
    int64_t ended_ms;        /* when the last stream ended */
    struct deadline ping;    /* the next look at the pulse */
    struct deadline expiry;  /* of the first token to expire */
    struct deadline goodbye; /* LEAVING: send Close */
    uint16_t goodbye_code;
    const char *goodbye_why;
    uint64_t last_stream;
    struct grave grave;
};

/* Who a session is for. */
struct session_peer {
    uint64_t id;
    unsigned worker;
    struct address address;
    enum dialect dialect;
    int64_t now_unix;
};

/* Takes `conn`, on which the WebSocket handshake is done.  Gives *out, which tells `owner` what
 * happens. */
int session_new(const struct session_setting *setting, const struct session_peer *peer,
                const struct session_ops *ops, void *owner, struct conn *conn,
                struct session **out);

/* Takes `grant` on success: its names and ports are served from now on.  Otherwise nothing has
 * changed.  -EACCES: another subject holds one of them (*refused counts hosts, then ports), or
 * what on_claimed() said.  -EDQUOT: too many tokens.  -EALREADY: it has that token.
 * Another token of the same id takes the place of the first. */
int session_take_grant(struct session *s, struct grant *grant, size_t *refused);

/* Ends what only this token granted; `token_id` NULL means all tokens.  -ENOENT. */
int session_drop_grant(struct session *s, const char *token_id, int64_t now_unix);

/* The claim that serves `host` or `port`, or NULL. */
struct claim *session_claim_for(struct session *s, const struct stream_request *request);

/* Whether it has a grant of the token that `like` is of. */
bool session_has_token(const struct session *s, const struct grant *like);

/* The first of its grants that names what `claim` serves. */
const struct grant *session_grant_of(const struct session *s, const struct claim *claim);

/* Whether it takes visitors, and one more of them. */
bool session_is_open(const struct session *s);
bool session_has_room(const struct session *s);

void session_send_control(struct session *s, const uint8_t *json, size_t len);

/* Sends a text message: the JSON error that the oldest clients know. */
void session_send_text(struct session *s, const uint8_t *text, size_t len);

/* Says goodbye: no more visitors, END for every stream, then Close `code`.  `why` is static. */
void session_leave(struct session *s, uint16_t code, const char *why);

/* The device's connection is no good, or nobody wants it any more: drops it at once. */
void session_drop(struct session *s, const char *why);

/* How it is with memory has changed: see loop_memory_level(). */
void session_on_memory(struct session *s);

/* Asks a session that the registry doubts for a sign of life: it is trusted again when it answers,
 * and dropped when it does not. */
void session_probe(struct session *s);

/* For its streams. */
uint64_t session_admit(struct session *s, struct stream *st);
void session_block(struct session *s);
void session_unblock(struct session *s);
void session_forget(struct session *s, struct stream *st);

#endif
