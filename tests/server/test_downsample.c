#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "server/downsample.h"

enum { ROWS = 1000 };

/* Any series, any limit: ascending, within the limit, both ends, and every extreme of the whole. */
static void test_keeps_ends_and_extremes(void **state) {
    (void)state;
    metric_row rows[ROWS] = {0};
    size_t kept[ROWS];
    uint32_t random = 1;
    for (int round = 0; round < 200; round++) {
        size_t count = 1 + (size_t)round * 7 % ROWS, greatest = 0, least = 0;
        for (size_t i = 0; i < count; i++) {
            random = random * 1664525 + 1013904223;
            rows[i].value = (double)random;
            if (rows[i].value > rows[greatest].value) greatest = i;
            if (rows[i].value < rows[least].value) least = i;
        }
        for (size_t maximum = 2; maximum <= 60; maximum++) {
            size_t points = downsample(rows, count, maximum, kept);
            bool has_greatest = false, has_least = false;
            assert_true(points >= 1 && points <= maximum);
            assert_int_equal(kept[0], 0);
            assert_int_equal(kept[points - 1], count - 1);
            for (size_t i = 0; i < points; i++) {
                if (i > 0) assert_true(kept[i] > kept[i - 1]);
                has_greatest |= kept[i] == greatest;
                has_least |= kept[i] == least;
            }
            if (maximum >= 4) assert_true(has_greatest && has_least);
            if (count <= maximum) assert_int_equal(points, count);
        }
    }
}

static void test_not_a_number_is_no_extreme(void **state) {
    (void)state;
    metric_row rows[6] = {{.value = 0},   {.value = NAN}, {.value = 3},
                          {.value = NAN}, {.value = 1},   {.value = 0}};
    size_t kept[6];
    assert_int_equal(downsample(rows, 6, 4, kept), 4);
    assert_int_equal(kept[1], 2);
    assert_int_equal(kept[2], 4);
    assert_int_equal(downsample(rows, 0, 4, kept), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps_ends_and_extremes),
        cmocka_unit_test(test_not_a_number_is_no_extreme),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
