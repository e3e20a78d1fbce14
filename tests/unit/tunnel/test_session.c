#include "tunnel/session.h"

#include "rig.h"

static struct rig *rig;

static int set_up(void **state)
{
    (void)state;
    rig = rig_new(DIALECT_FIRST);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_free(rig);
    return 0;
}

static const char *served_by(const char *host)
{
    struct route route;

    switch (registry_find(rig->setting.registry, slice_text(host), &route)) {
    case REGISTRY_FOUND: return "found";
    case REGISTRY_AWAY: return "away";
    case REGISTRY_UNKNOWN: break;
    }
    return "unknown";
}

static void control_messages_come_to_the_owner(void **state)
{
    (void)state;
    assert_int_equal(rig->session->mux.dialect, DIALECT_FIRST);
    rig_say_control(rig, "[123,\"add_token\",\"abc\"]");
    RIG_UNTIL(rig, rig->controls == 1);
    assert_int_equal(rig->last_control.kind, CONTROL_ADD_TOKEN);
    assert_int_equal(rig->last_control.id, 123);
    assert_int_equal(rig->session->mux.dialect, DIALECT_CONTROL); /* it has shown its age */
    session_send_control(rig->session, (const uint8_t *)"[-123,null]", 11);
    RIG_UNTIL(rig, rig->control_len == 11);
    assert_string_equal(rig->control, "[-123,null]");
}

static void what_is_no_command_is_answered_and_forgiven(void **state)
{
    static const char *const bad[] = {"{}", "[", "[1]", "\xff", "[1,2,3]"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        rig->control_len = 0;
        rig_say_control(rig, bad[i]);
        RIG_UNTIL(rig, rig->control_len > 0);
        assert_non_null(strstr(rig->control, "E_BAD_COMMAND"));
    }
    assert_int_equal(rig->controls, 0);
    assert_true(session_is_open(rig->session));
}

static void a_device_without_control_is_told_nothing_in_it(void **state)
{
    (void)state;
    rig_free(rig);
    rig = rig_new(DIALECT_GO);
    session_send_control(rig->session, (const uint8_t *)"[1]", 3);
    session_send_text(rig->session, (const uint8_t *)"{\"error\":1}", 11);
    RIG_UNTIL(rig, rig->text[0]);
    assert_string_equal(rig->text, "{\"error\":1}");
    assert_int_equal(rig->frame_count, 0);
}

static void a_ping_is_answered_with_what_it_held(void **state)
{
    (void)state;
    rig_say_raw(rig, WS_OP_PING, "12345", 5);
    RIG_UNTIL(rig, rig->pongs == 1);
    assert_memory_equal(rig->wire.bytes + rig->wire.len - 5, "12345", 5);
}

static void a_silent_device_is_pinged_and_dropped(void **state)
{
    (void)state;
    rig_wait(rig, 19900);
    assert_int_equal(rig->pings, 0);
    rig_wait(rig, 200);
    assert_int_equal(rig->pings, 1);
    rig_say_raw(rig, WS_OP_PONG, NULL, 0);
    rig_wait(rig, 19900);
    assert_int_equal(rig->pings, 1);
    rig_wait(rig, 300);
    assert_int_equal(rig->pings, 2);
    rig_wait(rig, 9800);
    assert_non_null(rig->session);
    rig_wait(rig, 300);
    assert_null(rig->session);
    assert_string_equal(rig->end_why, "device_silent");
    RIG_UNTIL(rig, rig->wire.end != WIRE_OPEN);
}

/* It cannot answer before it has heard the ping, which waits behind an upload. */
static void a_device_behind_a_slow_link_is_not_silent(void **state)
{
    static uint8_t bytes[400000];
    struct rig_visitor *v;

    (void)state;
    assert_int_equal(setsockopt(rig->device, SOL_SOCKET, SO_RCVBUF, &(int){16384}, sizeof(int)), 0);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    for (int seconds = 0; seconds < 90; seconds++) {
        (void)send(v->fd, bytes, sizeof(bytes), MSG_NOSIGNAL);
        skip_ms(1000);
        pump(&rig->loop);
        assert_non_null(rig->session);
        while (recv(rig->device, bytes, 3000, 0) == -1) {
            assert_int_equal(errno, EAGAIN);
            (void)poll(&(struct pollfd){.fd = rig->device, .events = POLLIN}, 1, 10);
            pump(&rig->loop);
        }
    }
    assert_true(conn_queued(rig->session->conn) > 0);
    for (int seconds = 0; seconds < 31 && rig->session; seconds++) { /* it hangs now */
        skip_ms(1000);
        pump(&rig->loop);
    }
    assert_null(rig->session);
    assert_string_equal(rig->end_why, "device_silent");
}

