#include "server/state.h"

#include "auth/base64url.h"
#include "server/selfsigned.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_BYTES 32U

static const char secret_name[] = "secret";
static const char certificate_name[] = "certificate.pem";
static const char key_name[] = "certificate-key.pem";

__attribute__((format(printf, 3, 4))) static int fail(struct state_error *why, int err,
                                                      const char *form, ...)
{
    va_list args;

    va_start(args, form);
    (void)vsnprintf(why->text, sizeof(why->text), form, args);
    va_end(args);
    return err;
}

/* Makes the folder and those above it. */
static int make_folders(const char *path)
{
    char part[STATE_PATH_MAX];

    (void)snprintf(part, sizeof(part), "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(part, 0700) == -1 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return mkdir(part, 0700) == -1 && errno != EEXIST ? -errno : 0;
}

static bool is_owner_trusted(const struct stat *st)
{
    uid_t self = geteuid();

    return self == 0 || st->st_uid == 0 || st->st_uid == self;
}

int state_open(struct state *s, const char *path, struct state_error *why)
{
    struct stat st;
    int err;

    s->folder = -1;
    if (!*path || strlen(path) >= sizeof(s->path))
        return fail(why, -ENAMETOOLONG, "%.100s: no path for a state folder", path);
    (void)snprintf(s->path, sizeof(s->path), "%s", path);
    err = make_folders(path);
    if (!err)
        s->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (!err && s->folder == -1)
        err = -errno;
    if (err)
        return fail(why, err, "%s: %s", path, strerror(-err));
    if (fstat(s->folder, &st) == -1 || !is_owner_trusted(&st) || st.st_mode & (S_IWGRP | S_IWOTH)) {
        state_close(s);
        return fail(why, -EACCES,
                    "%s: others may write in this folder: chmod 700 it, or name another", path);
    }
    return 0;
}

void state_close(struct state *s)
{
    if (s->folder != -1)
        (void)close(s->folder);
    s->folder = -1;
}

/* File systems that know no such lock are served all the same. */
static void lock(const struct state *s)
{
    while (flock(s->folder, LOCK_EX) == -1 && errno == EINTR)
        continue;
}

static void unlock(const struct state *s)
{
    (void)flock(s->folder, LOCK_UN);
}

/* Reads all of `fd`, at most `max` bytes.  Returns how many; -EFBIG, -Exxx. */
static ssize_t read_all(int fd, char *out, size_t max)
{
    size_t used = 0;
    char one;

    for (;;) {
        ssize_t got = used < max ? read(fd, out + used, max - used) : read(fd, &one, 1);

        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1)
            return -errno;
        if (got == 0)
            return (ssize_t)used;
        if (used == max)
            return -EFBIG;
        used += (size_t)got;
    }
}

enum privacy { OWNER_ONLY, OTHERS_MAY_READ };

/* Reads a file of the folder into out[0..max).
 * Returns how many bytes; -ENOENT without a word, everything else with one. */
static ssize_t read_file(const struct state *s, const char *name, enum privacy privacy, char *out,
                         size_t max, struct state_error *why)
{
    mode_t forbidden = privacy == OWNER_ONLY ? S_IRWXG | S_IRWXO : S_IWGRP | S_IWOTH;
    int fd = openat(s->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    ssize_t len;

    if (fd == -1 && errno == ENOENT)
        return -ENOENT;
    if (fd == -1)
        return fail(why, -errno, "%s/%s: %s", s->path, name,
                    errno == ELOOP ? "is a symbolic link" : strerror(errno));
    if (fstat(fd, &st) == -1)
        len = fail(why, -errno, "%s/%s: %s", s->path, name, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        len = fail(why, -EINVAL, "%s/%s: not a file", s->path, name);
    else if (!is_owner_trusted(&st) || st.st_mode & forbidden)
        len = fail(why, -EACCES,
                   "%s/%s: open to others: remove it to have a new one made, or chmod 600 it if "
                   "nobody can have used that",
                   s->path, name);
    else if ((len = read_all(fd, out, max)) < 0)
        (void)fail(why, (int)len, "%s/%s: %s", s->path, name, strerror((int)-len));
    (void)close(fd);
    return len;
}

static int write_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, bytes, len);

        if (put == -1 && errno != EINTR)
            return -errno;
        bytes += put > 0 ? put : 0;
        len -= put > 0 ? (size_t)put : 0;
    }
    return fsync(fd) == -1 ? -errno : 0;
}

/* Puts a file into the folder whole or not at all.  The lock is held, so that a file of the
 * temporary name is a crash's remainder. */
static int write_file(const struct state *s, const char *name, const char *text,
                      struct state_error *why)
{
    char beside[64];
    int err;
    int fd;

