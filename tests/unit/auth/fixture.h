/* fixture.h - what the tests of this floor share: vectors from files, and tokens signed here. */
#ifndef RVPN_TESTS_UNIT_AUTH_FIXTURE_H
#define RVPN_TESTS_UNIT_AUTH_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "auth/base64url.h"
#include "auth/keyring.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

/* The JSON file, or the calling test is skipped: the shared vectors are not in the repository. */
static inline json_t *vectors_load(const char *path)
{
    json_t *root = json_load_file(path, 0, NULL);

    if (!root) {
        print_message("not there: %s\n", path);
        skip();
    }
    return root;
}

static inline const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static inline size_t hex_parse(const char *hex, uint8_t *out)
{
    size_t len = strlen(hex) / 2;

    for (size_t i = 0; i < len; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], '\0'};

        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return len;
}

static inline struct keyring *keyring_made(void)
{
    struct keyring *kr = NULL;

    assert_int_equal(keyring_new(&kr), 0);
    return kr;
}

/* A keyring with one secret. */
static inline struct keyring *keyring_of(const char *kid, const char *secret)
{
    struct keyring *kr = keyring_made();

    assert_int_equal(keyring_add_secret(kr, kid, slice_text(secret)), 0);
    return kr;
}

/* Signs with HMAC what need not be JSON; the caller frees it. */
static inline char *token_of(const EVP_MD *md, const char *secret, const char *header,
                             const char *payload)
{
    size_t size = BASE64URL_TEXT(strlen(header)) + BASE64URL_TEXT(strlen(payload)) + 128;
    char *out = malloc(size);
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned mac_len = 0;
    size_t used;

    assert_non_null(out);
    used = (size_t)base64url_write(slice_text(header), out, size);
    out[used++] = '.';
    used += (size_t)base64url_write(slice_text(payload), out + used, size - used);
    assert_non_null(HMAC(md, secret, (int)strlen(secret), (uint8_t *)out, used, mac, &mac_len));
    out[used++] = '.';
    assert_true(base64url_write(slice_of(mac, mac_len), out + used, size - used) > 0);
    return out;
}

#endif
