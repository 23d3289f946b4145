/* The HTTP room's parts that need no connection: targets, queries, hosts; and addresses to listen
 * at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "server/http.h"
#include "server/listen.h"

static void refuses_target(const char *target, const char *part_of_message) {
    http_request request = {.method = "GET"};
    gr_error error = {0};
    assert_int_equal(http_request_parse(&request, target, &error), GR_INVALID);
    assert_non_null(strstr(error.message, part_of_message));
    http_request_clear(&request);
}

static void test_targets(void **state) {
    (void)state;
    http_request request = {.method = "GET"};
    gr_error error = {0};
    assert_int_equal(http_request_parse(&request, "/a%20b/c%2Fd/?x=1+2&y=%3D&flag&z=", &error),
                     GR_OK);
    assert_string_equal(request.path, "/a b/c/d/");
    assert_int_equal(request.segment_count, 3);
    assert_string_equal(request.segments[0], "a b");
    assert_string_equal(request.segments[1], "c/d");
    assert_string_equal(request.segments[2], "");
    assert_string_equal(http_query(&request, "x"), "1 2");
    assert_string_equal(http_query(&request, "y"), "=");
    assert_string_equal(http_query(&request, "flag"), "");
    assert_string_equal(http_query(&request, "z"), "");
    assert_null(http_query(&request, "w"));
    http_request_clear(&request);
    request.method = "GET";
    assert_int_equal(http_request_parse(&request, "http://evil.example:80?a=b", &error), GR_OK);
    assert_string_equal(request.host, "evil.example:80");
    http_request_clear(&request);
    refuses_target("/a%00b", "NUL");
    refuses_target("/?a=%00", "NUL");
    refuses_target("/a%0", "hexadecimal");
    refuses_target("/a%", "hexadecimal");
    refuses_target("/%zz", "hexadecimal");
    refuses_target("/%ff", "UTF-8");
    refuses_target("/%c0%af", "UTF-8");
    refuses_target("/%ed%a0%80", "UTF-8");
    refuses_target("/\xff", "UTF-8");
    refuses_target("/?a=1&a=2", "twice");
    refuses_target("nowhere", "begin with");
    refuses_target("/?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q", "more than 16");
}

static void test_query_numbers(void **state) {
    (void)state;
    static const char *const wrong[] = {"",    "x",   "1x", " 1", "+1",
                                        "1.0", "0x1", "99", "-4", "99999999999999999999"};
    http_request request = {.query = {{(char *)"n", NULL}}, .query_count = 1};
    gr_error error;
    int64_t value;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        request.query[0].value = (char *)(uintptr_t)wrong[i];
        assert_int_equal(http_query_integer(&request, "n", -3, 50, 7, &value, &error), GR_INVALID);
    }
    request.query[0].value = (char *)"-3";
    assert_int_equal(http_query_integer(&request, "n", -3, 50, 7, &value, &error), GR_OK);
    assert_int_equal(value, -3);
    assert_int_equal(http_query_integer(&request, "m", -3, 50, 7, &value, &error), GR_OK);
    assert_int_equal(value, 7);
}

static void test_hosts(void **state) {
    (void)state;
    static const char *const good[] = {"localhost", "LOCALHOST:1",    "localhost.",
                                       "127.0.0.1", "127.0.0.1:8080", "[::1]",
                                       "[::1]:80",  "127.0.0.9:1"};
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "[::1",
                                      "localhost:80x",
                                      "127.0.0.1@evil.example",
                                      "[::1]x",
                                      "127.0.0.1.nip.io:80",
                                      "localhost:123456",
                                      "127.0.0.2",
                                      ":80",
                                      "localhost:80:80"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!http_host_is_allowed(good[i], "127.0.0.9")) fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (http_host_is_allowed(bad[i], "127.0.0.9")) fail_msg("%s is allowed", bad[i]);
    assert_true(http_origin_is_same("http://localhost:80", "localhost:80", false));
    assert_false(http_origin_is_same("https://localhost:80", "localhost:80", false));
    assert_false(http_origin_is_same("http://localhost:81", "localhost:80", false));
    assert_false(http_origin_is_same("null", "localhost:80", false));
}

static void test_listen_addresses(void **state) {
    (void)state;
    static const char *const wrong[] = {"",        "8080",        "127.0.0.1",    "127.0.0.1:",
                                        "::1:0",   "127.0.0.1:x", "[::1]",        "127.0.0.1:65536",
                                        "host:80", ":0",          "127.0.0.1:-1", "[127.0.0.1]:0"};
    listen_address address, second;
    gr_error error;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (listen_open(wrong[i], false, &address, &error) != GR_INVALID)
            fail_msg("\"%s\" is taken for an address", wrong[i]);
    assert_int_equal(listen_open("localhost:0", false, &address, &error), GR_OK);
    char text[64];
    int port;
    assert_int_equal(sscanf(address.url, "http://127.0.0.1:%d/", &port), 1);
    snprintf(text, sizeof text, "127.0.0.1:%d", port);
    assert_int_equal(listen_open(text, false, &second, &error), GR_CONFLICT);
    assert_non_null(strstr(error.message, "in use"));
    close(address.socket);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_query_numbers),
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_listen_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
