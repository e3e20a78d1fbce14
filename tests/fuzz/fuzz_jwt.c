/* fuzz_jwt.c - tokens, and the keys to check them with.
 *
 * The first byte says what the rest is: 't' a token, 'h' a header and 'p' a payload that are
 * signed here, so that what lies behind the signature is reached, 'k' a JWK or JWKS, 'm' a PEM. */
#include "auth/base64url.h"
#include "auth/jwt.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define NOW 1800000000

static const char secret[] = "shhhhh";
static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKSexBRK64+3c/kZ4KBKLrSkDJpkZ\n"
                          "9whgacjE32xzKDjHeHlk6qwA5ZIfsUmKYPRgZ2az2WhQAVWNGpdOc0FRPg==\n"
                          "-----END PUBLIC KEY-----\n";
static const struct jwt_rules rules;

static const struct keyring *keys(void)
{
    static struct keyring *kr;

    if (!kr && (keyring_new(&kr) || keyring_add_secret(kr, NULL, slice_text(secret)) ||
                keyring_add_secret(kr, "k1", slice_text("other")) ||
                keyring_add_pem(kr, NULL, slice_text(pem))))
        abort();
    return kr;
}

static void verify(struct slice token)
{
    struct claims c;
    const char *why = NULL;

    if (jwt_verify(keys(), &rules, token, NOW, &c, &why)) {
        if (!why)
            abort();
        return;
    }
    if (!c.subject || !*c.subject || !c.token_id || c.host_count > CLAIMS_HOSTS_MAX ||
        (c.expires_at && c.expires_at <= NOW))
        abort();
    claims_fini(&c);
}

static void sign_and_verify(struct slice header, struct slice payload)
{
    char token[2 * JWS_MAX];
    uint8_t mac[32];
    int used = base64url_write(header, token, JWS_MAX);
    int len;

    if (used < 0)
        return;
    token[used++] = '.';
    len = base64url_write(payload, token + used, JWS_MAX);
    if (len < 0)
        return;
    used += len;
    if (!HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)token, (size_t)used, mac,
              NULL))
        abort();
    token[used++] = '.';
    used += base64url_write(slice_of(mac, sizeof(mac)), token + used, 64);
    verify(slice_of(token, (size_t)used));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_from(slice_of(data, size), 1);
    struct keyring *kr = NULL;

    if (size == 0)
        return 0;
    if (data[0] == 't')
        verify(rest);
    else if (data[0] == 'h')
        sign_and_verify(rest, slice_text("{}"));
    else if (data[0] == 'p')
        sign_and_verify(slice_text("{\"alg\":\"HS256\"}"), rest);
    if (data[0] != 'k' && data[0] != 'm')
        return 0;
    if (keyring_new(&kr))
        abort();
    if (data[0] == 'k')
        (void)keyring_add_jwks(kr, rest);
    else
        (void)keyring_add_pem(kr, "m", rest);
    keyring_free(kr);
    return 0;
}
