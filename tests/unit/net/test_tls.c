#include "net/tls.h"

#include "net/gcm_provider.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "certificate.h"

#include <openssl/err.h>

static const char *properties; /* of the certificates, while a round of tests runs */
static struct certificates certificates;
static struct pool pool;
static struct buf out;
static struct tls relay;
static SSL_CTX *context;
static SSL *client;
static uint8_t plain[65536];
static size_t plain_len;
static int relay_end; /* what tls_take() ended with */
static size_t piece_max = SIZE_MAX;

static void start(const struct client_taste *taste)
{
    context = client_context(taste);
    client = SSL_new(context);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
    if (taste->name)
        assert_int_equal(SSL_set_tlsext_host_name(client, taste->name), 1);
    buf_init(&out, &pool, SIZE_MAX);
    assert_int_equal(tls_init(&relay, certificates.contexts[0], &out), 0);
    plain_len = 0;
    relay_end = 0;
}

static int set_up(void **state)
{
    (void)state;
    pool_init(&pool, 0);
    certificates.properties = properties;
    certificate_add(&certificates, "DNS:a.example");
    return 0;
}

static void stop(void)
{
    tls_fini(&relay);
    buf_fini(&out);
    SSL_free(client);
    client = NULL;
    SSL_CTX_free(context);
    context = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    if (client)
        stop();
    certificates_fini(&certificates);
    certificates_fini(&certificates);
    piece_max = SIZE_MAX;
    return pool.held_bytes ? -1 : 0;
}

/* Gives the relay `len` bytes of ciphertext, and takes what comes out of them. */
static void feed(const uint8_t *bytes, size_t len)
{
    ssize_t got;

    tls_feed(&relay, bytes, len);
    while ((got = tls_take(&relay, plain + plain_len, sizeof(plain) - plain_len)) > 0)
        plain_len += (size_t)got;
    if (!relay_end)
        relay_end = (int)got;
}

/* Carries what the client has to say, in pieces.  Returns whether it had anything. */
static bool carry_to_relay(void)
{
    uint8_t bytes[65536];
    int len = BIO_read(SSL_get_wbio(client), bytes, sizeof(bytes));

    for (int at = 0; at < len;) {
        size_t left = (size_t)(len - at), part = left < piece_max ? left : piece_max;

        feed(bytes + at, part);
        at += (int)part;
    }
    return len > 0;
}

static bool carry_to_client(void)
{
    struct iovec iov[4];
    size_t total;
    unsigned count = buf_peek(&out, iov, 4, &total);

    for (unsigned i = 0; i < count; i++)
        assert_int_equal(BIO_write(SSL_get_rbio(client), iov[i].iov_base, (int)iov[i].iov_len),
                         iov[i].iov_len);
    buf_drop(&out, total);
    return total > 0;
}

/* Returns whether the handshake went well for both. */
static bool shake(void)
{
    bool moved = true;

    while (moved) {
        (void)SSL_do_handshake(client);
        moved = carry_to_relay();
        moved |= carry_to_client();
    }
    ERR_clear_error();
    return SSL_is_init_finished(client) && relay_end == 0;
}

static void say(const char *text)
{
    assert_int_equal(SSL_write(client, text, (int)strlen(text)), strlen(text));
    (void)carry_to_relay();
}

