#include "fixture.h"

#include "auth/jwk.h"

#include <errno.h>

#define SHARED RVPN_SHARED_VECTORS "/jwt/"

struct tally {
    unsigned tests, good_refused, bad_accepted, cut_refused;
};

/* One Wycheproof test: message and signature (or tag) in hex.  A tag that is shorter than the
 * hash is good in the vectors, but never in a JWS. */
static void run_one(const struct key *k, enum key_alg alg, const json_t *test, size_t tag_len,
                    struct tally *tally)
{
    static uint8_t message[65536];
    static uint8_t signature[65536];
    const char *sig = json_object_get(test, "sig") ? text_in(test, "sig") : text_in(test, "tag");
    size_t message_len = hex_parse(text_in(test, "msg"), message);
    size_t len = hex_parse(sig, signature);
    bool is_valid = strcmp(text_in(test, "result"), "valid") == 0;
    int err = key_verify(k, alg, slice_of(message, message_len), slice_of(signature, len));

    tally->tests++;
    if (is_valid && tag_len && len < tag_len && err)
        tally->cut_refused++;
    else if (is_valid && err)
        tally->good_refused++;
    else if (!is_valid && !err)
        tally->bad_accepted++;
    assert_true(err == 0 || err == -EKEYREJECTED);
}

static struct tally run_public(const char *path, enum key_alg alg)
{
    json_t *root = vectors_load(path);
    struct tally tally = {0};
    const json_t *group;
    const json_t *test;
    size_t i;
    size_t j;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        struct key k = {0};
        struct key twin = {0};
        const char *why = "";
        const json_t *jwk = json_object_get(group, "publicKeyJwk");

        assert_int_equal(key_init_pem(&k, slice_text(text_in(group, "publicKeyPem")), &why), 0);
        if (jwk) { /* the same key however it is written */
            assert_int_equal(jwk_parse(jwk, &twin, &why), 0);
            assert_string_equal(k.fingerprint, twin.fingerprint);
            assert_int_equal(k.algs, twin.algs);
        }
        json_array_foreach(json_object_get(group, "tests"), j, test)
            run_one(&k, alg, test, 0, &tally);
        key_fini(&k);
        key_fini(&twin);
    }
    json_decref(root);
    print_message("%u tests, %u bad accepted, %u good refused\n", tally.tests, tally.bad_accepted,
                  tally.good_refused);
    return tally;
}

static void expect_all(struct tally t, unsigned tests)
{
    assert_int_equal(t.tests, tests);
    assert_int_equal(t.bad_accepted, 0);
    assert_int_equal(t.good_refused, 0);
}

static void es256_is_as_the_p256_vectors_say(void **state)
{
    (void)state;
    expect_all(run_public(SHARED "ecdsa_secp256r1_sha256_p1363_test.json", KEY_ES256), 262);
}

static void es384_is_as_the_p384_vectors_say(void **state)
{
    (void)state;
    expect_all(run_public(SHARED "ecdsa_secp384r1_sha384_p1363_test.json", KEY_ES384), 280);
}

static void eddsa_is_as_the_ed25519_vectors_say(void **state)
{
    (void)state;
    expect_all(run_public(SHARED "ed25519_test.json", KEY_EDDSA), 151);
}

static void hs256_is_as_the_hmac_vectors_say_and_takes_no_cut_tag(void **state)
{
    json_t *root = vectors_load(SHARED "hmac_sha256_test.json");
    struct tally tally = {0};
    const json_t *group;
    const json_t *test;
    size_t i;
    size_t j;

    (void)state;
    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            uint8_t secret[128];
            size_t len = hex_parse(text_in(test, "key"), secret);
            struct key k = {0};
            const char *why = "";

            assert_int_equal(key_init_secret(&k, slice_of(secret, len), &why), 0);
            run_one(&k, KEY_HS256, test, KEY_HS256_LEN, &tally);
            key_fini(&k);
        }
    }
    json_decref(root);
    print_message("%u tests, %u bad accepted, %u good refused, %u cut tags refused\n", tally.tests,
                  tally.bad_accepted, tally.good_refused, tally.cut_refused);
    expect_all(tally, 174);
    assert_int_not_equal(tally.cut_refused, 0);
}

