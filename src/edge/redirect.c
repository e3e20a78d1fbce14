#include "edge/redirect.h"

#include "edge/refuse.h"

#include <stdio.h>

bool redirect_wants(const struct edge_rules *rules, const struct http_head *head)
{
    static const char acme[] = "/.well-known/acme-challenge/";

    return rules->http == EDGE_HTTP_REDIRECT &&
           (head->path.len < sizeof(acme) - 1 ||
            memcmp(head->path.ptr, acme, sizeof(acme) - 1) != 0);
}

void redirect_tell(struct conn *conn, const struct hostname *host, const struct http_head *head)
{
    struct slice path = head->path, query = head->query;
    char location[8192], port[8] = "";
    int len;

    if (host->port && host->port != 80)
        (void)snprintf(port, sizeof(port), ":%u", host->port);
    len = snprintf(location, sizeof(location), "Location: https://%s%s%.*s%s%.*s\r\n", host->text,
                   port, (int)path.len, (const char *)path.ptr, query.len ? "?" : "",
                   (int)query.len, query.len ? (const char *)query.ptr : "");
    if (len < (int)sizeof(location))
        refuse_http(conn, 308, "This name is served over HTTPS.", location);
    else
        refuse_http(conn, 414, "The address is too long to be redirected.", NULL);
}
