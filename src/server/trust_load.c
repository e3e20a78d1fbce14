#include "server/trust_load.h"

#include "auth/key.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/signers.h"
#include "server/state.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static int fail(int err, const char *what, const char *why)
{
    log_event(LOG_ERROR, what, LOG_STR("why", why));
    return err;
}

static void log_secret(const struct config *config, const struct state_secret *secret)
{
    if (secret->made)
        log_event(LOG_INFO, "secret_made", LOG_STR("state", config->state));
    if (secret->exposed)
        log_event(LOG_WARN, "secret_exposed", LOG_STR("why", "others may read the secret file"));
}

static int load_keys(const struct config *config, struct state *state, struct trust *t)
{
    struct state_secret secret = {.len = 0};
    struct state_error why = {{0}};
    int err = signers_take_secret(config, state, &secret, &why);

    if (!err) {
        log_secret(config, &secret);
        err = signers_load(config, &secret, &t->keyring, &why);
    }
    OPENSSL_cleanse(&secret, sizeof(secret));
    if (err)
        return fail(err, "keys_refused", why.text);
    if (keyring_count(t->keyring) == 0)
        return fail(-ENOKEY, "keys_refused", "there is no key that could sign a token");
    if (keyring_has_short_secret(t->keyring))
        log_event(LOG_WARN, "secret_short", LOG_UINT("bytes_advised", KEY_SECRET_ADVISED));
    return 0;
}

static int add_own_certificate(const struct config *config, struct state *state,
                               struct certificates *c)
{
    struct state_certificate own;
    struct state_error why = {{0}};
    char text[CERTIFICATES_WHY];
    int err = state_take_certificate(state, &config->names, clock_unix(), &own, &why);

    if (err)
        return fail(err, "certificate_refused", why.text);
    if (own.made)
        log_event(LOG_INFO, "certificate_made", LOG_STR("file", own.certificate),
                  LOG_STR("why", own.why));
    err = certificates_add(c, own.certificate, own.key, text);
    return err ? fail(err, "certificate_refused", text) : 0;
}

static int load_certificates(const struct config *config, struct state *state, struct trust *t)
{
    char text[CERTIFICATES_WHY];

    for (size_t i = 0; i < config->certificates.count; i++) {
        const struct config_certificate *from = &config->certificates.at[i];
        int err = certificates_add(&t->certificates, from->certificate, from->key, text);

        if (err)
            return fail(err, "certificate_refused", text);
    }
    return config->certificates.count ? 0 : add_own_certificate(config, state, &t->certificates);
}

int trust_load(const struct config *config, const char *properties, const struct trust *old,
               struct trust **out)
{
    struct trust *t = calloc(1, sizeof(*t));
    struct state state = {.folder = -1};
    struct state_error why = {{0}};
    int err = t ? state_open(&state, config->state, &why) : -ENOMEM;

    if (err) {
        free(t);
        return fail(err, "state_refused", why.text);
    }
    t->rules = (struct jwt_rules){
        .audience = config->token_audience,
        .issuer = config->token_issuer,
        .leeway = config->token_leeway_ms / 1000,
        .exp = config->token_require_exp ? JWT_EXP_REQUIRED : JWT_EXP_OPTIONAL,
    };
    t->certificates.properties = properties;
    err = load_keys(config, &state, t);
    if (!err)
        err = load_certificates(config, &state, t);
    if (!err)
        err = certificates_share_tickets(&t->certificates, old ? &old->certificates : NULL);
    state_close(&state);
    if (err) {
        trust_free(t);
        return err;
    }
    *out = t;
    return 0;
}

void trust_free(struct trust *t)
{
    if (!t)
        return;
    keyring_free(t->keyring);
    certificates_fini(&t->certificates);
    free(t);
}