    (void)snprintf(beside, sizeof(beside), "%s.new", name);
    (void)unlinkat(s->folder, beside, 0);
    fd = openat(s->folder, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return fail(why, -errno, "%s/%s: %s", s->path, beside, strerror(errno));
    err = write_all(fd, text, strlen(text));
    if (close(fd) == -1 && !err)
        err = -errno;
    if (!err && renameat(s->folder, beside, s->folder, name) == -1)
        err = -errno;
    if (!err && fsync(s->folder) == -1)
        err = -errno;
    if (!err)
        return 0;
    (void)unlinkat(s->folder, beside, 0);
    return fail(why, err, "%s/%s: %s", s->path, name, strerror(-err));
}

/* Takes off the line's end. */
static size_t trim(char *text, size_t len)
{
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        text[--len] = 0;
    return len;
}

static int make_secret(const struct state *s, struct state_secret *out, struct state_error *why)
{
    uint8_t bytes[SECRET_BYTES];
    char line[BASE64URL_TEXT(SECRET_BYTES) + 2];
    int len;
    int err;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1)
        return fail(why, -EIO, "no random bytes to make a secret of");
    len = base64url_write(slice_of(bytes, sizeof(bytes)), out->text, sizeof(out->text));
    out->len = len > 0 ? (size_t)len : 0;
    (void)snprintf(line, sizeof(line), "%.*s\n", (int)out->len, out->text);
    err = write_file(s, secret_name, line, why);
    out->made = !err;
    explicit_bzero(bytes, sizeof(bytes));
    explicit_bzero(line, sizeof(line));
    return err;
}

int state_take_secret(struct state *s, struct state_secret *out, struct state_error *why)
{
    ssize_t len;
    int err = 0;

    memset(out, 0, sizeof(*out));
    lock(s);
    len = read_file(s, secret_name, OWNER_ONLY, out->text, STATE_SECRET_MAX, why);
    if (len == -ENOENT)
        err = make_secret(s, out, why);
    else if (len < 0)
        err = (int)len;
    else if ((out->len = trim(out->text, (size_t)len)) < STATE_SECRET_MIN)
        err = fail(why, -EINVAL, "%s/%s: too short: remove it to have a new one made", s->path,
                   secret_name);
    unlock(s);
    return err;
}

int state_read_secret(const char *file, struct state_secret *out, struct state_error *why)
{
    int fd = open(file, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    struct stat st = {.st_mode = 0};
    ssize_t len;

    memset(out, 0, sizeof(*out));
    if (fd == -1)
        return fail(why, -errno, "%s: %s", file, strerror(errno));
    len = fstat(fd, &st) == -1 ? -errno : read_all(fd, out->text, STATE_SECRET_MAX);
    (void)close(fd);
    if (len < 0)
        return fail(why, (int)len, "%s: %s", file, strerror((int)-len));
    out->len = trim(out->text, (size_t)len);
    out->exposed = S_ISREG(st.st_mode) && st.st_mode & S_IRWXO;
    return out->len ? 0 : fail(why, -EINVAL, "%s: holds no secret", file);
}

/* The key first: a certificate without its key cannot be told from somebody else's. */
static int make_certificate(const struct state *s, const struct config_texts *names, int64_t now,
                            struct state_error *why)
{
    struct selfsigned made;
    int err = selfsigned_init(&made, names, now);

    if (err)
        return fail(why, err, "cannot make a certificate");
    err = write_file(s, key_name, made.key, why);
    if (!err)
        err = write_file(s, certificate_name, made.certificate, why);
    selfsigned_fini(&made);
    return err;
}

/* What was read of a file, or that there is none. */
struct reading {
    char bytes[SELFSIGNED_PEM_MAX];
    ssize_t len; /* -ENOENT: there is none */
};

static struct slice slice_of_reading(const struct reading *r)
{
    return slice_of(r->bytes, r->len > 0 ? (size_t)r->len : 0);
}

/* Whether the folder's certificate will do, or why it must be made anew: *reason, or NULL. */
static int judge(const struct state *s, const struct config_texts *names, int64_t now,
                 struct reading read[2], const char **reason, struct state_error *why)
{
    static const char *const reasons[] = {
        [SELFSIGNED_GOOD] = NULL,         [SELFSIGNED_BROKEN] = "broken",
        [SELFSIGNED_EXPIRED] = "expired", [SELFSIGNED_NAMES] = "names",
        [SELFSIGNED_FOREIGN] = NULL,      [SELFSIGNED_UNMATCHED] = NULL,
    };
    enum selfsigned_verdict verdict;

    read[0].len =
        read_file(s, certificate_name, OTHERS_MAY_READ, read[0].bytes, sizeof(read[0].bytes), why);
    if (read[0].len < 0 && read[0].len != -ENOENT)
        return (int)read[0].len;
    read[1].len = read_file(s, key_name, OWNER_ONLY, read[1].bytes, sizeof(read[1].bytes), why);
    if (read[1].len < 0 && read[1].len != -ENOENT)
        return (int)read[1].len;
    verdict = selfsigned_check(slice_of_reading(&read[0]), slice_of_reading(&read[1]), names, now);
    if (verdict == SELFSIGNED_UNMATCHED)
        return fail(why, -EINVAL, "%s/%s: not made here, and its key does not fit", s->path,
                    certificate_name);
    *reason = read[0].len == -ENOENT ? "missing" : reasons[verdict];
    return 0;
}

int state_take_certificate(struct state *s, const struct config_texts *names, int64_t now,
                           struct state_certificate *out, struct state_error *why)
{
    struct reading *read = calloc(2, sizeof(*read));
    const char *reason = NULL;
    int err;

    if (!read)
        return fail(why, -ENOMEM, "out of memory");
    lock(s);
    err = judge(s, names, now, read, &reason, why);
    if (!err && reason)
        err = make_certificate(s, names, now, why);
    unlock(s);
    explicit_bzero(read, 2 * sizeof(*read));
    free(read);
    if (err)
        return err;
    (void)snprintf(out->certificate, sizeof(out->certificate), "%s/%s", s->path, certificate_name);
    (void)snprintf(out->key, sizeof(out->key), "%s/%s", s->path, key_name);
    out->made = reason != NULL;
    out->why = reason;
    return 0;
}
