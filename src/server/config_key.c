#include "server/config_key.h"

#include "auth/key.h"
#include "server/config.h"

#include <assert.h>

#include <inttypes.h>
#include <stdio.h>

#define AT(field) offsetof(struct config, field)
#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)

const struct config_key config_keys[] = {
    {"listen", CONFIG_ADDRESSES, AT(listen), ":8000", 1, 64, NULL,
     "where to answer: ADDR:PORT, or a port for all addresses; port 0 takes a free one"},
    {"name", CONFIG_HOSTS, AT(names), "localhost", 1, CONFIG_LIST_MAX, NULL,
     "a host the relay itself answers for; its IP addresses always are"},
    {"state", CONFIG_PATH, AT(state), "rvpn-state", 1, 3000, NULL,
     "folder for what the relay makes itself; $XDG_STATE_HOME/rvpn if that variable is set"},
    {"secret_file", CONFIG_PATH, AT(secret_file), NULL, 1, 3000, "token-secret",
     "file with the secret that signs tokens, in place of the one in the state folder"},
    {"workers", CONFIG_UINT, AT(workers), "0", 0, 256, NULL, "threads that serve; 0: one per core"},
    {"log_format", CONFIG_CHOICE, AT(log_format), "text", 0, 0, "text|json", "how to log"},
    {"log_level", CONFIG_CHOICE, AT(log_level), "info", 0, 0, "error|warn|info|debug",
     "how much to log"},
    {"http", CONFIG_CHOICE, AT(http), "forward", 0, 0, "forward|redirect",
     "what becomes of clear HTTP for a device's name"},

    {"keys", CONFIG_SIGNERS, AT(keys), NULL, 0, 64,
     "  - kid: main\n"
     "    secret_file: token-secret\n"
     "  - kid: issuer\n"
     "    pem: issuer-public.pem\n"
     "  - jwks: issuers.json\n",
     "keys that may sign tokens: kid, and one of secret, secret_file, pem and jwks"},
    {"token_require_exp", CONFIG_BOOL, AT(token_require_exp), "false", 0, 0, NULL,
     "refuse tokens that never expire"},
    {"token_audience", CONFIG_TEXT, AT(token_audience), NULL, 1, 255, "relay.example.com",
     "refuse tokens for another audience"},
    {"token_issuer", CONFIG_TEXT, AT(token_issuer), NULL, 1, 255, "https://issuer.example.com/",
     "refuse tokens of another issuer"},
    {"token_leeway", CONFIG_DURATION, AT(token_leeway_ms), "0s", 0, HOUR, NULL,
     "how far the issuer's clock may be off"},
    {"certificates", CONFIG_CERTIFICATES, AT(certificates), NULL, 0, CONFIG_LIST_MAX,
     "  - certificate: relay.example.com.pem\n"
     "    key: relay.example.com-key.pem\n",
     "certificate chains of the relay's own names, and their keys, as PEM files"},

    {"vector_aes", CONFIG_CHOICE, AT(vector_aes), "auto", 0, 0, "auto|off",
     "whether TLS takes AES from ipsec-mb where the processor and the build have what that needs"},

    {"tcp_ports", CONFIG_PORTS, AT(tcp_ports), "30000-39999", 0, CONFIG_LIST_MAX, NULL,
     "ports and ranges of ports that tokens may ask for; empty: none"},
    {"tcp_bind", CONFIG_IP, AT(tcp_bind), "::", 0, 0, NULL, "IP address those ports are opened on"},
    {"tcp_silence", CONFIG_DURATION, AT(tcp_silence_ms), "350ms", 0, MINUTE, NULL,
     "how long to wait for a raw TCP visitor's first byte before its device may speak first"},

    {"sniff_timeout", CONFIG_DURATION, AT(sniff_timeout_ms), "5s", 100, 5 * MINUTE, NULL,
     "how long a visitor may take to say which host it wants"},
    {"handshake_timeout", CONFIG_DURATION, AT(handshake_timeout_ms), "10s", 100, 5 * MINUTE, NULL,
     "how long a TLS handshake with the relay may take"},
    {"auth_timeout", CONFIG_DURATION, AT(auth_timeout_ms), "10s", 100, 5 * MINUTE, NULL,
     "how long a device may stay without a good token"},
    {"http_idle", CONFIG_DURATION, AT(http_idle_ms), "1m", SECOND, HOUR, NULL,
     "how long a connection to the relay's own pages may idle"},
    {"visitor_stall", CONFIG_DURATION, AT(visitor_stall_ms), "1m", SECOND, 24 * HOUR, NULL,
     "how long a visitor may take no bytes, or too few while it holds up others"},
    {"half_close", CONFIG_DURATION, AT(half_close_ms), "1m", SECOND, 24 * HOUR, NULL,
     "how long a stream may idle once its visitor has ended"},
    {"ping_interval", CONFIG_DURATION, AT(ping_interval_ms), "30s", SECOND, HOUR, NULL,
     "how long a device may be silent before it is pinged"},
    {"ping_timeout", CONFIG_DURATION, AT(ping_timeout_ms), "10s", 100, HOUR, NULL,
     "how long a device may take to answer a ping"},
    {"takeover_probe", CONFIG_DURATION, AT(takeover_probe_ms), "1s", 100, MINUTE, NULL,
     "how long a device may take to show that it is still there when another takes its names"},
    {"grace", CONFIG_DURATION, AT(grace_ms), "30s", 0, 24 * HOUR, NULL,
     "how long streams may go on once the relay was told to stop"},
    {"dwell", CONFIG_DURATION, AT(dwell_ms), "5s", 100, HOUR, NULL,
     "how often the demonstration page is sent its test message"},

    {"sniff_bytes", CONFIG_SIZE, AT(sniff_bytes), "64KiB", 4 * KIB, 64 * KIB, NULL,
     "how many bytes a visitor may send before it is known which host it wants"},
    {"stream_low", CONFIG_SIZE, AT(stream_low), "256KiB", 4 * KIB, 32 * MIB, NULL,
     "bytes waiting for a visitor below which its device may send again"},
    {"stream_high", CONFIG_SIZE, AT(stream_high), "1MiB", 4 * KIB, 32 * MIB, NULL,
     "bytes waiting for a visitor above which its device is asked to pause"},
    {"stream_hard", CONFIG_SIZE, AT(stream_hard), "4MiB", 4 * KIB, 32 * MIB, NULL,
     "bytes waiting for a visitor at which its device's tunnel is no longer read"},
    {"tunnel_low", CONFIG_SIZE, AT(tunnel_low), "512KiB", 16 * KIB, 32 * MIB, NULL,
     "bytes waiting for a device below which its visitors are read again, in turn"},
    {"tunnel_high", CONFIG_SIZE, AT(tunnel_high), "1MiB", 64 * KIB, 32 * MIB, NULL,
     "bytes waiting for a device above which its visitors are no longer read"},
    {"tunnel_backlog", CONFIG_SIZE, AT(tunnel_backlog), "64MiB", MIB, 16384 * MIB, NULL,
     "bytes waiting for all visitors of a tunnel above which each of them may have little"},
    {"streams_max", CONFIG_UINT, AT(streams_max), "10000", 1, 1000000, NULL,
     "streams one tunnel may have"},
    {"tunnels_max", CONFIG_UINT, AT(tunnels_max), "100000", 1, 10000000, NULL,
     "tunnels the relay may have"},
    {"visitors_max", CONFIG_UINT, AT(visitors_max), "100000", 1, 10000000, NULL,
     "visitors the relay may have, shared out evenly to its workers"},
    {"descriptors_reserved", CONFIG_UINT, AT(descriptors_reserved), "0", 0, 10000000, NULL,
     "descriptors kept for devices and the relay's own pages; 0: a 32nd of all, at least 16"},
    {"memory_limit", CONFIG_SIZE, AT(memory_limit), "0", 0, MIB *MIB, NULL,
     "bytes that connections and their queues may hold; 0: half of the machine's or cgroup's"},
    {"handshakes_per_second", CONFIG_UINT, AT(handshakes_per_second), "1000", 0, 1000000, NULL,
     "TLS handshakes with the relay itself that may begin in a second; 0: no limit"},
    {"handshakes_pending", CONFIG_UINT, AT(handshakes_pending), "10000", 0, 1000000, NULL,
     "how many may wait for that, shared out evenly to the workers"},
    {"handshake_wait", CONFIG_DURATION, AT(handshake_wait_ms), "30s", 100, 5 * MINUTE, NULL,
     "how long one may wait for that"},
    {"address_connections_max", CONFIG_UINT, AT(address_connections_max), "0", 0, 10000000, NULL,
     "connections of one IPv4 address or IPv6 /64; 0: no limit"},
    {"address_handshakes_per_second", CONFIG_UINT, AT(address_handshakes_per_second), "0", 0,
     1000000, NULL, "TLS handshakes of one IPv4 address or IPv6 /64; 0: no limit"},
    {"token_tunnels_max", CONFIG_UINT, AT(token_tunnels_max), "256", 0, 10000000, NULL,
     "tunnels of one token; 0: no limit"},
    {"token_streams_max", CONFIG_UINT, AT(token_streams_max), "0", 0, 10000000, NULL,
     "streams of all tunnels of one token; 0: no limit"},

    {"echo", CONFIG_BOOL, AT(echo), "false", 0, 0, NULL,
     "serve a WebSocket echo at /ws/echo, for conformance tests"},
};
const size_t config_keys_count = sizeof(config_keys) / sizeof(config_keys[0]);

