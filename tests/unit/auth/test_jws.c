/* The Wycheproof JWS vectors, with every deviation named and counted. */
#include "fixture.h"

#include "auth/jws.h"

#include <errno.h>

#define SHARED RVPN_SHARED_VECTORS "/jwt/"

/* "valid" in the vectors, and rightly refused by a strict verifier: the key says PS256 and
 * the header PS384 (346, 350), a question mark inside the base64url (372, 373). */
static const int waivers[] = {346, 350, 372, 373};

/* "invalid" in the vectors, but byte for byte the token of test 357, which is "valid" for the same
 * key, as its maintainers have been told: no verifier can satisfy both. */
static const int twins_of_357[] = {367, 370};

static bool is_in(const int *list, size_t count, json_int_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == id)
            return true;
    }
    return false;
}
#define IS_IN(list, id) is_in((list), sizeof(list) / sizeof((list)[0]), (id))

struct tally {
    unsigned tests, valid, invalid, good_refused, waived, bad_accepted, twins;
};

/* Whether `token`, a text or a JSON serialization, is accepted with `jwk`. */
static bool is_accepted(const json_t *jwk, const json_t *token)
{
    struct keyring *kr = keyring_made();
    char *key_text = json_dumps(jwk, 0);
    char *token_text =
        json_is_string(token) ? strdup(json_string_value(token)) : json_dumps(token, JSON_COMPACT);
    struct jws jws;
    const char *why = "";
    bool accepted = keyring_add_jwks(kr, slice_text(key_text)) == 0 &&
                    jws_verify(kr, slice_text(token_text), &jws, &why) == 0;

    free(key_text);
    free(token_text);
    keyring_free(kr);
    return accepted;
}

/* The vectors write ES512 as "ES521" in two keys (tests 347, 351); "ES512" is what is meant. */
static json_t *key_of(const json_t *group)
{
    const json_t *jwk = json_object_get(group, "public");
    json_t *copy = json_deep_copy(jwk ? jwk : json_object_get(group, "private"));

    if (strcmp(text_in(copy, "alg"), "ES521") == 0 && strcmp(text_in(copy, "crv"), "P-521") == 0)
        json_object_set_new(copy, "alg", json_string("ES512"));
    return copy;
}

static void count_one(const json_t *jwk, const json_t *test, const char *token_357, struct tally *t)
{
    const json_t *token = json_object_get(test, "jws");
    json_int_t id = json_integer_value(json_object_get(test, "tcId"));
    bool is_valid = strcmp(text_in(test, "result"), "valid") == 0;
    bool accepted = is_accepted(jwk, token ? token : json_object_get(test, "jwe"));

    t->tests++;
    t->valid += is_valid;
    t->invalid += !is_valid;
    if (is_valid && !accepted && IS_IN(waivers, id))
        t->waived++;
    else if (is_valid && !accepted)
        t->good_refused++;
    if (!is_valid && accepted && token_357 && IS_IN(twins_of_357, id) &&
        strcmp(json_string_value(token), token_357) == 0)
        t->twins++;
    else if (!is_valid && accepted)
        t->bad_accepted++;
    if (is_valid != accepted)
        print_message("tcId %d %s: %s, %s\n", (int)id, text_in(test, "comment"),
                      is_valid ? "valid" : "invalid", accepted ? "accepted" : "refused");
}

static const char *token_of_test(const json_t *groups, json_int_t wanted)
{
    const json_t *group;
    const json_t *test;
    size_t i;
    size_t j;

    json_array_foreach(groups, i, group)
    {
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            if (json_integer_value(json_object_get(test, "tcId")) == wanted)
                return text_in(test, "jws");
        }
    }
    return "";
}

