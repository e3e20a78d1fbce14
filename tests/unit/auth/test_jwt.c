#include "fixture.h"

#include "auth/jwt.h"

#include <errno.h>

#define NOW 1800000000
#define HS256 "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"

static const struct jwt_rules lax = {.exp = JWT_EXP_OPTIONAL};

static int verify(const struct keyring *kr, const struct jwt_rules *rules, const char *token,
                  struct claims *out)
{
    *out = (struct claims){0};
    return jwt_verify(kr, rules, slice_text(token), NOW, out, NULL);
}

static void add_hostile_key(struct keyring *kr, const json_t *key)
{
    const char *secret = text_in(key, "secret_b64u");
    uint8_t bytes[64];
    size_t len = 0;

    if (*secret) {
        assert_int_equal(base64url_parse(slice_text(secret), bytes, sizeof(bytes), &len), 0);
        assert_int_equal(keyring_add_secret(kr, text_in(key, "kid"), slice_of(bytes, len)), 0);
        return;
    }
    assert_int_equal(keyring_add_pem(kr, text_in(key, "kid"), slice_text(text_in(key, "pem"))), 0);
}

static void hostile_tokens_are_judged_as_expected(void **state)
{
    json_t *root = json_load_file(RVPN_VECTORS "/jwt/hostile_cases.json", 0, NULL);
    const json_t *keys = json_object_get(root, "keys");
    const struct jwt_rules rules = {.audience = text_in(root, "audience"),
                                    .issuer = text_in(root, "issuer"),
                                    .exp = JWT_EXP_REQUIRED};
    unsigned accepted = 0;
    unsigned wrong = 0;
    const json_t *row;
    size_t i;

    (void)state;
    assert_non_null(root);
    json_array_foreach(json_object_get(root, "cases"), i, row)
    {
        struct keyring *kr = keyring_made();
        const char *expect = text_in(row, "expect");
        const char *why = "accepted";
        const json_t *token = json_object_get(row, "token");
        struct claims c = {0};
        int err;

        add_hostile_key(kr, json_object_get(keys, text_in(row, "trust")));
        err = jwt_verify(kr, &rules, slice_of(json_string_value(token), json_string_length(token)),
                         json_integer_value(json_object_get(root, "now")), &c, &why);
        accepted += err == 0;
        if ((strcmp(expect, "accept") == 0 && err) || (strcmp(expect, "reject") == 0 && !err)) {
            print_message("%s: expected %s: %s\n", text_in(row, "id"), expect, why);
            wrong++;
        }
        if (err == 0)
            assert_in_range(c.host_count, strcmp(expect, "policy") != 0, 1);
        claims_fini(&c);
        keyring_free(kr);
    }
    print_message("%zu cases, %u accepted, %u not as expected\n", i, accepted, wrong);
    assert_int_equal(i, 92);
    assert_int_equal(wrong, 0);
    json_decref(root);
}

static const struct jwt_rules strict = {
    .audience = "relay", .issuer = "shop", .leeway = 30, .exp = JWT_EXP_REQUIRED};
static const struct jwt_rules aud = {.audience = "relay"};
static const struct jwt_rules iss = {.issuer = "shop"};
static const struct jwt_rules needs_exp = {.exp = JWT_EXP_REQUIRED};
static const struct jwt_rules slack = {.leeway = 30};
static const struct {
    const struct jwt_rules *rules;
    const char *payload;
    int expected;
} rule_rows[] = {
    {&lax, "{}", 0},
    {&lax, "{\"iss\":1500000000.123,\"aud\":\"https://x/\"}", 0},
    {&lax, "{\"exp\":1800000001}", 0},
    {&lax, "{\"exp\":1800000000}", -EKEYEXPIRED},
    {&lax, "{\"exp\":1799999999.9}", -EKEYEXPIRED},
    {&lax, "{\"exp\":1800000000.1}", 0},
    {&lax, "{\"nbf\":1800000000}", 0},
    {&lax, "{\"nbf\":1800000001}", -EKEYREJECTED},
    {&lax, "{\"nbf\":1800000000.1}", -EKEYREJECTED},
    {&lax, "{\"iat\":1900000000}", 0},
    {&lax, "{\"exp\":1,\"domains\":7}", -EINVAL},
    {&lax, "{\"domains\":7}", -EINVAL},
    {&lax, "[]", -EKEYREJECTED},
    {&lax, "", -EKEYREJECTED},
    {&lax, "{\"exp\":1900000000,\"exp\":1900000000}", -EKEYREJECTED},
    {&slack, "{\"exp\":1799999971}", 0},
    {&slack, "{\"exp\":1799999970}", -EKEYEXPIRED},
    {&slack, "{\"nbf\":1800000030}", 0},
    {&slack, "{\"nbf\":1800000031}", -EKEYREJECTED},
    {&needs_exp, "{}", -EKEYREJECTED},
    {&needs_exp, "{\"exp\":1900000000}", 0},
    {&aud, "{}", -EKEYREJECTED},
    {&aud, "{\"aud\":\"relay\"}", 0},
    {&aud, "{\"aud\":\"Relay\"}", -EKEYREJECTED},
    {&aud, "{\"aud\":[]}", -EKEYREJECTED},
    {&aud, "{\"aud\":[7,\"relay\"]}", 0},
    {&aud, "{\"aud\":[[\"relay\"]]}", -EKEYREJECTED},
    {&aud, "{\"aud\":{\"relay\":1}}", -EKEYREJECTED},
    {&iss, "{}", -EKEYREJECTED},
    {&iss, "{\"iss\":\"shop\"}", 0},
    {&iss, "{\"iss\":7}", -EKEYREJECTED},
    {&iss, "{\"iss\":[\"shop\"]}", -EKEYREJECTED},
    {&strict, "{\"iss\":\"shop\",\"aud\":\"relay\",\"exp\":1900000000}", 0},
    {&strict, "{\"iss\":\"shop\",\"aud\":\"other\",\"exp\":1}", -EKEYREJECTED},
};