static_assert(sizeof(config_keys) / sizeof(config_keys[0]) <= CONFIG_KEYS_MAX,
              "CONFIG_KEYS_MAX is too small");
/* CONFIG_CHOICE fields are written as unsigned. */
static_assert(sizeof(enum log_level) == sizeof(unsigned) &&
                  sizeof(enum log_format) == sizeof(unsigned) &&
                  sizeof(enum config_http) == sizeof(unsigned) &&
                  sizeof(enum config_vector_aes) == sizeof(unsigned),
              "enums are not unsigned");

#undef AT
#define AT(field) offsetof(struct config_signer, field)
static const struct config_key signer_keys[] = {
    {"kid", CONFIG_TEXT, AT(kid), NULL, 1, KEY_KID_MAX, NULL, "the name tokens know the key by"},
    {"secret", CONFIG_TEXT, AT(secret), NULL, 1, 4096, NULL, "an HMAC secret, as it is"},
    {"secret_file", CONFIG_PATH, AT(secret_file), NULL, 1, 3000, NULL,
     "a file that holds an HMAC secret"},
    {"pem", CONFIG_PATH, AT(pem), NULL, 1, 3000, NULL, "a PEM file that holds a public key"},
    {"jwks", CONFIG_PATH, AT(jwks), NULL, 1, 3000, NULL, "a file that holds a JWK or a JWK set"},
};

