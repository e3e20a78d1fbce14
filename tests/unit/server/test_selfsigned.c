/* What the relay's own certificate says, and how what was read back is judged. */
#include "server/selfsigned.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1700000000 /* unix seconds */
#define DAY 86400LL

static const char *listed[] = {"localhost", "relay.example", "192.0.2.7", "2001:db8::7"};
static const struct config_texts names = {listed, 4};
static const struct config_texts one_more = {
    (const char *[]){"localhost", "relay.example", "other.example"}, 3};

static X509 *read_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(x);
    return x;
}

/* Whether `x`, trusted itself, is good for TLS with `host` at `now`. */
static bool is_good_for(X509 *x, const char *host, const char *ip, int64_t now)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_VERIFY_PARAM *rules;
    bool good;

    assert_int_equal(X509_STORE_add_cert(store, x), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, x, NULL), 1);
    rules = X509_STORE_CTX_get0_param(context);
    assert_int_equal(X509_STORE_CTX_set_default(context, "ssl_server"), 1);
    X509_VERIFY_PARAM_set_time(rules, now);
    if (host)
        assert_int_equal(X509_VERIFY_PARAM_set1_host(rules, host, 0), 1);
    if (ip)
        assert_int_equal(X509_VERIFY_PARAM_set1_ip_asc(rules, ip), 1);
    good = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return good;
}

static void it_names_localhost_its_addresses_and_what_is_configured(void **state)
{
    struct selfsigned s;
    X509 *x;

    (void)state;
    assert_int_equal(selfsigned_init(&s, &names, NOW), 0);
    x = read_certificate(s.certificate);
    assert_true(is_good_for(x, "localhost", NULL, NOW));
    assert_true(is_good_for(x, "relay.example", NULL, NOW));
    assert_true(is_good_for(x, NULL, "127.0.0.1", NOW));
    assert_true(is_good_for(x, NULL, "::1", NOW));
    assert_true(is_good_for(x, NULL, "192.0.2.7", NOW));
    assert_true(is_good_for(x, NULL, "2001:db8::7", NOW));
    assert_false(is_good_for(x, "other.example", NULL, NOW));
    assert_false(is_good_for(x, NULL, "192.0.2.8", NOW));
    assert_true(is_good_for(x, "localhost", NULL, NOW + 3649 * DAY));
    assert_false(is_good_for(x, "localhost", NULL, NOW + 3651 * DAY));
    X509_free(x);
    selfsigned_fini(&s);
}

static void it_is_p256_for_servers_only_and_never_twice_the_same(void **state)
{
    struct selfsigned a;
    struct selfsigned b;
    char group[32] = "";
    X509 *x;
    X509 *y;

    (void)state;
    assert_int_equal(selfsigned_init(&a, &names, NOW), 0);
    assert_int_equal(selfsigned_init(&b, &names, NOW), 0);
    x = read_certificate(a.certificate);
    y = read_certificate(b.certificate);
    assert_int_equal(
        EVP_PKEY_get_group_name(X509_get0_pubkey(x), group, sizeof(group), &(size_t){0}), 1);
    assert_string_equal(group, "prime256v1");
    assert_int_equal(X509_get_extended_key_usage(x), XKU_SSL_SERVER);
    assert_int_equal(X509_check_ca(x), 0);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)), 0);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(x), X509_get0_pubkey(y)), 0);
    X509_free(x);
    X509_free(y);
    selfsigned_fini(&a);
    selfsigned_fini(&b);
}

static enum selfsigned_verdict judge(const char *certificate, const char *key,
                                     const struct config_texts *wanted, int64_t now)
{
    return selfsigned_check(slice_text(certificate), slice_text(key), wanted, now);
}

