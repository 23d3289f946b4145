/* Statistics against published values and against SciPy's (tests/statistics/expected.txt). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/sample_statistics.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static gr_error error;

#define assert_ok(expression) \
    if ((expression) != GR_OK) fail_msg("%s: %s", #expression, error.message)

static void assert_near(double value, double expected, double relative, const char *what) {
    const double size = fmax(fabs(expected), 1e-290);
    if (isnan(expected) ? isnan(value) : fabs(value - expected) <= relative * size) return;
    fail_msg("%s: %.17g, not %.17g", what, value, expected);
}

/* -- published values
 * ------------------------------------------------------------------------------------- */

/* The two-sided 5 % and 1 % points of Student's t in any statistical table (Fisher and Yates 1963,
 * table III). */
static void test_student_table(void **state) {
    (void)state;
    static const struct {
        double degrees, five, one;
    } rows[] = {{1, 12.706, 63.657}, {2, 4.303, 9.925},  {4, 2.776, 4.604},  {9, 2.262, 3.250},
                {10, 2.228, 3.169},  {29, 2.045, 2.756}, {60, 2.000, 2.660}, {120, 1.980, 2.617}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_true(fabs(student_quantile(0.975, rows[i].degrees) - rows[i].five) < 0.0006);
        assert_true(fabs(student_quantile(0.995, rows[i].degrees) - rows[i].one) < 0.0006);
    }
    assert_near(student_quantile(0.75, 1), 1, 1e-14, "the quartile of Cauchy's distribution");
    assert_near(student_quantile(0.0005, 1), -1 / tan(0.0005 * M_PI), 1e-13, "its tail");
}

/* Student 1908, the sleep of ten patients under two drugs: t = -4.06, p = 0.00283 on 9 degrees. */
static void test_student_sleep(void **state) {
    (void)state;
    static const double first[] = {0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0};
    static const double second[] = {1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4};
    paired_test test;
    assert_ok(paired_compare(first, second, 10, 0.95, &test, &error));
    assert_int_equal(test.n, 10);
    assert_near(test.mean, -1.58, 1e-12, "mean");
    assert_near(test.t, -4.0621, 2e-5, "t");
    assert_near(test.p, 0.002833, 2e-4, "p");
    assert_near(test.mean_band.low, -2.4598858, 1e-6, "low");
    assert_near(test.mean_band.high, -0.7001142, 1e-6, "high");
}

/* Hollander and Wolfe 1973, p. 29, depression of nine patients: P(W >= 40) = 0.01953. */
static void test_signed_rank_published(void **state) {
    (void)state;
    static const double before[] = {1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30};
    static const double after[] = {0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29};
    paired_test test;
    assert_ok(paired_compare(before, after, 9, 0.95, &test, &error));
    assert_near(test.signed_rank_p, 2 * 10.0 / 512, 1e-12, "p");
}

/* Holm 1979's procedure on the example of Wright 1992, as R's p.adjust has it. */
static void test_holm(void **state) {
    (void)state;
    double p[] = {0.01, 0.04, NAN, 0.03, 0.005, 0.9};
    static const double wanted[] = {0.04, 0.09, NAN, 0.09, 0.025, 0.9};
    assert_ok(holm_correct(p, COUNT(p), &error));
    for (size_t i = 0; i < COUNT(p); i++) assert_near(p[i], wanted[i], 1e-14, "holm");
    double large[] = {0.6, 0.7};
    assert_ok(holm_correct(large, 2, &error));
    assert_near(large[0], 1, 0, "never more than 1");
    assert_near(large[1], 1, 0, "never more than 1");
    assert_ok(holm_correct(NULL, 0, &error));
}

/* -- SciPy
 * ------------------------------------------------------------------------------------------ */

enum { MAXIMUM_NUMBERS = 512 };

/* Where the mean of some values is much less than they are, it is exact only in their size. */
static void assert_near_of(double value, double expected, double size, const char *what) {
    if (!(fabs(value - expected) <= 4e-14 * size))
        fail_msg("%s: %.17g, not %.17g", what, value, expected);
}

static double largest_of(const double *values, size_t n) {
    double largest = 0;
    for (size_t i = 0; i < n; i++) largest = fmax(largest, fabs(values[i]));
    return largest;
}