static const struct row {
    const char *what;
    struct client_taste taste;
    bool ok;
} rows[] = {
    {"1.3", {TLS1_3_VERSION, TLS1_3_VERSION, NULL, NULL}, true},
    {"1.2 GCM", {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256", NULL}, true},
    {"1.2 ChaCha", {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305", NULL}, true},
    {"1.2 CBC", {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256", NULL}, false},
    {"1.2 CBC, SHA-1", {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA", NULL}, false},
    {"1.2 CCM", {TLS1_2_VERSION, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-CCM8", NULL}, false},
    {"1.1", {TLS1_1_VERSION, TLS1_1_VERSION, "ALL", NULL}, false},
    {"1.0", {TLS1_VERSION, TLS1_VERSION, "ALL", NULL}, false},
    {"as it likes", {0, 0, NULL, NULL}, true},
};

static void modern_handshakes_go_well_and_old_ones_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool ok;

        start(&rows[i].taste);
        ok = shake();
        if (ok != rows[i].ok)
            fail_msg("%s", rows[i].what);
        if (ok) {
            say("good day");
            assert_int_equal(plain_len, 8);
            assert_memory_equal(plain, "good day", 8);
        } else {
            assert_int_equal(relay_end, -EPROTO);
        }
        stop();
    }
}

static void it_may_come_in_single_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        start(&rows[i].taste);
        piece_max = 1;
        assert_true(shake());
        say("good day");
        assert_int_equal(plain_len, 8);
        stop();
    }
}

static void records_of_any_size_may_be_cut_anywhere(void **state)
{
    static const size_t pieces[] = {2, 3, 5, 6, 4096, 16406, 65536};
    static const int sizes[] = {1, 16384, 2, 700, 16383, 1};
    static uint8_t bytes[16384];

    (void)state;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        size_t sum = 0;

        start(&rows[i % 2].taste);
        piece_max = pieces[i];
        assert_true(shake());
        for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
            memset(bytes, (int)('a' + k), sizeof(bytes));
            assert_int_equal(SSL_write(client, bytes, sizes[k]), sizes[k]);
            sum += (size_t)sizes[k];
        }
        while (carry_to_relay()) {
        }
        assert_int_equal(plain_len, sum);
        assert_int_equal(relay_end, 0);
        for (size_t k = 0, at = 0; k < sizeof(sizes) / sizeof(sizes[0]); at += (size_t)sizes[k++])
            assert_int_equal(plain[at + (size_t)sizes[k] - 1], 'a' + k);
        stop();
    }
}

static void what_the_relay_seals_the_client_reads_in_full_records(void **state)
{
    static uint8_t bytes[50000], back[50000];
    struct iovec iov[4];
    size_t total;
    int got, len = 0;

    (void)state;
    memset(bytes, 0x5a, sizeof(bytes));
    start(&rows[0].taste);
    assert_true(shake());
    assert_int_equal(tls_seal(&relay, bytes, 0), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(tls_seal(&relay, bytes, sizeof(bytes)), 0);
    (void)buf_peek(&out, iov, 4, &total);
    assert_int_equal(total, sizeof(bytes) + 88); /* 4 of TLS 1.3: 5 + 1 + 16 each */
    (void)carry_to_client();
    while ((got = SSL_read(client, back + len, (int)sizeof(back) - len)) > 0)
        len += got;
    assert_int_equal(len, sizeof(back));
    assert_memory_equal(back, bytes, sizeof(back));
}

static void the_name_asked_for_is_known(void **state)
{
    struct client_taste named = {.name = "b.example"};

    (void)state;
    start(&named);
    assert_null(tls_name(&relay));
    assert_true(shake());
    assert_string_equal(tls_name(&relay), "b.example");
    stop();
    start(&rows[0].taste);
    assert_true(shake());
    assert_null(tls_name(&relay));
}

static void close_notify_ends_it_behind_the_last_byte(void **state)
{
    (void)state;
    start(&rows[0].taste);
    assert_true(shake());
    assert_int_equal(SSL_write(client, "bye", 3), 3);
    (void)SSL_shutdown(client);
    (void)carry_to_relay();
    assert_int_equal(plain_len, 3);
    assert_int_equal(relay_end, -ESHUTDOWN);
    tls_shut(&relay);
    tls_shut(&relay);
    (void)carry_to_client();
    assert_int_equal(SSL_read(client, plain, 1), 0);
    assert_int_equal(SSL_get_error(client, 0), SSL_ERROR_ZERO_RETURN);
}

static void a_broken_record_is_answered_with_an_alert(void **state)
{
    uint8_t bytes[1024];
    int len;

    (void)state;
    start(&rows[0].taste);
    assert_true(shake());
    say("fine");
    assert_int_equal(SSL_write(client, "broken", 6), 6);
    len = BIO_read(SSL_get_wbio(client), bytes, sizeof(bytes));
    bytes[len - 1] ^= 1;
    feed(bytes, (size_t)len);
    assert_int_equal(plain_len, 4);
    assert_int_equal(relay_end, -EPROTO);
    assert_true(out.len > 0);
    (void)carry_to_client();
    assert_true(SSL_read(client, plain, 1) <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_get_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    ERR_clear_error();
}

static void what_is_no_tls_is_refused(void **state)
{
    static const char *const texts[] = {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2p1\r\n",
                                        "\x16\x02\x01\x01\x01\x01\x01"};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        start(&rows[0].taste);
        feed((const uint8_t *)texts[i], strlen(texts[i]));
        assert_int_equal(relay_end, -EPROTO);
        assert_int_equal(tls_seal(&relay, plain, 1), -EPROTO);
        stop();
    }
}

static void a_key_update_is_answered(void **state)
{
    (void)state;
    start(&rows[0].taste);
    assert_true(shake());
    assert_int_equal(SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED), 1);
    say("new keys");
    assert_int_equal(plain_len, 8);
    assert_int_equal(tls_seal(&relay, plain, 8), 0);
    (void)carry_to_client();
    assert_int_equal(SSL_read(client, plain, 100), 8);
}

/* Sends `len` bytes to the relay and back again. */
static void there_and_back(size_t len)
{
    static uint8_t bytes[32768], back[32768];

    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(i * 7 + len);
    plain_len = 0;
    assert_int_equal(SSL_write(client, bytes, (int)len), len);
    (void)carry_to_relay();
    assert_int_equal(plain_len, len);
    assert_memory_equal(plain, bytes, len);
    assert_int_equal(tls_seal(&relay, plain, len), 0);
    (void)carry_to_client();
    for (size_t at = 0; at < len;) {
        int got = SSL_read(client, back + at, (int)(len - at));

        assert_true(got > 0);
        at += (size_t)got;
    }
    assert_memory_equal(back, bytes, len);
}

static void many_records_pass_under_each_key(void **state)
{
    static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                         "TLS_CHACHA20_POLY1305_SHA256"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        start(&rows[0].taste);
        assert_int_equal(SSL_set_ciphersuites(client, suites[i]), 1);
        assert_true(shake());
        for (int update = 0; update < 8; update++) {
            for (size_t len = 1; len <= 32768; len += 1 + len / 3)
                there_and_back(len);
            assert_int_equal(SSL_key_update(client, update % 2 ? SSL_KEY_UPDATE_REQUESTED
                                                               : SSL_KEY_UPDATE_NOT_REQUESTED),
                             1);
            assert_int_equal(SSL_key_update(relay.ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
        }
        stop();
    }
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    start(&rows[1].taste);
    assert_true(shake());
    if (SSL_renegotiate(client) == 1)
        (void)shake();
    assert_int_equal(SSL_total_renegotiations(relay.ssl), 0);
}

/* Whatever else uses OpenSSL on this thread may leave an error behind. */
static void an_old_error_of_somebody_else_does_no_harm(void **state)
{
    (void)state;
    start(&rows[0].taste);
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    assert_true(shake());
    piece_max = 5;
    ERR_raise(ERR_LIB_USER, ERR_R_INTERNAL_ERROR);
    say("good day");
    assert_int_equal(relay_end, 0);
    assert_int_equal(plain_len, 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(modern_handshakes_go_well_and_old_ones_are_refused),
        TEST(it_may_come_in_single_bytes),
        TEST(records_of_any_size_may_be_cut_anywhere),
        TEST(what_the_relay_seals_the_client_reads_in_full_records),
        TEST(the_name_asked_for_is_known),
        TEST(close_notify_ends_it_behind_the_last_byte),
        TEST(a_broken_record_is_answered_with_an_alert),
        TEST(what_is_no_tls_is_refused),
        TEST(a_key_update_is_answered),
        TEST(many_records_pass_under_each_key),
        TEST(renegotiation_is_refused),
        TEST(an_old_error_of_somebody_else_does_no_harm),
    };

    OSSL_PROVIDER *provider;
    const char *why;
    int failed = cmocka_run_group_tests_name("OpenSSL's AES", tests, NULL, NULL);

    if (gcm_provider_start(&provider, &why)) {
        print_message("skipped with vectorised AES: %s\n", why);
        return failed;
    }
    properties = GCM_PROVIDER_PROPERTIES;
    failed += cmocka_run_group_tests_name("vectorised AES", tests, NULL, NULL);
    gcm_provider_stop(provider);
    return failed;
}
