/* Strict JSON: what is refused, where, and that numbers survive. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/json.h"

#define TEXT(literal) literal, sizeof(literal) - 1

static void refuses_what_is_not_json(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t length;
        const char *message; /* part of it */
    } cases[] = {
        {TEXT(""), "line 1, column 1: expected a JSON value, but the text ends"},
        {TEXT("  \n "), "line 2, column 2"},
        {TEXT("{\n  \"a\": 1,\n  }"), "line 3, column 3: expected the name of a member"},
        {TEXT("{\"a\" 1}"), "column 6: expected ':'"},
        {TEXT("{\"a\": 1 \"b\": 2}"), "column 9: expected ',' or '}', found '\"'"},
        {TEXT("[1, 2"), "expected ',' or ']', but the text ends"},
        {TEXT("[1,]"), "column 4"},
        {TEXT("{} x"), "column 4: expected the end"},
        {TEXT("{}\0"), "the byte 0x00"},
        {TEXT("{'a': 1}"), "found '''"},
        {TEXT("01"), "superfluous 0"},
        {TEXT("-"), "expected a digit"},
        {TEXT("1."), "digit after the point"},
        {TEXT(".5"), "expected a JSON value"},
        {TEXT("+1"), "expected a JSON value"},
        {TEXT("1e"), "digit of the exponent"},
        {TEXT("1e999"), "too large"},
        {TEXT("NaN"), "expected a JSON value"},
        {TEXT("0.00000000000000000000000000000000000000000000000000000000000000001"),
         "more than 60"},
        {TEXT("tru"), "expected a JSON value"},
        {TEXT("\"\\x\""), "this escape"},
        {TEXT("\"\\\0\""), "this escape"},
        {TEXT("\"a\\u0000\""), "column 3: \\u0000"},
        {TEXT("\"\\u12g4\""), "four hexadecimal digits"},
        {TEXT("\"\\ud800\""), "surrogate"},
        {TEXT("\"\\ud800\\u0041\""), "surrogate"},
        {TEXT("\"\\udc00\""), "surrogate"},
        {TEXT("\"\\ud83d\\ud83d\""), "surrogate"},
        {TEXT("\"a\nb\""), "control character"},
        {TEXT("\"abc"), "does not end"},
        {TEXT("\"abc\\"), "escape"},
        {TEXT("\"\\u"), "four hexadecimal digits"},
        {TEXT("\"\xC0\x80\""), "not UTF-8"},         /* overlong */
        {TEXT("\"\xED\xA0\x80\""), "not UTF-8"},     /* surrogate */
        {TEXT("\"\xF4\x90\x80\x80\""), "not UTF-8"}, /* beyond U+10FFFF */
        {TEXT("\"\xE2\x82\""), "not UTF-8"},         /* cut */
        {TEXT("\"\xFF\""), "not UTF-8"},
        {TEXT("\"\xC3\xA9\xC3\xA9\" x"), "line 1, column 6"}, /* columns count characters */
        {TEXT("\xEF\xBB\xBF{}"), "byte order mark"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* A buffer of the exact size, so that a sanitizer sees a read beyond it. */
        char *exact = malloc(cases[i].length + (cases[i].length == 0));
        memcpy(exact, cases[i].text, cases[i].length);
        cJSON *document = NULL;
        gr_error error = {0};
        assert_int_equal(json_parse(exact, cases[i].length, &document, &error), GR_INVALID);
        assert_null(document);
        if (!strstr(error.message, cases[i].message))
            fail_msg("case %zu: \"%s\" does not hold \"%s\"", i, error.message, cases[i].message);
        free(exact);
    }
}

static void accepts_json(void **state) {
    (void)state;
    static const char *const texts[] = {"null",
                                        " [] ",
                                        "{}",
                                        "-0.5e-3",
                                        "\"\\ud83d\\ude00 \\u00e9 \xF0\x9F\x98\x80\"",
                                        "{\"a\": 1, \"a\": 2}",
                                        "[true, false, null, 0, 1E+2, \"\\/\\b\"]"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cJSON *document = NULL;
        gr_error error = {0};
        if (json_parse(texts[i], strlen(texts[i]), &document, &error) != GR_OK)
            fail_msg("%s: %s", texts[i], error.message);
        cJSON_Delete(document);
    }
}