/* Its own pings are not read meanwhile, and clients of all ages give up after a while. */
static void a_device_that_is_not_read_hears_that_we_live(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    uint8_t bytes[50000] = {0};

    (void)state;
    while (rig->session->blocked == 0)
        rig_say(rig, v->cid, "https", bytes, sizeof(bytes));
    rig_wait(rig, 16000);
    assert_int_equal(rig->session->blocked, 1);
    assert_int_equal(rig->pongs, 3);
}

static void a_device_that_talks_is_not_pinged(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        rig_wait(rig, 15000);
        rig_say_raw(rig, WS_OP_PING, NULL, 0);
        rig_turns(rig, 5);
    }
    assert_int_equal(rig->pings, 0);
}

static void a_close_is_answered_in_kind(void **state)
{
    (void)state;
    rig_say_raw(rig, WS_OP_CLOSE,
                "\x03\xe8"
                "bye",
                5);
    RIG_UNTIL(rig, rig->close_code);
    assert_int_equal(rig->close_code, 1000);
    assert_null(rig->session);
    assert_string_equal(rig->end_why, "device_close");
    RIG_UNTIL(rig, rig->wire.end == WIRE_EOF);
}

static void what_came_before_the_close_is_delivered(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    rig_say_data(rig, v, " the end");
    rig_say(rig, v->cid, "end", " ", 1);
    rig_say_raw(rig, WS_OP_CLOSE, NULL, 0);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    assert_int_equal(v->in.end, WIRE_EOF);
    assert_int_equal(v->in.len, 13);
    RIG_UNTIL(rig, rig->close_code == WS_CODE_NONE);
}

static void a_broken_frame_is_answered_with_a_code(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
        int code;
        const char *why;
    } rows[] = {
        {"\x82\x01x", 3, 1002, "bad_websocket"},         /* not masked */
        {"\xf2\x80\0\0\0\0", 6, 1002, "bad_websocket"},  /* reserved bits */
        {"\x81\x81\0\0\0\0x", 7, 1003, "bad_websocket"}, /* text */
        {"\x82\x81\0\0\0\0x", 7, 1002, "bad_frame"},     /* no M-PROXY */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        wire_send(rig->device, rows[i].bytes, rows[i].len);
        RIG_UNTIL(rig, !rig->session);
        RIG_UNTIL(rig, rig->close_code);
        assert_int_equal(rig->close_code, rows[i].code);
        assert_string_equal(rig->end_why, rows[i].why);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void a_control_message_that_is_too_long_ends_it(void **state)
{
    char *json = calloc(1, CONTROL_MAX + 2);

    (void)state;
    memset(json, ' ', CONTROL_MAX + 1);
    rig_say_control(rig, json);
    free(json);
    RIG_UNTIL(rig, !rig->session);
    assert_string_equal(rig->end_why, "bad_frame");
}

static void the_end_and_the_loss_of_a_device_are_told(void **state)
{
    (void)state;
    (void)shutdown(rig->device, SHUT_WR);
    RIG_UNTIL(rig, !rig->session);
    assert_string_equal(rig->end_why, "device_end");
    assert_int_equal(tear_down(NULL), 0);
    assert_int_equal(set_up(NULL), 0);
    wire_reset(rig->device);
    rig->device = -1;
    RIG_UNTIL(rig, !rig->session);
    assert_string_equal(rig->end_why, "device_lost");
}

/* One byte at a time and all in one go give the same. */
static void frames_may_be_cut_and_joined_anywhere(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);
    static const char abc[3] = {'a', 'b', 'c'};
    static uint8_t all[4096];
    size_t len = 0;
    int at = 0;

    (void)state;
    for (int i = 0; i < 20; i++) {
        char frame[64];
        int head = snprintf(frame + 2, 62, "%s,3,https", v->cid);

        frame[0] = '\xfe';
        frame[1] = (char)head;
        memcpy(frame + 2 + head, abc, sizeof(abc));
        /* Each frame in two messages: what version 0.20 does. */
        len += ws_write_head_masked(all + len, WS_OP_BINARY, (size_t)head + 2, (uint8_t[4]){0});
        memcpy(all + len, frame, (size_t)head + 2);
        len += (size_t)head + 2;
        len += ws_write_head_masked(all + len, WS_OP_BINARY, 3, (uint8_t[4]){0});
        memcpy(all + len, abc, sizeof(abc));
        len += 3;
    }
    wire_send(rig->device, all, len);
    RIG_UNTIL(rig, v->in.len == 65);
    for (size_t i = 0; i < len; i++) {
        wire_send(rig->device, all + i, 1);
        rig_turn(rig);
    }
    RIG_UNTIL(rig, v->in.len == 125);
    for (at = 5; at < 125; at += 3)
        assert_memory_equal(v->in.bytes + at, "abc", 3);
}

