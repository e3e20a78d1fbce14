#include "fixture.h"

#include "auth/claims.h"
#include "auth/document.h"

#include <errno.h>

static int parse(const char *text, struct claims *out)
{
    json_t *document = NULL;
    const char *why = NULL;
    int err;

    *out = (struct claims){0};
    if (document_parse(slice_text(text), &document, NULL))
        fail_msg("no JSON: %s", text);
    err = claims_parse(document, out, &why);
    if (err)
        assert_non_null(why);
    json_decref(document);
    return err;
}

static const struct {
    const char *payload;
    int expected;
    const char *hosts; /* joined by a space */
    const char *ports;
} name_rows[] = {
    {"{}", 0, "", ""},
    {"{\"domains\":[]}", 0, "", ""},
    {"{\"domains\":[],\"name\":\"a.example\"}", 0, "", ""},
    {"{\"name\":\"a.example\"}", 0, "a.example", ""},
    {"{\"name\":\"a.example\",\"domains\":[\"b.example\"]}", 0, "b.example", ""},
    {"{\"domains\":[\"B.Example.\",\"*.X.example\",\"b.example\"]}", 0, "b.example *.x.example",
     ""},
    {"{\"domains\":[\"xn--bcher-kva.example\",\"a_b.c-d.e\"]}", 0,
     "xn--bcher-kva.example a_b.c-d.e", ""},
    {"{\"domains\":[\"1.2.3.4.example\",\"localhost\"]}", 0, "1.2.3.4.example localhost", ""},
    {"{\"domains\":\"a.example\"}", -EINVAL, "", ""},
    {"{\"domains\":null}", -EINVAL, "", ""},
    {"{\"domains\":[7]}", -EINVAL, "", ""},
    {"{\"domains\":[null]}", -EINVAL, "", ""},
    {"{\"domains\":[[\"a.example\"]]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a.example\",\"\"]}", -EINVAL, "", ""},
    {"{\"name\":7}", -EINVAL, "", ""},
    {"{\"name\":\"\"}", -EINVAL, "", ""},
    {"{\"domains\":[\"*\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"*.\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"*.*.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a.*.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"*a.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\".\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\".a.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a..example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a.example..\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"-a.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a-.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a.example-\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a b.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a,b.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a.example:80\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"http://a.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"a.example\\n\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"b\\u00fccher.example\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"127.0.0.1\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"2130706433\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"::1\"]}", -EINVAL, "", ""},
    {"{\"domains\":[\"[::1]\"]}", -EINVAL, "", ""},
    {"{\"ports\":[]}", 0, "", ""},
    {"{\"ports\":null}", 0, "", ""},
    {"{\"ports\":[\"30001\",30002,\"1\",65535,30001]}", 0, "", "30001 30002 1 65535"},
    {"{\"ports\":[\"0\"]}", -EINVAL, "", ""},
    {"{\"ports\":[0]}", -EINVAL, "", ""},
    {"{\"ports\":[-1]}", -EINVAL, "", ""},
    {"{\"ports\":[65536]}", -EINVAL, "", ""},
    {"{\"ports\":[\"65536\"]}", -EINVAL, "", ""},
    {"{\"ports\":[4294967297]}", -EINVAL, "", ""},
    {"{\"ports\":[80.0]}", -EINVAL, "", ""},
    {"{\"ports\":[\"+80\"]}", -EINVAL, "", ""},
    {"{\"ports\":[\" 80\"]}", -EINVAL, "", ""},
    {"{\"ports\":[\"0x50\"]}", -EINVAL, "", ""},
    {"{\"ports\":[\"\"]}", -EINVAL, "", ""},
    {"{\"ports\":[[80]]}", -EINVAL, "", ""},
    {"{\"ports\":80}", -EINVAL, "", ""},
    {"{\"ports\":{\"80\":1}}", -EINVAL, "", ""},
};

