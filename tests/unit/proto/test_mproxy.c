#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/mproxy.h"
#include "tap.h"

#include <errno.h>
#include <jansson.h>

#define BODY_MAX 1000000U
#define SHOWN 32U

/* How bytes are handed to a decoder: a first piece, then pieces of `step`; or, where `seed` is
 * set, pieces of up to `step` at random. */
struct cut {
    size_t first;
    size_t step;
    uint32_t seed;
};

/* What a decoder told, as text: "data IPv4,1.2.3.4,5 3 https 443 x.example: abc;".  Of a body
 * over SHOWN bytes only the start, the length and a hash. */
struct told {
    FILE *out;
    char *text;
    size_t len;
    unsigned frames;
    unsigned controls;
    uint64_t body_bytes;
    uint64_t body_at; /* of the current frame */
    uint64_t hash;
};

static const char *const kinds[] = {
    [MPROXY_DATA] = "data",
    [MPROXY_END] = "end",
    [MPROXY_ERROR] = "error",
    [MPROXY_PAUSE] = "pause",
    [MPROXY_RESUME] = "resume",
    [MPROXY_CONTROL] = "control",
    [MPROXY_CONNECTION] = "connection",
};

static void told_init(struct told *t)
{
    *t = (struct told){0};
    t->out = open_memstream(&t->text, &t->len);
    assert_non_null(t->out);
}

static void told_fini(struct told *t)
{
    (void)fclose(t->out);
    free(t->text);
}

static const char *told_text(struct told *t)
{
    (void)fflush(t->out);
    return t->text;
}

static void tell_slice(struct told *t, struct slice s, char after)
{
    if (s.len)
        (void)fwrite(s.ptr, 1, s.len, t->out);
    (void)fputc(after, t->out);
}

static void tell_head(struct told *t, const struct mproxy_head *head)
{
    (void)fprintf(t->out, "%s ", kinds[head->kind]);
    tell_slice(t, head->cid, ' ');
    (void)fprintf(t->out, "%llu ", (unsigned long long)head->body_len);
    tell_slice(t, head->service, ' ');
    tell_slice(t, head->service_port, ' ');
    tell_slice(t, head->name, head->real_service.len ? ' ' : ':');
    if (head->real_service.len)
        tell_slice(t, head->real_service, ':');
    if (head->body_len == 0)
        (void)fputc(';', t->out);
    t->frames++;
    t->controls += head->kind == MPROXY_CONTROL;
    t->body_bytes += head->body_len;
    t->body_at = 0;
    t->hash = 0;
}

static void tell_body(struct told *t, struct slice span, bool is_last)
{
    for (size_t i = 0; i < span.len; i++) {
        if (t->body_at++ < SHOWN)
            (void)fputc(span.ptr[i], t->out);
        t->hash = t->hash * 31 + span.ptr[i];
    }
    if (is_last && t->body_at > SHOWN)
        (void)fprintf(t->out, "... %llx", (unsigned long long)t->hash);
    if (is_last)
        (void)fputc(';', t->out);
}

static int feed(struct mproxy_decoder *d, const uint8_t *piece, size_t len, struct told *t)
{
    struct mproxy_event event;
    ssize_t used = 0;

    for (size_t at = 0; at < len; at += (size_t)used) {
        used = mproxy_decoder_feed(d, piece + at, len - at, &event);
        if (used < 0)
            return (int)used;
        if (used == 0 || (size_t)used > len - at)
            fail_msg("used %zd of %zu", used, len - at);
        if (event.kind == MPROXY_HEAD)
            tell_head(t, &event.head);
        else if (event.kind == MPROXY_BODY)
            tell_body(t, event.span, event.is_last);
        else
            assert_int_equal(used, len - at);
    }
    return 0;
}

static size_t next_piece(struct cut *cut)
{
    if (!cut->seed)
        return cut->step;
    cut->seed = cut->seed * 1664525 + 1013904223;
    return 1 + (cut->seed >> 8) % cut->step;
}