static void data_for_an_unknown_stream_is_answered(void **state)
{
    (void)state;
    rig_say(rig, "IPv4,1.2.3.4,5", "https", "hello", 5);
    RIG_UNTIL(rig, rig->frame_count == 1);
    assert_int_equal(rig->frames[0].kind, MPROXY_ERROR);
    assert_string_equal(rig->frames[0].cid, "IPv4,1.2.3.4,5");
    rig_say(rig, "IPv4,1.2.3.4,5", "end", " ", 1);
    rig_say(rig, "IPv4,1.2.3.4,5", "error", " ", 1);
    rig_say(rig, "IPv4,1.2.3.4,5", "pause", "1", 1);
    rig_say(rig, ",,", "error", "\0", 1); /* what the oldest say to every control frame */
    rig_turns(rig, 20);
    assert_int_equal(rig->frame_count, 1);
}

static void a_grant_serves_its_names_and_ports(void **state)
{
    struct grant *again = rig_grant("subject", "t1", "a.example 30001", 0);
    size_t refused = 99;

    (void)state;
    assert_int_equal(rig->claimed_count, 2);
    assert_string_equal(rig->claimed[0], "a.example");
    assert_string_equal(rig->claimed[1], ":30001");
    assert_string_equal(served_by("a.example"), "found");
    assert_int_equal(session_take_grant(rig->session, again, &refused), -EALREADY);
    grant_free(again);
    rig_take_grant(rig, "t2", "a.example *.b.example", 0);
    assert_int_equal(rig->claimed_count, 3);
    assert_string_equal(served_by("x.b.example"), "found");
}

static void a_renewed_token_takes_the_place_of_the_first(void **state)
{
    (void)state;
    rig_take_grant(rig, "t1", "a.example z.example", 0);
    assert_int_equal(rig->session->grant_count, 1);
    assert_string_equal(served_by("a.example"), "found");
    assert_string_equal(served_by("z.example"), "found");
    assert_int_equal(rig->released_count, 1);
    assert_string_equal(rig->released[0], ":30001");
    rig_take_grant(rig, "t1", "a.example z.example", 4000000000);
    assert_int_equal(rig->session->grants[0]->expires_at, 4000000000);
    assert_int_equal(rig->released_count, 1);
}

static void but_not_that_of_another_subjects_token_of_the_same_id(void **state)
{
    struct grant *grant = rig_grant("another", "t1", "z.example", 0);
    size_t refused;

    (void)state;
    assert_false(session_has_token(rig->session, grant));
    assert_int_equal(session_take_grant(rig->session, grant, &refused), 0);
    assert_int_equal(rig->session->grant_count, 2);
    assert_int_equal(rig->released_count, 0);
    assert_string_equal(served_by("a.example"), "found");
}

