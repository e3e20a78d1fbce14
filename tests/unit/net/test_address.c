#include "net/address.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

static const struct {
    const char *text;
    const char *written; /* NULL: not an address */
} rows[] = {
    {"1.2.3.4:80", "1.2.3.4:80"},
    {"255.255.255.255:65535", "255.255.255.255:65535"},
    {"[::1]:443", "[::1]:443"},
    {"[2001:DB8:0::1]:0", "[2001:db8::1]:0"},
    {"[::ffff:1.2.3.4]:80", "[::ffff:1.2.3.4]:80"},
    {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"80", "[::]:80"},
    {":80", "[::]:80"},
    {"0", "[::]:0"},
    {"", NULL},
    {":", NULL},
    {"1.2.3.4", NULL},
    {"1.2.3.4:", NULL},
    {"1.2.3.4:65536", NULL},
    {"1.2.3.4:-1", NULL},
    {"1.2.3.4: 80", NULL},
    {"1.2.3:80", NULL},
    {"1.2.3.4.5:80", NULL},
    {"01.2.3.4:80", NULL},
    {"::1", NULL},
    {"::1:80", NULL}, /* which of the two is the port? */
    {"fe80::1:2:80", NULL},
    {"[::1]", NULL},
    {"[::1]80", NULL},
    {"[::1:80", NULL},
    {"::1]:80", NULL},
    {"[]:80", NULL},
    {"[1.2.3.4]:80", NULL},
    {"[[::1]]:80", NULL},
    {"[fe80::1%eth0]:80", NULL},
    {"localhost:80", NULL},
    {"[1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa]:80", NULL},
};

static void text_is_read_strictly_and_written_in_one_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address a, untouched;
        char out[ADDRESS_TEXT_MAX] = "";
        int err;

        memset(&a, 0xa5, sizeof(a));
        untouched = a;
        err = address_parse(slice_text(rows[i].text), &a);
        assert_int_equal(err, rows[i].written ? 0 : -EINVAL);
        if (err) {
            assert_memory_equal(&a, &untouched, sizeof(a));
            continue;
        }
        address_write(&a, out);
        assert_string_equal(out, rows[i].written);
    }
}

static void a_nul_inside_is_not_the_end_of_an_address(void **state)
{
    struct address a;

    (void)state;
    assert_int_equal(address_parse(slice_of("1.2.3.4\0:80", 11), &a), -EINVAL);
    assert_int_equal(address_parse(slice_of("[::1\0]:80", 9), &a), -EINVAL);
}

static void an_ipv4_address_in_ipv6_becomes_plain(void **state)
{
    struct address a;
    char out[ADDRESS_TEXT_MAX];

    (void)state;
    assert_int_equal(address_parse(slice_text("[::ffff:9.8.7.6]:4321"), &a), 0);
    address_unmap(&a);
    assert_int_equal(a.sa.sa_family, AF_INET);
    assert_int_equal(address_len(&a), sizeof(struct sockaddr_in));
    address_write(&a, out);
    assert_string_equal(out, "9.8.7.6:4321");
    address_unmap(&a);
    address_write_host(&a, out);
    assert_string_equal(out, "9.8.7.6");
    assert_int_equal(address_parse(slice_text("[::1]:4321"), &a), 0);
    address_unmap(&a);
    address_write_host(&a, out);
    assert_string_equal(out, "::1");
}

static void the_port_can_be_changed_in_either_family(void **state)
{
    struct address a;

    (void)state;
    assert_int_equal(address_parse(slice_text("1.2.3.4:80"), &a), 0);
    address_set_port(&a, 65535);
    assert_int_equal(address_port(&a), 65535);
    assert_int_equal(address_parse(slice_text("80"), &a), 0);
    address_set_port(&a, 258);
    assert_int_equal(address_port(&a), 258);
    assert_int_equal(address_len(&a), sizeof(struct sockaddr_in6));
}

static void a_socket_says_where_it_is(void **state)
{
    struct address a, bound;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(address_parse(slice_text("127.0.0.1:0"), &a), 0);
    assert_int_equal(bind(fd, &a.sa, address_len(&a)), 0);
    assert_int_equal(address_of_socket(fd, &bound), 0);
    assert_int_not_equal(address_port(&bound), 0);
    assert_int_equal(bound.in.sin_addr.s_addr, a.in.sin_addr.s_addr);
    (void)close(fd);
    assert_int_equal(address_of_socket(-1, &bound), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_read_strictly_and_written_in_one_way),
        cmocka_unit_test(a_nul_inside_is_not_the_end_of_an_address),
        cmocka_unit_test(an_ipv4_address_in_ipv6_becomes_plain),
        cmocka_unit_test(the_port_can_be_changed_in_either_family),
        cmocka_unit_test(a_socket_says_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
