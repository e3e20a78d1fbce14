/* state.h - the folder in which the relay keeps what it made for itself: a signing secret and a
 * self-signed certificate.
 *
 * The folder is made with mode 0700, the files with 0600, each written beside its place, synced and
 * renamed: a crash leaves the old file or the new one.  Processes that start at once are held
 * apart by a lock on the folder, which is held only inside state_take_*().  A folder or file that
 * others may write, or a secret that others may read, is refused, not repaired: who has read it
 * cannot be undone.
 *
 * Threads: main thread, before the workers start.
 * Errors:  0 or -Exxx, with one line for a person in state_error.
 */
#ifndef RVPN_SERVER_STATE_H
#define RVPN_SERVER_STATE_H

#include "base/slice.h"
#include "server/config.h"

#define STATE_SECRET_MIN 16U   /* bytes; fewer are a broken file */
#define STATE_SECRET_MAX 4096U /* bytes */
#define STATE_PATH_MAX 4096U

struct state {
    int folder; /* fd */
    char path[STATE_PATH_MAX - 64];
};

struct state_error {
    char text[512];
};

struct state_secret {
    char text[STATE_SECRET_MAX + 1]; /* the HMAC key is these characters, without the NUL */
    size_t len;
    bool made;    /* just now */
    bool exposed; /* a secret file of the user's that others may read: worth a warning */
};

struct state_certificate {
    char certificate[STATE_PATH_MAX]; /* path of certificate.pem */
    char key[STATE_PATH_MAX];         /* path of certificate-key.pem */
    bool made;                        /* just now */
    const char *why;                  /* if made: "missing", "broken", "expired" or "names" */
};

/* Opens the folder `path`, which is made with its parents if need be. */
int state_open(struct state *s, const char *path, struct state_error *why);

/* Accepts a struct whose opening failed. */
void state_close(struct state *s);

/* Reads the folder's signing secret; makes one of 32 random bytes, as base64url, if there is none.
 * Wipe *out when done with it. */
int state_take_secret(struct state *s, struct state_secret *out, struct state_error *why);

/* Reads the signing secret from a file of the user's.  Trailing line ends are not part of it. */
int state_read_secret(const char *file, struct state_secret *out, struct state_error *why);

/* Finds the folder's self-signed certificate for localhost, *.localhost, 127.0.0.1, ::1 and
 * `names`. It is made (P-256, ten years) when there is none, when it is broken or has less than 30
 * days left at `now` (unix seconds), or when a name is missing from it.  A certificate there that
 * somebody else made is used as it is, and refused if its key does not fit. */
int state_take_certificate(struct state *s, const struct config_texts *names, int64_t now,
                           struct state_certificate *out, struct state_error *why);

#endif