static void a_name_goes_with_the_last_token_that_grants_it(void **state)
{
    (void)state;
    rig_take_grant(rig, "t2", "a.example c.example", 0);
    assert_int_equal(session_drop_grant(rig->session, "none", 0), -ENOENT);
    assert_int_equal(session_drop_grant(rig->session, "t1", 0), 0);
    assert_int_equal(rig->released_count, 1);
    assert_string_equal(rig->released[0], ":30001");
    assert_string_equal(served_by("a.example"), "found");
    assert_int_equal(session_drop_grant(rig->session, NULL, 0), 0);
    assert_int_equal(rig->released_count, 3);
    assert_string_equal(served_by("a.example"), "away");
    assert_false(session_is_open(rig->session));
}

/* Another subject's session on the same registry. */
static struct session *other_session(const char *what, int *device)
{
    struct session_peer peer = {.id = 8, .dialect = DIALECT_FIRST};
    struct session *other;
    struct conn *conn;
    int ends[2];
    size_t refused;

    wire_pair(ends);
    assert_int_equal(address_parse(slice_text("192.0.2.8:888"), &peer.address), 0);
    assert_int_equal(conn_new(&rig->loop, ends[0], NULL, NULL, &conn), 0);
    *device = ends[1];
    assert_int_equal(session_new(&rig->setting, &peer, &rig_ops, rig, conn, &other), 0);
    assert_int_equal(session_take_grant(other, rig_grant("other", "o1", what, 0), &refused), 0);
    return other;
}

static void a_refused_name_leaves_nothing_claimed(void **state)
{
    struct grant *g = rig_grant("subject", "t2", "c.example d.example taken.example e.example", 0);
    struct session *other, *first = rig->session;
    size_t refused = 99;
    int device;

    (void)state;
    other = other_session("taken.example", &device);
    rig->claimed_count = rig->released_count = 0;
    assert_int_equal(session_take_grant(rig->session, g, &refused), -EACCES);
    assert_int_equal(refused, 2);
    assert_int_equal(rig->claimed_count, 2);
    assert_int_equal(rig->released_count, 2);
    assert_string_not_equal(served_by("c.example"), "found");
    assert_string_not_equal(served_by("d.example"), "found");
    assert_string_equal(served_by("e.example"), "unknown");
    assert_string_equal(served_by("a.example"), "found");
    assert_int_equal(first->grant_count, 1);

    /* Nor does a grant of another subject in the same session. */
    grant_free(g);
    g = rig_grant("stranger", "t3", "c.example a.example", 0);
    assert_int_equal(session_take_grant(rig->session, g, &refused), -EACCES);
    assert_int_equal(refused, 1);
    assert_string_not_equal(served_by("c.example"), "found");
    grant_free(g);
    session_drop(other, "test");
    rig->session = first; /* the rig was told of the other's end */
    rig->ends[SESSION_END_SELF] = 0;
    (void)close(device);
}

static void what_the_owner_refuses_is_undone(void **state)
{
    struct grant *g = rig_grant("subject", "t2", "c.example d.example 30002", 0);
    size_t refused = 99;

    (void)state;
    for (unsigned nth = 1; nth <= 3; nth++) {
        rig->claimed_count = rig->released_count = 0;
        rig->refuse_claim = nth;
        assert_int_equal(session_take_grant(rig->session, g, &refused), -EACCES);
        assert_int_equal(refused, nth - 1);
        assert_int_equal(rig->claimed_count, nth - 1);
        assert_int_equal(rig->released_count, nth - 1);
        assert_string_not_equal(served_by("c.example"), "found");
        assert_string_not_equal(served_by("d.example"), "found");
    }
    assert_int_equal(session_take_grant(rig->session, g, &refused), 0);
    assert_string_equal(served_by("d.example"), "found");
}

static void there_is_room_for_so_many_tokens(void **state)
{
    struct grant *g;
    size_t refused;
    char id[16];

    (void)state;
    for (unsigned i = 1; i < SESSION_TOKENS_MAX; i++) {
        (void)snprintf(id, sizeof(id), "n%u", i);
        rig_take_grant(rig, id, "a.example", 0);
    }
    g = rig_grant("subject", "last", "a.example", 0);
    assert_int_equal(session_take_grant(rig->session, g, &refused), -EDQUOT);
    grant_free(g);
    for (unsigned i = 1; i < SESSION_TOKENS_MAX; i++) {
        (void)snprintf(id, sizeof(id), "n%u", i);
        assert_int_equal(session_drop_grant(rig->session, id, 0), 0);
    }
    assert_string_equal(served_by("a.example"), "found");
}

