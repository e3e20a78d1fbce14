#include "admin/echo.h"

#include "admin/websocket.h"
#include "base/log.h"

#include <errno.h>
#include <stdlib.h>

struct echo {
    struct websocket ws;
    enum { ECHO_BETWEEN, ECHO_INSIDE } message; /* inside: one has begun and not ended */
    struct grave grave;
};

static void on_piece(struct websocket *w, const struct ws_event *piece)
{
    struct echo *e = LIST_OWNER(w, struct echo, ws);
    enum ws_opcode opcode = e->message == ECHO_INSIDE ? WS_OP_CONTINUATION : piece->opcode;

    e->message = piece->is_last ? ECHO_BETWEEN : ECHO_INSIDE;
    websocket_send(w, opcode, piece->is_last ? WEBSOCKET_LAST : WEBSOCKET_MORE, piece->span);
}

static void free_echo(struct grave *g)
{
    free(LIST_OWNER(g, struct echo, grave));
}

static void on_end(struct websocket *w, const char *why)
{
    struct echo *e = LIST_OWNER(w, struct echo, ws);

    log_event(LOG_DEBUG, "echo_end", LOG_UINT("visitor", w->id), LOG_UINT("code", w->code),
              LOG_STR("why", why));
    loop_bury(w->edge->loop, &e->grave);
}

static const struct websocket_ops echo_ops = {.on_piece = on_piece, .on_end = on_end};

static struct echo *echo_new(void)
{
    struct echo *e = calloc(1, sizeof(*e));

    if (e)
        e->grave.free = free_echo;
    return e;
}

int echo_open(struct edge *edge, struct conn *conn)
{
    struct echo *e = echo_new();

    if (!e)
        return -ENOMEM;
    websocket_init(&e->ws, edge, conn, &echo_ops, 0);
    return 0;
}

void echo_start(const struct front_request *request)
{
    struct edge *edge = request->edge;
    struct conn *conn = front_take_websocket(request);

    if (conn && echo_open(edge, conn))
        conn_close(conn);
}
