/* config_key.h - the table of what can be configured: one row a key.
 *
 * The parser, the flags, the variables, the range checks, the help, the example file and the
 * test of the man page are loops over it.
 *
 * Threads: const.
 */
#ifndef RVPN_SERVER_CONFIG_KEY_H
#define RVPN_SERVER_CONFIG_KEY_H

#include "base/slice.h"

enum config_type {
    CONFIG_TEXT,      /* const char *; min and max count its bytes */
    CONFIG_PATH,      /* const char *; in a file, relative to that file's folder */
    CONFIG_UINT,      /* uint32_t */
    CONFIG_SIZE,      /* size_t, bytes */
    CONFIG_DURATION,  /* int64_t, milliseconds */
    CONFIG_CHOICE,    /* an enum that counts up from 0 in the order of `form` */
    CONFIG_BOOL,      /* bool */
    CONFIG_IP,        /* struct config_address with port 0 */
    CONFIG_ADDRESSES, /* the lists: min and max count their entries */
    CONFIG_HOSTS,
    CONFIG_PORTS,
    CONFIG_SIGNERS,      /* a list of maps, in a file only */
    CONFIG_CERTIFICATES, /* likewise */
};

struct config_key {
    const char *name;
    enum config_type type;
    size_t offset;       /* of its field */
    const char *initial; /* the default as text, lists with commas; NULL: none */
    uint64_t min, max;   /* both allowed */
    /* Of CONFIG_CHOICE: "one|other".  Else, where there is no default: an example. */
    const char *form;
    const char *help; /* no capital, no full stop */
};

#define CONFIG_KEYS_MAX 64U    /* rows of any of the tables */
#define CONFIG_RANGE_SIZE 128U /* bytes that hold any range as text */
#define CONFIG_NAME_SIZE 64U   /* bytes that hold any flag or variable */

extern const struct config_key config_keys[];
extern const size_t config_keys_count;

/* The keys of one entry of a list of maps, and the size of its struct. */
struct config_entry {
    const struct config_key *keys;
    size_t count;
    size_t size;
};

bool config_key_is_list(const struct config_key *key);
bool config_key_is_maps(const struct config_key *key);

/* Only for a list of maps. */
const struct config_entry *config_key_entry(const struct config_key *key);

/* The row called `name`, or NULL. */
const struct config_key *config_key_find(const struct config_key *keys, size_t count,
                                         struct slice name);

/* What is allowed, as text for a person: "4KiB to 256KiB", "text or json".  Empty if there is
 * nothing to say.  Returns `out`. */
char *config_key_range(const struct config_key *key, char out[CONFIG_RANGE_SIZE]);

/* The flag and the variable of the key `name`: "--sniff-bytes", "RVPN_SNIFF_BYTES".
 * Returns `out`. */
char *config_flag_write(const char *name, char out[CONFIG_NAME_SIZE]);
char *config_variable_write(const char *name, char out[CONFIG_NAME_SIZE]);

/* A number of bytes or milliseconds in its largest exact unit.  Returns `out`. */
char *config_size_write(uint64_t bytes, char *out, size_t size);
char *config_duration_write(uint64_t ms, char *out, size_t size);

#endif