static void a_token_that_expires_takes_its_names_and_streams_along(void **state)
{
    struct rig_visitor *v;
    struct stream_request request = rig_request(STREAM_HTTPS, 0);
    int64_t now = __wrap_clock_unix();

    (void)state;
    rig_take_grant(rig, "later", "a.example", now + 7200);
    rig_take_grant(rig, "soon", "c.example", now + 5);
    assert_int_equal(session_drop_grant(rig->session, "t1", 0), 0);
    v = rig_visit_flowing(rig, STREAM_HTTPS);
    for (int i = 0; i < 39; i++) {
        rig_wait(rig, 100);
        assert_int_equal(rig->ends[SESSION_END_TOKEN], 0);
    }
    rig_wait(rig, 1300);
    assert_int_equal(rig->ends[SESSION_END_TOKEN], 1);
    assert_string_equal(served_by("c.example"), "away");
    assert_int_equal(rig->session->stream_count, 1);
    while (__wrap_clock_unix() < now + 7198) {
        rig_wait(rig, 15000 < (now + 7198 - __wrap_clock_unix()) * 1000 ? 15000 : 1000);
        rig_say_raw(rig, WS_OP_PONG, NULL, 0);
        rig_turns(rig, 3);
    }
    assert_int_equal(rig->ends[SESSION_END_TOKEN], 1);
    rig_wait(rig, 3000);
    assert_int_equal(rig->ends[SESSION_END_TOKEN], 2);
    assert_null(session_claim_for(rig->session, &request));
    RIG_UNTIL(rig, rig_count(rig, MPROXY_END, v->cid) == 1);
    assert_int_equal(rig->session->stream_count, 0);
}

static void leave_at_token_end(struct rig *r, enum session_end what)
{
    if (what == SESSION_END_TOKEN)
        session_leave(r->session, 1008, "token_expired");
}

static void drop_at_token_end(struct rig *r, enum session_end what)
{
    if (what == SESSION_END_TOKEN)
        session_drop(r->session, "token_expired");
}

static void the_owner_may_end_it_when_a_token_has_expired(void **state)
{
    (void)state;
    for (int drops = 0; drops < 2; drops++) {
        int64_t now = __wrap_clock_unix();

        for (int i = 0; i < 5; i++)
            rig_take_grant(rig, (const char *[]){"1", "2", "3", "4", "5"}[i], "c.example", now + 2);
        rig->on_end = drops ? drop_at_token_end : leave_at_token_end;
        rig_wait(rig, 3500);
        assert_int_equal(rig->ends[SESSION_END_TOKEN], 1);
        assert_null(rig->session);
        assert_int_equal(tear_down(NULL), 0);
        assert_int_equal(set_up(NULL), 0);
    }
}

static void a_token_may_expire_at_the_end_of_days(void **state)
{
    (void)state;
    rig_take_grant(rig, "far", "c.example", INT64_MAX);
    rig_wait(rig, 5000);
    assert_string_equal(served_by("c.example"), "found");
    assert_int_equal(rig->ends[SESSION_END_TOKEN], 0);
}

static void a_visitors_host_finds_the_longest_claim(void **state)
{
    static const struct {
        const char *host, *claim; /* NULL: none */
    } rows[] = {
        {"a.example", "a.example"},
        {"b.example", NULL},
        {"x.b.example", "*.b.example"},
        {"y.x.b.example", "*.b.example"},
        {"z.c.b.example", "*.c.b.example"},
        {"e.b.example", "e.b.example"},
        {"example", NULL},
        {"xa.example", NULL},
    };

    (void)state;
    rig_take_grant(rig, "t2", "*.b.example *.c.b.example e.b.example", 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct stream_request request = {.service = STREAM_HTTPS};
        struct claim *c;

        assert_int_equal(hostname_parse(slice_text(rows[i].host), &request.host), 0);
        c = session_claim_for(rig->session, &request);
        if (!c || !rows[i].claim)
            assert_true(!c && !rows[i].claim);
        else
            assert_string_equal(c->host, rows[i].claim);
    }
    assert_null(session_claim_for(rig->session,
                                  &(struct stream_request){.service = STREAM_TCP, .port = 1}));
}