static void
no_invalid_jws_but_the_copies_of_a_valid_one_is_accepted_and_four_valid_are_waived(void **state)
{
    json_t *root = vectors_load(SHARED "json_web_signature_test.json");
    const json_t *groups = json_object_get(root, "testGroups");
    const char *token_357 = token_of_test(groups, 357);
    struct tally t = {0};
    const json_t *group;
    const json_t *test;
    size_t i;
    size_t j;

    (void)state;
    json_array_foreach(groups, i, group)
    {
        json_t *jwk = key_of(group);

        json_array_foreach(json_object_get(group, "tests"), j, test)
            count_one(jwk, test, token_357, &t);
        json_decref(jwk);
    }
    print_message("%u tests. %u invalid: %u refused, %u accepted that are byte for byte the valid "
                  "test 357, %u others accepted. %u valid: %u waived, %u others refused\n",
                  t.tests, t.invalid, t.invalid - t.twins - t.bad_accepted, t.twins, t.bad_accepted,
                  t.valid, t.waived, t.good_refused);
    assert_int_equal(t.tests, 401);
    assert_int_equal(t.invalid, 355);
    assert_int_equal(t.valid, 46);
    assert_int_equal(t.bad_accepted, 0);
    assert_int_equal(t.good_refused, 0);
    assert_int_equal(t.waived, 4);
    assert_int_equal(t.twins, 2);
    json_decref(root);
}

/* Also for the JWE groups, of which nothing may be accepted. */
static void run_keys(const char *path, unsigned tests, const int *not_ours, size_t not_ours_count)
{
    json_t *root = vectors_load(path);
    struct tally t = {0};
    const json_t *group;
    const json_t *test;
    size_t i;
    size_t j;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        json_t *jwk = key_of(group);

        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            json_int_t id = json_integer_value(json_object_get(test, "tcId"));

            if (json_object_get(test, "jwe"))
                assert_false(is_accepted(jwk, json_object_get(test, "jwe")));
            else if (!is_in(not_ours, not_ours_count, id))
                count_one(jwk, test, NULL, &t);
        }
        json_decref(jwk);
    }
    print_message("%u JWS tests: %u invalid, %u accepted of them; %u valid, %u refused of them\n",
                  t.tests, t.invalid, t.bad_accepted, t.valid, t.good_refused);
    assert_int_equal(t.tests, tests);
    assert_int_equal(t.bad_accepted, 0);
    assert_int_equal(t.good_refused, 0);
    json_decref(root);
}

static void weak_mixed_and_mislabelled_keys_are_refused(void **state)
{
    /* 7 is a key of the ROCA chips: who made a key is the operator's affair. */
    static const int not_ours[] = {7};

    (void)state;
    run_keys(SHARED "json_web_key_test.json", 25, not_ours, 1);
}

static void the_web_crypto_vectors_are_as_expected_and_no_jwe_is_a_token(void **state)
{
    static const int not_ours[] = {46}; /* ROCA again */

    (void)state;
    run_keys(SHARED "json_web_crypto_test.json", 48, not_ours, 1);
}