static void check_case(const char *kind, const double *x, size_t count) {
    const size_t n = (size_t)x[0];
    const double *a = x + 1, *rest = x + 1 + n;
    const double size = count > n ? largest_of(a, n) : 0;
    if (strcmp(kind, "beta") == 0) {
        assert_near(incomplete_beta(x[0], x[1], x[2]), x[3], 2e-12, kind);
    } else if (strcmp(kind, "student") == 0) {
        /* The logarithms of gamma functions lose digits as they grow. */
        const double relative = 1e-11 + 1e-15 * x[1];
        assert_near(student_cdf(x[0], x[1]), x[2], relative, kind);
        assert_near(student_two_sided(x[0], x[1]), x[3], relative, "two-sided");
    } else if (strcmp(kind, "quantile") == 0) {
        const double t = student_quantile(x[0], x[1]);
        /* SciPy's quantile has nine digits (it misses the exact -cot(0.0005 pi) by that much). */
        if (!(fabs(t - x[2]) <= 4e-9 * fmax(fabs(x[2]), 1)))
            fail_msg("quantile of %g, %g degrees: %.17g, not %.17g", x[0], x[1], t, x[2]);
    } else if (strcmp(kind, "normal") == 0) {
        assert_near(normal_cdf(x[0]), x[1], 1e-13, kind);
    } else if (strcmp(kind, "sample") == 0) {
        sample_summary summary;
        assert_ok(sample_summarize(a, n, 0.95, &summary, &error));
        assert_int_equal(summary.n, n);
        assert_near_of(summary.mean, rest[0], size, "mean");
        assert_near(summary.deviation, rest[1], 1e-11, "deviation");
        assert_near_of(summary.mean_band.low, rest[2], 1e5 * size, "low");
        assert_near_of(summary.mean_band.high, rest[3], 1e5 * size, "high");
        assert_near(summary.median, rest[4], 1e-14, "median");
        assert_true(summary.interquartile_band.low <= summary.interquartile_mean);
        assert_true(summary.interquartile_mean <= summary.interquartile_band.high);
    } else if (strcmp(kind, "interquartile") == 0) {
        sample_summary summary;
        assert_ok(sample_summarize(a, n, 0.95, &summary, &error));
        assert_near_of(summary.interquartile_mean, rest[0], size, kind);
    } else if (strcmp(kind, "pairs") == 0) {
        paired_test test;
        assert_ok(paired_compare(a, a + n, n, 0.95, &test, &error));
        const double *wanted = rest + n;
        assert_near_of(test.mean, wanted[0], size, "mean difference");
        assert_near_of(test.mean_band.low, wanted[1], 1e5 * size, "low");
        assert_near_of(test.mean_band.high, wanted[2], 1e5 * size, "high");
        assert_near(test.t, wanted[3], 1e-9, "t");
        assert_near(test.p, wanted[4], 1e-9, "p");
    } else if (strcmp(kind, "signed_rank") == 0) {
        double p;
        assert_ok(signed_rank_test(a, n, &p, &error));
        assert_near(p, rest[0], 1e-11, kind);
    } else {
        fail_msg("expected.txt has a case of an unknown kind, %s", kind);
    }
}

static void test_scipy(void **state) {
    (void)state;
    const char *source = getenv("GRADREG_SOURCE_DIR");
    if (!source) skip();
    char path[4096], kind[32];
    snprintf(path, sizeof path, "%s/tests/statistics/expected.txt", source);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *line = NULL;
    size_t capacity = 0, cases = 0;
    while (getline(&line, &capacity, file) > 0) {
        double numbers[MAXIMUM_NUMBERS];
        size_t count = 0;
        int used;
        if (*line == '#' || sscanf(line, "%31s%n", kind, &used) != 1) continue;
        for (char *at = line + used, *end; count < MAXIMUM_NUMBERS; at = end) {
            numbers[count] = strtod(at, &end);
            if (end == at) break;
            count++;
        }
        assert_true(count >= 2);
        check_case(kind, numbers, count);
        cases++;
    }
    free(line);
    fclose(file);
    assert_true(cases > 300);
}

/* -- the edges
 * ------------------------------------------------------------------------------------------- */

static void test_edges(void **state) {
    (void)state;
    sample_summary summary;
    assert_ok(sample_summarize(NULL, 0, 0.95, &summary, &error));
    assert_true(summary.n == 0 && isnan(summary.mean) && isnan(summary.deviation) &&
                isnan(summary.median) && isnan(summary.interquartile_mean) &&
                isnan(summary.mean_band.low) && isnan(summary.interquartile_band.high));
    const double one[] = {0.1};
    assert_ok(sample_summarize(one, 1, 0.95, &summary, &error));
    assert_true(summary.mean == 0.1 && summary.median == 0.1 && summary.interquartile_mean == 0.1);
    assert_true(isnan(summary.deviation) && isnan(summary.mean_band.low) &&
                isnan(summary.interquartile_band.low));
    double same[7];
    for (size_t i = 0; i < 7; i++) same[i] = 0.1;
    assert_ok(sample_summarize(same, 7, 0.95, &summary, &error));
    assert_true(summary.mean == 0.1 && summary.deviation == 0 && summary.mean_band.low == 0.1 &&
                summary.mean_band.high == 0.1 && summary.interquartile_mean == 0.1 &&
                summary.interquartile_band.low == 0.1 && summary.interquartile_band.high == 0.1);

    paired_test test;
    assert_ok(paired_compare(NULL, NULL, 0, 0.95, &test, &error));
    assert_true(test.n == 0 && isnan(test.mean) && isnan(test.p) && isnan(test.signed_rank_p));
    assert_ok(paired_compare(one, same, 1, 0.95, &test, &error));
    assert_true(test.mean == 0 && isnan(test.p) && isnan(test.mean_band.low) && !test.constant);
    assert_true(test.signed_rank_p == 1);
    assert_ok(paired_compare(same, same, 7, 0.95, &test, &error));
    assert_true(test.constant && test.mean == 0 && isnan(test.p) && test.mean_band.low == 0);
    /* Equal but for the subtraction's rounding: still no variation to test by. */
    const double a[] = {0.3, 0.4, 0.7, 1.1}, b[] = {0.2, 0.3, 0.6, 1.0};
    assert_ok(paired_compare(a, b, 4, 0.95, &test, &error));
    assert_true(test.constant && isnan(test.p) && fabs(test.mean - 0.1) < 1e-15);

    assert_true(isnan(student_quantile(0, 3)) && isnan(student_quantile(1, 3)) &&
                isnan(student_quantile(0.5, 0)) && isnan(incomplete_beta(0, 1, 0.5)) &&
                isnan(student_two_sided(NAN, 3)));
    assert_true(student_two_sided(INFINITY, 3) == 0 && student_cdf(-INFINITY, 3) == 0);
    assert_true(incomplete_beta(2, 3, 0) == 0 && incomplete_beta(2, 3, 1) == 1);
}

