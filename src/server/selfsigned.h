/* selfsigned.h - a certificate the relay signs for itself, so that it can be tried without any
 * other: P-256, ten years, for localhost, *.localhost, 127.0.0.1, ::1 and the relay's names.
 *
 * Threads: reentrant.
 * Errors:  0, -EINVAL or -ENOMEM.
 * Units:   `now` is unix seconds.
 */
#ifndef RVPN_SERVER_SELFSIGNED_H
#define RVPN_SERVER_SELFSIGNED_H

#include "server/config.h"

#define SELFSIGNED_PEM_MAX 262144UL /* bytes of either PEM text */
#define SELFSIGNED_DAYS 3650
#define SELFSIGNED_RENEW_DAYS 30

struct selfsigned {
    char *certificate; /* PEM, NUL-terminated */
    char *key;
};

/* Makes both.  selfsigned_fini() it. */
int selfsigned_init(struct selfsigned *s, const struct config_texts *names, int64_t now);

/* Wipes and frees; accepts a zeroed struct. */
void selfsigned_fini(struct selfsigned *s);

enum selfsigned_verdict {
    SELFSIGNED_GOOD,
    SELFSIGNED_BROKEN,    /* not PEM, or the key is another's */
    SELFSIGNED_EXPIRED,   /* or will be within SELFSIGNED_RENEW_DAYS, or is not yet valid */
    SELFSIGNED_NAMES,     /* one of `names` is missing */
    SELFSIGNED_FOREIGN,   /* not made here; the key fits */
    SELFSIGNED_UNMATCHED, /* not made here, and the key does not fit */
};

/* Judges what was read back. */
enum selfsigned_verdict selfsigned_check(struct slice certificate, struct slice key,
                                         const struct config_texts *names, int64_t now);

#endif
