#include "page.h"

#include "admin/demo.h"
#include "admin/routes.h"
#include "base/clock.h"

static const char secret[] = "0123456789abcdef0123456789abcdef";

static struct page *page_of(enum demo_kind kind)
{
    struct page *p = page_new();
    struct address peer;

    assert_int_equal(address_parse(slice_text("192.0.2.7:61392"), &peer), 0);
    assert_int_equal(keyring_new(&p->trust.keyring), 0);
    assert_int_equal(keyring_add_secret(p->trust.keyring, NULL, slice_text(secret)), 0);
    assert_int_equal(demo_open(&p->edge, page_connect(p), &peer, kind), 0);
    return p;
}

static void end(struct page *p)
{
    struct keyring *keyring = p->trust.keyring;

    page_free(p);
    keyring_free(keyring);
}

static void a_page_is_registered_and_told_the_totals(void **state)
{
    struct page *p = page_of(DEMO_CLIENT);

    (void)state;
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    assert_true(page_log_has(p, " register "));
    assert_true(page_log_has(p, "192.0.2.7:61392"));
    assert_true(page_log_has(p, "admin=false"));
    end(p);
}

static void messages_are_counted_and_logged_by_length_only(void **state)
{
    struct page *p = page_of(DEMO_CLIENT);

    (void)state;
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    page_say_text(p, "fourteen bytes");
    page_hears_text(p, "{\"bytes_read\":14,\"bytes_written\":0}");
    page_say(p, WS_OP_BINARY, "frag", 4);
    page_say(p, FIN_BIT | WS_OP_CONTINUATION, "ments", 5);
    page_hears_text(p, "{\"bytes_read\":23,\"bytes_written\":0}");
    assert_true(page_log_has(p, "length=14 bytes_read=14 bytes_written=0"));
    assert_true(page_log_has(p, "length=9 bytes_read=23 bytes_written=0"));
    assert_false(page_log_has(p, "fourteen"));
    end(p);
}

static void messages_of_one_turn_share_a_report(void **state)
{
    struct page *p = page_of(DEMO_CLIENT);

    (void)state;
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    for (int i = 0; i < 50; i++)
        page_say_text(p, "ab");
    page_hears_text(p, "{\"bytes_read\":100,\"bytes_written\":0}");
    end(p);
}

static void every_dwell_says_this_is_a_test(void **state)
{
    struct page *p = page_new();

    (void)state;
    p->rules.dwell_ms = 30;
    assert_int_equal(demo_open(&p->edge, page_connect(p), &(struct address){0}, DEMO_CLIENT), 0);
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    for (int i = 1; i <= 3; i++) {
        char report[64];

        (void)snprintf(report, sizeof(report), "{\"bytes_read\":0,\"bytes_written\":%d}", 14 * i);
        page_hears_text(p, "This is a test");
        page_hears_text(p, report);
    }
    assert_true(page_log_has(p, " dwell "));
    assert_true(page_log_has(p, "bytes_written=42"));
    page_say(p, FIN_BIT | WS_OP_CLOSE, "\x03\xE8", 2);
    page_hears_close(p, 1000);
    assert_true(page_log_has(p, " end "));
    assert_true(page_log_has(p, "code=1000"));
    page_free(p);
}

static void a_message_over_the_limit_is_closed_with_1009(void **state)
{
    static const uint8_t head[] = {0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0};
    struct page *p = page_of(DEMO_CLIENT);
    uint8_t *whole = calloc(1, DEMO_MESSAGE_MAX);

    (void)state;
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    page_say(p, FIN_BIT | WS_OP_BINARY, whole, DEMO_MESSAGE_MAX);
    page_hears_text(p, "{\"bytes_read\":65536,\"bytes_written\":0}");
    page_send(p, head, sizeof(head));
    page_hears_close(p, WS_CODE_TOO_BIG);
    free(whole);
    end(p);
}

