/* Learning-rate schedules: their factors at and around every boundary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/optimizer.h"
#include "tests/near.h"
#include "tests/settings_builder.h"

static double factor(const gr_settings *settings, int64_t iteration, int64_t iterations) {
    return gr_schedule_kind_of(settings)->factor(settings, iteration, iterations);
}

static void test_constant(void **state) {
    (void)state;
    gr_settings settings = settings_build(&gr_schedule_family, "{type: constant}");
    static const int64_t iterations[] = {0, 1, 999};
    for (int i = 0; i < 3; i++) assert_near(factor(&settings, iterations[i], 1000), 1, 0);
    gr_settings_clear(&settings);
}

/* The authors' protocol: {1, 0.1, 0.01} from 0, 1/2 and 3/4 of the iterations (METHODS §4). */
static void test_piecewise(void **state) {
    (void)state;
    gr_settings settings = settings_build(&gr_schedule_family, "{type: piecewise}");
    assert_int_equal(gr_schedule_kind_of(&settings)->check(&settings, NULL), GR_OK);
    static const struct {
        int64_t iteration, iterations;
        double factor;
    } points[] = {{0, 10000, 1},       {4999, 10000, 1},    {5000, 10000, 0.1}, {7499, 10000, 0.1},
                  {7500, 10000, 0.01}, {9999, 10000, 0.01}, {0, 1, 1},          {0, 3, 1},
                  {1, 3, 1},           {2, 3, 0.1},         {3, 7, 1},          {4, 7, 0.1},
                  {5, 7, 0.1},         {6, 7, 0.01}};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        assert_near(factor(&settings, points[i].iteration, points[i].iterations), points[i].factor,
                    0);
    gr_settings_clear(&settings);
}

static void test_piecewise_edges(void **state) {
    (void)state;
    gr_settings settings = settings_build(
        &gr_schedule_family, "{type: piecewise, boundaries: [0, 1], factors: [5, 2, 7]}");
    assert_near(factor(&settings, 0, 10), 2, 0);
    assert_near(factor(&settings, 9, 10), 2, 0);
    gr_settings_clear(&settings);
    settings =
        settings_build(&gr_schedule_family, "{type: piecewise, boundaries: [], factors: [3]}");
    assert_int_equal(gr_schedule_kind_of(&settings)->check(&settings, NULL), GR_OK);
    assert_near(factor(&settings, 9, 10), 3, 0);
    gr_settings_clear(&settings);
}

static void test_piecewise_refuses(void **state) {
    (void)state;
    static const struct {
        const char *text, *place;
    } bad[] = {
        {"{type: piecewise, factors: [1, 2]}", "/factors"},
        {"{type: piecewise, factors: []}", "/factors"},
        {"{type: piecewise, boundaries: [], factors: []}", "/factors"},
        {"{type: piecewise, boundaries: [0.5, 0.5]}", "/boundaries"},
        {"{type: piecewise, boundaries: [0.75, 0.5]}", "/boundaries"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_settings settings = settings_build(&gr_schedule_family, bad[i].text);
        gr_error error = {0};
        assert_int_equal(gr_schedule_kind_of(&settings)->check(&settings, &error), GR_INVALID);
        assert_string_equal(error.place, bad[i].place);
        gr_settings_clear(&settings);
    }
}

static void test_every_kind_is_tested(void **state) {
    (void)state;
    static const char *const tested[] = {"constant", "piecewise"};
    for (int k = 0; gr_schedule_family.kinds[k]; k++) {
        bool found = false;
        for (size_t i = 0; i < sizeof tested / sizeof *tested; i++)
            found = found || strcmp(tested[i], gr_schedule_family.kinds[k]->name) == 0;
        if (!found) fail_msg("%s has no test", gr_schedule_family.kinds[k]->name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constant),
        cmocka_unit_test(test_piecewise),
        cmocka_unit_test(test_piecewise_edges),
        cmocka_unit_test(test_piecewise_refuses),
        cmocka_unit_test(test_every_kind_is_tested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
