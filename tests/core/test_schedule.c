/* Learning-rate schedules: their factors at and around every boundary. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
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

/* The authors' protocol: {1, 0.1, 0.01} from 0, 1/2 and 3/4 of the iterations (docs/methods.md). */
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
    /* In binary 0.07 of 100 is more than 7, and 0.28 of 100 more than 28. */
    settings = settings_build(&gr_schedule_family,
                              "{type: piecewise, boundaries: [0.07, 0.28], factors: [3, 2, 1]}");
    static const int64_t turns[] = {7, 28};
    for (int i = 0; i < 2; i++) {
        assert_near(factor(&settings, turns[i] - 1, 100), 3 - i, 0);
        assert_near(factor(&settings, turns[i], 100), 2 - i, 0);
    }
    gr_settings_clear(&settings);
    settings = settings_build(&gr_schedule_family,
                              "{type: exponential, decay: 0.5, every: 0.07, staircase: true}");
    assert_near(factor(&settings, 6, 100), 1, 0);
    assert_near(factor(&settings, 7, 100), 0.5, 0);
    gr_settings_clear(&settings);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *text, *place;
    } bad[] = {
        {"{type: piecewise, factors: [1, 2]}", "/factors"},
        {"{type: piecewise, factors: []}", "/factors"},
        {"{type: piecewise, boundaries: [], factors: []}", "/factors"},
        {"{type: piecewise, boundaries: [0.5, 0.5]}", "/boundaries"},
        {"{type: piecewise, boundaries: [0.75, 0.5]}", "/boundaries"},
        {"{type: exponential, decay: 2, every: 0.01}", "/decay"},
        {"{type: exponential, staircase: true}", "/every"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        gr_settings settings = settings_build(&gr_schedule_family, bad[i].text);
        gr_error error = {0};
        assert_int_equal(gr_schedule_check(&settings, &error), GR_INVALID);
        assert_string_equal(error.place, bad[i].place);
        gr_settings_clear(&settings);
    }
}

/* The formulas, at the ends, in the middle, and for runs of one iteration. */
static void test_formulas(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t iteration, iterations;
        double factor;
    } points[] = {
        {"{type: exponential}", 0, 1000, 1},
        {"{type: exponential}", 500, 1000, 0.1},
        {"{type: exponential, decay: 0.5, every: 0.25}", 250, 1000, 0.5},
        {"{type: exponential, decay: 0.5, every: 0.25}", 625, 1000, 0.17677669529663687},
        {"{type: exponential, decay: 0.5, every: 0.25, staircase: true}", 249, 1000, 1},
        {"{type: exponential, decay: 0.5, every: 0.25, staircase: true}", 250, 1000, 0.5},
        {"{type: exponential, decay: 0.5, every: 0.25, staircase: true}", 999, 1000, 0.125},
        {"{type: exponential}", 0, 1, 1},
        {"{type: cosine}", 0, 1000, 1},
        {"{type: cosine}", 500, 1000, 0.5},
        {"{type: cosine}", 250, 1000, 0.85355339059327376},
        {"{type: cosine, minimum: 0.1}", 0, 1000, 1},
        {"{type: cosine, minimum: 0.1}", 500, 1000, 0.55},
        {"{type: cosine, minimum: 0.1}", 750, 1000, 0.1 + 0.9 * 0.14644660940672624},
        {"{type: cosine}", 0, 1, 1},
        {"{type: linear}", 0, 1000, 1},
        {"{type: linear}", 250, 1000, 0.75},
        {"{type: linear}", 999, 1000, 0.001},
        {"{type: linear, end: 0.5}", 500, 1000, 0.75},
        {"{type: linear, end: 3}", 500, 1000, 2},
        {"{type: linear}", 0, 1, 1},
        /* PyTorch's OneCycleLR: initial 1/25, top at 0.3·1000 - 1, last 4e-6. */
        {"{type: one_cycle}", 0, 1000, 0.04},
        {"{type: one_cycle}", 299, 1000, 1},
        {"{type: one_cycle}", 649, 1000, (1 + 4e-6) / 2},
        {"{type: one_cycle}", 999, 1000, 4e-6},
        {"{type: one_cycle, annealing: linear, start: 0, end: 0}", 0, 1000, 0},
        {"{type: one_cycle, annealing: linear, start: 0, end: 0, peak: 0.5}", 100, 1000,
         100.0 / 499},
        {"{type: one_cycle, annealing: linear, start: 0, end: 0, peak: 0.5}", 499, 1000, 1},
        {"{type: one_cycle, annealing: linear, start: 0, end: 0, peak: 0.5}", 799, 1000, 0.4},
        {"{type: one_cycle}", 0, 1, 1}, /* no time to rise */
        {"{type: one_cycle}", 0, 2, 1},
        {"{type: one_cycle}", 1, 2, 4e-6},
        {"{type: one_cycle, peak: 0.99}", 1, 3,
         0.5 * (1 + cos(3.141592653589793 * (1 - 1 / 1.97))) * 0.96 + 0.04},
        {"{type: one_cycle, peak: 0.99}", 2, 3, 4e-6},
    };
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        gr_settings settings = settings_build(&gr_schedule_family, points[i].text);
        assert_int_equal(gr_schedule_check(&settings, NULL), GR_OK);
        const double got = gr_schedule_factor(&settings, points[i].iteration, points[i].iterations);
        if (!(fabs(got - points[i].factor) <= 1e-12))
            fail_msg("%s: at %lld of %lld %.17g, not %.17g", points[i].text,
                     (long long)points[i].iteration, (long long)points[i].iterations, got,
                     points[i].factor);
        gr_settings_clear(&settings);
    }
}

/* Of any schedule: a straight rise to its first factor, then the schedule over what remains. */
static void test_warmup(void **state) {
    (void)state;
    static const char *const bodies[] = {
        "type: constant", "type: piecewise, factors: [2, 0.1, 0.01]",
        "type: cosine",   "type: exponential",
        "type: linear",   "type: one_cycle"};
    for (size_t k = 0; k < sizeof bodies / sizeof *bodies; k++) {
        char text[128];
        gr_settings plain = settings_build(&gr_schedule_family, bodies[k]);
        snprintf(text, sizeof text, "%s, warmup: 0.1", bodies[k]);
        gr_settings warmed = settings_build(&gr_schedule_family, text);
        for (int64_t i = 0; i < 1000; i++) {
            const double expected = i < 100 ? (double)(i + 1) / 100 * factor(&plain, 0, 900)
                                            : factor(&plain, i - 100, 900);
            assert_near(gr_schedule_factor(&warmed, i, 1000), expected, 1e-15);
            assert_near(gr_schedule_factor(&plain, i, 1000), factor(&plain, i, 1000), 0);
        }
        gr_settings_clear(&plain);
        gr_settings_clear(&warmed);
    }
    /* So short a run that nothing remains after the warm-up. */
    gr_settings all = settings_build(&gr_schedule_family, "{type: cosine, warmup: 0.9}");
    assert_near(gr_schedule_factor(&all, 0, 1), 1, 0);
    assert_near(gr_schedule_factor(&all, 0, 2), 0.5, 0);
    assert_near(gr_schedule_factor(&all, 1, 2), 1, 0);
    gr_settings_clear(&all);
}

static void test_every_kind_is_tested(void **state) {
    (void)state;
    static const char *const tested[] = {"constant", "piecewise", "exponential",
                                         "cosine",   "linear",    "one_cycle"};
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
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_formulas),
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_every_kind_is_tested),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