static void the_rules_are_applied(void **state)
{
    struct keyring *kr = keyring_of(NULL, "shhhhh");

    (void)state;
    for (size_t i = 0; i < sizeof(rule_rows) / sizeof(rule_rows[0]); i++) {
        char *token = token_of(EVP_sha256(), "shhhhh", HS256, rule_rows[i].payload);
        struct claims c;
        int err = verify(kr, rule_rows[i].rules, token, &c);

        if (err != rule_rows[i].expected)
            fail_msg("%s: %d", rule_rows[i].payload, err);
        claims_fini(&c);
        free(token);
    }
    keyring_free(kr);
}

static void a_token_of_every_client_age_is_understood(void **state)
{
    static const char *const payloads[] = {
        "{\"name\":\"x.example.test\",\"domains\":[\"x.example.test\"],\"iat\":1474000000}",
        "{\"domains\":[\"x.example.test\"],\"iat\":1488000000}",
        "{\"domains\":[\"x.example.test\"],\"aud\":\"relay:443\",\"iat\":1500000000}",
        "{\"domains\":[\"x.example.test\"],\"ports\":[\"30001\"],\"iss\":1538000000}",
        "{\"name\":\"x.example.test\"}",
    };
    struct keyring *kr = keyring_of(NULL, "shhhhh");
    char owner[64] = "";

    (void)state;
    for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
        char *token = token_of(EVP_sha256(), "shhhhh", HS256, payloads[i]);
        struct claims c;

        assert_int_equal(verify(kr, &lax, token, &c), 0);
        assert_int_equal(c.host_count, 1);
        assert_string_equal(c.hosts[0], "x.example.test");
        assert_int_equal(c.expires_at, 0);
        assert_int_equal(strncmp(c.subject, "key:", 4), 0);
        assert_int_equal(strlen(c.subject), 4 + 32);
        assert_int_equal(strlen(c.token_id), 32);
        if (*owner) /* all tokens of one secret without a subject are one owner's */
            assert_string_equal(c.subject, owner);
        (void)snprintf(owner, sizeof(owner), "%s", c.subject);
        claims_fini(&c);
        free(token);
    }
    keyring_free(kr);
}

static void the_subject_is_sub_else_device_else_the_key(void **state)
{
    static const struct {
        const char *payload;
        const char *subject;
        const char *token_id; /* NULL: made up */
    } rows[] = {
        {"{\"sub\":\"jon\",\"device\":{\"id\":\"d\"},\"jti\":\"t1\"}", "jon", "t1"},
        {"{\"device\":{\"id\":\"d\"}}", "d", NULL},
        {"{}", "key:k1", NULL},
    };
    struct keyring *kr = keyring_of("k1", "shhhhh");
    char seen[3][33] = {"", "", ""};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char *token = token_of(EVP_sha256(), "shhhhh", HS256, rows[i].payload);
        struct claims c;

        assert_int_equal(verify(kr, &lax, token, &c), 0);
        assert_string_equal(c.subject, rows[i].subject);
        if (rows[i].token_id)
            assert_string_equal(c.token_id, rows[i].token_id);
        (void)snprintf(seen[i], sizeof(seen[i]), "%s", c.token_id);
        claims_fini(&c);
        free(token);
    }
    assert_string_not_equal(seen[1], seen[2]);
    keyring_free(kr);
}

