/* Request heads: what they say, and everything about them that two readers could read in two
 * ways. */
#include "proto/http_head.h"

#include "vector.h"

#include <errno.h>
#include <setjmp.h> /* cmocka.h wants it */
#include <stdarg.h>

#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof((rows)[0]))
#define BYTES(text) (text), sizeof(text) - 1
#define HOST "Host: a.example\r\n"

struct good_row {
    const char *what;
    const char *in;
    const char *path;
    const char *query;
    const char *host; /* NULL: none */
    uint16_t port;
    int minor;
    enum http_target form;
    enum http_framing framing;
    uint64_t length;
    const char *flags; /* k keep-alive, u upgrade, e expects 100-continue */
};

static const struct good_row good[] = {
    {"least", "GET / HTTP/1.1\r\n" HOST "\r\n", "/", "", "a.example", 0, 1, HTTP_TARGET_ORIGIN,
     HTTP_FRAMING_NONE, 0, "k"},
    {"empty line before", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n", "/", "", "a.example", 0, 1,
     HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"query", "GET /a/b?c=d?e HTTP/1.1\r\n" HOST "\r\n", "/a/b", "c=d?e", "a.example", 0, 1,
     HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"two slashes are a path", "GET //b.example/ HTTP/1.1\r\n" HOST "\r\n", "//b.example/", "",
     "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"spaces around values", "GET / HTTP/1.1\r\nHost: \t A.Example.:80 \t \r\nEmpty:\r\n\r\n", "/",
     "", "a.example", 80, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", "/", "", NULL, 0, 0, HTTP_TARGET_ORIGIN,
     HTTP_FRAMING_NONE, 0, ""},
    {"1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "/", "", NULL, 0, 0,
     HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"1.0 cannot upgrade",
     "GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n",
     "/", "", NULL, 0, 0, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, ""},
    {"absolute", "GET http://A.example/x?y HTTP/1.1\r\n" HOST "\r\n", "/x", "y", "a.example", 0, 1,
     HTTP_TARGET_ABSOLUTE, HTTP_FRAMING_NONE, 0, "k"},
    {"absolute without path", "GET http://a.example HTTP/1.1\r\n" HOST "\r\n", "/", "", "a.example",
     0, 1, HTTP_TARGET_ABSOLUTE, HTTP_FRAMING_NONE, 0, "k"},
    {"absolute with only a query", "GET HTTP://a.example?y HTTP/1.1\r\n" HOST "\r\n", "/", "y",
     "a.example", 0, 1, HTTP_TARGET_ABSOLUTE, HTTP_FRAMING_NONE, 0, "k"},
    {"absolute with the scheme's port", "GET https://a.example:443/ HTTP/1.1\r\n" HOST "\r\n", "/",
     "", "a.example", 443, 1, HTTP_TARGET_ABSOLUTE, HTTP_FRAMING_NONE, 0, "k"},
    {"absolute in 1.0 without Host", "GET http://a.example:81/ HTTP/1.0\r\n\r\n", "/", "",
     "a.example", 81, 0, HTTP_TARGET_ABSOLUTE, HTTP_FRAMING_NONE, 0, ""},
    {"absolute with IPv6", "GET http://[::1]:81/ HTTP/1.1\r\nHost: [0::1]:81\r\n\r\n", "/", "",
     "::1", 81, 1, HTTP_TARGET_ABSOLUTE, HTTP_FRAMING_NONE, 0, "k"},
    {"asterisk", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "*", "", "a.example", 0, 1,
     HTTP_TARGET_ASTERISK, HTTP_FRAMING_NONE, 0, "k"},
    {"connect", "CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n", "", "", "a.example", 443, 1,
     HTTP_TARGET_AUTHORITY, HTTP_FRAMING_NONE, 0, "k"},
    {"length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0042\r\n\r\n", "/", "", "a.example", 0,
     1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_LENGTH, 42, "k"},
    {"greatest length", "POST / HTTP/1.1\r\n" HOST "content-LENGTH:9223372036854775807\r\n\r\n",
     "/", "", "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_LENGTH, INT64_MAX, "k"},
    {"length nought", "POST / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", "/", "", "a.example",
     0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_LENGTH, 0, "k"},
    {"chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: Chunked\r\n\r\n", "/", "",
     "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_CHUNKED, 0, "k"},
    {"close", "GET / HTTP/1.1\r\n" HOST "Connection: foo , CLOSE\r\n\r\n", "/", "", "a.example", 0,
     1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, ""},
    {"close wins", "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive\r\nConnection: close\r\n\r\n",
     "/", "", "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, ""},
    {"upgrade",
     "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n", "/",
     "", "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "ku"},
    {"upgrade to nothing", "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\n\r\n", "/", "",
     "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"upgrade unconnected", "GET / HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n\r\n", "/", "",
     "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"expect", "PUT / HTTP/1.1\r\n" HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", "/",
     "", "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_LENGTH, 1, "ke"},
    {"bytes above ASCII in a value", "GET / HTTP/1.1\r\n" HOST "X: D\xfcsseldorf \xff\r\n\r\n", "/",
     "", "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"what browsers leave as it is", "GET /?a=|{}^`[]\"<>\\ HTTP/1.1\r\n" HOST "\r\n", "/",
     "a=|{}^`[]\"<>\\", "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
    {"names that only look like others",
     "GET / HTTP/1.1\r\n" HOST "Hos: b\r\nHostx: b\r\nContent_Length: 5\r\n\r\n", "/", "",
     "a.example", 0, 1, HTTP_TARGET_ORIGIN, HTTP_FRAMING_NONE, 0, "k"},
};

static void check_good(const struct good_row *row, const struct http_head *h)
{
    char flags[4];

    (void)snprintf(flags, sizeof(flags), "%s%s%s", h->keep_alive ? "k" : "",
                   h->wants_upgrade ? "u" : "", h->expects_continue ? "e" : "");
    if (!slice_is_text(h->path, row->path) || !slice_is_text(h->query, row->query))
        fail_msg("%s: path %.*s", row->what, (int)h->path.len, (const char *)h->path.ptr);
    if (h->has_host != (row->host != NULL) ||
        (row->host && (strcmp(h->host.text, row->host) != 0 || h->host.port != row->port)))
        fail_msg("%s: host %s:%u", row->what, h->host.text, h->host.port);
    if (h->minor != row->minor || h->target_form != row->form || h->framing != row->framing ||
        h->content_length != row->length || strcmp(flags, row->flags) != 0)
        fail_msg("%s: minor %d form %d framing %d flags %s", row->what, h->minor,
                 (int)h->target_form, (int)h->framing, flags);
}

static void try_good(const struct good_row *row)
{
    struct http_head head;
    size_t len = strlen(row->in);

    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = vector_cut(row->in, cut);

        if (http_head_parse(exact, cut, &head) != 0)
            fail_msg("%s cut at %zu", row->what, cut);
        free(exact);
    }
    if (http_head_parse((const uint8_t *)row->in, len, &head) != (ssize_t)len)
        fail_msg("%s", row->what);
    check_good(row, &head);
}

static void a_good_head_is_taken_apart_and_wants_more_until_its_last_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        try_good(&good[i]);
}

struct bad_row {
    const char *what;
    const char *in;
    size_t len;
    int err;
};

#define REQUEST_LINE(text) BYTES(text "\r\n" HOST "\r\n")
#define FIELDS(text) BYTES("POST / HTTP/1.1\r\n" HOST text "\r\n\r\n")
#define HOSTS(text) BYTES("GET / HTTP/1.1\r\n" text "\r\n")

static const struct bad_row bad[] = {
    /* the request line */
    {"HTTP/0.9", BYTES("GET /\r\n"), -EPROTO},
    {"HTTP/0.9 with a space", BYTES("GET / \r\n"), -EPROTO},
    {"two empty lines before", BYTES("\r\n\r\n"), -EPROTO},
    {"bare CR before", BYTES("\rG"), -EPROTO},
    {"bare LF before", BYTES("\nGET"), -EPROTO},
    {"space before", BYTES(" GET"), -EPROTO},
    {"no method", BYTES("/ HTTP/1.1"), -EPROTO},
    {"unknown method", BYTES("FOO / HTTP/1.1"), -ENOSYS},
    {"unknown method, without its end", BYTES("GETT"), -ENOSYS},
    {"lower case method", BYTES("get / HTTP/1.1"), -ENOSYS},
    {"HTTP/2's preface", BYTES("PRI * HTTP/2.0"), -ENOSYS},
    {"method no token", BYTES("G(T /"), -EPROTO},
    {"method that stops short", BYTES("GE /"), -ENOSYS},
    {"a response", BYTES("HTTP/1.1 200 OK\r\n"), -ENOSYS},
    {"tab after the method", BYTES("GET\t/"), -EPROTO},
    {"two spaces after the method", BYTES("GET  /"), -EPROTO},
    {"CRLF after the method", BYTES("GET\r\n"), -EPROTO},
    {"two spaces after the target", BYTES("GET /  "), -EPROTO},
    {"tab after the target", BYTES("GET /\t"), -EPROTO},
    {"space in the target", BYTES("GET /a b HTTP/1.1"), -EPROTO},
    {"fragment", BYTES("GET /#"), -EPROTO},
    {"UTF-8 in the target", BYTES("GET /\xc3\xbc"), -EPROTO},
    {"NUL in the target", BYTES("GET /\0"), -EPROTO},
    {"DEL in the target", BYTES("GET /\x7f"), -EPROTO},
    {"relative target", BYTES("GET a/b HTTP"), -EPROTO},
    {"query only", BYTES("GET ?a HTTP"), -EPROTO},
    {"asterisk for another method", BYTES("GET * HTTP"), -EPROTO},
    {"asterisk and more", BYTES("OPTIONS *a HTTP"), -EPROTO},
    {"unknown scheme", BYTES("GET ftp://a.example/ HTTP"), -EPROTO},
    {"scheme without slashes", BYTES("GET http:a.example/ HTTP"), -EPROTO},
    {"scheme with one slash", BYTES("GET http:/a.example/ HTTP"), -EPROTO},
    {"absolute without a host", BYTES("GET http:// HTTP"), -EPROTO},
    {"absolute with an empty host", BYTES("GET http:///x HTTP"), -EPROTO},
    {"absolute with a port alone", BYTES("GET http://:80/x HTTP"), -EPROTO},
    {"absolute with a user", BYTES("GET http://me@a.example/ HTTP"), -EPROTO},
    {"absolute with a backslash", BYTES("GET http://a.example\\@b.example/ HTTP"), -EPROTO},
    {"authority for another method", BYTES("GET a.example:80 HTTP"), -EPROTO},
    {"connect without a port", BYTES("CONNECT a.example HTTP"), -EPROTO},
    {"connect to a path", BYTES("CONNECT / HTTP"), -EPROTO},
    {"connect with a scheme", BYTES("CONNECT http://a.example:80 HTTP"), -EPROTO},
    {"lower case version", BYTES("GET / http"), -EPROTO},
    {"another protocol", BYTES("GET / RTSP/1.0"), -EPROTO},
    {"version without a point", BYTES("GET / HTTP/11"), -EPROTO},
    {"version of three parts", REQUEST_LINE("GET / HTTP/1.1.1"), -EPROTO},
    {"version of two digits", REQUEST_LINE("GET / HTTP/1.10"), -EPROTO},
    {"version with a leading zero", BYTES("GET / HTTP/01"), -EPROTO},
    {"1.2", BYTES("GET / HTTP/1.2"), -EPROTONOSUPPORT},
    {"2.0", BYTES("GET / HTTP/2.0"), -EPROTONOSUPPORT},
    {"0.9 named", BYTES("GET / HTTP/0.9"), -EPROTONOSUPPORT},
    {"9.9", BYTES("GET / HTTP/9.9"), -EPROTONOSUPPORT},
    {"space after the version", BYTES("GET / HTTP/1.1 "), -EPROTO},
    {"LF after the version", BYTES("GET / HTTP/1.1\n"), -EPROTO},
    {"CR after the version", BYTES("GET / HTTP/1.1\rH"), -EPROTO},
    {"two CRs after the version", BYTES("GET / HTTP/1.1\r\r"), -EPROTO},
    /* lines */
    {"folded first line", BYTES("GET / HTTP/1.1\r\n "), -EPROTO},
    {"tab before the first name", BYTES("GET / HTTP/1.1\r\n\t"), -EPROTO},
    {"folded value", BYTES("GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n"), -EPROTO},
    {"folded by a tab", BYTES("GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n"), -EPROTO},
    {"folded Host", BYTES("GET / HTTP/1.1\r\nHost:\r\n a.example\r\n\r\n"), -EPROTO},
    {"blank folded line", BYTES("GET / HTTP/1.1\r\n" HOST " \r\n\r\n"), -EPROTO},
    {"line without a colon", BYTES("GET / HTTP/1.1\r\n" HOST "X\r\n\r\n"), -EPROTO},
    {"empty name", BYTES("GET / HTTP/1.1\r\n" HOST ": a\r\n\r\n"), -EPROTO},
    {"space before the colon", BYTES("GET / HTTP/1.1\r\n" HOST "X : a\r\n\r\n"), -EPROTO},
    {"tab before the colon", BYTES("GET / HTTP/1.1\r\n" HOST "X\t: a\r\n\r\n"), -EPROTO},
    {"space in the name", BYTES("GET / HTTP/1.1\r\n" HOST "X Y: a\r\n\r\n"), -EPROTO},
    {"brackets in the name", BYTES("GET / HTTP/1.1\r\n" HOST "X[]: a\r\n\r\n"), -EPROTO},
    {"Latin-1 in the name", BYTES("GET / HTTP/1.1\r\n" HOST "X\xfc: a\r\n\r\n"), -EPROTO},
    {"bare LF ends a line", BYTES("GET / HTTP/1.1\r\n" HOST "X: a\nY: b\r\n\r\n"), -EPROTO},
    {"bare CR ends a line", BYTES("GET / HTTP/1.1\r\n" HOST "X: a\rY: b\r\n\r\n"), -EPROTO},
    {"bare LF ends the head", BYTES("GET / HTTP/1.1\r\n" HOST "\n"), -EPROTO},
    {"bare CR ends the head", BYTES("GET / HTTP/1.1\r\n" HOST "\rX"), -EPROTO},
    {"LF CR", BYTES("GET / HTTP/1.1\r\n" HOST "X: a\n\r"), -EPROTO},
    {"CR CR LF", BYTES("GET / HTTP/1.1\r\n" HOST "X: a\r\r\n"), -EPROTO},
    {"only LFs", BYTES("GET / HTTP/1.1\nHost: a.example\n\n"), -EPROTO},
    /* hosts */
    {"no Host", HOSTS(""), -EPROTO},
    {"no Host, but an absolute target", BYTES("GET http://a.example/ HTTP/1.1\r\n\r\n"), -EPROTO},
    {"two Hosts", HOSTS(HOST "Host: b.example\r\n"), -EPROTO},
    {"the same Host twice", HOSTS(HOST HOST), -EPROTO},
    {"two Hosts in 1.0", BYTES("GET / HTTP/1.0\r\n" HOST "hOST: b.example\r\n\r\n"), -EPROTO},
    {"two Hosts far apart", HOSTS(HOST "X: y\r\nHOST:\ta.example\r\n"), -EPROTO},
    {"empty Host", HOSTS("Host:\r\n"), -EPROTO},
    {"blank Host", HOSTS("Host: \t\r\n"), -EPROTO},
    {"two names in Host", HOSTS("Host: a.example, b.example\r\n"), -EPROTO},
    {"user in Host", HOSTS("Host: me@a.example\r\n"), -EPROTO},
    {"port nought", HOSTS("Host: a.example:0\r\n"), -EPROTO},
    {"IDN in Host", HOSTS("Host: \xc3\xbc.example\r\n"), -EPROTO},
    {"short IPv4 in Host", HOSTS("Host: 127.1\r\n"), -EPROTO},
    {"NUL in Host", HOSTS("Host: a.example\0.evil\r\n"), -EPROTO},
    {"space in Host", HOSTS("Host: a.example b\r\n"), -EPROTO},
    {"another host in the target", REQUEST_LINE("GET http://b.example/ HTTP/1.1"), -EPROTO},
    {"another port in the target", REQUEST_LINE("GET http://a.example:81/ HTTP/1.1"), -EPROTO},
    {"another scheme's port", REQUEST_LINE("GET http://a.example:443/ HTTP/1.1"), -EPROTO},
    {"another host to connect to", REQUEST_LINE("CONNECT b.example:443 HTTP/1.1"), -EPROTO},
    {"another port to connect to",
     BYTES("CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:80\r\n\r\n"), -EPROTO},
    /* where the body ends */
    {"both framings", FIELDS("Content-Length: 5\r\nTransfer-Encoding: chunked"), -EPROTO},
    {"both framings, turned", FIELDS("Transfer-Encoding: chunked\r\nContent-Length: 5"), -EPROTO},
    {"both framings, nought", FIELDS("Content-Length: 0\r\nTransfer-Encoding: chunked"), -EPROTO},
    {"both framings, identity", FIELDS("Content-Length: 5\r\nTransfer-Encoding: identity"),
     -EPROTO},
    {"both framings, empty", FIELDS("Content-Length: 5\r\nTransfer-Encoding:"), -EPROTO},
    {"two lengths", FIELDS("Content-Length: 5\r\nContent-Length: 6"), -EPROTO},
    {"two equal lengths", FIELDS("Content-Length: 5\r\nContent-Length: 5"), -EPROTO},
    {"two lengths in two cases", FIELDS("Content-Length: 5\r\ncontent-length: 5"), -EPROTO},
    {"two lengths in one line", FIELDS("Content-Length: 5, 5"), -EPROTO},
    {"length and a comma", FIELDS("Content-Length: 5,"), -EPROTO},
    {"empty length", FIELDS("Content-Length:"), -EPROTO},
    {"blank length", FIELDS("Content-Length: \t"), -EPROTO},
    {"signed length", FIELDS("Content-Length: +5"), -EPROTO},
    {"negative length", FIELDS("Content-Length: -5"), -EPROTO},
    {"hexadecimal length", FIELDS("Content-Length: 0x5"), -EPROTO},
    {"length of letters", FIELDS("Content-Length: abc"), -EPROTO},
    {"length then letters", FIELDS("Content-Length: 5a"), -EPROTO},
    {"length with a point", FIELDS("Content-Length: 5.0"), -EPROTO},
    {"length with an exponent", FIELDS("Content-Length: 5e0"), -EPROTO},
    {"length with an underscore", FIELDS("Content-Length: 1_0"), -EPROTO},
    {"length with a space", FIELDS("Content-Length: 1 0"), -EPROTO},
    {"length in quotes", FIELDS("Content-Length: \"5\""), -EPROTO},
    {"length in other digits", FIELDS("Content-Length: \xd9\xa5"), -EPROTO},
    {"length past 63 bits", FIELDS("Content-Length: 9223372036854775808"), -EPROTO},
    {"length past 64 bits", FIELDS("Content-Length: 18446744073709551616"), -EPROTO},
    {"length that wraps to 5", FIELDS("Content-Length: 18446744073709551621"), -EPROTO},
    {"length with a vertical tab", FIELDS("Content-Length: \v5"), -EPROTO},
    {"length with a no-break space", FIELDS("Content-Length: 5\xa0"), -EPROTO},
    {"space after the length's name", FIELDS("Content-Length : 5"), -EPROTO},
    {"NUL after the length's name", FIELDS("Content-Length\0: 5"), -EPROTO},
    {"folded length", FIELDS("Content-Length:\r\n 5"), -EPROTO},
    {"two codings", FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), -EPROTO},
    {"two codings, first identity",
     FIELDS("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"), -EPROTO},
    {"two codings, then identity",
     FIELDS("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), -EPROTO},
    {"two codings in two cases", FIELDS("Transfer-Encoding: chunked\r\ntransfer-encoding: chunked"),
     -EPROTO},
    {"empty coding", FIELDS("Transfer-Encoding:"), -EPROTO},
    {"identity", FIELDS("Transfer-Encoding: identity"), -EPROTO},
    {"gzip alone", FIELDS("Transfer-Encoding: gzip"), -EPROTO},
    {"gzip, chunked", FIELDS("Transfer-Encoding: gzip, chunked"), -ENOSYS},
    {"identity, chunked", FIELDS("Transfer-Encoding: identity, chunked"), -ENOSYS},
    {"chunked, gzip", FIELDS("Transfer-Encoding: chunked, gzip"), -EPROTO},
    {"chunked, identity", FIELDS("Transfer-Encoding: chunked, identity"), -EPROTO},
    {"chunked twice in one line", FIELDS("Transfer-Encoding: chunked, chunked"), -EPROTO},
    {"comma before chunked", FIELDS("Transfer-Encoding: , chunked"), -ENOSYS},
    {"comma after chunked", FIELDS("Transfer-Encoding: chunked,"), -EPROTO},
    {"chunked with a parameter", FIELDS("Transfer-Encoding: chunked;q=1"), -EPROTO},
    {"chunked and a word", FIELDS("Transfer-Encoding: chunked foo"), -EPROTO},
    {"letter before chunked", FIELDS("Transfer-Encoding: xchunked"), -EPROTO},
    {"letter after chunked", FIELDS("Transfer-Encoding: chunkedx"), -EPROTO},
    {"chunked in quotes", FIELDS("Transfer-Encoding: \"chunked\""), -EPROTO},
    {"chunke", FIELDS("Transfer-Encoding: chunke"), -EPROTO},
    {"Kelvin sign in chunked",
     FIELDS("Transfer-Encoding: chun\xe2\x84\xaa"
            "ed"),
     -EPROTO},
    {"vertical tab before chunked", FIELDS("Transfer-Encoding: \vchunked"), -EPROTO},
    {"form feed after chunked", FIELDS("Transfer-Encoding: chunked\f"), -EPROTO},
    {"NUL after chunked", FIELDS("Transfer-Encoding: chunked\0"), -EPROTO},
    {"no-break space before chunked",
     FIELDS("Transfer-Encoding: \xa0"
            "chunked"),
     -EPROTO},
    {"space after the coding's name", FIELDS("Transfer-Encoding : chunked"), -EPROTO},
    {"tab after the coding's name", FIELDS("Transfer-Encoding\t: chunked"), -EPROTO},
    {"space before the coding's name", FIELDS(" Transfer-Encoding: chunked"), -EPROTO},
    {"folded coding", FIELDS("Transfer-Encoding:\r\n chunked"), -EPROTO},
    {"coding after a bare CR", FIELDS("X: y\rTransfer-Encoding: chunked"), -EPROTO},
    {"coding after a bare LF", FIELDS("X: y\nTransfer-Encoding: chunked"), -EPROTO},
    {"coding after LF CR", FIELDS("X: y\n\rTransfer-Encoding: chunked"), -EPROTO},
    {"coding in 1.0", BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), -EPROTO},
};

/* Each prefix either wants more or is refused for the same reason: what is certain is said, and
 * nothing is said that later bytes could change. */
static void try_bad(const struct bad_row *row)
{
    struct http_head head;
    ssize_t n = http_head_parse((const uint8_t *)row->in, row->len, &head);
    ssize_t before = 0;

    if (n != row->err)
        fail_msg("%s: %zd", row->what, n);
    for (size_t cut = 0; cut < row->len; cut++) {
        uint8_t *exact = vector_cut(row->in, cut);

        n = http_head_parse(exact, cut, &head);
        if (n != before && !(before == 0 && n == row->err))
            fail_msg("%s cut at %zu: %zd", row->what, cut, n);
        before = n;
        free(exact);
    }
}

static void a_bad_head_is_refused_whole_or_earlier_never_otherwise(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++)
        try_bad(&bad[i]);
}

static const char whole[] =
    "\r\nPOST /a?b HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nX-Y: z \r\n\r\n";
#define WHOLE_LEN (sizeof(whole) - 1)

/* The head above with byte `c` put at `at`. */
static ssize_t parse_with(size_t at, unsigned c)
{
    uint8_t text[WHOLE_LEN + 1];
    struct http_head head;

    memcpy(text, whole, at);
    text[at] = (uint8_t)c;
    memcpy(text + at + 1, whole + at, WHOLE_LEN - at);
    return http_head_parse(text, sizeof(text), &head);
}

/* The head above without its byte at `at`. */
static ssize_t parse_without(size_t at)
{
    uint8_t text[WHOLE_LEN - 1];
    struct http_head head;

    memcpy(text, whole, at);
    memcpy(text + at, whole + at + 1, WHOLE_LEN - 1 - at);
    return http_head_parse(text, sizeof(text), &head);
}

static void a_control_byte_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < WHOLE_LEN * 128; i++) {
        unsigned c = (unsigned)(i % 128);
        ssize_t n;

        if ((c >= ' ' && c < 127) || c == '\t' || c == '\r' || c == '\n')
            continue;
        n = parse_with(i / 128, c);
        if (n != -EPROTO && n != -ENOSYS)
            fail_msg("byte %u at %zu: %zd", c, i / 128, n);
    }
}

static void half_a_line_end_more_or_less_is_refused_wherever_it_stands(void **state)
{
    (void)state;
    for (size_t at = 0; at < WHOLE_LEN; at++) {
        if (parse_with(at, '\r') > 0)
            fail_msg("CR put at %zu", at);
        /* Before the last LF another one leaves the head as it was. */
        if (at < WHOLE_LEN - 1 && parse_with(at, '\n') > 0)
            fail_msg("LF put at %zu", at);
        if ((whole[at] == '\r' || whole[at] == '\n') && parse_without(at) > 0)
            fail_msg("line end left out at %zu", at);
    }
}

/* Puts each byte that is none of `allowed` into the head above at `at`. */
static void try_bytes(size_t at, const char *allowed)
{
    for (unsigned c = 0; c < 256; c++) {
        bool is_allowed = c >= 128 ? strchr(allowed, 0x80) != NULL : c && strchr(allowed, (int)c);

        if ((parse_with(at, c) > 0) != is_allowed)
            fail_msg("byte %u at %zu", c, at);
    }
}

#define ALNUM "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static void names_targets_and_values_have_the_bytes_that_are_theirs_and_no_others(void **state)
{
    size_t target = (size_t)(strstr(whole, "b HTTP") - whole);
    size_t name = (size_t)(strstr(whole, "-Y") - whole);
    size_t value = (size_t)(strstr(whole, "z \r") - whole);

    (void)state;
    try_bytes(target, ALNUM "!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~");
    try_bytes(name, ALNUM "!#$%&'*+-.^_`|~:"); /* the colon ends it */
    try_bytes(value, ALNUM "\t !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\x80");
}

/* Whether a head with that byte in it is one. */
static bool is_head_with(const char *text, size_t len, size_t at, unsigned c)
{
    uint8_t *exact = vector_cut(text, len);
    struct http_head head;
    ssize_t got;

    exact[at] = (uint8_t)c;
    got = http_head_parse(exact, len, &head);
    free(exact);
    return got > 0;
}

static void try_all_at(const char *text, size_t len, size_t at)
{
    for (unsigned c = 0; c < 256; c++)
        if (is_head_with(text, len, at, c) != (c == '\t' || (c >= ' ' && c != 127)))
            fail_msg("byte %u at %zu", c, at);
}

/* Long values are looked at in words. */
static void a_long_value_has_the_same_bytes_wherever_they_stand(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a\r\nX:vvvvvvvvvvvvvvvvvvvvvvv\r\n\r\n";

    (void)state;
    for (size_t at = (size_t)(strstr(text, "v") - text); text[at] == 'v'; at++)
        try_all_at(text, sizeof(text) - 1, at);
}

static void a_head_ends_at_its_blank_line_whatever_follows(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "\r\n\0\xff more";
    struct http_head head;

    (void)state;
    assert_int_equal(http_head_parse((const uint8_t *)text, sizeof(text) - 1, &head), strlen(text));
}

static void fields_are_at_most_a_hundred(void **state)
{
    char text[8192];
    struct http_head head;
    size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n" HOST);

    (void)state;
    for (unsigned i = 1; i < HTTP_HEAD_FIELDS; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "x%u: %u\r\n", i, i);
    vector_put(text + len, "\r\n");
    assert_int_equal(http_head_parse((uint8_t *)text, len + 2, &head), len + 2);
    assert_int_equal(head.field_count, HTTP_HEAD_FIELDS);
    assert_true(slice_is_text(http_head_field(&head, "X99")->value, "99"));
    vector_put(text + len, "y:\r\n");
    assert_int_equal(http_head_parse((uint8_t *)text, len + 4, &head), -EMSGSIZE);
}

static void a_head_is_at_most_64_kib(void **state)
{
    static const char begin[] = "GET / HTTP/1.1\r\n" HOST "X: ";
    size_t size = HTTP_HEAD_MAX + 1;
    uint8_t *text = malloc(size);
    struct http_head head;

    (void)state;
    memset(text, 'y', size);
    vector_put(text, begin);
    assert_int_equal(http_head_parse(text, HTTP_HEAD_MAX - 1, &head), 0);
    assert_int_equal(http_head_parse(text, HTTP_HEAD_MAX, &head), -EMSGSIZE);
    vector_put(text + HTTP_HEAD_MAX - 3, "\r\n\r\n");
    assert_int_equal(http_head_parse(text, HTTP_HEAD_MAX + 1, &head), -EMSGSIZE);
    vector_put(text + HTTP_HEAD_MAX - 4, "\r\n\r\n");
    assert_int_equal(http_head_parse(text, HTTP_HEAD_MAX + 1, &head), HTTP_HEAD_MAX);
    free(text);
}

static void tokens_are_found_in_any_line_and_place_of_a_list(void **state)
{
    static const char text[] = "GET / HTTP/1.1\r\n" HOST "A: one ,, TWO;q=1\r\na:\r\nB: three\r\n"
                               "a: ,four\t;x , five six,\r\n\r\n";
    struct http_head head;

    (void)state;
    assert_true(http_head_parse((const uint8_t *)text, sizeof(text) - 1, &head) > 0);
    assert_true(http_head_has_token(&head, "a", "one"));
    assert_true(http_head_has_token(&head, "A", "two"));
    assert_true(http_head_has_token(&head, "a", "FOUR"));
    assert_true(http_head_has_token(&head, "a", "five six"));
    assert_false(http_head_has_token(&head, "a", "five"));
    assert_false(http_head_has_token(&head, "a", "three"));
    assert_false(http_head_has_token(&head, "a", "q=1"));
    assert_false(http_head_has_token(&head, "c", "one"));
    assert_null(http_head_field(&head, "c"));
    assert_true(slice_is_text(http_head_field(&head, "HOST")->value, "a.example"));
}

struct status_row {
    const char *what;
    const char *in;
    size_t len;
    ssize_t result;
    int status;
};

static const struct status_row status_rows[] = {
    {"plain", BYTES("HTTP/1.1 200 OK\r\n"), 17, 200},
    {"more follows", BYTES("HTTP/1.0 404 Not Found\r\nX"), 24, 404},
    {"no reason", BYTES("HTTP/1.1 101 \r\n"), 15, 101},
    {"not even its space", BYTES("HTTP/1.1 599\r\n"), 14, 599},
    {"reason in Latin-1", BYTES("HTTP/1.1 200 \xfc\r\n"), 16, 200},
    {"more is needed", BYTES("HTTP/1.1 200 OK\r"), 0, 0},
    {"nothing", BYTES(""), 0, 0},
    {"no HTTP", BYTES("SSH-2.0"), -EPROTO, 0},
    {"another version", BYTES("HTTP/2.0"), -EPROTO, 0},
    {"two digits", BYTES("HTTP/1.1 20 "), -EPROTO, 0},
    {"four digits", BYTES("HTTP/1.1 2000 OK\r\n"), -EPROTO, 0},
    {"too small", BYTES("HTTP/1.1 099 OK\r\n"), -EPROTO, 0},
    {"too large", BYTES("HTTP/1.1 600 OK\r\n"), -EPROTO, 0},
    {"bare LF", BYTES("HTTP/1.1 200 OK\n"), -EPROTO, 0},
    {"NUL", BYTES("HTTP/1.1 200 O\0K\r\n"), -EPROTO, 0},
};

static void a_status_line_is_recognised(void **state)
{
    char text[9000];
    int status = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(status_rows); i++) {
        const struct status_row *row = &status_rows[i];

        status = 0;
        if (http_status_parse((const uint8_t *)row->in, row->len, &status) != row->result ||
            status != row->status)
            fail_msg("%s: %d", row->what, status);
        for (ssize_t cut = 0; cut < row->result; cut++)
            assert_int_equal(http_status_parse((const uint8_t *)row->in, (size_t)cut, &status), 0);
    }
    memset(text, 'x', sizeof(text));
    vector_put(text, "HTTP/1.1 200 ");
    assert_int_equal(http_status_parse((uint8_t *)text, sizeof(text), &status), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_head_is_taken_apart_and_wants_more_until_its_last_byte),
        cmocka_unit_test(a_bad_head_is_refused_whole_or_earlier_never_otherwise),
        cmocka_unit_test(a_control_byte_is_refused_wherever_it_stands),
        cmocka_unit_test(half_a_line_end_more_or_less_is_refused_wherever_it_stands),
        cmocka_unit_test(names_targets_and_values_have_the_bytes_that_are_theirs_and_no_others),
        cmocka_unit_test(a_long_value_has_the_same_bytes_wherever_they_stand),
        cmocka_unit_test(a_head_ends_at_its_blank_line_whatever_follows),
        cmocka_unit_test(fields_are_at_most_a_hundred),
        cmocka_unit_test(a_head_is_at_most_64_kib),
        cmocka_unit_test(tokens_are_found_in_any_line_and_place_of_a_list),
        cmocka_unit_test(a_status_line_is_recognised),
    };

    return cmocka_run_group_tests_name("http_head", tests, NULL, NULL);
}