static struct claim *claim_of_host(const char *host)
{
    struct stream_request request = {.service = STREAM_HTTPS};

    assert_int_equal(hostname_parse(slice_text(host), &request.host), 0);
    return session_claim_for(rig->session, &request);
}

/* Which shape the look-up has: a list of a few, a map of many, a list again. */
static void many_claims_are_found_at_once(void **state)
{
    char names[400] = "30002", host[16];
    const struct claim *port;

    (void)state;
    for (unsigned i = 0; i < 24; i++)
        (void)snprintf(names + strlen(names), 16, " n%02u.example", i);
    assert_int_equal(rig->session->claims.count, 0);
    rig_take_grant(rig, "many", names, 0);
    assert_int_equal(rig->session->claims.count, 24 + 1 + 2); /* and a.example, 30001 */
    for (unsigned i = 0; i < 24; i++) {
        (void)snprintf(host, sizeof(host), "n%02u.example", i);
        assert_string_equal(claim_of_host(host)->host, host);
    }
    assert_string_equal(claim_of_host("a.example")->host, "a.example");
    assert_null(claim_of_host("n24.example"));
    port = session_claim_for(rig->session,
                             &(struct stream_request){.service = STREAM_TCP, .port = 30002});
    assert_int_equal(port->port, 30002);
    assert_int_equal(session_drop_grant(rig->session, "many", 0), 0);
    assert_int_equal(rig->session->claims.count, 0);
    assert_string_equal(claim_of_host("a.example")->host, "a.example");
    assert_null(claim_of_host("n00.example"));
}

static void the_number_of_streams_is_bounded(void **state)
{
    (void)state;
    for (unsigned i = 0; i < rig->setting.limits.streams_max; i++) {
        assert_true(session_has_room(rig->session));
        (void)rig_visit(rig, STREAM_HTTPS);
    }
    assert_false(session_has_room(rig->session));
    rig_leave(&rig->visitors[0]);
    RIG_UNTIL(rig, session_has_room(rig->session));
}

/* Clients of 0.8 and 0.20 crash when the tunnel goes before their streams have ended. */
static void goodbye_is_an_end_for_every_stream_and_a_second_later_a_close(void **state)
{
    struct rig_visitor *a = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *b = rig_visit_flowing(rig, STREAM_HTTPS);
    struct rig_visitor *alone = rig_visit(rig, STREAM_HTTPS);

    (void)state;
    wire_text(alone->fd, "hello");
    RIG_UNTIL(rig, alone->heard_len == 5);
    session_leave(rig->session, WS_CODE_GOING_AWAY, "restarting");
    session_leave(rig->session, WS_CODE_NORMAL, "twice");
    assert_false(session_is_open(rig->session));
    assert_string_equal(served_by("a.example"), "away");
    RIG_UNTIL(rig, rig_count(rig, MPROXY_END, a->cid) && rig_count(rig, MPROXY_END, b->cid));
    rig_wait(rig, 120);
    assert_int_equal(rig_count(rig, MPROXY_END, alone->cid), 1);
    rig_wait(rig, 800);
    assert_int_equal(rig->close_code, 0);
    rig_wait(rig, 150);
    RIG_UNTIL(rig, rig->close_code);
    assert_int_equal(rig->close_code, 1001);
    assert_string_equal(rig->close_why, "restarting");
    assert_int_equal(rig_count(rig, MPROXY_END, NULL), 3);
    assert_null(rig->session);
    RIG_UNTIL(rig, rig->wire.end == WIRE_EOF);
}

static void the_last_end_is_given_its_second_too(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    assert_int_equal(session_drop_grant(rig->session, "t1", 0), 0); /* as when it expires */
    assert_int_equal(rig->session->stream_count, 0);
    session_leave(rig->session, WS_CODE_POLICY, "token expired");
    rig_wait(rig, 900);
    assert_int_equal(rig_count(rig, MPROXY_END, v->cid), 1);
    assert_int_equal(rig->close_code, 0);
    rig_wait(rig, 200);
    RIG_UNTIL(rig, rig->close_code == 1008);
}

