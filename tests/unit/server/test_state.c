/* The state folder: what is made, what is kept, what is refused. */
#include "server/state.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1700000000 /* unix seconds */
#define DAY 86400

static char home[32];
static char folder[64];
static struct state_error why;
static struct state_secret secret;

static int set_up(void **state)
{
    (void)state;
    why.text[0] = 0;
    (void)snprintf(home, sizeof(home), "/tmp/test_state.XXXXXX");
    if (!mkdtemp(home))
        return -1;
    (void)snprintf(folder, sizeof(folder), "%s/a/b/", home);
    (void)umask(022);
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"a/b/secret",
                                        "a/b/secret.new",
                                        "a/b/certificate.pem",
                                        "a/b/certificate-key.pem",
                                        "a/b/elsewhere",
                                        "a/b",
                                        "a",
                                        "link"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", home, names[i]);
        (void)remove(path);
    }
    return rmdir(home);
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s%s", folder, name);
    return path;
}

static mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(stat(path_of(name), &st), 0);
    return st.st_mode & 07777;
}

static void put(const char *name, const char *text, mode_t mode)
{
    FILE *to = fopen(path_of(name), "w");

    assert_non_null(to);
    (void)fputs(text, to);
    assert_int_equal(fclose(to), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static struct state opened(void)
{
    struct state s;

    if (state_open(&s, folder, &why))
        fail_msg("%s", why.text);
    return s;
}

static int take_secret(void)
{
    struct state s = opened();
    int err = state_take_secret(&s, &secret, &why);

    state_close(&s);
    return err;
}

static void folder_and_secret_are_made_once_for_the_owner_alone(void **state)
{
    char first[STATE_SECRET_MAX + 1];

    (void)state;
    (void)umask(0);
    assert_int_equal(take_secret(), 0);
    assert_true(secret.made);
    assert_int_equal(secret.len, 43); /* 32 bytes as base64url */
    assert_int_equal(strspn(secret.text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "0123456789-_"),
                     43);
    assert_int_equal(mode_of(""), 0700);
    assert_int_equal(mode_of("secret"), 0600);
    assert_int_equal(access(path_of("secret.new"), F_OK), -1);
    memcpy(first, secret.text, sizeof(first));
    assert_int_equal(take_secret(), 0);
    assert_false(secret.made);
    assert_string_equal(secret.text, first);
}

static void a_crash_while_making_leaves_nothing_in_the_way(void **state)
{
    struct state s = opened();

    (void)state;
    state_close(&s);
    put("secret.new", "half of a sec", 0600);
    assert_int_equal(take_secret(), 0);
    assert_true(secret.made);
    assert_int_equal(access(path_of("secret.new"), F_OK), -1);
}

static void a_secret_that_cannot_be_trusted_is_refused(void **state)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *why;
    } rows[] = {
        {"", 0600, "too short"},
        {"fifteen bytes..\n", 0600, "too short"},
        {"sixteen bytes...", 0640, "open to others"},
        {"sixteen bytes...", 0604, "open to others"},
        {"sixteen bytes...", 0620, "open to others"},
    };
    struct state s = opened();

    (void)state;
    state_close(&s);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        put("secret", rows[i].text, rows[i].mode);
        assert_int_not_equal(take_secret(), 0);
        assert_non_null(strstr(why.text, rows[i].why));
        assert_null(strstr(why.text, "bytes."));
    }
    put("secret", "sixteen bytes...\r\n\n", 0600);
    assert_int_equal(take_secret(), 0);
    assert_string_equal(secret.text, "sixteen bytes...");
    assert_int_equal(secret.len, 16);
}

static void what_is_not_a_plain_file_is_refused(void **state)
{
    struct state s = opened();

    (void)state;
    state_close(&s);
    put("elsewhere", "sixteen bytes...", 0600);
    assert_int_equal(symlink("elsewhere", path_of("secret")), 0);
    assert_int_equal(take_secret(), -ELOOP);
    assert_non_null(strstr(why.text, "symbolic link"));
    assert_int_equal(unlink(path_of("secret")), 0);
    assert_int_equal(mkfifo(path_of("secret"), 0600), 0); /* and does not hang on it */
    assert_int_equal(take_secret(), -EINVAL);
    assert_int_equal(unlink(path_of("secret")), 0);
    assert_int_equal(mkdir(path_of("secret"), 0700), 0);
    assert_int_equal(take_secret(), -EINVAL);
    assert_int_equal(rmdir(path_of("secret")), 0);
}

static void a_folder_that_others_may_write_in_is_refused(void **state)
{
    struct state s = opened();
    char link[64];

    (void)state;
    state_close(&s);
    assert_int_equal(chmod(folder, 0770), 0);
    assert_int_equal(state_open(&s, folder, &why), -EACCES);
    assert_non_null(strstr(why.text, "others may write"));
    assert_int_equal(chmod(folder, 0755), 0);
    (void)snprintf(link, sizeof(link), "%s/link", home);
    assert_int_equal(symlink("a/b", link), 0); /* the folder itself may be elsewhere */
    assert_int_equal(state_open(&s, link, &why), 0);
    state_close(&s);
    put("elsewhere", "", 0600);
    assert_int_equal(state_open(&s, path_of("elsewhere"), &why), -ENOTDIR);
    assert_int_equal(state_open(&s, "", &why), -ENAMETOOLONG);
    state_close(&s);
}

