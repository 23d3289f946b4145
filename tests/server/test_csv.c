/* Fields of CSV files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "server/csv.h"

static char *written(void put(FILE *out, const void *value), const void *value) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    put(out, value);
    assert_int_equal(0, fclose(out));
    return text;
}

static void put_text(FILE *out, const void *text) {
    csv_put_text(out, text);
}

static void put_number(FILE *out, const void *number) {
    csv_put_number(out, *(const double *)number);
}

static void test_texts(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"two words", "two words"},
        {"a,b", "\"a,b\""},
        {"say \"a\"", "\"say \"\"a\"\"\""},
        {"two\nlines", "\"two\nlines\""},
        {" led", "\" led\""},
        {"ended ", "\"ended \""},
        {"=1+1", "\"'=1+1\""},
        {"@sum", "\"'@sum\""},
        {"+cmd|' /C calc'", "\"'+cmd|' /C calc'\""},
        {"-2+3", "\"'-2+3\""},
        {"-", "\"'-\""},
        {"-2.5e-3", "-2.5e-3"},
        {"+1", "+1"},
        {"a=b", "a=b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = written(put_text, cases[i][0]);
        assert_string_equal(cases[i][1], text);
        free(text);
    }
}

static void test_numbers(void **state) {
    (void)state;
    const double values[] = {0.1, -1.0 / 3, 5e-324, 1e300, 97};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char *text = written(put_number, &values[i]);
        assert_true(strtod(text, NULL) == values[i]);
        free(text);
    }
    const double none = strtod("nan", NULL);
    char *text = written(put_number, &none);
    assert_string_equal("", text);
    free(text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
