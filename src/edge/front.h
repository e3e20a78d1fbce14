/* front.h - the relay's own HTTP/1.1: one connection, request after request, and the routes that
 * answer them.
 *
 * Heads are judged by proto/http_head; bodies are walked and dropped.  A handler answers once,
 * with front_respond() or by taking the connection over as a WebSocket.
 *
 * Threads: belongs to its worker's loop.
 * Memory:  `f` and `head` are lent to a handler for the call.
 */
#ifndef RVPN_EDGE_FRONT_H
#define RVPN_EDGE_FRONT_H

#include "edge/edge.h"
#include "proto/http_head.h"

struct front;

struct front_request {
    struct front *front;
    struct edge *edge;
    const struct http_head *head;
    struct address peer;
    const char *scheme; /* "https" or "http": how this connection came */
};

/* The table ends with a NULL path.  The first row that fits is taken: methods by name ("GET" also
 * answers HEAD), "WEBSOCKET" for an upgrade; a path exactly, or every path if it is "*". */
struct front_route {
    const char *method;
    const char *path;
    void (*handle)(const struct front_request *request);
};

struct front_response {
    int status;
    const char *type;    /* Content-Type; NULL: text/plain; charset=utf-8 */
    const char *headers; /* more field lines, each with its CRLF, or NULL */
    struct slice body;
};

/* Answers.  Copies everything.  HEAD gets no body. */
void front_respond(const struct front_request *request, const struct front_response *response);

/* Answers with a plain page of one sentence; `headers` as in a response. */
void front_respond_page(const struct front_request *request, int status, const char *sentence,
                        const char *headers);

/* Answers with JSON, not to be kept by anybody.  Takes `text`; NULL: there was no memory for it. */
void front_respond_json(const struct front_request *request, char *text);

/* As front_respond_page(), not to be kept by anybody. */
void front_refuse(const struct front_request *request, int status, const char *sentence);

/* For want of room: the same with Retry-After, not the same for all, lest all come back at once. */
void front_refuse_busy(const struct front_request *request, int status, const char *sentence);

/* For "WEBSOCKET" routes: checks the handshake, answers 101 and gives the conn (set its owner at
 * once); the front is gone then.  Returns NULL if it was no good and has been answered.  The bytes
 * behind the request are offered to the new owner. */
struct conn *front_take_websocket(const struct front_request *request);

/* Takes over a visitor's conn that wants the relay itself; TLS starts with a certificate for the
 * name it has asked for. */
enum front_kind { FRONT_PLAIN, FRONT_TLS };
void front_start(struct edge *e, struct conn *conn, const struct stream_request *request,
                 enum front_kind kind);

/* Looks at `most`, the longest quiet first, and drops those whose last request was answered, or
 * that came, before `before_ms`, unless they have an answer to take. */
void front_drop_silent(struct edge *e, int64_t before_ms, unsigned most);

/* Closes all that are open. */
void front_close_all(struct edge *e);

#endif