/* Eight processes at once make one secret. */
static void processes_that_start_at_once_agree(void **state)
{
    unsigned made = 0;
    pid_t children[8];

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        children[i] = fork();
        assert_int_not_equal(children[i], -1);
        if (children[i] == 0)
            _exit(take_secret() ? 2 : secret.made);
    }
    for (size_t i = 0; i < 8; i++) {
        int status;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
        made += (unsigned)WEXITSTATUS(status);
    }
    assert_int_equal(made, 1);
}

static void a_secret_file_of_the_users_may_be_anything_but_empty(void **state)
{
    struct state s = opened();

    (void)state;
    state_close(&s);
    put("elsewhere", "shhhhh\n", 0600);
    assert_int_equal(state_read_secret(path_of("elsewhere"), &secret, &why), 0);
    assert_int_equal(secret.len, 6);
    assert_false(secret.exposed);
    put("elsewhere", "shhhhh\n", 0644);
    assert_int_equal(state_read_secret(path_of("elsewhere"), &secret, &why), 0);
    assert_true(secret.exposed);
    put("elsewhere", "\n", 0600);
    assert_int_equal(state_read_secret(path_of("elsewhere"), &secret, &why), -EINVAL);
    assert_int_equal(state_read_secret("/dev/zero", &secret, &why), -EFBIG);
    assert_int_equal(state_read_secret(path_of("missing"), &secret, &why), -ENOENT);
    assert_int_equal(state_read_secret("/", &secret, &why), -EISDIR);
}

static struct state_certificate certificate;

static int take_certificate(const char *const *names, size_t count, int64_t now)
{
    const struct config_texts texts = {(const char **)names, count};
    struct state s = opened();
    int err = state_take_certificate(&s, &texts, now, &certificate, &why);

    state_close(&s);
    return err;
}

static const char *const localhost[] = {"localhost"};
static const char *const more[] = {"localhost", "relay.example", "192.0.2.7", "2001:db8::7",
                                   "under_score.example"};

static void a_certificate_is_made_once_and_again_when_it_will_not_do(void **state)
{
    (void)state;
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_true(certificate.made);
    assert_string_equal(certificate.why, "missing");
    assert_int_equal(mode_of("certificate.pem"), 0600);
    assert_int_equal(mode_of("certificate-key.pem"), 0600);
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_false(certificate.made);

    assert_int_equal(take_certificate(more, 5, NOW), 0);
    assert_string_equal(certificate.why, "names");
    assert_int_equal(take_certificate(more, 5, NOW), 0);
    assert_false(certificate.made);
    assert_int_equal(take_certificate(localhost, 1, NOW), 0); /* more names do no harm */
    assert_false(certificate.made);

    assert_int_equal(take_certificate(more, 5, NOW + 3619LL * DAY), 0);
    assert_false(certificate.made);
    assert_int_equal(take_certificate(more, 5, NOW + 3621LL * DAY), 0);
    assert_string_equal(certificate.why, "expired");
    assert_int_equal(take_certificate(more, 5, NOW), 0); /* a clock set back */
    assert_string_equal(certificate.why, "expired");
}

static void a_certificate_that_is_broken_is_made_again(void **state)
{
    (void)state;
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    put("certificate.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n", 0644);
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_string_equal(certificate.why, "broken");
    put("certificate-key.pem", "", 0600);
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_string_equal(certificate.why, "broken");
    /* A crash between the two files: a new key, the old certificate or none. */
    assert_int_equal(unlink(path_of("certificate-key.pem")), 0);
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_string_equal(certificate.why, "broken");
    assert_int_equal(unlink(path_of("certificate.pem")), 0);
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_string_equal(certificate.why, "missing");
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_false(certificate.made);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
    (void)state;
    assert_int_equal(take_certificate(localhost, 1, NOW), 0);
    assert_int_equal(chmod(path_of("certificate-key.pem"), 0644), 0);
    assert_int_equal(take_certificate(localhost, 1, NOW), -EACCES);
    assert_non_null(strstr(why.text, "certificate-key.pem"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(folder_and_secret_are_made_once_for_the_owner_alone),
        TEST(a_crash_while_making_leaves_nothing_in_the_way),
        TEST(a_secret_that_cannot_be_trusted_is_refused),
        TEST(what_is_not_a_plain_file_is_refused),
        TEST(a_folder_that_others_may_write_in_is_refused),
        TEST(processes_that_start_at_once_agree),
        TEST(a_secret_file_of_the_users_may_be_anything_but_empty),
        TEST(a_certificate_is_made_once_and_again_when_it_will_not_do),
        TEST(a_certificate_that_is_broken_is_made_again),
        TEST(a_key_that_others_may_read_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