static void a_key_verifies_nothing_with_an_algorithm_that_is_not_its_own(void **state)
{
    struct key k = {0};
    const char *why = "";
    uint8_t mac[KEY_HS256_LEN];
    struct slice message = slice_text("message");

    (void)state;
    assert_int_equal(key_init_secret(&k, slice_text("shhhhh"), &why), 0);
    assert_int_equal(key_sign(&k, message, mac), 0);
    for (int alg = 0; alg <= KEY_ALGS; alg++) {
        int expected = alg == KEY_HS256 ? 0 : -EKEYREJECTED;

        assert_int_equal(key_verify(&k, (enum key_alg)alg, message, slice_of(mac, sizeof(mac))),
                         expected);
    }
    key_fini(&k);
}

static void a_key_narrowed_to_one_hash_takes_no_other(void **state)
{
    static const char secret[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct slice message = slice_text("message");
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct key k = {0};
    const char *why = "";

    (void)state;
    assert_int_equal(key_init_secret(&k, slice_text(secret), &why), 0);
    assert_non_null(
        HMAC(EVP_sha512(), secret, (int)strlen(secret), message.ptr, message.len, mac, &len));
    assert_int_equal(key_verify(&k, KEY_HS512, message, slice_of(mac, len)), 0);
    k.algs = KEY_BIT(KEY_HS256);
    assert_int_equal(key_verify(&k, KEY_HS512, message, slice_of(mac, len)), -EKEYREJECTED);
    key_fini(&k);
}

static void no_other_bit_of_a_signature_will_do(void **state)
{
    struct key k = {0};
    const char *why = "";
    uint8_t mac[KEY_HS256_LEN];
    struct slice message = slice_text("message");

    (void)state;
    assert_int_equal(key_init_secret(&k, slice_text("shhhhh"), &why), 0);
    assert_int_equal(key_sign(&k, message, mac), 0);
    for (unsigned bit = 0; bit < 8 * sizeof(mac); bit++) {
        mac[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_int_equal(key_verify(&k, KEY_HS256, message, slice_of(mac, sizeof(mac))),
                         -EKEYREJECTED);
        mac[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t len = 0; len < sizeof(mac); len++)
        assert_int_equal(key_verify(&k, KEY_HS256, message, slice_of(mac, len)), -EKEYREJECTED);
    assert_int_equal(key_verify(&k, KEY_HS256, message, slice_of(NULL, 0)), -EKEYREJECTED);
    key_fini(&k);
}

static void a_fingerprint_is_the_keys_own_and_lasts(void **state)
{
    struct key one = {0};
    struct key same = {0};
    struct key other = {0};
    const char *why = "";

    (void)state;
    assert_int_equal(key_init_secret(&one, slice_text("shhhhh"), &why), 0);
    assert_int_equal(key_init_secret(&same, slice_text("shhhhh"), &why), 0);
    assert_int_equal(key_init_secret(&other, slice_text("shhhhh."), &why), 0);
    assert_int_equal(strlen(one.fingerprint), 32);
    assert_string_equal(one.fingerprint, same.fingerprint);
    assert_string_not_equal(one.fingerprint, other.fingerprint);
    key_fini(&one);
    key_fini(&same);
    key_fini(&other);
    assert_null(one.secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(es256_is_as_the_p256_vectors_say),
        cmocka_unit_test(es384_is_as_the_p384_vectors_say),
        cmocka_unit_test(eddsa_is_as_the_ed25519_vectors_say),
        cmocka_unit_test(hs256_is_as_the_hmac_vectors_say_and_takes_no_cut_tag),
        cmocka_unit_test(a_key_verifies_nothing_with_an_algorithm_that_is_not_its_own),
        cmocka_unit_test(a_key_narrowed_to_one_hash_takes_no_other),
        cmocka_unit_test(no_other_bit_of_a_signature_will_do),
        cmocka_unit_test(a_fingerprint_is_the_keys_own_and_lasts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
