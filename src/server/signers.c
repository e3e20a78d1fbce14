#include "server/signers.h"

#include "auth/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

bool signers_use_state(const struct config *c)
{
    return !c->secret_file && c->keys.count == 0;
}

int signers_take_secret(const struct config *c, struct state *s, struct state_secret *out,
                        struct state_error *why)
{
    if (c->secret_file)
        return state_read_secret(c->secret_file, out, why);
    if (signers_use_state(c))
        return state_take_secret(s, out, why);
    memset(out, 0, sizeof(*out));
    return 0;
}

int signers_read_secret(const struct config_signer *key, struct state_secret *out,
                        struct state_error *why)
{
    if (key->secret_file)
        return state_read_secret(key->secret_file, out, why);
    memset(out, 0, sizeof(*out));
    out->len = strlen(key->secret);
    memcpy(out->text, key->secret, out->len);
    return 0;
}

/* Reads a file into fresh memory.  Returns 0, -EFBIG or -Exxx. */
static int read_file(const char *file, uint8_t **out, size_t *len)
{
    uint8_t *bytes = malloc(KEYRING_TEXT_MAX + 1);
    int fd = open(file, O_RDONLY | O_NOCTTY | O_CLOEXEC);
    int err = fd == -1 ? -errno : 0;
    size_t used = 0;

    if (!bytes)
        err = -ENOMEM;
    while (!err && used <= KEYRING_TEXT_MAX) {
        ssize_t got = read(fd, bytes + used, KEYRING_TEXT_MAX + 1 - used);

        if (got == 0)
            break;
        if (got == -1 && errno != EINTR)
            err = -errno;
        used += got > 0 ? (size_t)got : 0;
    }
    if (!err && used > KEYRING_TEXT_MAX)
        err = -EFBIG;
    if (fd != -1)
        (void)close(fd);
    if (err) {
        free(bytes);
        return err;
    }
    *out = bytes;
    *len = used;
    return 0;
}

/* A key that stands in a file of its own: PEM or JWKS. */
static int add_file(struct keyring *kr, const struct config_signer *key, struct state_error *why)
{
    const char *file = key->pem ? key->pem : key->jwks;
    uint8_t *bytes = NULL;
    size_t len = 0;
    int err = read_file(file, &bytes, &len);

    if (err) {
        (void)snprintf(why->text, sizeof(why->text), "%s: %s", file, strerror(-err));
        return err;
    }
    err = key->pem ? keyring_add_pem(kr, key->kid, slice_of(bytes, len))
                   : keyring_add_jwks(kr, slice_of(bytes, len));
    if (err)
        (void)snprintf(why->text, sizeof(why->text), "%s: %s", file, keyring_why(kr));
    explicit_bzero(bytes, len); /* a JWK set may hold secrets */
    free(bytes);
    return err;
}

static int add_secret(struct keyring *kr, const struct config_signer *key, struct state_error *why)
{
    struct state_secret secret;
    int err = signers_read_secret(key, &secret, why);

    if (!err && (err = keyring_add_secret(kr, key->kid, slice_of(secret.text, secret.len))))
        (void)snprintf(why->text, sizeof(why->text), "keys: %s%s%s", key->kid ? key->kid : "",
                       key->kid ? ": " : "", keyring_why(kr));
    explicit_bzero(&secret, sizeof(secret));
    return err;
}

static int add_own(struct keyring *kr, const struct state_secret *own, struct state_error *why)
{
    int err = 0;

    if (own && own->len && (err = keyring_add_secret(kr, NULL, slice_of(own->text, own->len))))
        (void)snprintf(why->text, sizeof(why->text), "secret: %s", keyring_why(kr));
    return err;
}

int signers_load(const struct config *c, const struct state_secret *own, struct keyring **out,
                 struct state_error *why)
{
    struct keyring *kr;
    int err = keyring_new(&kr);

    if (err) {
        (void)snprintf(why->text, sizeof(why->text), "out of memory");
        return err;
    }
    err = add_own(kr, own, why);
    for (size_t i = 0; i < c->keys.count && !err; i++) {
        const struct config_signer *key = &c->keys.at[i];

        err = key->pem || key->jwks ? add_file(kr, key, why) : add_secret(kr, key, why);
    }
    if (err)
        keyring_free(kr);
    else
        *out = kr;
    return err;
}
