/* The CSV reader: RFC 4180 and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/csv_reader.h"

/* All rows as one text: cells in brackets, rows ended by ';'. */
static gr_status read_all(const char *bytes, size_t count, char delimiter, char *text, size_t room,
                          gr_error *error) {
    uint8_t *copy = malloc(count + 1); /* exactly what is promised: a sanitizer sees more */
    memcpy(copy, bytes, count);
    gr_csv csv;
    gr_csv_begin(&csv, "some.csv", copy, count, delimiter);
    bool there = true;
    gr_status status = GR_OK;
    size_t used = 0;
    text[0] = 0;
    while (status == GR_OK && there) {
        status = gr_csv_next(&csv, &there, error);
        for (int64_t i = 0; status == GR_OK && i < csv.count && used + 64 < room; i++)
            used += (size_t)snprintf(text + used, room - used, "[%.40s]", csv.cells[i]);
        if (status == GR_OK && there && used + 64 < room)
            used += (size_t)snprintf(text + used, room - used, "%lld;", (long long)csv.row_line);
    }
    gr_csv_end(&csv);
    free(copy);
    return status;
}

static void test_valid(void **state) {
    (void)state;
    static const struct {
        const char *content, *cells;
        char delimiter;
    } cases[] = {
        {"", "", ','},
        {"\n\r\n\n", "", ','},
        {"a,b\n1,2\n", "[a][b]1;[1][2]2;", ','},
        {"a,b\r\n1,2", "[a][b]1;[1][2]2;", ','},
        {"\xef\xbb\xbf"
         "a,b\n",
         "[a][b]1;", ','},
        {"a,b\n1,2\n\r\n\n", "[a][b]1;[1][2]2;", ','},
        {" a\t, b b ,c \n", "[a][b b][c]1;", ','},
        {"a;b,c;\n", "[a][b,c][]1;", ';'},
        {"a\tb\n\t\n", "[a][b]1;[][]2;", '\t'},
        {",\n,", "[][]1;[][]2;", ','},
        {"\"a\",\" b\"\n", "[a][ b]1;", ','},
        {"\"a\"\"b\",\"\"\"\",\"\"\n", "[a\"b][\"][]1;", ','},
        {"\"a,\nb\r\n\",c\nd,e\n", "[a,\nb\r\n][c]1;[d][e]4;", ','},
        {"x\n\"y\"", "[x]1;[y]2;", ','},
        {"\xc3\xa4\n", "[\xc3\xa4]1;", ','},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        gr_error error = {0};
        if (read_all(cases[i].content, strlen(cases[i].content), cases[i].delimiter, text,
                     sizeof text, &error) != GR_OK)
            fail_msg("case %zu: %s", i, error.message);
        assert_string_equal(text, cases[i].cells);
    }
}

static void test_malformed(void **state) {
    (void)state;
    static const struct {
        const char *content;
        size_t count;
        const char *message;
    } cases[] = {
        {"a,b\n\"c,d\n1,2\n", 13, "line 2: a quoted cell begins here"},
        {"\"", 1, "line 1: a quoted cell"},
        {"a\n\"b\"c\n", 8, "line 2: text follows"},
        {"a\n\"b\" ,c\n", 10, "line 2: text follows"},
        {"a,b\"c\"\n", 7, "line 1: a quote within"},
        {"a, \"c\"\n", 7, "line 1: a quote within"},
        {"a\n\nb\n", 5, "line 2: is empty"},
        {"\n\na\n", 4, "line 1: is empty"},
        {"a\rb\r", 4, "carriage return"},
        {"a\nb\0c\n", 6, "line 2: a zero byte"},
        {"a\n\"b\0c\"\n", 8, "line 2: a zero byte"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1000];
        gr_error error = {0};
        assert_int_equal(read_all(cases[i].content, cases[i].count, ',', text, sizeof text, &error),
                         GR_CORRUPT);
        if (!strstr(error.message, "some.csv") || !strstr(error.message, cases[i].message))
            fail_msg("\"%s\" lacks \"%s\"", error.message, cases[i].message);
    }
}

static void test_every_truncation(void **state) {
    (void)state;
    static const char content[] = "\xef\xbb\xbf\"na\"\"me\",x\r\n\"1\n2\",3\r\n,\r\n\r\n";
    for (size_t count = 0; count < sizeof content; count++) {
        char text[1000];
        gr_error error = {0};
        gr_status status = read_all(content, count, ',', text, sizeof text, &error);
        assert_true(status == GR_OK || status == GR_CORRUPT);
        assert_int_equal(status, error.status);
    }
}

static void test_too_many_columns(void **state) {
    (void)state;
    for (int extra = 0; extra < 2; extra++) {
        char *row = malloc(GR_CSV_MAXIMUM_COLUMNS + 1), text[1000];
        gr_error error = {0};
        memset(row, ',', GR_CSV_MAXIMUM_COLUMNS);
        assert_int_equal(read_all(row, (size_t)(GR_CSV_MAXIMUM_COLUMNS - 1 + extra), ',', text,
                                  sizeof text, &error),
                         extra ? GR_CORRUPT : GR_OK);
        free(row);
    }
}

static void test_numbers(void **state) {
    (void)state;
    static const char *const good[] = {"0",   "-1",     "+2.5",   ".5",    "5.",
                                       "1e3", "1.E-05", "1e-999", "00012", "3.4e38"};
    static const double values[] = {0, -1, 2.5, 0.5, 5, 1000, 1e-5, 0, 12, 3.4e38};
    static const char *const bad[] = {"",    " 1",     "1 ",    ".",     "-",   "e5",    "1e",
                                      "1e+", "0x1",    "nan",   "inf",   "1,5", "1.2.3", "--1",
                                      "1f",  "3.5e38", "1e999", "1_000", "½"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        double number = -77;
        assert_true(gr_csv_number(good[i], &number));
        assert_true(number == values[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        double number;
        if (gr_csv_number(bad[i], &number)) fail_msg("\"%s\" was taken for a number", bad[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_too_many_columns),
        cmocka_unit_test(test_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
