#include "admin/assets.h"
#include "admin/routes.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static const char *const paths[] = {"/", "/admin", "/demo.js", "/demo.css", "/favicon.svg"};

static const struct asset *asset_at(const char *path)
{
    const struct asset *a = asset_find(slice_text(path));

    assert_non_null(a);
    assert_true(a->end > a->start);
    return a;
}

static bool contains(const struct asset *a, const char *text)
{
    return memmem(a->start, (size_t)(a->end - a->start), text, strlen(text)) != NULL;
}

static void every_path_has_its_file_and_a_route(void **state)
{
    static const struct {
        const char *path, *type, *text;
    } rows[] = {
        {"/", "text/html; charset=utf-8", "<!doctype html>"},
        {"/admin", "text/html; charset=utf-8", "<!doctype html>"},
        {"/demo.js", "text/javascript; charset=utf-8", "new WebSocket("},
        {"/demo.css", "text/css; charset=utf-8", "prefers-color-scheme"},
        {"/favicon.svg", "image/svg+xml", "<svg"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct asset *a = asset_at(rows[i].path);
        bool has_route = false;

        assert_string_equal(a->type, rows[i].type);
        assert_true(contains(a, rows[i].text));
        for (const struct front_route *r = admin_routes; r->path; r++)
            has_route |= strcmp(r->path, rows[i].path) == 0 && r->handle == assets_serve;
        assert_true(has_route);
    }
    assert_null(asset_find(slice_text("/demo")));
    assert_null(asset_find(slice_text("")));
}

static void a_tag_is_of_the_content(void **state)
{
    char first[ASSET_TAG_SIZE], second[ASSET_TAG_SIZE];
    static const uint8_t bytes[] = "abd";
    /* SHA-256 of "abc": FIPS 180-2, appendix B.1 */
    const struct asset abc = {.start = (const uint8_t *)"abc", .end = NULL};
    struct asset a = abc;

    (void)state;
    a.end = a.start + 3;
    asset_write_tag(&a, first);
    assert_string_equal(first, "\"ba7816bf8f01cfea414140de5dae2223\"");
    a.start = bytes;
    a.end = bytes + 3;
    asset_write_tag(&a, second);
    assert_string_not_equal(first, second);
    asset_write_tag(asset_at("/"), first);
    asset_write_tag(asset_at("/admin"), second);
    assert_string_equal(first, second);
}

static void nothing_is_inline_and_nothing_comes_from_elsewhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        const struct asset *a = asset_at(paths[i]);

        assert_false(contains(a, "<script>"));
        assert_false(contains(a, "<style"));
        assert_false(contains(a, "style=\""));
        assert_false(contains(a, " onclick="));
        assert_false(contains(a, "https://"));
        assert_false(contains(a, "innerHTML"));
        assert_false(contains(a, "@import"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_has_its_file_and_a_route),
        cmocka_unit_test(a_tag_is_of_the_content),
        cmocka_unit_test(nothing_is_inline_and_nothing_comes_from_elsewhere),
    };

    return cmocka_run_group_tests_name("admin/assets", tests, NULL, NULL);
}