#undef AT
#define AT(field) offsetof(struct config_certificate, field)
static const struct config_key certificate_keys[] = {
    {"certificate", CONFIG_PATH, AT(certificate), NULL, 1, 3000, NULL,
     "the certificate, then its issuers'"},
    {"key", CONFIG_PATH, AT(key), NULL, 1, 3000, NULL, "its private key"},
};

bool config_key_is_maps(const struct config_key *key)
{
    return key->type == CONFIG_SIGNERS || key->type == CONFIG_CERTIFICATES;
}

bool config_key_is_list(const struct config_key *key)
{
    return key->type == CONFIG_ADDRESSES || key->type == CONFIG_HOSTS ||
           key->type == CONFIG_PORTS || config_key_is_maps(key);
}

const struct config_entry *config_key_entry(const struct config_key *key)
{
    static const struct config_entry signer = {
        signer_keys, sizeof(signer_keys) / sizeof(signer_keys[0]), sizeof(struct config_signer)};
    static const struct config_entry certificate = {
        certificate_keys, sizeof(certificate_keys) / sizeof(certificate_keys[0]),
        sizeof(struct config_certificate)};

    return key->type == CONFIG_SIGNERS ? &signer : &certificate;
}

const struct config_key *config_key_find(const struct config_key *keys, size_t count,
                                         struct slice name)
{
    for (size_t i = 0; i < count; i++)
        if (slice_is_text(name, keys[i].name))
            return &keys[i];
    return NULL;
}