/* The definition, with a quarter of the weight off each end: 5 values, cut at 1.25 and 3.75. */
static void test_interquartile(void **state) {
    (void)state;
    const double five[] = {0, 1, 2, 4, 100};
    assert_near(sorted_interquartile_mean(five, 5), (0.75 * 1 + 2 + 0.75 * 4) / 2.5, 1e-15, "five");
    const double two[] = {1, 3};
    assert_near(sorted_interquartile_mean(two, 2), 2, 1e-15, "two");
    const double four[] = {1, 2, 4, 1000};
    assert_near(sorted_interquartile_mean(four, 4), 3, 1e-15, "four");
    assert_near(sorted_median(four, 4), 3, 1e-15, "median");
}

/* The bootstrap's interval is what its definition says, found by all 3^3 resamples. */
static void test_bootstrap(void **state) {
    (void)state;
    const double three[] = {0, 1, 10};
    interval band, again;
    assert_ok(interquartile_bootstrap(three, 3, 0.8, &band, &error));
    assert_ok(interquartile_bootstrap(three, 3, 0.8, &again, &error));
    assert_true(band.low == again.low && band.high == again.high);
    /* Of 27 resamples one is {0,0,0} and three {0,0,1}: 3.7 % at 0 and 11 % at 1/6, so that the
     * tenth part lies at 1/6; at the other end {10,10,10} and {10,10,1} the same way. */
    assert_near(band.low, 1.0 / 6, 1e-12, "low");
    assert_near(band.high, (0.25 * 1 + 1.25 * 10) / 1.5, 1e-12, "high");
}

/* The bits that sorting all resamples gave, before the quantiles were selected. */
static void test_bootstrap_bits(void **state) {
    (void)state;
    const double values[] = {0.9551, 0.9583, 0.9597, 0.9604, 0.9604,
                             0.9612, 0.9625, 0.9631, 0.9649, 0.9688};
    static const double bands[][3] = {{0.5, 0.96048, 0.96179000000000003},
                                      {0.8, 0.95991000000000004, 0.96250999999999998},
                                      {0.95, 0.95921000000000001, 0.96355000000000002},
                                      {0.99, 0.95838970000000001, 0.96452020000000005}};
    for (size_t i = 0; i < sizeof bands / sizeof *bands; i++) {
        interval band;
        assert_ok(interquartile_bootstrap(values, 10, bands[i][0], &band, &error));
        assert_true(band.low == bands[i][1] && band.high == bands[i][2]);
    }
}

/* With ties, by all signs of the ranks: SciPy has no exact test of them. */
static void test_signed_rank_ties(void **state) {
    (void)state;
    const double differences[] = {0.1, 0.1, -0.1, 0.2, 0, 0.3, 0.2, -0.3};
    const double ranks[] = {2, 2, 2, 4.5, 6.5, 4.5, 6.5};
    const double negative = 2 + 6.5;
    int below = 0;
    for (unsigned signs = 0; signs < 1u << 7; signs++) {
        double w = 0;
        for (unsigned i = 0; i < 7; i++)
            if (signs & 1u << i) w += ranks[i];
        below += w <= negative;
    }
    double p;
    assert_ok(signed_rank_test(differences, COUNT(differences), &p, &error));
    assert_near(p, fmin(1, 2.0 * below / 128), 1e-14, "ties");
    const double zeros[] = {0, 0, 0};
    assert_ok(signed_rank_test(zeros, 3, &p, &error));
    assert_true(p == 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_student_table),
        cmocka_unit_test(test_student_sleep),
        cmocka_unit_test(test_signed_rank_published),
        cmocka_unit_test(test_holm),
        cmocka_unit_test(test_scipy),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_interquartile),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_bootstrap_bits),
        cmocka_unit_test(test_signed_rank_ties),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
