#include "fixture.h"

#include <errno.h>

static const char pem_p256[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKSexBRK64+3c/kZ4KBKLrSkDJpkZ\n"
                               "9whgacjE32xzKDjHeHlk6qwA5ZIfsUmKYPRgZ2az2WhQAVWNGpdOc0FRPg==\n"
                               "-----END PUBLIC KEY-----\n";
static const char pem_p384[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEXzClye6+Q1MWjhAfa38APoSmBaq6ABRN\n"
                               "qIJpKPDwP94BB39K07Zc6FeyjTCrysY0PfmqzTNvoJJfG19TRJLhTP1v/I9N9ajn\n"
                               "mEZHpFlJvfcT667lgu2yrrDtNwXCFxHV\n"
                               "-----END PUBLIC KEY-----\n";
static const char pem_p521[] = "-----BEGIN PUBLIC KEY-----\n"
                               "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQAlPzUb+NP9MymT0Ol6lmgf/BjO4Zb\n"
                               "hNdqdsRvKiHI40vvvHCpAkSYg7asoQjgg8utWYcVCgdscOqSfuASxAdS7LUAwJ8t\n"
                               "y2Rfm7+GmZR4glarb0pxSd8Nx83FzybDM1PwHj690ok4ltfKW6Z4hBY21eR8KFrv\n"
                               "2Gjz2M5oYJfkD8JGtZA=\n"
                               "-----END PUBLIC KEY-----\n";
static const char pem_ed25519[] = "-----BEGIN PUBLIC KEY-----\n"
                                  "MCowBQYDK2VwAyEAeBZN+fEtVRoQWw9FZCG6XBfnt/2HRHaUGfqss9322MI=\n"
                                  "-----END PUBLIC KEY-----\n";
static const char pem_rsa_2048[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAxiXngFYcrnh4KYw5knCD\n"
    "urWaAQrdgkuZF2zlAFFstpwuVAeseEZQK0eGffHXSQ9aNwUnFTOOdyE3EVjHWZ4r\n"
    "MtgjwfMNZor4q2kairIT8zNDPqnxMBPJqQUJ4vONENmTedEnFKyqnw1op8xUdXdE\n"
    "fBId020cX5hy3NYJJspmWp6irqzszU4o0QLqZTQREZ7Aoyg87Qf0EY7qPGKF9fO+\n"
    "L5BhHEA4dzn5XVMGfxen8nznJvQJr7oyYPWLh8tGxHoIYQl/FwSnIuHk7EuZfkls\n"
    "r5dPi5ijgNjExLWI6uP82pWDyHLp2qzrJ7jXNv9cGxVQTJ9WqkEhx3GGUjBpuhkg\n"
    "KQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char pem_rsa_1024[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDVgr8eey2Qa+K41Bl2xqs15367\n"
    "rpvAzti/0njMA77EYtoNgyWlor5xyEq/QaDJfy7VPVsO3SdmJgS9noRM6RDsGCEX\n"
    "CrGSoc8iDSW+9z5faT4CoUypIo2tx1sRfmrmp+TfHjWIwvvuiSI84hDivVC50sgZ\n"
    "Omfk1jK3Z3lp1qwVjQIDAQAB\n"
    "-----END PUBLIC KEY-----\n";
static const char pem_secp256k1[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAE8Zp51rPx7G5fng8i7weHz+78OXDgb/co\n"
    "O1dUI+WMBgo77n7uouiJDQW5wTRmZuKZVSUraPrc5osmXcNdTw559A==\n"
    "-----END PUBLIC KEY-----\n";
static const char pem_ed448[] = "-----BEGIN PUBLIC KEY-----\n"
                                "MEMwBQYDK2VxAzoAoJYxM6dDYhyAr8x1MiwvsGZuA1IQn8txBmX4SaObajksE7ql\n"
                                "YCk8GhH6VRyAxJbSdZS/whMjrXcA\n"
                                "-----END PUBLIC KEY-----\n";
static const char pem_private[] =
    "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2Vw\n-----END PRIVATE KEY-----\n";

static const struct {
    const char *what;
    enum { SECRET, PEM, JWKS } as;
    const char *text;
    const char *why; /* part of it */
} bad_keys[] = {
    {"an empty secret", SECRET, "", "empty"},
    {"a PEM as a secret", SECRET, pem_p256, "not a secret"},
    {"an empty PEM", PEM, "", "empty"},
    {"a PEM that is none", PEM, "hello", "not a PEM"},
    {"a PEM cut short", PEM, "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZ", "not a PEM public"},
    {"a private PEM", PEM, pem_private, "private"},
    {"RSA of 1024 bits", PEM, pem_rsa_1024, "2048"},
    {"secp256k1", PEM, pem_secp256k1, "curve"},
    {"Ed448", PEM, pem_ed448, "neither"},
    {"two PEM keys", PEM, NULL, "more than one"},
    {"no JSON", JWKS, "", "line"},
    {"a member twice", JWKS, "{\"kty\":\"oct\",\n\"kty\":\"oct\"}", "line 2"},
    {"an array", JWKS, "[]", "not a JSON object"},
    {"no kty", JWKS, "{}", "kty"},
    {"another kty", JWKS, "{\"kty\":\"AKP\"}", "kty"},
    {"keys of no array", JWKS, "{\"keys\":{}}", "not an array"},
    {"an empty set", JWKS, "{\"keys\":[]}", "no key"},
    {"a number in a set", JWKS, "{\"keys\":[7]}", "key 1: not a JSON object"},
    {"an empty k", JWKS, "{\"kty\":\"oct\",\"k\":\"\"}", "k is"},
    {"a k that is padded", JWKS, "{\"kty\":\"oct\",\"k\":\"QQ==\"}", "base64url"},
    {"a k too short", JWKS, "{\"kty\":\"oct\",\"k\":\"c2hoaGho\"}", "too short"},
    {"an empty kid", JWKS, "{\"kty\":\"oct\",\"kid\":\"\",\"k\":\"c2hoaGho\"}", "kid"},
    {"only a key to encrypt with", JWKS,
     "{\"keys\":[{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"c2hoaGho\"}]}", "no key"},
    {"a point off the curve", JWKS,
     "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"off\","
     "\"x\":\"KSexBRK64-3c_kZ4KBKLrSkDJpkZ9whgacjE32xzKDg\","
     "\"y\":\"KSexBRK64-3c_kZ4KBKLrSkDJpkZ9whgacjE32xzKDg\"}]}",
     "key 1 (kid off): the key's numbers"},
    {"a short Ed25519 key", JWKS, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}",
     "numbers"},
    {"X25519", JWKS,
     "{\"kty\":\"OKP\",\"crv\":\"X25519\","
     "\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
     "curve"},
    {"a private JWK", JWKS, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"AAAA\",\"x\":\"AAAA\"}",
     "private"},
};

static void what_is_no_key_is_refused_and_said_why(void **state)
{
    char two[sizeof(pem_p256) * 2];
    struct keyring *kr = keyring_made();

    (void)state;
    (void)snprintf(two, sizeof(two), "%s%s", pem_p256, pem_p256);
    for (size_t i = 0; i < sizeof(bad_keys) / sizeof(bad_keys[0]); i++) {
        struct slice text = slice_text(bad_keys[i].text ? bad_keys[i].text : two);
        int err = bad_keys[i].as == SECRET ? keyring_add_secret(kr, NULL, text)
                  : bad_keys[i].as == PEM  ? keyring_add_pem(kr, NULL, text)
                                           : keyring_add_jwks(kr, text);

        if (err != -EINVAL || !strstr(keyring_why(kr), bad_keys[i].why))
            fail_msg("%s: %d, %s", bad_keys[i].what, err, keyring_why(kr));
        assert_int_equal(keyring_count(kr), 0);
    }
    keyring_free(kr);
}

static unsigned algs_of(const char *jwk_or_pem)
{
    struct keyring *kr = keyring_made();
    const struct key *found[1];
    unsigned algs = 0;
    int err = jwk_or_pem[0] == '{' ? keyring_add_jwks(kr, slice_text(jwk_or_pem))
                                   : keyring_add_pem(kr, NULL, slice_text(jwk_or_pem));

    if (err)
        fail_msg("%s", keyring_why(kr));
    for (unsigned alg = 0; alg < KEY_ALGS; alg++)
        algs |= keyring_find(kr, NULL, (enum key_alg)alg, found, 1) ? KEY_BIT(alg) : 0;
    keyring_free(kr);
    return algs;
}

#define K32 "\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\""
#define RSA_2048                                                                                   \
    "\"n\":\""                                                                                     \
    "xiXngFYcrnh4KYw5knCDurWaAQrdgkuZF2zlAFFstpwuVAeseEZQK0eGffHXSQ9aNwUnFTOOdyE3EVjH"             \
    "WZ4rMtgjwfMNZor4q2kairIT8zNDPqnxMBPJqQUJ4vONENmTedEnFKyqnw1op8xUdXdEfBId020cX5hy"             \
    "3NYJJspmWp6irqzszU4o0QLqZTQREZ7Aoyg87Qf0EY7qPGKF9fO-L5BhHEA4dzn5XVMGfxen8nznJvQJ"             \
    "r7oyYPWLh8tGxHoIYQl_FwSnIuHk7EuZfklsr5dPi5ijgNjExLWI6uP82pWDyHLp2qzrJ7jXNv9cGxVQ"             \
    "TJ9WqkEhx3GGUjBpuhkgKQ"                                                                       \
    "\""

static void a_key_has_the_algorithms_of_its_kind_and_no_others(void **state)
{
    static const struct {
        const char *key;
        unsigned algs;
    } rows[] = {
        {pem_p256, KEY_BIT(KEY_ES256)},
        {pem_p384, KEY_BIT(KEY_ES384)},
        {pem_p521, KEY_BIT(KEY_ES512)},
        {pem_ed25519, KEY_BIT(KEY_EDDSA)},
        {pem_rsa_2048, KEY_BIT(KEY_RS256)},
        {"{\"kty\":\"RSA\",\"e\":\"AQAB\"," RSA_2048 "}", KEY_BIT(KEY_RS256)},
        {"{\"kty\":\"RSA\",\"alg\":\"PS384\",\"e\":\"AQAB\"," RSA_2048 "}", KEY_BIT(KEY_PS384)},
        {"{\"kty\":\"oct\"," K32 "}", KEY_BIT(KEY_HS256)},
        {"{\"kty\":\"oct\",\"alg\":\"HS256\"," K32 "}", KEY_BIT(KEY_HS256)},
        {"{\"keys\":[{\"kty\":\"AKP\"},{\"kty\":\"oct\",\"use\":\"sig\",\"key_ops\":[\"sign\","
         "\"verify\"]," K32 "},{\"kty\":\"EC\",\"use\":\"enc\"}]}",
         KEY_BIT(KEY_HS256)},
    };
    static const char *const bad[] = {
        "{\"kty\":\"oct\",\"alg\":\"HS512\"," K32 "}",
        "{\"kty\":\"oct\",\"alg\":\"RS256\"," K32 "}",
        "{\"kty\":\"oct\",\"alg\":\"none\"," K32 "}",
        "{\"kty\":\"oct\",\"alg\":7," K32 "}",
        "{\"kty\":\"RSA\",\"alg\":\"HS256\",\"e\":\"AQAB\"," RSA_2048 "}",
        "{\"kty\":\"RSA\",\"alg\":\"ES256\",\"e\":\"AQAB\"," RSA_2048 "}",
        "{\"kty\":\"RSA\",\"e\":\"AQ\"," RSA_2048 "}",
        "{\"kty\":\"RSA\",\"e\":\"AQAA\"," RSA_2048 "}",
        "{\"kty\":\"oct\",\"key_ops\":[\"sign\"]," K32 "}",
        "{\"kty\":\"oct\",\"key_ops\":\"verify\"," K32 "}",
        "{\"kty\":\"oct\",\"use\":1," K32 "}",
    };
    struct keyring *kr = keyring_made();

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(algs_of(rows[i].key), rows[i].algs);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (keyring_add_jwks(kr, slice_text(bad[i])) != -EINVAL)
            fail_msg("taken: %s", bad[i]);
    }
    keyring_free(kr);
}

static void a_set_is_added_whole_or_not_at_all(void **state)
{
    static const char good_then_bad[] =
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"1\"," K32 "},{\"kty\":\"oct\",\"kid\":\"2\"}]}";
    static const char twice[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"1\"," K32
                                "},{\"kty\":\"oct\",\"kid\":\"1\"," K32 "}]}";
    static const char mixed[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"1\"," K32
                                "},{\"kty\":\"RSA\",\"e\":\"AQAB\"," RSA_2048 "}]}";
    struct keyring *kr = keyring_of("0", "shhhhh");

    (void)state;
    assert_int_equal(keyring_add_jwks(kr, slice_text(good_then_bad)), -EINVAL);
    assert_string_equal(keyring_why(kr), "key 2 (kid 2): k is missing, empty or too long");
    assert_int_equal(keyring_add_jwks(kr, slice_text(twice)), -EEXIST);
    assert_int_equal(keyring_add_jwks(kr, slice_text(mixed)), -EINVAL);
    assert_non_null(strstr(keyring_why(kr), "secrets beside public keys"));
    assert_int_equal(keyring_count(kr), 1);
    keyring_free(kr);
}

static void a_kid_is_one_keys_only(void **state)
{
    struct keyring *kr = keyring_of("a", "shhhhh");
    char long_kid[KEY_KID_MAX + 2];

    (void)state;
    memset(long_kid, 'k', sizeof(long_kid) - 1);
    long_kid[sizeof(long_kid) - 1] = '\0';
    assert_int_equal(keyring_add_secret(kr, "a", slice_text("other")), -EEXIST);
    assert_int_equal(keyring_add_pem(kr, "a", slice_text(pem_p256)), -EEXIST);
    assert_int_equal(keyring_add_pem(kr, "", slice_text(pem_p256)), -EINVAL);
    assert_int_equal(keyring_add_pem(kr, long_kid, slice_text(pem_p256)), -EINVAL);
    assert_int_equal(keyring_add_pem(kr, long_kid + 1, slice_text(pem_p256)), 0);
    assert_int_equal(keyring_add_secret(kr, NULL, slice_text("one")), 0);
    assert_int_equal(keyring_add_secret(kr, NULL, slice_text("two")), 0);
    assert_int_equal(keyring_count(kr), 4);
    keyring_free(kr);
}

static void a_keyring_is_bounded(void **state)
{
    struct keyring *kr = keyring_made();

    (void)state;
    for (size_t i = 0; i < KEYRING_KEYS; i++)
        assert_int_equal(keyring_add_pem(kr, NULL, slice_text(pem_p256)), 0);
    assert_int_equal(keyring_add_pem(kr, NULL, slice_text(pem_p256)), -EDQUOT);
    assert_int_equal(keyring_count(kr), KEYRING_KEYS);
    keyring_free(kr);
    keyring_free(NULL);
}

static void a_short_secret_is_told(void **state)
{
    struct keyring *kr = keyring_of(NULL, "0123456789abcdef0123456789abcdef");

    (void)state;
    assert_int_equal(keyring_add_pem(kr, NULL, slice_text(pem_p256)), 0);
    assert_false(keyring_has_short_secret(kr));
    assert_int_equal(keyring_add_secret(kr, NULL, slice_text("shhhhh")), 0);
    assert_true(keyring_has_short_secret(kr));
    keyring_free(kr);
}

static void the_reason_never_quotes_a_secret(void **state)
{
    static const char *const texts[] = {
        "{\"kty\":\"oct\",\"k\":\"hunter2\"\"}",
        "{\"kty\":\"oct\",\"k\":\"hunter2\",\"k\":\"hunter2\"}",
        "{\"kty\":\"oct\",\"k\":\"hunter2!\"}",
        "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"x\",\"k\":\"hunter2\"}]}",
        "hunter2",
    };
    struct keyring *kr = keyring_made();

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(keyring_add_jwks(kr, slice_text(texts[i])), -EINVAL);
        assert_null(strstr(keyring_why(kr), "hunter2"));
    }
    keyring_free(kr);
}

static void keys_cut_anywhere_are_refused(void **state)
{
    static const char set[] = "{\"keys\":[{\"kty\":\"oct\",\"kid\":\"1\"," K32 "}]}";
    struct keyring *kr = keyring_made();

    (void)state;
    for (size_t len = 0; len < sizeof(set) - 1; len++)
        assert_int_equal(keyring_add_jwks(kr, slice_of(set, len)), -EINVAL);
    for (size_t len = 0; len < sizeof(pem_p256) - 3; len++)
        assert_int_equal(keyring_add_pem(kr, NULL, slice_of(pem_p256, len)), -EINVAL);
    assert_int_equal(keyring_count(kr), 0);
    keyring_free(kr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_key_is_refused_and_said_why),
        cmocka_unit_test(a_key_has_the_algorithms_of_its_kind_and_no_others),
        cmocka_unit_test(a_set_is_added_whole_or_not_at_all),
        cmocka_unit_test(a_kid_is_one_keys_only),
        cmocka_unit_test(a_keyring_is_bounded),
        cmocka_unit_test(a_short_secret_is_told),
        cmocka_unit_test(the_reason_never_quotes_a_secret),
        cmocka_unit_test(keys_cut_anywhere_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
