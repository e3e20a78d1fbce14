/* Other people's HTTP inputs, through head and body as the relay reads a visitor's stream.  They
 * are read in place; where they are absent these tests are skipped. */
#include "proto/http_body.h"
#include "proto/http_head.h"

#include "vector.h"

#include <setjmp.h> /* cmocka.h wants it */
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define LLHTTP RVPN_SHARED_VECTORS "/http1/llhttp_cases.json"
#define H1SPEC RVPN_SHARED_VECTORS "/http1/h1spec_cases.json"

enum reading {
    READING_WHOLE,  /* some requests, and not a byte more */
    READING_HALF,   /* fine so far, and more is needed */
    READING_TUNNEL, /* an upgrade or CONNECT: what follows is not HTTP */
    READING_BAD,    /* refused */
    READINGS
};

static const char *const reading_name[READINGS] = {"whole", "half", "tunnel", "bad"};

/* Reads one request.  Returns how many bytes it takes, or 0 with the end in *how. */
static size_t read_request(const uint8_t *in, size_t len, enum reading *how)
{
    struct http_head head;
    struct http_body body;
    ssize_t n = http_head_parse(in, len, &head);
    ssize_t used;

    *how = n < 0 ? READING_BAD : READING_HALF;
    if (n <= 0)
        return 0;
    http_body_init(&body, &head);
    used = http_body_feed(&body, in + n, len - (size_t)n);
    if (used < 0)
        *how = READING_BAD;
    if (used < 0 || !http_body_is_done(&body))
        return 0;
    n += used;
    *how = head.wants_upgrade || head.target_form == HTTP_TARGET_AUTHORITY ? READING_TUNNEL
           : (size_t)n < len && !head.keep_alive                           ? READING_BAD
                                                                           : READING_WHOLE;
    return (size_t)n;
}

static enum reading read_all(const uint8_t *in, size_t len)
{
    enum reading how = READING_HALF;

    while (len) {
        size_t n = read_request(in, len, &how);

        if (n == 0 || how != READING_WHOLE)
            return how;
        in += n;
        len -= n;
    }
    return how;
}

/* Many cases leave Host out.  So that they show what they are about, the first request is given
 * one. */
static struct vector with_host(const struct vector *v)
{
    static const char host[] = "Host: a.example\r\n";
    struct vector out = {malloc(v->len + sizeof(host)), 0};
    size_t line = 0;

    while (line + 1 < v->len && (line == 0 || memcmp(v->bytes + line, "\r\n", 2) != 0))
        line++;
    line = line + 1 < v->len ? line + 2 : v->len;
    memcpy(out.bytes, v->bytes, line);
    memcpy(out.bytes + line, host, sizeof(host) - 1);
    memcpy(out.bytes + line + sizeof(host) - 1, v->bytes + line, v->len - line);
    out.len = v->len + sizeof(host) - 1;
    return out;
}

/* Adds Host where none is in sight. */
static enum reading read_hosted(const struct vector *v)
{
    struct vector hosted;
    enum reading how;

    if (memmem(v->bytes, v->len, "Host:", 5) || memmem(v->bytes, v->len, "HOST:", 5))
        return read_all(v->bytes, v->len);
    hosted = with_host(v);
    how = read_all(hosted.bytes, hosted.len);
    free(hosted.bytes);
    return how;
}

struct waiver {
    const char *id;
    const char *why;
};

static bool is_waived(const struct waiver *rows, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(rows[i].id, id) == 0)
            return true;
    return false;
}

#define CASE "llhttp/request/"

/* Cases that llhttp takes and we refuse. */
static const struct waiver refused_though_ok[] = {
    {CASE "connection.md#1", "its second request has no Host"},
    {CASE "connection.md#4",
     "two empty lines before the second request; RFC 9112 2.2 asks for one"},
    {CASE "method.md#80", "asterisk is for OPTIONS, RFC 9112 3.2.4"},
    {CASE "method.md#87", "ICE is not HTTP"},
    {CASE "method.md#88", "RTSP is not HTTP"},
    {CASE "method.md#89", "RTSP is not HTTP"},
    {CASE "pipelining.md#105", "its second request has no Host"},
    {CASE "sample.md#108", "its Host, 0.0.0.0=5000, is none"},
    {CASE "sample.md#109", "its Host, 0.0.0.0=5000, is none"},
    {CASE "sample.md#115", "HTTP/0.9"},
    {CASE "transfer-encoding.md#143", "a fragment; and deflate is not known here"},
    {CASE "transfer-encoding.md#144", "a fragment; and two Transfer-Encoding fields"},
    {CASE "uri.md#157", "absolute target without the same Host"},
    {CASE "uri.md#158", "absolute target without the same Host"},
    {CASE "uri.md#160", "absolute target without the same Host"},
    {CASE "uri.md#162", "a target has no fragment, RFC 9112 3.2"},
    {CASE "uri.md#164", "user information, RFC 9110 4.2.4"},
};