static void hosts_and_ports_are_read_or_the_token_is_refused(void **state)
{

    (void)state;
    for (size_t i = 0; i < sizeof(name_rows) / sizeof(name_rows[0]); i++) {
        struct claims c;
        char hosts[512] = "";
        char ports[512] = "";
        int err = parse(name_rows[i].payload, &c);

        for (size_t h = 0; h < c.host_count; h++)
            (void)snprintf(hosts + strlen(hosts), sizeof(hosts) - strlen(hosts), "%s%s",
                           h ? " " : "", c.hosts[h]);
        for (size_t p = 0; p < c.port_count; p++)
            (void)snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), "%s%u",
                           p ? " " : "", c.ports[p]);
        if (err != name_rows[i].expected || strcmp(hosts, name_rows[i].hosts) != 0 ||
            strcmp(ports, name_rows[i].ports) != 0)
            fail_msg("%s: %d [%s] [%s]", name_rows[i].payload, err, hosts, ports);
        claims_fini(&c);
    }
}

static void texts_fall_back_as_the_old_relays_did(void **state)
{
    static const struct {
        const char *payload;
        int expected;
        const char *subject;
        const char *label;
    } rows[] = {
        {"{}", 0, NULL, NULL},
        {"{\"sub\":\"jon\"}", 0, "jon", NULL},
        {"{\"sub\":null}", 0, NULL, NULL},
        {"{\"sub\":\"jon\",\"device\":{\"id\":\"d1\",\"hostname\":\"box\"}}", 0, "jon", "box"},
        {"{\"device\":{\"id\":\"d1\"}}", 0, "d1", "d1"},
        {"{\"device\":{\"hostname\":\"box\"}}", 0, NULL, "box"},
        {"{\"device\":null,\"hostname\":\"box\",\"id\":\"x\"}", 0, NULL, "box"},
        {"{\"id\":\"x\"}", 0, NULL, "x"},
        {"{\"iss\":1500000000,\"aud\":\"any\",\"sub\":\"jon\"}", 0, "jon", NULL},
        {"{\"sub\":\"\"}", -EINVAL, NULL, NULL},
        {"{\"sub\":7}", -EINVAL, NULL, NULL},
        {"{\"sub\":[\"jon\"]}", -EINVAL, NULL, NULL},
        {"{\"sub\":\"key:a\"}", -EINVAL, NULL, NULL},
        {"{\"device\":{\"id\":\"key:a\"}}", -EINVAL, NULL, NULL},
        {"{\"device\":\"box\"}", -EINVAL, NULL, NULL},
        {"{\"device\":{\"id\":7}}", -EINVAL, NULL, NULL},
        {"{\"jti\":7}", -EINVAL, NULL, NULL},
        {"{\"scope\":[\"admin\"]}", -EINVAL, NULL, NULL},
    };
    char longest[CLAIMS_TEXT_MAX + 16];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct claims c;
        int err = parse(rows[i].payload, &c);

        if (err != rows[i].expected)
            fail_msg("%s: %d", rows[i].payload, err);
        assert_int_equal(!c.subject, !rows[i].subject);
        assert_int_equal(!c.label, !rows[i].label);
        if (c.subject)
            assert_string_equal(c.subject, rows[i].subject);
        if (c.label)
            assert_string_equal(c.label, rows[i].label);
        claims_fini(&c);
    }
    for (int len = CLAIMS_TEXT_MAX - 1; len <= CLAIMS_TEXT_MAX + 1; len++) {
        struct claims c;

        (void)snprintf(longest, sizeof(longest), "{\"sub\":\"%0*d\"}", len, 0);
        assert_int_equal(parse(longest, &c), len <= CLAIMS_TEXT_MAX ? 0 : -EINVAL);
        claims_fini(&c);
    }
}

