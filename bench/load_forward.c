#include "load_forward.h"

#include "load.h"
#include "load_link.h"
#include "load_talk.h"
#include "load_tunnel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HIGH_BYTES (1U << 20)
#define LOW_BYTES (128U << 10)

struct forward {
    struct source source; /* first: a source is its forward */
    struct talk *talk;
    struct forward *next_held;
    bool is_dialling, is_paused, is_held, has_asked;
    uint8_t *rest; /* not taken by the service yet */
    size_t rest_len, rest_at, rest_room;
};

static uint8_t in[SCRATCH_BYTES];
static struct forward *held; /* not read until the link has sent what it has */
static struct link *spoken;  /* has something to send at the end of the turn */

/* What a visitor said in this turn, so that a service gets it at once. */
static struct forward *heard;
static uint8_t heard_bytes[SCRATCH_BYTES];
static size_t heard_len;

static void mind_events(struct forward *f)
{
    bool reads = !f->is_dialling && !f->is_paused && !f->is_held;

    /* EPOLLPRI never comes; it stands for nothing. */
    source_watch(&f->source, EPOLLPRI | (reads ? EPOLLIN : 0U) |
                                 (f->is_dialling || f->rest_len ? EPOLLOUT : 0U));
}

void forwards_wake(void)
{
    while (held) {
        struct forward *f = held;

        held = f->next_held;
        f->is_held = false;
        mind_events(f);
    }
}

static void hold(struct forward *f)
{
    f->is_held = true;
    f->next_held = held;
    held = f;
}

/* The talk stays until the relay says that the visitor is gone. */
static void end_service(struct forward *f)
{
    source_close(&f->source, CLOSING_FIN);
    f->talk->state = TALK_OVER;
    tunnel_say_end(f->talk);
}

static void read_service(struct forward *f)
{
    size_t most = tunnel_body_max(f->talk);
    ssize_t got = recv(f->source.fd, in, sizeof(in), 0);

    if (got == -1 && errno == EAGAIN)
        return;
    spoken = f->talk->link;
    if (got <= 0) {
        end_service(f);
        return;
    }
    for (size_t at = 0, len = (size_t)got; at < len; at += most)
        tunnel_say(f->talk, in + at, len - at < most ? len - at : most);
    if (spoken->rest_len)
        hold(f);
}

static void write_service(struct forward *f)
{
    ssize_t sent = send(f->source.fd, f->rest + f->rest_at, f->rest_len - f->rest_at, MSG_NOSIGNAL);

    if (sent > 0)
        f->rest_at += (size_t)sent;
    if (f->rest_at == f->rest_len)
        f->rest_at = f->rest_len = 0;
    if (f->has_asked && f->rest_len - f->rest_at < LOW_BYTES) {
        f->has_asked = false;
        spoken = f->talk->link;
        tunnel_say_word(f->talk, "resume");
    }
}

static void on_forward(struct source *s, uint32_t events)
{
    struct forward *f = (struct forward *)s;

    if (f->is_dialling) {
        f->is_dialling = false;
        if (dial_error(s->fd)) {
            spoken = f->talk->link;
            end_service(f);
            return;
        }
    }
    if (f->rest_len)
        write_service(f);
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        read_service(f);
    if (s->fd != -1)
        mind_events(f);
}

static void keep_rest(struct forward *f, const uint8_t *bytes, size_t len)
{
    size_t had = f->rest_len - f->rest_at;

    if (f->rest_at)
        memmove(f->rest, f->rest + f->rest_at, had);
    f->rest_at = 0;
    f->rest_len = had + len;
    if (f->rest_len > f->rest_room) {
        f->rest_room = f->rest_len;
        if (!(f->rest = realloc(f->rest, f->rest_room)))
            die("memory");
    }
    memcpy(f->rest + had, bytes, len);
    if (f->rest_len <= HIGH_BYTES || f->has_asked)
        return;
    f->has_asked = true;
    spoken = f->talk->link;
    tunnel_say_word(f->talk, "pause");
}

static void flush_heard(void)
{
    struct forward *f = heard;
    ssize_t sent = 0;

    heard = NULL;
    if (!f || f->source.fd == -1)
        return;
    if (!f->is_dialling && !f->rest_len)
        sent = send(f->source.fd, heard_bytes, heard_len, MSG_NOSIGNAL);
    if (sent < 0)
        sent = 0; /* a lost connection is seen by reading it */
    if ((size_t)sent < heard_len)
        keep_rest(f, heard_bytes + sent, heard_len - (size_t)sent);
    mind_events(f);
}

static void flush_all(void)
{
    flush_heard();
    if (spoken)
        link_flush(spoken);
    spoken = NULL;
}

void forward_take(struct forward *f, const uint8_t *bytes, size_t len)
{
    if (heard != f || heard_len + len > sizeof(heard_bytes)) {
        flush_heard();
        heard = f;
        heard_len = 0;
    }
    memcpy(heard_bytes + heard_len, bytes, len); /* of a message: at most what is read at once */
    heard_len += len;
}

struct forward *forward_new(struct talk *t)
{
    struct forward *f = calloc(1, sizeof(*f));

    if (!f)
        die("memory");
    loop_at_end = flush_all;
    f->source = (struct source){.fd = dial(options.forward_port), .on_events = on_forward};
    f->talk = t;
    f->is_dialling = true;
    mind_events(f);
    return f;
}

void forward_free(struct forward *f)
{
    if (heard == f)
        flush_heard();
    for (struct forward **at = &held; *at; at = &(*at)->next_held)
        if (*at == f) {
            *at = f->next_held;
            break;
        }
    if (f->source.fd != -1)
        source_close(&f->source, CLOSING_FIN);
    free(f->rest);
    loop_free_later(f);
}

void forward_set_paused(struct forward *f, bool is_paused)
{
    f->is_paused = is_paused;
    if (f->source.fd != -1)
        mind_events(f);
}