static void what_is_read_back_is_judged(void **state)
{
    struct selfsigned a;
    struct selfsigned b;

    (void)state;
    assert_int_equal(selfsigned_init(&a, &names, NOW), 0);
    assert_int_equal(selfsigned_init(&b, &names, NOW), 0);
    assert_int_equal(judge(a.certificate, a.key, &names, NOW), SELFSIGNED_GOOD);
    assert_int_equal(judge(a.certificate, a.key, &one_more, NOW), SELFSIGNED_NAMES);
    assert_int_equal(judge(a.certificate, a.key, &names, NOW + 3619 * DAY), SELFSIGNED_GOOD);
    assert_int_equal(judge(a.certificate, a.key, &names, NOW + 3621 * DAY), SELFSIGNED_EXPIRED);
    assert_int_equal(judge(a.certificate, a.key, &names, NOW - 2 * DAY), SELFSIGNED_EXPIRED);
    assert_int_equal(judge(a.certificate, b.key, &names, NOW), SELFSIGNED_BROKEN);
    assert_int_equal(judge("", a.key, &names, NOW), SELFSIGNED_BROKEN);
    assert_int_equal(judge(a.certificate, "", &names, NOW), SELFSIGNED_BROKEN);
    assert_int_equal(judge("", "", &names, NOW), SELFSIGNED_BROKEN);
    selfsigned_fini(&a);
    selfsigned_fini(&b);
}

/* A file that a crash or a full disk cut short is never taken for good. */
static void a_pair_cut_at_every_byte_is_broken(void **state)
{
    struct selfsigned s;
    size_t end;

    (void)state;
    assert_int_equal(selfsigned_init(&s, &names, NOW), 0);
    end = strlen(s.certificate) - 1; /* the last line end may go */
    for (size_t len = 0; len < end; len++)
        assert_int_equal(
            selfsigned_check(slice_of(s.certificate, len), slice_text(s.key), &names, NOW),
            SELFSIGNED_BROKEN);
    end = strlen(s.key) - 1;
    for (size_t len = 0; len < end; len++)
        assert_int_equal(
            selfsigned_check(slice_text(s.certificate), slice_of(s.key, len), &names, NOW),
            SELFSIGNED_BROKEN);
    selfsigned_fini(&s);
}

/* Somebody's certificate for the key of `s`, as PEM in `out`. */
static void write_foreign(const struct selfsigned *s, char *out, size_t size)
{
    BIO *key_bio = BIO_new_mem_buf(s->key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL);
    X509 *x = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    time_t now = NOW;
    int len;

    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC,
                                                (const unsigned char *)"mine", -1, -1, 0),
                     1);
    assert_non_null(X509_time_adj_ex(X509_getm_notBefore(x), 0, 0, &now));
    assert_non_null(X509_time_adj_ex(X509_getm_notAfter(x), 1, 0, &now));
    assert_int_equal(X509_set_pubkey(x, key), 1);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    assert_int_equal(PEM_write_bio_X509(bio, x), 1);
    len = BIO_read(bio, out, (int)size - 1);
    assert_true(len > 0);
    out[len] = 0;
    BIO_free(bio);
    X509_free(x);
    EVP_PKEY_free(key);
    BIO_free(key_bio);
}

static void somebody_elses_certificate_is_never_thought_ours(void **state)
{
    struct selfsigned a;
    struct selfsigned b;
    char foreign[4096];

    (void)state;
    assert_int_equal(selfsigned_init(&a, &names, NOW), 0);
    assert_int_equal(selfsigned_init(&b, &names, NOW), 0);
    write_foreign(&a, foreign, sizeof(foreign));
    assert_int_equal(judge(foreign, a.key, &one_more, NOW + 9 * DAY), SELFSIGNED_FOREIGN);
    assert_int_equal(judge(foreign, b.key, &names, NOW), SELFSIGNED_UNMATCHED);
    assert_int_equal(judge(foreign, "", &names, NOW), SELFSIGNED_UNMATCHED);
    selfsigned_fini(&a);
    selfsigned_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_names_localhost_its_addresses_and_what_is_configured),
        cmocka_unit_test(it_is_p256_for_servers_only_and_never_twice_the_same),
        cmocka_unit_test(what_is_read_back_is_judged),
        cmocka_unit_test(a_pair_cut_at_every_byte_is_broken),
        cmocka_unit_test(somebody_elses_certificate_is_never_thought_ours),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
