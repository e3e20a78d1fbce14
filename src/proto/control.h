/* control.h - the JSON bodies of M-PROXY control frames, and the JSON we refuse with.
 *
 * A command is [id,"name",argument...] with id above 0; the answer to it [-id,null] or
 * [-id,{"message","code"}]; [0,{"message","code"}] answers nothing in particular.
 *
 * Threads: reentrant.
 * Memory:  a parsed control owns its document: control_fini() it.  Slices point into that.
 * Errors:  parse: -EPROTO not such a message, -EMSGSIZE over CONTROL_MAX, -ENOMEM.
 *          write: the length, or -ENOBUFS if it does not fit.
 */
#ifndef RVPN_PROTO_CONTROL_H
#define RVPN_PROTO_CONTROL_H

#include "base/slice.h"

#include <jansson.h>
#include <sys/types.h>

#define CONTROL_MAX 16384U    /* bytes of a message we read */
#define CONTROL_DEPTH_MAX 16U /* brackets within brackets */

enum control_kind {
    CONTROL_ADD_TOKEN,    /* `token`, empty if the argument is none */
    CONTROL_DELETE_TOKEN, /* `token`, which is "*" for all */
    CONTROL_AUTH,         /* auth, authn, authz: `token` if the argument is or carries one */
    CONTROL_OK,           /* [-id,null]: what we asked with `id` went well */
    CONTROL_ERROR,        /* [-id,{...}] or [0,{...}]: `message` and `code`, empty if absent */
    CONTROL_UNKNOWN,      /* any other `command`: to be answered E_UNKNOWN_COMMAND */
};

struct control {
    enum control_kind kind;
    int64_t id; /* never below 0: of an answer, the id of the command it answers */
    struct slice command;
    struct slice token;
    struct slice message;
    struct slice code;
    json_t *document;
};

/* Reads one message from a device.  Duplicate members and NUL characters are refused. */
int control_parse(const uint8_t *in, size_t len, struct control *out);
void control_fini(struct control *c);

/* The text member `name` of the command's object argument ("subject", "scope", "hostname", ...);
 * empty if there is none.  Lent until control_fini(). */
struct slice control_text(const struct control *c, const char *name);

/* [1,"hello",[1],["add_token","delete_token","auth","authn","authz"]] */
ssize_t control_write_hello(uint8_t *out, size_t size);

/* What a device is told it serves: one for each name ("https", host) and each port ("tcp", host,
 * port). */
struct control_grant {
    struct slice service;
    struct slice host;
    uint16_t port; /* 0: left out */
};

/* [2,"grant",[["https","x.example.com"],["tcp","tcp.example.com",30001]]] */
ssize_t control_write_grant(uint8_t *out, size_t size, const struct control_grant *grants,
                            size_t count);

/* [-id,null] */
ssize_t control_write_ok(uint8_t *out, size_t size, int64_t id);

/* Why something was refused. */
struct control_fault {
    struct slice message; /* "invalid access token" */
    struct slice code;    /* "E_INVALID_TOKEN" */
};

/* [-id,{"message":"...","code":"..."}], or [0,{...}] if `id` is 0 */
ssize_t control_write_error(uint8_t *out, size_t size, int64_t id, struct control_fault fault);

/* {"message":"...","code":"..."}: the body of a stream's error frame */
ssize_t control_write_fault(uint8_t *out, size_t size, struct control_fault fault);

/* {"error":{"message":"...","code":"..."}}: the one text message we ever send, before we close */
ssize_t control_write_text_error(uint8_t *out, size_t size, struct control_fault fault);

#endif
