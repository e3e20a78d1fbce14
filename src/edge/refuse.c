#include "edge/refuse.h"

#include "base/clock.h"

#include <errno.h>
#include <stdio.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {304, "Not Modified"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {421, "Misdirected Request"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

int refuse_status(int err)
{
    switch (err) {
    case -EMSGSIZE: return 431;
    case -EPROTONOSUPPORT: return 505;
    case -ENOSYS: return 501;
    case -EFBIG: return 413;
    default: return 400;
    }
}

const char *refuse_reason(int status)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status)
            return reasons[i].reason;
    }
    return "Unknown";
}

int refuse_retry_s(unsigned told_before)
{
    return 5 + (int)(told_before * 7 % 11); /* 7: neighbours are told times far from each other */
}

size_t refuse_write_page(char out[REFUSE_PAGE_MAX], int status, const char *sentence)
{
    int len = snprintf(out, REFUSE_PAGE_MAX,
                       "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width\">\n"
                       "<meta name=\"color-scheme\" content=\"light dark\">\n"
                       "<title>%d %s</title>\n<h1>%s</h1>\n<p>%s</p>\n</html>\n",
                       status, refuse_reason(status), refuse_reason(status), sentence);

    return len < (int)REFUSE_PAGE_MAX ? (size_t)len : REFUSE_PAGE_MAX - 1;
}

void refuse_tls(struct conn *c, enum refuse_alert alert)
{
    uint8_t record[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert}; /* alert, TLS 1.2, fatal */

    (void)conn_write(c, record, sizeof(record));
    conn_finish(c);
}

void refuse_http(struct conn *c, int status, const char *sentence, const char *headers)
{
    char page[REFUSE_PAGE_MAX], head[512], more[] = "";
    char last[] = "Connection: close\r\n\r\n";
    char date[CLOCK_HTTP_SIZE];
    size_t page_len = refuse_write_page(page, status, sentence);
    struct iovec iov[] = {
        {head, 0},
        {headers ? (char *)(uintptr_t)headers : more, headers ? strlen(headers) : 0},
        {last, sizeof(last) - 1},
        {page, page_len}};

    clock_write_http(date);
    iov[0].iov_len = (size_t)snprintf(head, sizeof(head),
                                      "HTTP/1.1 %d %s\r\nDate: %s\r\n"
                                      "Content-Type: text/html; charset=utf-8\r\n"
                                      "Content-Length: %zu\r\nCache-Control: no-store\r\n"
                                      "X-Content-Type-Options: nosniff\r\n",
                                      status, refuse_reason(status), date, page_len);
    (void)conn_writev(c, iov, 4);
    conn_finish(c);
}

void refuse_other(struct conn *c)
{
    static const char line[] = "{\"error\":{\"message\":\"this port speaks TLS and HTTP only\","
                               "\"code\":\"E_INVALID_PROTOCOL\"}}\r\n";

    (void)conn_write(c, line, sizeof(line) - 1);
    conn_finish(c);
}