static void times_are_finite_numbers_before_the_year_10000(void **state)
{
    static const struct {
        const char *payload;
        int expected;
        int64_t expires_at, not_before, issued_at;
    } rows[] = {
        {"{}", 0, 0, 0, 0},
        {"{\"exp\":1800000000,\"nbf\":1700000000,\"iat\":1600000000}", 0, 1800000000, 1700000000,
         1600000000},
        {"{\"exp\":1800000000.5,\"nbf\":1.8e9}", 0, 1800000001, 1800000000, 0},
        {"{\"exp\":0,\"nbf\":0}", 0, 1, 1, 0},
        {"{\"exp\":-5}", 0, 1, 0, 0},
        {"{\"exp\":-1e300}", 0, 1, 0, 0},
        {"{\"exp\":253402300799}", 0, 253402300799, 0, 0},
        {"{\"exp\":253402300800}", -EKEYREJECTED, 0, 0, 0},
        {"{\"exp\":1800000000000}", -EKEYREJECTED, 0, 0, 0},
        {"{\"exp\":9223372036854775807}", -EKEYREJECTED, 0, 0, 0},
        {"{\"exp\":1e300}", -EKEYREJECTED, 0, 0, 0},
        {"{\"exp\":\"1800000000\"}", -EKEYREJECTED, 0, 0, 0},
        {"{\"exp\":null}", -EKEYREJECTED, 0, 0, 0},
        {"{\"exp\":true}", -EKEYREJECTED, 0, 0, 0},
        {"{\"nbf\":[1]}", -EKEYREJECTED, 0, 0, 0},
        {"{\"iat\":{}}", -EKEYREJECTED, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct claims c;
        int err = parse(rows[i].payload, &c);

        if (err != rows[i].expected || c.expires_at != rows[i].expires_at ||
            c.not_before != rows[i].not_before || c.issued_at != rows[i].issued_at)
            fail_msg("%s: %d", rows[i].payload, err);
        claims_fini(&c);
    }
}

/* Makes {"domains":["0.x", "1.x", ...]}. */
static json_t *document_with(size_t hosts, size_t ports)
{
    json_t *document = json_object();
    json_t *domains = json_array();
    json_t *numbers = json_array();

    for (size_t i = 0; i < hosts; i++)
        json_array_append_new(domains, json_sprintf("%zu.x", i));
    for (size_t i = 0; i < ports; i++)
        json_array_append_new(numbers, json_integer((json_int_t)i + 1));
    json_object_set_new(document, "domains", domains);
    json_object_set_new(document, "ports", numbers);
    return document;
}

static void names_and_ports_are_at_most_1024_each(void **state)
{
    static const struct {
        size_t hosts, ports;
        int expected;
    } rows[] = {{1024, 1024, 0}, {1025, 1, -EINVAL}, {1, 1025, -EINVAL}};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        json_t *document = document_with(rows[i].hosts, rows[i].ports);
        struct claims c = {0};
        const char *why = "";

        assert_int_equal(claims_parse(document, &c, &why), rows[i].expected);
        if (!rows[i].expected) {
            assert_int_equal(c.host_count, rows[i].hosts);
            assert_int_equal(c.port_count, rows[i].ports);
        }
        claims_fini(&c);
        json_decref(document);
    }
}

/* Writes a name of `len` bytes in labels of `label` bytes. */
static void name_of(char *out, size_t len, size_t label)
{
    for (size_t i = 0; i < len; i++)
        out[i] = i % (label + 1) == label ? '.' : 'a';
    out[len] = '\0';
}

static void a_name_has_at_most_253_bytes_and_a_label_63(void **state)
{
    static const struct {
        size_t len, label;
        int expected;
    } rows[] = {
        {253, 63, 0}, {254, 63, -EINVAL}, {63, 63, 0}, {64, 64, -EINVAL}, {200, 64, -EINVAL}};
    char name[300];
    char text[400];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct claims c;

        name_of(name, rows[i].len, rows[i].label);
        (void)snprintf(text, sizeof(text), "{\"domains\":[\"%s\"]}", name);
        assert_int_equal(parse(text, &c), rows[i].expected);
        claims_fini(&c);
    }
}

static void a_scope_is_a_list_of_words(void **state)
{
    static const struct {
        const char *scope;
        bool is_admin;
    } rows[] = {
        {"admin", true},  {"read admin", true},     {"admin read", true},
        {" admin", true}, {"administrator", false}, {"sadmin", false},
        {"Admin", false}, {"admin,read", false},    {"adm in", false},
    };
    struct claims none = {0};

    (void)state;
    assert_false(claims_has_scope(&none, "admin"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *scope = strdup(rows[i].scope);
        struct claims c = {.scope = scope};

        assert_int_equal(claims_has_scope(&c, "admin"), rows[i].is_admin);
        claims_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_ports_are_read_or_the_token_is_refused),
        cmocka_unit_test(texts_fall_back_as_the_old_relays_did),
        cmocka_unit_test(times_are_finite_numbers_before_the_year_10000),
        cmocka_unit_test(names_and_ports_are_at_most_1024_each),
        cmocka_unit_test(a_name_has_at_most_253_bytes_and_a_label_63),
        cmocka_unit_test(a_scope_is_a_list_of_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