/* Every piece is read where the memory ends, and is gone when the next is there. */
static int feed_all(struct slice bytes, struct cut cut, struct told *t)
{
    const size_t room = (cut.first > cut.step ? cut.first : cut.step) + 1;
    uint8_t *memory = malloc(room);
    uint8_t head[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    size_t n = cut.first;
    int err = 0;

    assert_non_null(memory);
    mproxy_decoder_init(&d, BODY_MAX, head);
    for (size_t at = 0; !err && at < bytes.len; at += n, n = next_piece(&cut)) {
        n = n < bytes.len - at ? n : bytes.len - at;
        memcpy(memory + room - n, bytes.ptr + at, n);
        err = feed(&d, memory + room - n, n, t);
    }
    free(memory);
    return err;
}

static void check_cut(const char *name, struct slice bytes, struct cut cut, const char *want,
                      int want_err)
{
    struct told t;
    bool is_same;
    int err;

    told_init(&t);
    err = feed_all(bytes, cut, &t);
    is_same = err == want_err && strcmp(told_text(&t), want) == 0;
    if (!is_same)
        print_error("%s, first %zu, then %zu: %d %s\n", name, cut.first, cut.step, err,
                    told_text(&t));
    told_fini(&t);
    assert_true(is_same);
}

/* Whole, cut at every byte, and one byte at a time. */
static void check(const char *name, struct slice bytes, const char *want, int want_err)
{
    for (size_t first = 0; first <= bytes.len; first++)
        check_cut(name, bytes, (struct cut){first, bytes.len, 0}, want, want_err);
    check_cut(name, bytes, (struct cut){1, 1, 0}, want, want_err);
}

#define FRAMES 3

static const struct row {
    const char *name;
    const char *frames[FRAMES][2]; /* header and body */
    const char *told;
    int err;
} rows[] = {
    {"data",
     {{"IPv4,1.2.3.4,5,3,https,443,x.example", "abc"}},
     "data IPv4,1.2.3.4,5 3 https 443 x.example:abc;",
     0},
    {"five fields", {{"IPv4,1.2.3.4,5,3,http", "abc"}}, "data IPv4,1.2.3.4,5 3 http  :abc;", 0},
    {"four fields", {{"IPv4,1.2.3.4,5,3", "abc"}}, "data IPv4,1.2.3.4,5 3   :abc;", 0},
    {"no body", {{"IPv4,1.2.3.4,5,0,tcp,80,", ""}}, "data IPv4,1.2.3.4,5 0 tcp 80 :;", 0},
    {"no body, then more",
     {{"IPv4,1.2.3.4,5,0,end", ""}, {"IPv4,1.2.3.4,6,0,end", ""}, {"IPv4,1.2.3.4,7,1,end", " "}},
     "end IPv4,1.2.3.4,5 0 end  :;end IPv4,1.2.3.4,6 0 end  :;end IPv4,1.2.3.4,7 1 end  : ;",
     0},
    {"the Go client's data",
     {{"IPv4,9.8.7.6,4321,5,,80,dev1.localhost,\n", "hello"}},
     "data IPv4,9.8.7.6,4321 5  80 dev1.localhost \n:hello;",
     0},
    {"the Go client's end",
     {{"IPv4,9.8.7.6,4321,0,end,0,,\n", ""}},
     "end IPv4,9.8.7.6,4321 0 end 0  \n:;",
     0},
    {"control", {{",,,9,control", "[-1,null]"}}, "control ,, 9 control  :[-1,null];", 0},
    {"an old client's answer to control", {{",,,1,error", "\x01"}}, "error ,, 1 error  :\x01;", 0},
    {"pause and resume",
     {{"IPv4,1.2.3.4,5,8,pause,443,x", "20000088"}, {"IPv4,1.2.3.4,5,1,resume,443,x", "1"}},
     "pause IPv4,1.2.3.4,5 8 pause 443 x:20000088;resume IPv4,1.2.3.4,5 1 resume 443 x:1;",
     0},
    {"connection",
     {{"IPv4,1.2.3.4,5,0,connection,443,x,http", ""}},
     "connection IPv4,1.2.3.4,5 0 connection 443 x http:;",
     0},
    {"nine fields", {{"a,b,c,0,d,e,f,g,h", ""}}, "data a,b,c 0 d e f g,h:;", 0},
    {"an opaque address",
     {{"IPv6,fe80::1%eth0,,1,https", "z"}},
     "data IPv6,fe80::1%eth0, 1 https  :z;",
     0},
    {"kinds are not shortened or in capitals",
     {{"a,b,c,0,en", ""}, {"a,b,c,0,End", ""}},
     "data a,b,c 0 en  :;data a,b,c 0 End  :;",
     0},
    {"the longest body allowed but cut off",
     {{"a,b,c,1000000,tcp", "x"}},
     "data a,b,c 1000000 tcp  :x",
     0},
    {"a body over the maximum", {{"a,b,c,1000001,tcp", ""}}, "", -EMSGSIZE},
    {"a body far over the maximum", {{"a,b,c,99999999999,tcp", ""}}, "", -EMSGSIZE},
    {"the largest number", {{"a,b,c,18446744073709551615,tcp", ""}}, "", -EMSGSIZE},
    {"a number over all", {{"a,b,c,18446744073709551616,tcp", ""}}, "", -EPROTO},
    {"a number of 30 digits", {{"a,b,c,999999999999999999999999999999,tcp", ""}}, "", -EPROTO},
    {"a negative length", {{"a,b,c,-1,tcp", ""}}, "", -EPROTO},
    {"a length with a sign", {{"a,b,c,+1,tcp", ""}}, "", -EPROTO},
    {"no length", {{"a,b,c,,tcp", ""}}, "", -EPROTO},
    {"a length with a blank", {{"a,b,c, 1,tcp", ""}}, "", -EPROTO},
    {"a length in hex", {{"a,b,c,0x1,tcp", ""}}, "", -EPROTO},
    {"a length with a fraction", {{"a,b,c,1.5,tcp", ""}}, "", -EPROTO},
    {"three fields", {{"a,b,c", ""}}, "", -EPROTO},
    {"no commas", {{"abc", ""}}, "", -EPROTO},
    {"an empty header", {{"", ""}}, "", -EPROTO},
    {"a broken frame after a good one",
     {{"a,b,c,1,tcp", "x"}, {"a,b,c,x,tcp", ""}},
     "data a,b,c 1 tcp  :x;",
     -EPROTO},
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static size_t write_row(const struct row *row, uint8_t *out)
{
    size_t len = 0;

    for (size_t i = 0; i < FRAMES && row->frames[i][0]; i++) {
        size_t head_len = strlen(row->frames[i][0]);
        size_t body_len = strlen(row->frames[i][1]);

        out[len++] = 0xFE;
        out[len++] = (uint8_t)head_len;
        memcpy(out + len, row->frames[i][0], head_len);
        memcpy(out + len + head_len, row->frames[i][1], body_len);
        len += head_len + body_len;
    }
    return len;
}

static void each_row_is_told_alike_however_it_is_cut(void **state)
{
    uint8_t bytes[1024];

    (void)state;
    for (size_t i = 0; i < ROWS; i++)
        check(rows[i].name, slice_of(bytes, write_row(&rows[i], bytes)), rows[i].told, rows[i].err);
}

static void a_wrong_first_byte_is_refused_at_once(void **state)
{
    (void)state;
    for (unsigned first = 0; first < 256; first++) {
        uint8_t byte = (uint8_t)first;
        uint8_t head[MPROXY_HEAD_MAX];
        struct mproxy_decoder d;
        struct mproxy_event event;

        mproxy_decoder_init(&d, BODY_MAX, head);
        assert_int_equal(mproxy_decoder_feed(&d, &byte, 1, &event), first == 0xFE ? 1 : -EPROTO);
    }
}

static void a_dead_decoder_stays_dead(void **state)
{
    uint8_t head[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    struct mproxy_event event;

    (void)state;
    mproxy_decoder_init(&d, BODY_MAX, head);
    assert_int_equal(mproxy_decoder_feed(&d, (const uint8_t *)"\x01", 1, &event), -EPROTO);
    assert_int_equal(mproxy_decoder_feed(&d, (const uint8_t *)"\xfe", 1, &event), -EPROTO);
}

static void the_longest_header_is_read_however_it_is_cut(void **state)
{
    const struct slice start = slice_text("a,b,c,1,tcp,1,");
    uint8_t bytes[MPROXY_HEAD_MAX + 1];
    char want[300];

    (void)state;
    memset(bytes, 'n', sizeof(bytes));
    bytes[0] = 0xFE;
    bytes[1] = 0xFF;
    memcpy(bytes + 2, start.ptr, start.len);
    (void)snprintf(want, sizeof(want), "data a,b,c 1 tcp 1 %.241s:n;", (const char *)bytes + 16);
    check("longest", slice_of(bytes, sizeof(bytes)), want, 0);
}

static void what_lies_whole_in_the_input_is_not_copied(void **state)
{
    static const uint8_t bytes[] = "\xfe\x0d"
                                   "a,b,c,3,https"
                                   "xyz";
    uint8_t head[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    struct mproxy_event event;

    (void)state;
    mproxy_decoder_init(&d, BODY_MAX, head);
    assert_int_equal(mproxy_decoder_feed(&d, bytes, 18, &event), 15);
    assert_ptr_equal(event.head.cid.ptr, bytes + 2);
    assert_int_equal(event.head.cid.len, 5);
    assert_int_equal(mproxy_decoder_feed(&d, bytes + 15, 3, &event), 3);
    assert_ptr_equal(event.span.ptr, bytes + 15);
    assert_true(event.is_last);
}

/* Parses the one frame in `hex`; *head is lent from *bytes, to be freed. */
static size_t parse_golden(const char *hex, uint8_t **bytes, size_t *len, struct mproxy_head *head)
{
    uint8_t gathered[MPROXY_HEAD_MAX];
    struct mproxy_decoder d;
    struct mproxy_event event;
    ssize_t used;

    *bytes = hex_bytes(hex, len);
    mproxy_decoder_init(&d, BODY_MAX, gathered);
    used = mproxy_decoder_feed(&d, *bytes, *len, &event);
    assert_true(used > 0 && event.kind == MPROXY_HEAD);
    *head = event.head;
    return (size_t)used;
}

static size_t rewrite(const struct mproxy_head *head, enum mproxy_fields fields, uint8_t *out)
{
    bool is_data = head->kind == MPROXY_DATA;
    struct mproxy_route route = {.service = is_data ? head->service : slice_text("https"),
                                 .name = head->name,
                                 .fields = fields};
    struct mproxy_template t;
    uint64_t port = 0;
    size_t len;

    if (head->kind == MPROXY_CONTROL)
        return mproxy_write_control_head(out, (uint32_t)head->body_len);
    assert_int_equal(mproxy_key_parse(head->address, head->port, &route.key), 0);
    if (fields == MPROXY_FIELDS_7)
        assert_int_equal(slice_parse_uint(head->service_port, 65535, &port), 0);
    route.service_port = (uint16_t)port;
    assert_int_equal(mproxy_template_init(&t, &route, BODY_MAX), 0);
    len = mproxy_template_write(&t, head->kind, (uint32_t)head->body_len, out);
    assert_int_equal(len, mproxy_template_head_len(&t, head->kind, (uint32_t)head->body_len));
    return len;
}

static void check_golden(const json_t *row)
{
    const char *call = json_string_value(json_object_get(row, "call"));
    const char *packer = json_string_value(json_object_get(row, "packer"));
    bool is_old = strcmp(packer, "1.1") == 0 || strcmp(packer, "1.4") == 0;
    uint8_t out[MPROXY_HEAD_MAX];
    struct mproxy_head head;
    uint8_t *bytes;
    size_t len;
    size_t head_len =
        parse_golden(json_string_value(json_object_get(row, "hex")), &bytes, &len, &head);

    if (!strstr(json_string_value(json_object_get(row, "what")), "header only"))
        assert_int_equal(len, head_len + head.body_len);
    if (head.kind == MPROXY_CONNECTION) {
        assert_true(slice_is_text(head.real_service, "https"));
    } else if (rewrite(&head, is_old ? MPROXY_FIELDS_5 : MPROXY_FIELDS_7, out) != head_len ||
               memcmp(out, bytes, head_len) != 0) {
        fail_msg("%s of packer %s", call, packer);
    }
    free(bytes);
}

static void every_golden_frame_is_read_and_written_back_byte_for_byte(void **state)
{
    json_t *frames = json_load_file(RVPN_VECTORS "/mproxy-frames.json", 0, NULL);
    size_t index;
    json_t *row;

    (void)state;
    assert_int_equal(json_array_size(frames), 34);
    json_array_foreach(frames, index, row) check_golden(row);
    json_decref(frames);
}

/* Counted by another reader than ours. */
static const struct capture {
    const char *file;
    struct {
        unsigned frames;
        uint64_t body_bytes;
        unsigned controls;
    } said[2]; /* by the device, by the relay */
} captures[] = {
    {"append2.tap", {{19, 7492, 6}, {22, 2556, 6}}},
    {"auth-v0.20.tap", {{2, 225, 2}, {2, 82, 2}}},
    {"badtok-v0.10.4-20092.tap", {{0, 0, 0}, {1, 63, 1}}},
    {"badtok-v0.20-20200.tap", {{2, 260, 2}, {2, 82, 2}}},
    {"badtok-v0.8.1-20081.tap", {{0, 0, 0}, {0, 0, 0}}},
    {"badtok-v0.9.8-20092.tap", {{1, 1, 0}, {1, 63, 1}}},
    {"ka-v0.10.4.tap", {{95, 5013859, 2}, {25, 202886, 2}}},
    {"tcpsp.tap", {{98, 5016084, 2}, {37, 203631, 3}}},
    {"v0.10.4-vs-131.tap", {{97, 5013931, 3}, {26, 203560, 3}}},
    {"v0.15-vs-20131.tap", {{183, 5016066, 2}, {31, 203836, 3}}},
    {"v0.18-raw-vs-20131.tap", {{101, 5016186, 2}, {32, 203857, 3}}},
    {"v0.19-vs-20131.tap", {{172, 5015805, 2}, {30, 203836, 3}}},
    {"v0.20-raw-vs-20200.tap", {{99, 5016084, 2}, {36, 203631, 3}}},
    {"v0.20-vs-131.tap", {{103, 5016180, 2}, {34, 203857, 3}}},
    {"v0.8-2017-02-vs-20092.tap", {{95, 5013649, 0}, {24, 202869, 1}}},
    {"v0.8.1-vs-20092.tap", {{103, 5013649, 0}, {23, 202869, 1}}},
    {"v0.9.8-vs-20092.tap", {{94, 5013649, 0}, {24, 202869, 1}}},
};

#define CAPTURES (sizeof(captures) / sizeof(captures[0]))

static void add_stream(const struct tap_stream *s, struct told *sum)
{
    static const struct cut cuts[] = {{1, 1, 0}, {2, 7919, 0}, {1, 40, 1}, {1, 3000, 2}};
    struct slice bytes = gather_slice(&s->said);
    struct told whole;

    told_init(&whole);
    assert_int_equal(feed_all(bytes, (struct cut){bytes.len, bytes.len, 0}, &whole), 0);
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++)
        check_cut("capture", bytes, cuts[i], told_text(&whole), 0);
    sum->frames += whole.frames;
    sum->controls += whole.controls;
    sum->body_bytes += whole.body_bytes;
    told_fini(&whole);
}

static void check_capture(const struct capture *c)
{
    struct told sums[2] = {{0}, {0}};
    char path[4096];
    struct tap tap;

    (void)snprintf(path, sizeof(path), "%s/captures/%s", RVPN_VECTORS, c->file);
    assert_true(tap_load(&tap, path));
    for (size_t i = 0; i < tap.count; i++)
        add_stream(&tap.streams[i], &sums[tap.streams[i].from]);
    for (size_t from = 0; from < 2; from++) {
        if (sums[from].frames != c->said[from].frames ||
            sums[from].body_bytes != c->said[from].body_bytes ||
            sums[from].controls != c->said[from].controls)
            fail_msg("%s, side %zu: %u frames", c->file, from, sums[from].frames);
    }
    tap_fini(&tap);
}

static void every_recorded_client_and_relay_is_understood_however_it_is_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < CAPTURES; i++)
        check_capture(&captures[i]);
}

static const struct key_row {
    const char *address;
    const char *port;
    const char *written; /* NULL: refused */
} key_rows[] = {
    {"1.2.3.4", "5", "1.2.3.4"},
    {"0.0.0.0", "0", "0.0.0.0"},
    {"255.255.255.255", "65535", "255.255.255.255"},
    {"::ffff:203.0.113.9", "80", "203.0.113.9"},
    {"::FFFF:cb00:7109", "80", "203.0.113.9"},
    {"::1", "80", "::1"},
    {"::", "80", "::"},
    {"2001:db8:0:0:0:0:0:1", "80", "2001:db8::1"},
    {"2001:DB8::A", "80", "2001:db8::a"},
    {"1111:2222:3333:4444:5555:6666:7777:8888", "1", "1111:2222:3333:4444:5555:6666:7777:8888"},
    {"", "80", NULL},
    {"1.2.3", "80", NULL},
    {"1.2.3.", "80", NULL},
    {"1.2.3.4.", "80", NULL},
    {"1.2.3.4.5", "80", NULL},
    {"1.2.3.256", "80", NULL},
    {"1.2.3.1000", "80", NULL},
    {"1.2.3.04", "80", NULL},
    {"1.2.3.-4", "80", NULL},
    {" 1.2.3.4", "80", NULL},
    {"fe80::1%eth0", "80", NULL},
    {"x", "80", NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999", "80", NULL},
    {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb", "80", NULL},
    {"1.2.3.4", "", NULL},
    {"1.2.3.4", "65536", NULL},
    {"1.2.3.4", "-1", NULL},
    {"1.2.3.4", "z", NULL},
};

static void addresses_are_read_to_keys_and_written_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(key_rows) / sizeof(key_rows[0]); i++) {
        const struct key_row *row = &key_rows[i];
        struct mproxy_key key, again;
        char text[MPROXY_ADDRESS_SIZE];
        int err = mproxy_key_parse(slice_text(row->address), slice_text(row->port), &key);

        if (err != (row->written ? 0 : -EINVAL))
            fail_msg("%s,%s: %d", row->address, row->port, err);
        if (err)
            continue;
        mproxy_key_write_address(&key, text);
        assert_string_equal(text, row->written);
        assert_int_equal(mproxy_key_parse(slice_text(text), slice_text(row->port), &again), 0);
        assert_memory_equal(&key, &again, sizeof(key));
    }
}

static void a_mapped_address_and_its_ipv4_address_are_one_key(void **state)
{
    static const uint8_t ipv6[16] = {[10] = 0xFF, [11] = 0xFF, [12] = 1, 2, 3, 4};
    struct mproxy_key a = mproxy_key_ipv6(ipv6, 4660);
    struct mproxy_key b = mproxy_key_ipv4(ipv6 + 12, 4660);
    struct mproxy_key other = mproxy_key_ipv4(ipv6 + 12, 4661);

    (void)state;
    assert_memory_equal(&a, &b, sizeof(a));
    assert_memory_not_equal(&a, &other, sizeof(a));
    assert_int_equal(a.bytes[16] << 8 | a.bytes[17], 4660);
}

static struct mproxy_route longest_route(char *name, size_t name_len)
{
    struct mproxy_route route = {.service = slice_text("https"),
                                 .service_port = 65535,
                                 .name = slice_of(name, name_len),
                                 .fields = MPROXY_FIELDS_7};

    memset(name, 'n', name_len);
    memset(route.key.bytes, 0xFE, sizeof(route.key.bytes));
    return route;
}

static void a_header_that_could_pass_255_bytes_is_refused_beforehand(void **state)
{
    /* "IPv6,", an address of 39, ",65278,", "65536,resume,65535," and the name */
    const size_t fits = 255 - 5 - 39 - 7 - 19;
    uint8_t out[MPROXY_HEAD_MAX];
    struct mproxy_template t;
    struct mproxy_route route;
    char name[300];

    (void)state;
    route = longest_route(name, fits);
    assert_int_equal(mproxy_template_init(&t, &route, 65536), 0);
    assert_int_equal(mproxy_template_write(&t, MPROXY_RESUME, 65536, out), MPROXY_HEAD_MAX);
    assert_int_equal(out[1], 255);
    assert_int_equal(mproxy_template_init(&t, &route, 100000), -EMSGSIZE);
    route = longest_route(name, fits + 1);
    assert_int_equal(mproxy_template_init(&t, &route, 65536), -EMSGSIZE);
    route = longest_route(name, sizeof(name));
    assert_int_equal(mproxy_template_init(&t, &route, 1), -EMSGSIZE);
}

static void a_shorter_address_makes_room_for_a_longer_name(void **state)
{
    char name[210];
    struct mproxy_route route = longest_route(name, sizeof(name));
    struct mproxy_template t;

    (void)state;
    assert_int_equal(mproxy_template_init(&t, &route, 65536), -EMSGSIZE);
    route.key = mproxy_key_ipv6((const uint8_t[16]){[15] = 7}, 1);
    assert_int_equal(mproxy_template_init(&t, &route, 65536), 0);
}

static void names_that_would_break_the_header_are_refused(void **state)
{
    static const struct slice bad[] = {
        {(const uint8_t *)"a,b", 3},       {(const uint8_t *)"a b", 3},
        {(const uint8_t *)"a\nb", 3},      {(const uint8_t *)"a\0b", 3},
        {(const uint8_t *)"a\xc3\xa9", 3}, {(const uint8_t *)"a\x7f", 2}};
    struct mproxy_template t;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct mproxy_route route = {.service = slice_text("tcp"), .name = bad[i]};

        assert_int_equal(mproxy_template_init(&t, &route, 1), -EINVAL);
        route = (struct mproxy_route){.service = bad[i]};
        assert_int_equal(mproxy_template_init(&t, &route, 1), -EINVAL);
    }
    assert_int_equal(mproxy_template_init(&t, &(struct mproxy_route){.service_port = 1}, 1),
                     -EINVAL);
}