static void the_tokens_of_rfc_7515_and_8037_are_verified(void **state)
{
    json_t *root = vectors_load(SHARED "rfc7515_8037_tokens.json");
    json_t *wrong =
        json_pack("{s:s, s:s}", "kty", "oct", "k", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    unsigned accepted = 0;
    const json_t *row;
    size_t i;

    (void)state;
    json_array_foreach(root, i, row)
    {
        const json_t *jwk = json_object_get(row, "jwk");
        const json_t *token = json_object_get(row, "token");

        assert_false(is_accepted(wrong, token));
        if (json_is_object(jwk))
            accepted += is_accepted(jwk, token);
    }
    assert_int_equal(json_array_size(root), 5);
    assert_int_equal(accepted, 4);
    json_decref(wrong);
    json_decref(root);
}

/* All are signed well, so that only the header can be at fault. */
static void a_header_that_we_do_not_understand_is_refused(void **state)
{
    static const struct {
        const char *header;
        int expected;
    } rows[] = {
        {"{\"alg\":\"HS256\"}", 0},
        {"{\"alg\":\"HS256\",\"typ\":\"JWT\"}", 0},
        {"{\"alg\":\"HS256\",\"jku\":\"http://127.0.0.1:1/\",\"x5u\":\"file:///\",\"jwk\":{}}", 0},
        {" {\"alg\" : \"HS256\"}\n", 0},
        {"{\"alg\":\"HS256\",\"kid\":\"mine\"}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"kid\":\"\"}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"kid\":null}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"kid\":7}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"crit\":[]}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"crit\":null}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"b64\":true}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"zip\":\"DEF\"}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"enc\":\"A256GCM\"}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"\\u0061lg\":\"HS256\"}", -EKEYREJECTED},
        {"{\"alg\":\"hs256\"}", -EKEYREJECTED},
        {"{\"alg\":\"HS384\"}", -EKEYREJECTED},
        {"{\"alg\":\"RS256\"}", -EKEYREJECTED},
        {"{\"alg\":\"none\"}", -EKEYREJECTED},
        {"{\"alg\":[\"HS256\"]}", -EKEYREJECTED},
        {"{\"Alg\":\"HS256\"}", -EKEYREJECTED},
        {"{}", -EKEYREJECTED},
        {"[]", -EKEYREJECTED},
        {"\"HS256\"", -EKEYREJECTED},
        {"", -EKEYREJECTED},
        {"{\"alg\":\"HS256\"}x", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"x\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}", 0},
        {"{\"alg\":\"HS256\",\"x\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", -EKEYREJECTED},
        {"{\"alg\":\"HS256\",\"x\":\"[[[[[[[[[[[[[[[[[[\\\"[[[[[[\"}", 0},
    };
    struct keyring *kr = keyring_of(NULL, "shhhhh");

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *token = token_of(EVP_sha256(), "shhhhh", rows[i].header, "{}");
        const char *why = "";
        struct jws jws;
        int err = jws_verify(kr, slice_text(token), &jws, &why);

        if (err != rows[i].expected)
            fail_msg("%s: %d (%s)", rows[i].header, err, why);
        free(token);
    }
    keyring_free(kr);
}

static void a_token_is_at_most_8_kib(void **state)
{
    struct keyring *kr = keyring_of(NULL, "shhhhh");
    char payload[JWS_MAX];
    const char *why = "";
    struct jws jws;
    size_t longest = 0;

    (void)state;
    for (size_t len = 6000; len < 6200; len++) {
        char *token;
        int err;

        memset(payload, 'x', len);
        payload[len] = '\0';
        token = token_of(EVP_sha256(), "shhhhh", "{\"alg\":\"HS256\"}", payload);
        err = jws_verify(kr, slice_text(token), &jws, &why);
        assert_int_equal(err, strlen(token) <= 8192 ? 0 : -EKEYREJECTED);
        if (!err) {
            longest = strlen(token);
            assert_int_equal(jws.payload_len, len);
        }
        free(token);
    }
    assert_in_range(longest, 8188, 8192);
    keyring_free(kr);
}

static void a_token_with_a_kid_is_checked_with_that_key_alone(void **state)
{
    struct keyring *kr = keyring_of("a", "secret a");
    static const struct {
        const char *header;
        const char *secret;
        const char *signer; /* NULL: refused */
    } rows[] = {
        {"{\"alg\":\"HS256\",\"kid\":\"a\"}", "secret a", "a"},
        {"{\"alg\":\"HS256\",\"kid\":\"b\"}", "secret b", "b"},
        {"{\"alg\":\"HS256\",\"kid\":\"b\"}", "secret a", NULL},
        {"{\"alg\":\"HS256\",\"kid\":\"a\"}", "secret c", NULL},
        {"{\"alg\":\"HS256\",\"kid\":\"A\"}", "secret a", NULL},
        {"{\"alg\":\"HS256\",\"kid\":\"a \"}", "secret a", NULL},
        {"{\"alg\":\"HS256\",\"kid\":\"../a\"}", "secret a", NULL},
        {"{\"alg\":\"HS256\"}", "secret a", "a"},
        {"{\"alg\":\"HS256\"}", "secret b", "b"},
        {"{\"alg\":\"HS256\"}", "secret c", ""},
        {"{\"alg\":\"HS256\"}", "secret d", NULL},
    };

    (void)state;
    assert_int_equal(keyring_add_secret(kr, "b", slice_text("secret b")), 0);
    assert_int_equal(keyring_add_secret(kr, NULL, slice_text("secret c")), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *token = token_of(EVP_sha256(), rows[i].secret, rows[i].header, "{}");
        const char *why = "";
        struct jws jws;
        int err = jws_verify(kr, slice_text(token), &jws, &why);

        assert_int_equal(err, rows[i].signer ? 0 : -EKEYREJECTED);
        if (!err)
            assert_string_equal(jws.signer->kid, rows[i].signer);
        free(token);
    }
    keyring_free(kr);
}

