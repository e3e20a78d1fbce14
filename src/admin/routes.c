#include "admin/routes.h"

#include "admin/assets.h"
#include "admin/counts.h"
#include "admin/demo.h"
#include "admin/discovery.h"
#include "admin/echo.h"
#include "admin/tunnels.h"
#include "admin/websocket.h"
#include "edge/device.h"

static void start_echo(const struct front_request *request)
{
    if (request->edge->rules->echo)
        echo_start(request);
    else
        device_start(request);
}

const struct front_route admin_routes[] = {
    {"GET", "/", assets_serve},
    {"POST", "/", assets_serve}, /* whoever posts to it sees the page as well */
    {"GET", "/admin", assets_serve},
    {"GET", "/demo.js", assets_serve},
    {"GET", "/demo.css", assets_serve},
    {"GET", "/favicon.svg", assets_serve},
    {"GET", "/_apis/telebit.cloud/index.json", discovery_serve},
    {"GET", "/api/relay", counts_serve},
    {"GET", "/api/tunnels", tunnels_serve},
    {"WEBSOCKET", "/ws/client", demo_start_client},
    {"WEBSOCKET", "/ws/admin", demo_start_admin},
    {"WEBSOCKET", "/ws/echo", start_echo},
    {"WEBSOCKET", "*", device_start},
    {NULL, NULL, NULL},
};

void admin_close_all(struct edge *e)
{
    LIST_EACH (&e->sockets, link) {
        websocket_close(LIST_OWNER(link, struct websocket, link), WS_CODE_GOING_AWAY,
                        "the relay is stopping");
    }
}