/* Cases where llhttp's "error" is a pause after a good head: what follows is not HTTP any more. */
static const struct waiver pauses[] = {
    {CASE "connection.md#13", "upgrade"},
    {CASE "connection.md#17", "upgrade"},
    {CASE "connection.md#18", "upgrade"},
    {CASE "connection.md#19", "upgrade"},
    {CASE "connection.md#20", "upgrade"},
    {CASE "method.md#77", "CONNECT: whoever reads the head refuses it, the relay is no proxy"},
    {CASE "method.md#78", "CONNECT"},
    {CASE "method.md#79", "CONNECT"},
    {CASE "uri.md#163", "CONNECT"},
};

static bool is_plain_request(const json_t *one)
{
    const char *type = json_string_value(json_object_get(json_object_get(one, "meta"), "type"));

    return type && strcmp(type, "request") == 0;
}

static const char *text_of(const json_t *one, const char *key)
{
    return json_string_value(json_object_get(one, key));
}

static unsigned check_llhttp_case(const json_t *one)
{
    const char *id = text_of(one, "id");
    struct vector v = vector_of_base64(text_of(one, "in_b64"));
    enum reading raw = read_all(v.bytes, v.len);
    enum reading hosted = read_hosted(&v);
    bool is_ok = strcmp(text_of(one, "expect"), "ok") == 0;
    bool differs = is_ok ? hosted == READING_BAD
                         : hosted != READING_BAD || raw == READING_WHOLE || raw == READING_TUNNEL;
    /* A waiver that is not needed is a fault too. */
    bool fault = differs != (is_ok ? is_waived(refused_though_ok, COUNT(refused_though_ok), id)
                                   : is_waived(pauses, COUNT(pauses), id));

    if (fault)
        (void)printf("%s: %s, with Host %s\n", id, reading_name[raw], reading_name[hosted]);
    free(v.bytes);
    return fault;
}

static void what_llhttp_refuses_is_refused_and_what_it_takes_is_taken_or_waived(void **state)
{
    json_t *cases = json_load_file(LLHTTP, 0, NULL);
    json_t *one;
    unsigned count = 0;
    unsigned faults = 0;
    size_t i;

    (void)state;
    json_array_foreach(cases, i, one)
    {
        if (!is_plain_request(one))
            continue;
        faults += check_llhttp_case(one);
        count++;
    }
    json_decref(cases);
    assert_int_equal(faults, 0);
    assert_true(count > 100);
}

/* Whether a status of the class that says "refused" is among those expected. */
static bool wants_refusal(const json_t *one)
{
    json_t *range = json_array_get(json_object_get(one, "expectedStatus"), 0);

    return json_integer_value(json_array_get(range, 0)) >= 400;
}

static void h1spec_requests_are_refused_taken_or_waited_on_as_it_says(void **state)
{
    json_t *cases = json_load_file(H1SPEC, 0, NULL);
    json_t *one;
    size_t i;

    (void)state;
    json_array_foreach(cases, i, one)
    {
        json_t *request = json_object_get(one, "request");
        enum reading how =
            read_all((const uint8_t *)json_string_value(request), json_string_length(request));
        enum reading want = json_is_true(json_object_get(one, "expectedTimeout")) ? READING_HALF
                            : wants_refusal(one)                                  ? READING_BAD
                                                                                  : READING_WHOLE;

        if (how != want)
            fail_msg("%s: %s", text_of(one, "description"), reading_name[how]);
    }
    json_decref(cases);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_llhttp_refuses_is_refused_and_what_it_takes_is_taken_or_waived),
        cmocka_unit_test(h1spec_requests_are_refused_taken_or_waited_on_as_it_says),
    };

    if (access(LLHTTP, R_OK) == -1 || access(H1SPEC, R_OK) == -1) {
        (void)printf("skipped: %s or %s is not there\n", LLHTTP, H1SPEC);
        return VECTOR_SKIPPED;
    }
    return cmocka_run_group_tests_name("http_vectors", tests, NULL, NULL);
}