static void lengths_of_every_size_are_written_as_they_are_read(void **state)
{
    static const uint32_t lens[] = {0,     9,     10,        99,         100,
                                    65535, 65536, 999999999, 1000000000, UINT32_MAX};
    struct mproxy_route route = {.key = mproxy_key_ipv4((const uint8_t[]){1, 2, 3, 4}, 5),
                                 .service = slice_text("tcp"),
                                 .service_port = 30001,
                                 .fields = MPROXY_FIELDS_7};
    struct mproxy_template t;

    (void)state;
    assert_int_equal(mproxy_template_init(&t, &route, UINT32_MAX), 0);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        uint8_t out[MPROXY_HEAD_MAX];
        size_t len = mproxy_template_write(&t, MPROXY_DATA, lens[i], out);
        char want[100];

        (void)snprintf(want, sizeof(want), "IPv4,1.2.3.4,5,%u,tcp,30001,", lens[i]);
        assert_int_equal(len, strlen(want) + 2);
        assert_int_equal(out[1], strlen(want));
        assert_memory_equal(out + 2, want, len - 2);
        assert_int_equal(mproxy_template_head_len(&t, MPROXY_DATA, lens[i]), len);

        len = mproxy_write_control_head(out, lens[i]);
        (void)snprintf(want, sizeof(want), ",,,%u,control", lens[i]);
        assert_in_range(len, 2, MPROXY_CONTROL_HEAD_MAX);
        assert_int_equal(out[1], strlen(want));
        assert_memory_equal(out + 2, want, len - 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_is_told_alike_however_it_is_cut),
        cmocka_unit_test(a_wrong_first_byte_is_refused_at_once),
        cmocka_unit_test(a_dead_decoder_stays_dead),
        cmocka_unit_test(the_longest_header_is_read_however_it_is_cut),
        cmocka_unit_test(what_lies_whole_in_the_input_is_not_copied),
        cmocka_unit_test(every_golden_frame_is_read_and_written_back_byte_for_byte),
        cmocka_unit_test(every_recorded_client_and_relay_is_understood_however_it_is_cut),
        cmocka_unit_test(addresses_are_read_to_keys_and_written_back),
        cmocka_unit_test(a_mapped_address_and_its_ipv4_address_are_one_key),
        cmocka_unit_test(a_header_that_could_pass_255_bytes_is_refused_beforehand),
        cmocka_unit_test(a_shorter_address_makes_room_for_a_longer_name),
        cmocka_unit_test(names_that_would_break_the_header_are_refused),
        cmocka_unit_test(lengths_of_every_size_are_written_as_they_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