static void a_token_without_a_kid_is_tried_on_eight_keys_at_most(void **state)
{
    struct keyring *kr = keyring_made();
    char secret[16];
    unsigned accepted = 0;

    (void)state;
    for (unsigned i = 0; i < 12; i++) {
        (void)snprintf(secret, sizeof(secret), "secret %u", i);
        assert_int_equal(keyring_add_secret(kr, NULL, slice_text(secret)), 0);
    }
    for (unsigned i = 0; i < 12; i++) {
        const char *why = "";
        struct jws jws;
        char *token;

        (void)snprintf(secret, sizeof(secret), "secret %u", i);
        token = token_of(EVP_sha256(), secret, "{\"alg\":\"HS256\"}", "{}");
        accepted += jws_verify(kr, slice_text(token), &jws, &why) == 0;
        free(token);
    }
    assert_int_equal(accepted, KEYRING_TRIES);
    keyring_free(kr);
}

static void a_shared_secret_serves_all_three_hashes_as_on_the_old_relays(void **state)
{
    struct keyring *kr = keyring_of(NULL, "shhhhh");
    const struct {
        const EVP_MD *md;
        const char *header;
    } rows[] = {{EVP_sha256(), "{\"alg\":\"HS256\"}"},
                {EVP_sha384(), "{\"alg\":\"HS384\"}"},
                {EVP_sha512(), "{\"alg\":\"HS512\"}"}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *token = token_of(rows[i].md, "shhhhh", rows[i].header, "{}");
        const char *why = "";
        struct jws jws;

        assert_int_equal(jws_verify(kr, slice_text(token), &jws, &why), 0);
        free(token);
    }
    keyring_free(kr);
}

static void an_empty_keyring_accepts_nothing(void **state)
{
    struct keyring *kr = keyring_made();
    char *token = token_of(EVP_sha256(), "", "{\"alg\":\"HS256\"}", "{}");
    const char *why = "";
    struct jws jws;

    (void)state;
    assert_int_equal(jws_verify(kr, slice_text(token), &jws, &why), -EKEYREJECTED);
    free(token);
    keyring_free(kr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            no_invalid_jws_but_the_copies_of_a_valid_one_is_accepted_and_four_valid_are_waived),
        cmocka_unit_test(weak_mixed_and_mislabelled_keys_are_refused),
        cmocka_unit_test(the_web_crypto_vectors_are_as_expected_and_no_jwe_is_a_token),
        cmocka_unit_test(the_tokens_of_rfc_7515_and_8037_are_verified),
        cmocka_unit_test(a_header_that_we_do_not_understand_is_refused),
        cmocka_unit_test(a_token_is_at_most_8_kib),
        cmocka_unit_test(a_token_with_a_kid_is_checked_with_that_key_alone),
        cmocka_unit_test(a_token_without_a_kid_is_tried_on_eight_keys_at_most),
        cmocka_unit_test(a_shared_secret_serves_all_three_hashes_as_on_the_old_relays),
        cmocka_unit_test(an_empty_keyring_accepts_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