static void a_token_cut_or_changed_anywhere_is_refused(void **state)
{
    struct keyring *kr = keyring_of(NULL, "shhhhh");
    char *token = token_of(EVP_sha256(), "shhhhh", HS256, "{\"domains\":[\"x.example\"]}");
    size_t len = strlen(token);
    char *changed = malloc(len + 2);
    struct claims c;

    (void)state;
    assert_int_equal(verify(kr, &lax, token, &c), 0);
    claims_fini(&c);
    for (size_t cut = 0; cut < len; cut++) {
        char *exact = malloc(cut + 1); /* so that a read past the end is seen */

        memcpy(exact, token, cut);
        assert_int_equal(jwt_verify(kr, &lax, slice_of(exact, cut), NOW, &c, NULL), -EKEYREJECTED);
        assert_int_equal(jwt_verify(kr, &lax, slice_of(token + len - cut, cut), NOW, &c, NULL),
                         -EKEYREJECTED);
        free(exact);
    }
    for (size_t at = 0; at <= len; at++) {
        for (const char *extra = "A.= \n?\x80"; *extra; extra++) {
            memcpy(changed, token, at);
            changed[at] = *extra;
            memcpy(changed + at + 1, token + at, len - at + 1);
            assert_int_equal(verify(kr, &lax, changed, &c), -EKEYREJECTED);
        }
    }
    for (size_t at = 0; at < len; at++) {
        memcpy(changed, token, len + 1);
        changed[at] = changed[at] == 'x' ? 'y' : 'x';
        assert_int_equal(verify(kr, &lax, changed, &c), -EKEYREJECTED);
    }
    free(changed);
    free(token);
    keyring_free(kr);
}

static void what_was_written_is_read_back(void **state)
{
    char *hosts[] = {(char[]){"a.example"}, (char[]){"*.b.example"}};
    uint16_t ports[] = {30001, 65535};
    struct claims c = {.subject = (char[]){"jon"},
                       .scope = (char[]){"admin"},
                       .hosts = hosts,
                       .host_count = 2,
                       .ports = ports,
                       .port_count = 2,
                       .issued_at = NOW,
                       .not_before = NOW - 60,
                       .expires_at = NOW + 60};
    const struct jwt_rules rules = {.audience = "relay", .issuer = "rvpn", .exp = JWT_EXP_REQUIRED};
    struct keyring *kr = keyring_of("k1", "shhhhh");
    char token[2][JWS_MAX + 1];
    struct claims back[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        int len = jwt_write(kr, &rules, &c, token[i], sizeof(token[i]));

        assert_int_equal(len, strlen(token[i]));
        assert_int_equal(verify(kr, &rules, token[i], &back[i]), 0);
        assert_string_equal(back[i].subject, "jon");
        assert_string_equal(back[i].scope, "admin");
        assert_int_equal(back[i].host_count, 2);
        assert_string_equal(back[i].hosts[0], "a.example");
        assert_string_equal(back[i].hosts[1], "*.b.example");
        assert_int_equal(back[i].port_count, 2);
        assert_int_equal(back[i].ports[1], 65535);
        assert_int_equal(back[i].issued_at, NOW);
        assert_int_equal(back[i].not_before, NOW - 60);
        assert_int_equal(back[i].expires_at, NOW + 60);
    }
    assert_int_equal(strlen(back[0].token_id), 32);
    assert_string_not_equal(back[0].token_id, back[1].token_id);
    claims_fini(&back[0]);
    claims_fini(&back[1]);
    keyring_free(kr);
}

static void ports_are_written_as_texts_as_the_old_relays_want_them(void **state)
{
    uint16_t ports[] = {30001};
    struct claims c = {.ports = ports, .port_count = 1, .token_id = (char[]){"t"}};
    struct keyring *kr = keyring_of(NULL, "shhhhh");
    char *expected = token_of(EVP_sha256(), "shhhhh", HS256,
                              "{\"domains\":[],\"ports\":[\"30001\"],\"jti\":\"t\"}");
    char token[JWS_MAX + 1];

    (void)state;
    assert_true(jwt_write(kr, &lax, &c, token, sizeof(token)) > 0);
    assert_string_equal(token, expected);
    free(expected);
    keyring_free(kr);
}

static void a_token_that_does_not_fit_is_not_written(void **state)
{
    struct claims c = {.subject = (char[]){"jon"}, .token_id = (char[]){"t"}};
    struct claims bad = {.subject = (char[]){"\xff"}};
    struct keyring *kr = keyring_of(NULL, "shhhhh");
    struct keyring *empty = keyring_made();
    char token[JWS_MAX + 1];
    int len = jwt_write(kr, &lax, &c, token, sizeof(token));

    (void)state;
    assert_true(len > 0);
    for (size_t size = 0; size <= (size_t)len; size++) {
        char *exact = malloc(size + 1);

        assert_int_equal(jwt_write(kr, &lax, &c, exact, size), -EMSGSIZE);
        free(exact);
    }
    assert_int_equal(jwt_write(kr, &lax, &c, token, (size_t)len + 1), len);
    assert_int_equal(jwt_write(kr, &lax, &bad, token, sizeof(token)), -EINVAL);
    assert_int_equal(jwt_write(empty, &lax, &c, token, sizeof(token)), -ENOKEY);
    keyring_free(kr);
    keyring_free(empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_tokens_are_judged_as_expected),
        cmocka_unit_test(the_rules_are_applied),
        cmocka_unit_test(a_token_of_every_client_age_is_understood),
        cmocka_unit_test(the_subject_is_sub_else_device_else_the_key),
        cmocka_unit_test(a_token_cut_or_changed_anywhere_is_refused),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(ports_are_written_as_texts_as_the_old_relays_want_them),
        cmocka_unit_test(a_token_that_does_not_fit_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