char *config_flag_write(const char *name, char out[CONFIG_NAME_SIZE])
{
    (void)snprintf(out, CONFIG_NAME_SIZE, "--%s", name);
    for (char *at = out; *at; at++)
        if (*at == '_')
            *at = '-';
    return out;
}

char *config_variable_write(const char *name, char out[CONFIG_NAME_SIZE])
{
    (void)snprintf(out, CONFIG_NAME_SIZE, "RVPN_%s", name);
    for (char *at = out; *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at - 'a' + 'A');
    return out;
}

struct unit {
    uint64_t size;
    const char *name;
};

static char *write_in_units(uint64_t value, const struct unit *units, char *out, size_t size)
{
    while (units->size > 1 && (value == 0 || value % units->size))
        units++;
    (void)snprintf(out, size, "%" PRIu64 "%s", value / units->size, units->name);
    return out;
}

char *config_size_write(uint64_t bytes, char *out, size_t size)
{
    static const struct unit units[] = {{1024 * MIB, "GiB"}, {MIB, "MiB"}, {KIB, "KiB"}, {1, ""}};

    return write_in_units(bytes, units, out, size);
}

char *config_duration_write(uint64_t ms, char *out, size_t size)
{
    static const struct unit units[] = {
        {24 * HOUR, "d"}, {HOUR, "h"}, {MINUTE, "m"}, {SECOND, "s"}, {1, "ms"}};

    return ms ? write_in_units(ms, units, out, size) : slice_write(slice_text("0s"), out, size);
}

/* "a|b|c" as "a, b or c". */
static void write_choices(const char *choices, char *out, size_t size)
{
    const char *last = strrchr(choices, '|');
    size_t used = 0;

    for (const char *at = choices; *at && used + 8 < size; at++) {
        if (*at != '|')
            out[used++] = *at;
        else
            used += (size_t)snprintf(out + used, size - used, "%s", at == last ? " or " : ", ");
    }
    out[used] = 0;
}

char *config_key_range(const struct config_key *key, char out[CONFIG_RANGE_SIZE])
{
    char min[32];
    char max[32];

    out[0] = 0;
    switch (key->type) {
    case CONFIG_UINT:
        (void)snprintf(out, CONFIG_RANGE_SIZE, "%" PRIu64 " to %" PRIu64, key->min, key->max);
        break;
    case CONFIG_SIZE:
        (void)snprintf(out, CONFIG_RANGE_SIZE, "%s to %s",
                       config_size_write(key->min, min, sizeof(min)),
                       config_size_write(key->max, max, sizeof(max)));
        break;
    case CONFIG_DURATION:
        (void)snprintf(out, CONFIG_RANGE_SIZE, "%s to %s",
                       config_duration_write(key->min, min, sizeof(min)),
                       config_duration_write(key->max, max, sizeof(max)));
        break;
    case CONFIG_BOOL: write_choices("true|false", out, CONFIG_RANGE_SIZE); break;
    case CONFIG_PORTS: write_choices("1 to 65535", out, CONFIG_RANGE_SIZE); break;
    case CONFIG_CHOICE: write_choices(key->form, out, CONFIG_RANGE_SIZE); break;
    case CONFIG_TEXT:
    case CONFIG_PATH:
        (void)snprintf(out, CONFIG_RANGE_SIZE, "%" PRIu64 " to %" PRIu64 " characters", key->min,
                       key->max);
        break;
    case CONFIG_IP:
    case CONFIG_ADDRESSES:
    case CONFIG_HOSTS:
    case CONFIG_SIGNERS:
    case CONFIG_CERTIFICATES: break;
    }
    return out;
}
