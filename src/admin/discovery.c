#include "admin/discovery.h"

#include <stdio.h>

/* The device puts the host it asked, without its port, in place of ":hostname"; the port has to
 * be said again.  The relay answers wss on every port it has, so a usual port needs no mention:
 * wss then is the other of the two. */
char *discovery_write(const char *scheme, uint16_t port, char out[DISCOVERY_SIZE])
{
    char suffix[8] = "";

    if (port && port != 443 && !(port == 80 && strcmp(scheme, "http") == 0))
        (void)snprintf(suffix, sizeof(suffix), ":%u", port);
    (void)snprintf(out, DISCOVERY_SIZE,
                   "{\"terms_of_service\":\":hostname/tos/\",\"api_host\":\":hostname%s\","
                   "\"tunnel\":{\"method\":\"wss\",\"pathname\":\"\"}}",
                   suffix);
    return out;
}

void discovery_serve(const struct front_request *request)
{
    char document[DISCOVERY_SIZE];
    uint16_t port = request->head->has_host ? request->head->host.port : 0;

    (void)discovery_write(request->scheme, port, document);
    front_respond(request, &(struct front_response){.status = 200,
                                                    .type = "application/json; charset=utf-8",
                                                    .headers = "Cache-Control: no-store\r\n",
                                                    .body = slice_text(document)});
}