static void goodbye_without_streams_is_at_once(void **state)
{
    (void)state;
    session_leave(rig->session, WS_CODE_NORMAL, "bye");
    rig_wait(rig, 30);
    RIG_UNTIL(rig, rig->close_code == 1000);
    assert_null(rig->session);
}

static void a_device_may_go_before_the_goodbye_is_over(void **state)
{
    struct rig_visitor *v = rig_visit_flowing(rig, STREAM_HTTPS);

    (void)state;
    session_leave(rig->session, WS_CODE_NORMAL, "bye");
    rig_wait(rig, 100);
    (void)close(rig->device);
    rig->device = -1;
    RIG_UNTIL(rig, !rig->session);
    RIG_UNTIL(rig, v->in.end != WIRE_OPEN);
    for (int i = 0; i < 200; i++) {
        skip_ms(10);
        pump(&rig->loop);
    }
}

/* What it asks of us is bounded by what it reads. */
static void a_device_that_asks_and_does_not_read_gains_nothing(void **state)
{
    size_t most = 0;

    (void)state;
    for (int i = 0; i < 100000 && rig->session; i++) {
        static const char ping[] = "\x89\x80\0\0\0\0";
        static const char data[] = "\x82\x9d\0\0\0\0\xfe\x16IPv4,1.2.3.4,5,5,https"
                                   "hello";
        ssize_t sent = send(rig->device, i % 2 ? ping : data,
                            i % 2 ? sizeof(ping) - 1 : sizeof(data) - 1, MSG_NOSIGNAL);

        if (sent == -1 && i > 60000)
            break;
        if (i % 100 == 0)
            pump(&rig->loop);
        if (rig->session && conn_queued(rig->session->conn) > most)
            most = conn_queued(rig->session->conn);
    }
    assert_true(most < rig->setting.limits.tunnel.high + 1048576);
    (void)close(rig->device);
    rig->device = -1;
    RIG_UNTIL(rig, !rig->session);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(control_messages_come_to_the_owner),
        TEST(what_is_no_command_is_answered_and_forgiven),
        TEST(a_device_without_control_is_told_nothing_in_it),
        TEST(a_ping_is_answered_with_what_it_held),
        TEST(a_silent_device_is_pinged_and_dropped),
        TEST(a_device_behind_a_slow_link_is_not_silent),
        TEST(a_device_that_is_not_read_hears_that_we_live),
        TEST(a_device_that_talks_is_not_pinged),
        TEST(a_close_is_answered_in_kind),
        TEST(what_came_before_the_close_is_delivered),
        TEST(a_broken_frame_is_answered_with_a_code),
        TEST(a_control_message_that_is_too_long_ends_it),
        TEST(the_end_and_the_loss_of_a_device_are_told),
        TEST(frames_may_be_cut_and_joined_anywhere),
        TEST(data_for_an_unknown_stream_is_answered),
        TEST(a_grant_serves_its_names_and_ports),
        TEST(a_renewed_token_takes_the_place_of_the_first),
        TEST(but_not_that_of_another_subjects_token_of_the_same_id),
        TEST(a_name_goes_with_the_last_token_that_grants_it),
        TEST(a_refused_name_leaves_nothing_claimed),
        TEST(what_the_owner_refuses_is_undone),
        TEST(there_is_room_for_so_many_tokens),
        TEST(a_token_that_expires_takes_its_names_and_streams_along),
        TEST(the_owner_may_end_it_when_a_token_has_expired),
        TEST(a_token_may_expire_at_the_end_of_days),
        TEST(a_visitors_host_finds_the_longest_claim),
        TEST(many_claims_are_found_at_once),
        TEST(the_number_of_streams_is_bounded),
        TEST(goodbye_is_an_end_for_every_stream_and_a_second_later_a_close),
        TEST(the_last_end_is_given_its_second_too),
        TEST(goodbye_without_streams_is_at_once),
        TEST(a_device_may_go_before_the_goodbye_is_over),
        TEST(a_device_that_asks_and_does_not_read_gains_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
