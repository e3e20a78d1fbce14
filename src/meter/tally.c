#include "meter/tally.h"

const char *const tally_name[TALLY_IDS] = {
    [TALLY_ACCEPTED] = "accepted",
    [TALLY_PENDING] = "pending",
    [TALLY_VISITORS_MOVED] = "visitors_moved",
    [TALLY_VISITORS_RETRIED] = "visitors_retried",
    [TALLY_HANDSHAKES] = "handshakes",
    [TALLY_HANDSHAKES_RESUMED] = "handshakes_resumed",
    [TALLY_HANDSHAKES_FAILED] = "handshakes_failed",
    [TALLY_HANDSHAKES_WAITED] = "handshakes_waited",
    [TALLY_HANDSHAKES_WAITING] = "handshakes_waiting",
    [TALLY_REFUSED_UNKNOWN_NAME] = "unknown_name",
    [TALLY_REFUSED_DEVICE_AWAY] = "device_away",
    [TALLY_REFUSED_DEVICE_FULL] = "device_full",
    [TALLY_REFUSED_NAME_TOO_LONG] = "name_too_long",
    [TALLY_REFUSED_NOT_UNDERSTOOD] = "not_understood",
    [TALLY_REFUSED_NOT_PASSABLE] = "not_passable",
    [TALLY_REFUSED_TOO_SLOW] = "too_slow",
    [TALLY_REFUSED_DRAINING] = "draining",
    [TALLY_REFUSED_VISITORS_MAX] = "visitors_max",
    [TALLY_REFUSED_NO_RESOURCES] = "no_resources",
    [TALLY_REFUSED_MEMORY] = "memory",
    [TALLY_REFUSED_DESCRIPTORS] = "descriptors",
    [TALLY_REFUSED_HANDSHAKES_PENDING] = "handshakes_pending",
    [TALLY_REFUSED_ADDRESS_CONNECTIONS] = "address_connections",
    [TALLY_REFUSED_ADDRESS_HANDSHAKES] = "address_handshakes",
    [TALLY_REFUSED_TOKEN_STREAMS] = "token_streams",
    [TALLY_REFUSED_TUNNELS_MAX] = "tunnels_max",
    [TALLY_REFUSED_TOKEN_TUNNELS] = "token_tunnels",
    [TALLY_REFUSED_NO_TOKEN] = "no_token",
    [TALLY_REFUSED_BAD_TOKEN] = "bad_token",
    [TALLY_REFUSED_BAD_NAME] = "bad_name",
    [TALLY_REFUSED_NAME_TAKEN] = "name_taken",
    [TALLY_REFUSED_PORT_UNAVAILABLE] = "port_unavailable",
    [TALLY_REFUSED_TOO_MANY_NAMES] = "too_many_names",
    [TALLY_REFUSED_FOREIGN_PAGE] = "foreign_page",
};

void tally_sum(const struct tally *t, uint64_t sum[TALLY_IDS])
{
    for (unsigned id = 0; id < TALLY_IDS; id++)
        sum[id] += tally_read(t, (enum tally_id)id);
}