static void bounds_the_depth(void **state) {
    (void)state;
    for (size_t depth = 64; depth <= 65; depth++) {
        char text[256];
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        cJSON *document;
        gr_error error;
        assert_int_equal(json_parse(text, 2 * depth, &document, &error),
                         depth == 64 ? GR_OK : GR_INVALID);
        cJSON_Delete(document);
    }
    char *deep = malloc(1000000);
    memset(deep, '[', 1000000);
    cJSON *document;
    gr_error error;
    assert_int_equal(json_parse(deep, 1000000, &document, &error), GR_INVALID);
    assert_non_null(strstr(error.message, "64 levels"));
    free(deep);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Random bits as doubles: printed, read again (by our parser, through cJSON), equal. */
static void doubles_survive(void **state) {
    (void)state;
    uint64_t random = 88172645463325252u;
    for (int i = 0; i < 100000; i++) {
        const uint64_t bits = next_random(&random);
        double value, back = 0;
        if (i % 2 == 0)
            memcpy(&value, &bits, sizeof value);
        else
            value = (double)(bits >> 11) / 9007199254740992.0;
        cJSON *number = json_number(value);
        assert_true(json_to_double(number, &back));
        assert_true(back == value || (isnan(back) && isnan(value)));
        char *text = json_text(number);
        cJSON *parsed;
        gr_error error;
        assert_int_equal(json_parse(text, strlen(text), &parsed, &error), GR_OK);
        assert_true(json_to_double(parsed, &back));
        assert_true(back == value || (isnan(back) && isnan(value)));
        /* And once more, from the parsed document. */
        char *again = json_text(parsed);
        assert_string_equal(again, text);
        free(again);
        free(text);
        cJSON_Delete(parsed);
        cJSON_Delete(number);
    }
}

static void non_finite_numbers_are_strings(void **state) {
    (void)state;
    const double values[] = {NAN, INFINITY, -INFINITY};
    const char *const texts[] = {"\"NaN\"", "\"Infinity\"", "\"-Infinity\""};
    for (int i = 0; i < 3; i++) {
        cJSON *item = json_number(values[i]);
        char *text = json_text(item);
        assert_string_equal(text, texts[i]);
        double back = 0;
        assert_true(json_to_double(item, &back));
        assert_true(isnan(values[i]) ? isnan(back) : back == values[i]);
        free(text);
        cJSON_Delete(item);
    }
    cJSON *other = cJSON_CreateString("nan");
    double value;
    assert_false(json_to_double(other, &value));
    cJSON_Delete(other);
}

static void prints_for_people(void **state) {
    (void)state;
    const char *text = "{\"a\":[0.1,12345678901234567],\"b\":{\"c\":\"x\\ty\"}}";
    cJSON *document;
    gr_error error;
    assert_int_equal(json_parse(text, strlen(text), &document, &error), GR_OK);
    char *pretty = json_pretty_text(document);
    assert_null(strchr(pretty, '\t'));
    assert_non_null(strstr(pretty, "  \"a\": [0.1, 12345678901234568]"));
    assert_non_null(strstr(pretty, "    \"c\": \"x\\ty\""));
    free(pretty);
    cJSON_Delete(document);
}

static void times(void **state) {
    (void)state;
    char text[32];
    json_time(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    json_time(1769860800123, text);
    assert_string_equal(text, "2026-01-31T12:00:00.123Z");
    json_time(-1, text);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    json_time(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    json_time(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static void problems_are_bounded_and_stay_utf8(void **state) {
    (void)state;
    problems list = {0};
    char accents[601];
    for (int i = 0; i < 300; i++) memcpy(accents + 2 * i, "\xC3\xA9", 3);
    problems_add(&list, accents, "x%s", accents);
    assert_int_equal(strlen(list.items[0].pointer), 254);
    assert_int_equal(strlen(list.items[0].detail), 511);
    problems_add(&list, "/a", "%s", "whole \xC3\xA9");
    assert_string_equal(list.items[1].detail, "whole \xC3\xA9");
    for (int i = 0; i < 1000; i++) problems_add(&list, "", "%d", i);
    assert_int_equal(list.count, 1002);
    assert_int_equal(list.kept, MAXIMUM_PROBLEMS);
    problems_clear(&list);
}

static void integers_as_text(void **state) {
    (void)state;
    static const int64_t values[] = {
        0, 9, 10, -1, -10, 1234567890123, 9007199254740993, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[JSON_NUMBER_SIZE], wanted[JSON_NUMBER_SIZE];
        snprintf(wanted, sizeof wanted, "%lld", (long long)values[i]);
        assert_string_equal(json_integer_text(values[i], text), wanted);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_is_not_json),
        cmocka_unit_test(accepts_json),
        cmocka_unit_test(bounds_the_depth),
        cmocka_unit_test(doubles_survive),
        cmocka_unit_test(non_finite_numbers_are_strings),
        cmocka_unit_test(prints_for_people),
        cmocka_unit_test(times),
        cmocka_unit_test(problems_are_bounded_and_stay_utf8),
        cmocka_unit_test(integers_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
