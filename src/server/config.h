/* config.h - what the relay was told: defaults, under a YAML file, under RVPN_* variables, under
 * flags.
 *
 * Every key is one row of config_keys[] (config_key.h), from which come the YAML parser, the flags
 * (`--sniff-bytes`), the variables (`RVPN_SNIFF_BYTES`), the ranges, the help and the example.
 * A list that a higher layer gives replaces the lower layer's list.  Reloading is loading again:
 * the caller swaps the whole struct, or keeps the old one when loading fails.
 *
 * Threads: const after config_load(): any thread may read it.
 * Memory:  everything a config points to lives until config_free().
 * Errors:  0; -EINVAL for what was refused, -ENOMEM, or the errno of a file, with one line for a
 *          person in config_error: `file:line: key: why (allowed range)`.
 * Units:   *_ms milliseconds, sizes bytes.
 */
#ifndef RVPN_SERVER_CONFIG_H
#define RVPN_SERVER_CONFIG_H

#include "base/log.h"
#include "base/slice.h"
#include "net/address.h"

#define CONFIG_FILE_MAX 1048576UL /* bytes of a configuration file */
#define CONFIG_LIST_MAX 256U      /* entries of any list */

enum config_http { CONFIG_HTTP_FORWARD, CONFIG_HTTP_REDIRECT };
enum config_vector_aes { CONFIG_VECTOR_AES_AUTO, CONFIG_VECTOR_AES_OFF };

struct config_address {
    const char *text;       /* as it was written */
    struct address address; /* with the port in it */
    bool any; /* no address was named: [::] for both families, 0.0.0.0 where IPv6 is absent */
};

struct config_addresses {
    struct config_address *at;
    size_t count;
};

struct config_texts {
    const char **at;
    size_t count;
};

struct config_port_range {
    uint16_t first, last; /* both within */
};

struct config_ports {
    struct config_port_range *at;
    size_t count;
};

/* A key that may sign tokens; its algorithms follow from what it is.  Exactly one of secret,
 * secret_file, pem and jwks is not NULL. */
struct config_signer {
    const char *kid; /* NULL with jwks, whose keys bring their own, and for tokens without kid */
    const char *secret;
    const char *secret_file;
    const char *pem;
    const char *jwks;
};

struct config_signers {
    struct config_signer *at;
    size_t count;
};

/* A certificate chain and its key, both PEM files. */
struct config_certificate {
    const char *certificate;
    const char *key;
};

struct config_certificates {
    struct config_certificate *at;
    size_t count;
};

struct config {
    const char *file; /* the configuration file that was read, or NULL */

    /* Where it answers, and as whom. */
    struct config_addresses listen; /* at least one */
    struct config_texts names; /* as hostname_parse() writes them; IP literals are always own */
    const char *state;         /* the state folder */
    const char *secret_file;   /* NULL: the state folder's */
    uint32_t workers;          /* 0: one per core */
    enum log_format log_format;
    enum log_level log_level;
    enum config_http http; /* clear HTTP for a device's name */

    /* Who may sign tokens, and what a token must hold. */
    struct config_signers keys;
    bool token_require_exp;
    const char *token_audience; /* NULL: not checked */
    const char *token_issuer;   /* NULL: not checked */
    int64_t token_leeway_ms;
    struct config_certificates certificates;
    enum config_vector_aes vector_aes; /* looked at once, when the relay starts */

    /* Raw TCP ports that tokens may ask for. */
    struct config_ports tcp_ports;  /* may be empty: none */
    struct config_address tcp_bind; /* its port is 0 */
    int64_t tcp_silence_ms;         /* a visitor silent for this long waits for the device */

    /* How long things may take. */
    int64_t sniff_timeout_ms;
    int64_t handshake_timeout_ms;
    int64_t auth_timeout_ms; /* a WebSocket without a token */
    int64_t http_idle_ms;
    int64_t visitor_stall_ms;
    int64_t half_close_ms;
    int64_t ping_interval_ms;
    int64_t ping_timeout_ms;
    int64_t takeover_probe_ms;
    int64_t grace_ms;
    int64_t dwell_ms;

    /* How much may wait, and how many there may be. */
    size_t sniff_bytes;
    size_t stream_low, stream_high, stream_hard; /* low < high < hard */
    size_t tunnel_low, tunnel_high;              /* low < high */
    size_t tunnel_backlog;
    uint32_t streams_max;          /* per tunnel */
    uint32_t tunnels_max;          /* of the relay */
    uint32_t visitors_max;         /* of the relay */
    uint32_t descriptors_reserved; /* 0: a share of all */
    size_t memory_limit;           /* of connections and their queues; 0: half of what there is */

    /* How fast, and how many for one of them; 0: no limit, but for handshakes_pending. */
    uint32_t handshakes_per_second, handshakes_pending; /* of the relay */
    int64_t handshake_wait_ms;
    uint32_t address_connections_max, address_handshakes_per_second;
    uint32_t token_tunnels_max, token_streams_max;

    bool echo; /* the WebSocket echo at /ws/echo, for conformance tests */

    struct config_texts ignored; /* RVPN_* variables that name no key: worth a warning */
    struct config_chunk *chunks; /* private: what config_free() frees */
};

struct config_error {
    char text[512];
};

/* Loads defaults, the file named by -c, --config or RVPN_CONFIG, the variables of `env` (NULL:
 * none) and the flags argv[0..argc), which hold neither program nor subcommand. Returns 0 and gives
 * *out; otherwise fills *why. */
int config_load(int argc, char *const argv[], char *const env[], struct config **out,
                struct config_error *why);

/* As config_load() for the bytes of a file alone, which is called `name` in errors.  Opens
 * nothing. */
int config_parse(struct slice yaml, const char *name, struct config **out,
                 struct config_error *why);

/* Wipes and frees; NULL is fine. */
void config_free(struct config *c);

#endif