/* {"auth":"TOKEN"} for a token with that scope, valid for `ttl` seconds. */
static char *auth_text(struct page *p, const char *scope, int64_t ttl, const char *format)
{
    static char text[1024];
    char token[512];
    char subject[] = "me";
    struct claims claims = {.subject = subject, .scope = (char *)(uintptr_t)scope};

    claims.expires_at = clock_unix() + ttl;
    assert_true(jwt_write(p->trust.keyring, &p->trust.rules, &claims, token, sizeof(token)) > 0);
    (void)snprintf(text, sizeof(text), "{\"auth\":\"%s\"%s", token, format);
    return text;
}

static void an_admin_page_tells_its_token_first(void **state)
{
    struct page *p = page_of(DEMO_ADMIN_UNKNOWN);
    char *text = auth_text(p, "read admin", 60, "}");

    (void)state;
    page_turn(p, 20);
    assert_false(page_log_has(p, " register "));
    page_say(p, WS_OP_TEXT, text, 9);
    page_say(p, FIN_BIT | WS_OP_CONTINUATION, text + 9, strlen(text) - 9);
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    page_say_text(p, "hi");
    page_hears_text(p, "{\"bytes_read\":2,\"bytes_written\":0}");
    assert_true(page_log_has(p, "admin=true"));
    assert_false(page_log_has(p, "eyJ"));
    end(p);
}

static void an_admin_page_without_a_good_token_is_closed_with_1008(void **state)
{
    (void)state;
    for (int i = 0; i < 7; i++) {
        struct page *p = page_of(DEMO_ADMIN_UNKNOWN);
        const char *const rows[] = {
            "hello",
            "",
            "{\"auth\":\"\"}",
            "[\"auth\"]",
            i == 4 ? auth_text(p, "device", 60, "}") : "",
            i == 5 ? auth_text(p, "admin", -60, "}") : "",
            i == 6 ? auth_text(p, "admin", 60, ",\"a\":1,\"a\":1}") : "",
        };

        page_say_text(p, rows[i]);
        page_say_text(p, "and more");
        page_hears_close(p, WS_CODE_POLICY);
        assert_true(page_log_has(p, "admin_refused"));
        assert_false(page_log_has(p, " register "));
        assert_false(page_log_has(p, "eyJ"));
        end(p);
    }
}

static void an_admin_page_that_says_nothing_is_closed_in_time(void **state)
{
    struct page *p = page_new();

    (void)state;
    p->rules.auth_timeout_ms = 20;
    assert_int_equal(demo_open(&p->edge, page_connect(p), &(struct address){0}, DEMO_ADMIN_UNKNOWN),
                     0);
    page_hears_close(p, WS_CODE_POLICY);
    page_free(p);
}

static void a_first_message_too_long_for_a_token_is_closed_with_1009(void **state)
{
    struct page *p = page_of(DEMO_ADMIN_UNKNOWN);
    char text[10000];

    (void)state;
    memset(text, ' ', sizeof(text));
    page_say(p, WS_OP_TEXT, text, sizeof(text));
    page_hears_close(p, WS_CODE_TOO_BIG);
    end(p);
}

static void the_relays_goodbye_ends_the_ticker(void **state)
{
    struct page *p = page_of(DEMO_CLIENT);

    (void)state;
    page_hears_text(p, "{\"bytes_read\":0,\"bytes_written\":0}");
    page_say_text(p, "nobody reads this any more");
    admin_close_all(&p->edge);
    page_hears_close(p, WS_CODE_GOING_AWAY);
    end(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_registered_and_told_the_totals),
        cmocka_unit_test(messages_are_counted_and_logged_by_length_only),
        cmocka_unit_test(messages_of_one_turn_share_a_report),
        cmocka_unit_test(every_dwell_says_this_is_a_test),
        cmocka_unit_test(a_message_over_the_limit_is_closed_with_1009),
        cmocka_unit_test(an_admin_page_tells_its_token_first),
        cmocka_unit_test(an_admin_page_without_a_good_token_is_closed_with_1008),
        cmocka_unit_test(an_admin_page_that_says_nothing_is_closed_in_time),
        cmocka_unit_test(a_first_message_too_long_for_a_token_is_closed_with_1009),
        cmocka_unit_test(the_relays_goodbye_ends_the_ticker),
    };

    return cmocka_run_group_tests_name("admin/demo", tests, NULL, NULL);
}
