#include "net/certificates.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certificate.h"

#include <openssl/err.h>

static const struct client_taste any, tls_1_2 = {.max = TLS1_2_VERSION};

/* A handshake over memory.  Gives the client, whose session may be resumed. */
static SSL *shake(const struct certificates *c, SSL_CTX *context, const char *name,
                  SSL_SESSION *resumed)
{
    BIO *ends[2];
    SSL *client = SSL_new(context), *relay = SSL_new(certificates_choose(c, name ? name : ""));
    char byte;

    assert_int_equal(BIO_new_bio_pair(&ends[0], 65536, &ends[1], 65536), 1);
    SSL_set_bio(client, ends[0], ends[0]);
    SSL_set_bio(relay, ends[1], ends[1]);
    SSL_set_connect_state(client);
    SSL_set_accept_state(relay);
    if (name)
        assert_int_equal(SSL_set_tlsext_host_name(client, name), 1);
    if (resumed)
        assert_int_equal(SSL_set_session(client, resumed), 1);
    for (int i = 0; i < 6; i++) {
        (void)SSL_do_handshake(client);
        (void)SSL_do_handshake(relay);
    }
    assert_true(SSL_is_init_finished(client) && SSL_is_init_finished(relay));
    assert_int_equal(SSL_write(relay, "x", 1), 1);
    assert_int_equal(SSL_read(client, &byte, 1), 1); /* and the ticket of 1.3 with it */
    ERR_clear_error();
    SSL_set_shutdown(relay, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_shutdown(client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(relay);
    return client;
}

static void the_certificate_is_chosen_by_the_name_asked_for(void **state)
{
    static const struct {
        const char *name;
        unsigned at;
    } rows[] = {
        {"a.example", 0},     {"b.example", 1}, {"x.b.example", 1},  {"B.EXAMPLE", 1},
        {"y.x.b.example", 0}, {"c.example", 2}, {"none.example", 0}, {NULL, 0},
    };
    struct certificates c = {.count = 0};
    SSL_CTX *context = client_context(&any);

    (void)state;
    certificate_add(&c, "DNS:a.example");
    certificate_add(&c, "DNS:b.example,DNS:*.b.example");
    certificate_add(&c, "DNS:c.example");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        SSL *client = shake(&c, context, rows[i].name, NULL);
        X509 *got = SSL_get1_peer_certificate(client);

        assert_int_equal(X509_cmp(got, SSL_CTX_get0_certificate(c.contexts[rows[i].at])), 0);
        X509_free(got);
        SSL_free(client);
    }
    SSL_CTX_free(context);
    certificates_fini(&c);
}

static void check_resumption(const struct client_taste *taste)
{
    struct certificates old = {.count = 0}, new = {.count = 0}, stranger = {.count = 0};
    SSL_CTX *context = client_context(taste);
    SSL_SESSION *session;
    SSL *client;

    certificate_add(&old, "DNS:a.example");
    certificate_add(&old, "DNS:b.example");
    assert_int_equal(certificates_share_tickets(&old, NULL), 0);
    certificate_add(&new, "DNS:a.example");
    certificate_add(&new, "DNS:b.example");
    assert_int_equal(certificates_share_tickets(&new, &old), 0);
    certificate_add(&stranger, "DNS:b.example");
    assert_int_equal(certificates_share_tickets(&stranger, &(struct certificates){0}), 0);

    client = shake(&old, context, "b.example", NULL);
    assert_false(SSL_session_reused(client));
    session = SSL_get1_session(client);
    SSL_free(client);
    client = shake(&stranger, context, "b.example", session);
    assert_false(SSL_session_reused(client));
    SSL_free(client);
    client = shake(&new, context, "b.example", session);
    assert_true(SSL_session_reused(client));
    SSL_free(client);
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    certificates_fini(&old);
    certificates_fini(&new);
    certificates_fini(&stranger);
}

static void resumption_survives_a_reload_that_shares_the_ticket_keys(void **state)
{
    (void)state;
    check_resumption(&any);
    check_resumption(&tls_1_2);
}

static void what_cannot_be_used_is_named(void **state)
{
    struct certificates c = {.count = 0};
    struct certificate_files a, b, locked;
    char why[CERTIFICATES_WHY] = "";

    (void)state;
    certificate_make(&a, "DNS:a.example", NULL);
    certificate_make(&b, "DNS:b.example", NULL);
    certificate_make(&locked, "DNS:c.example", "secret");
    assert_int_equal(certificates_add(&c, "/nowhere/chain.pem", a.key, why), -EINVAL);
    assert_non_null(strstr(why, "/nowhere/chain.pem"));
    assert_int_equal(certificates_add(&c, a.key, a.key, why), -EINVAL);
    assert_int_equal(certificates_add(&c, a.chain, "/nowhere/key.pem", why), -EINVAL);
    assert_non_null(strstr(why, "/nowhere/key.pem"));
    assert_int_equal(certificates_add(&c, a.chain, b.key, why), -EINVAL);
    assert_non_null(strstr(why, b.key));
    assert_int_equal(c.count, 0);
    assert_int_equal(ERR_peek_error(), 0);
    certificate_remove(&a);
    certificate_remove(&b);
    certificate_remove(&locked);
}

/* A relay has no terminal: it must not stop and wait for somebody to type. */
static void a_locked_key_is_refused_and_not_asked_about(void **state)
{
    struct certificates c = {.count = 0};
    struct certificate_files locked;
    char why[CERTIFICATES_WHY] = "";

    (void)state;
    certificate_make(&locked, "DNS:c.example", "secret");
    alarm(20);
    assert_int_equal(certificates_add(&c, locked.chain, locked.key, why), -EINVAL);
    alarm(0);
    assert_non_null(strstr(why, locked.key));
    certificate_remove(&locked);
}

static void there_is_room_for_so_many(void **state)
{
    static struct certificates c;
    struct certificate_files f;
    char why[CERTIFICATES_WHY] = "";

    (void)state;
    certificate_make(&f, "DNS:a.example", NULL);
    while (c.count < CERTIFICATES_MAX)
        assert_int_equal(certificates_add(&c, f.chain, f.key, why), 0);
    assert_int_equal(certificates_add(&c, f.chain, f.key, why), -ENOMEM);
    assert_non_null(strstr(why, f.chain));
    certificate_remove(&f);
    certificates_fini(&c);
    assert_int_equal(c.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_certificate_is_chosen_by_the_name_asked_for),
        cmocka_unit_test(resumption_survives_a_reload_that_shares_the_ticket_keys),
        cmocka_unit_test(what_cannot_be_used_is_named),
        cmocka_unit_test(a_locked_key_is_refused_and_not_asked_about),
        cmocka_unit_test(there_is_room_for_so_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
