/* The .npy reader against files that are not what they claim to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/npy.h"

/* A file of the given version, header and elements. Returns its size. */
static size_t make_file(int version, const char *header, const void *elements, size_t bytes,
                        uint8_t *file) {
    size_t length = strlen(header), used = 0;
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (uint8_t)version, file[7] = 0;
    used = 8;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++) file[used++] = (uint8_t)(length >> 8 * i);
    memcpy(file + used, header, length);
    used += length;
    if (bytes) memcpy(file + used, elements, bytes);
    return used + bytes;
}

static gr_status parse(const uint8_t *file, size_t count, gr_npy *npy, gr_error *error) {
    return gr_npy_parse("some.npy", file, count, npy, error);
}

static void expect_corrupt(const uint8_t *file, size_t count, const char *part) {
    gr_npy npy;
    gr_error error = {0};
    uint8_t *copy = malloc(count + (count == 0)); /* a sanitizer sees a read beyond */
    if (count) memcpy(copy, file, count);
    assert_int_equal(parse(copy, count, &npy, &error), GR_CORRUPT);
    free(copy);
    if (!strstr(error.message, "some.npy") || !strstr(error.message, part))
        fail_msg("\"%s\" lacks the file's name or \"%s\"", error.message, part);
}

static void test_types(void **state) {
    (void)state;
    static const struct {
        const char *descr;
        gr_npy_type type;
        size_t size;
        uint8_t two[16]; /* 1 and the most negative, or largest, or -1.5 */
        double second;
    } cases[] = {
        {"<f4", GR_NPY_F4, 4, {0, 0, 0x80, 0x3f, 0, 0, 0xc0, 0xbf}, -1.5},
        {"<f8", GR_NPY_F8, 8, {0, 0, 0, 0, 0, 0, 0xf0, 0x3f, 0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, -1.5},
        {"|u1", GR_NPY_U1, 1, {1, 255}, 255},
        {"<i4", GR_NPY_I4, 4, {1, 0, 0, 0, 0, 0, 0, 0x80}, -2147483648.0},
        {"<i8", GR_NPY_I8, 8, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80}, -0x1p63},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int version = 1; version <= 3; version++) {
            char header[200];
            uint8_t file[300];
            gr_npy npy;
            gr_error error = {0};
            snprintf(header, sizeof header,
                     "{'descr': '%s', 'fortran_order': False, 'shape': (2,), }      \n",
                     cases[i].descr);
            size_t count = make_file(version, header, cases[i].two, 2 * cases[i].size, file);
            if (parse(file, count, &npy, &error) != GR_OK) fail_msg("%s", error.message);
            assert_int_equal(npy.type, cases[i].type);
            assert_int_equal(npy.shape.rank, 1);
            assert_int_equal(npy.shape.size[0], 2);
            assert_true(gr_npy_number(&npy, 0) == 1);
            assert_true(gr_npy_number(&npy, 1) == cases[i].second);
            assert_int_equal(gr_npy_is_integer(&npy), i >= 2);
            if (i >= 2) assert_true((double)gr_npy_integer(&npy, 1) == cases[i].second);
        }
}

static void test_header_forms(void **state) {
    (void)state;
    static const char *const good[] = {
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n",
        "{\"shape\":(2L,3L),\"fortran_order\":False,\"descr\":\"|u1\"}",
        "  {  'shape'  :  ( 2 , 3 , ) , 'descr' : '|u1' , 'fortran_order' : False }  \n",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1, 1, 1, 1, 1, 1, 2, 3)}",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint8_t file[300];
        gr_npy npy;
        gr_error error = {0};
        size_t count = make_file(1, good[i], "abcdef", 6, file);
        if (parse(file, count, &npy, &error) != GR_OK) fail_msg("%s: %s", good[i], error.message);
        assert_int_equal(gr_shape_elements(&npy.shape), 6);
        assert_int_equal(npy.elements[5], 'f');
    }
}

static void test_malformed_headers(void **state) {
    (void)state;
    static const struct {
        const char *header, *message;
    } cases[] = {
        {"", "no dictionary"},
        {"{", "key"},
        {"{}", "missing"},
        {"{'descr': '|u1', 'fortran_order': False}", "missing"},
        {"{'descr': '|u1', 'descr': '|u1', 'fortran_order': False, 'shape': (6,)}", "double key"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,), 'more': 1}", "unknown"},
        {"{'descr': '>f4', 'fortran_order': False, 'shape': (6,)}", "'>f4' are not read"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (6,)}", "'|O' are not read"},
        {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (6,)}", "structured"},
        {"{'descr': '|u1|u1|u1|u1|u1|u1|u1|u1|u1|u1|u1', 'shape': (6,)}", "structured"},
        {"{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", "ascontiguousarray"},
        {"{'descr': '|u1', 'fortran_order': 0, 'shape': (6,)}", "neither"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': ()}", "single number"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': 6}", "tuple"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6}", "does not end"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (,)}", "tuple of sizes"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (-6,)}", "tuple of sizes"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6, 0)}", "dimension 2 has size 0"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,6)}", "8 dimensions"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999,)}", "too large"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,)} x", "text follows"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (6,)", "does not end"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (7,)}", "truncated"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (5,)}", "more data"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (6,)}", "truncated"},
        /* Products of 2^64 + 6, of 0 (mod 2^64), and one that overflows in the middle. */
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (22, 838488366986797801)}",
         "truncated"},
        {"{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
         "truncated"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2305843009213693952, 1, 3, 1)}",
         "truncated"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t file[300];
        size_t count = make_file(1, cases[i].header, "abcdef", 6, file);
        expect_corrupt(file, count, cases[i].message);
    }
}

static void test_every_truncation(void **state) {
    (void)state;
    for (int version = 1; version <= 3; version++) {
        uint8_t file[300];
        size_t count =
            make_file(version, "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 2)}\n",
                      "0123456789abcdef", 16, file);
        for (size_t i = 0; i < count; i++) expect_corrupt(file, i, "truncated");
        file[count] = 'x';
        expect_corrupt(file, count + 1, "more data");
    }
}

static void test_other_files(void **state) {
    (void)state;
    uint8_t file[300];
    size_t count = make_file(2, "{}", "", 0, file);
    file[6] = 4;
    expect_corrupt(file, count, "version 4.0");
    file[6] = 2, file[11] = 255; /* a header of 4 GB */
    expect_corrupt(file, count, "65536 are the most");
    expect_corrupt((const uint8_t *)"PK\3\4 a zip file", 15, "no .npy file");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_header_forms),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_other_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
