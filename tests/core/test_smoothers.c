/* The smoothing spline against Reinsch's band equations, which share nothing with it; its limits;
 * cross-validation against its definition, left-out point by left-out point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "core/smoother.h"

enum { N = 24 };
static gr_error error;

static void assert_near(double value, double wanted, double tolerance) {
    if (!(fabs(value - wanted) <= tolerance * (1 + fabs(wanted))))
        fail_msg("%.17g, wanted %.17g", value, wanted);
}

/* Rising, unevenly spaced. */
static void make_points(double *x, double *y) {
    for (int i = 0; i < N; i++) {
        x[i] = -1 + 2 * (i + 0.4 * sin(7.0 * i)) / (N - 1);
        y[i] = sin(5 * x[i]) + 0.2 * sin(11.3 * i * i);
    }
}

/* Solves a·z = b in place by Gaussian elimination with pivots. */
static void solve(double *a, double *b, int n) {
    for (int k = 0; k < n; k++) {
        int pivot = k;
        for (int i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[pivot * n + k])) pivot = i;
        for (int j = 0; j < n; j++) {
            const double swapped = a[k * n + j];
            a[k * n + j] = a[pivot * n + j];
            a[pivot * n + j] = swapped;
        }
        const double swapped = b[k];
        b[k] = b[pivot];
        b[pivot] = swapped;
        for (int i = k + 1; i < n; i++) {
            const double factor = a[i * n + k] / a[k * n + k];
            for (int j = k; j < n; j++) a[i * n + j] -= factor * a[k * n + j];
            b[i] -= factor * b[k];
        }
    }
    for (int k = n - 1; k >= 0; k--) {
        for (int j = k + 1; j < n; j++) b[k] -= a[k * n + j] * b[j];
        b[k] /= a[k * n + k];
    }
}

/* Reinsch 1967: (R + α QᵀQ) γ = Qᵀy, g = y − α Qγ minimises Σ (y − g)² + α ∫ g''², so α = nλ.
 * fitted: [n] values at the points. */
static void reinsch(const double *x, const double *y, int n, double alpha, double *fitted) {
    const int inner = n - 2;
    double *q = calloc((size_t)(n * inner), sizeof *q);
    double *a = calloc((size_t)(inner * inner), sizeof *a);
    double *gamma = calloc((size_t)inner, sizeof *gamma);
    for (int j = 0; j < inner; j++) {
        const double before = x[j + 1] - x[j], after = x[j + 2] - x[j + 1];
        q[j * inner + j] = 1 / before;
        q[(j + 1) * inner + j] = -1 / before - 1 / after;
        q[(j + 2) * inner + j] = 1 / after;
        a[j * inner + j] = (before + after) / 3;
        if (j + 1 < inner) a[j * inner + j + 1] = a[(j + 1) * inner + j] = after / 6;
    }
    for (int j = 0; j < inner; j++)
        for (int i = 0; i < n; i++) {
            gamma[j] += q[i * inner + j] * y[i];
            for (int k = 0; k < inner; k++)
                a[j * inner + k] += alpha * q[i * inner + j] * q[i * inner + k];
        }
    solve(a, gamma, inner);
    for (int i = 0; i < n; i++) {
        fitted[i] = y[i];
        for (int j = 0; j < inner; j++) fitted[i] -= alpha * q[i * inner + j] * gamma[j];
    }
    free(q);
    free(a);
    free(gamma);
}

static gr_smoother *spline(const double *x, const double *y, int n, int features, double lambda) {
    gr_smoother *of = NULL;
    if (gr_smoothing_spline(x, y, n, features, lambda, &of, &error) != GR_OK)
        fail_msg("%s", error.message);
    return of;
}

static void test_reinsch(void **state) {
    (void)state;
    double x[N], y[N], fitted[N], wanted[N];
    make_points(x, y);
    static const double lambdas[] = {1e-7, 1e-5, 1e-3, 0.1};
    for (int k = 0; k < 4; k++) {
        gr_smoother *of = spline(x, y, N, 1, lambdas[k]);
        gr_smoother_evaluate(of, x, N, fitted);
        reinsch(x, y, N, N * lambdas[k], wanted);
        for (int i = 0; i < N; i++) assert_near(fitted[i], wanted[i], 1e-9);
        gr_smoother_free(of);
    }
}

/* A cubic between two points and straight beyond the last: the natural spline. */
static void test_natural(void **state) {
    (void)state;
    double x[N], y[N];
    make_points(x, y);
    gr_smoother *of = spline(x, y, N, 1, 1e-5);
    double at[5], f[5];
    for (int i = 0; i < 5; i++) at[i] = x[4] + (x[5] - x[4]) * i / 4.0;
    gr_smoother_evaluate(of, at, 5, f);
    assert_near(f[4] - 4 * f[3] + 6 * f[2] - 4 * f[1] + f[0], 0, 1e-10);
    for (int i = 0; i < 3; i++) at[i] = x[N - 1] + i;
    gr_smoother_evaluate(of, at, 3, f);
    assert_near(f[2] - 2 * f[1] + f[0], 0, 1e-9);
    gr_smoother_free(of);
}

/* λ → 0 passes through the points; λ → ∞ is the plane of least squares. */
static void test_limits(void **state) {
    (void)state;
    double x[2 * N], y[N], fitted[N], normal[9] = {0}, plane[3] = {0};
    for (int i = 0; i < N; i++) {
        x[2 * i] = sin(3.0 * i);
        x[2 * i + 1] = cos(5.0 * i + 1);
        y[i] = 1 + x[2 * i] - 3 * x[2 * i + 1] + x[2 * i] * x[2 * i + 1];
        const double row[] = {1, x[2 * i], x[2 * i + 1]};
        for (int a = 0; a < 3; a++) {
            plane[a] += row[a] * y[i];
            for (int b = 0; b < 3; b++) normal[a * 3 + b] += row[a] * row[b];
        }
    }
    solve(normal, plane, 3);
    gr_smoother *through = spline(x, y, N, 2, 1e-13), *flat = spline(x, y, N, 2, 1e8);
    gr_smoother_evaluate(through, x, N, fitted);
    for (int i = 0; i < N; i++) assert_near(fitted[i], y[i], 1e-7);
    gr_smoother_evaluate(flat, x, N, fitted);
    for (int i = 0; i < N; i++)
        assert_near(fitted[i], plane[0] + plane[1] * x[2 * i] + plane[2] * x[2 * i + 1], 1e-7);
    gr_smoother_free(through);
    gr_smoother_free(flat);
}

/* The score is that of the influence matrix, found column by column from the fits of unit vectors;
 * the chosen λ is a minimum. */
static void test_generalized_cross_validation(void **state) {
    (void)state;
    double x[N], y[N], unit[N] = {0}, fitted[N], trace = 0, residual = 0;
    make_points(x, y);
    gr_smoother *of = spline(x, y, N, 1, 0);
    const double lambda = gr_smoother_parameter(of);
    for (int i = 0; i < N; i++) {
        unit[i] = 1;
        gr_smoother *one = spline(x, unit, N, 1, lambda);
        gr_smoother_evaluate(one, x, N, fitted);
        trace += 1 - fitted[i];
        gr_smoother_free(one);
        unit[i] = 0;
    }
    gr_smoother_evaluate(of, x, N, fitted);
    for (int i = 0; i < N; i++) residual += (y[i] - fitted[i]) * (y[i] - fitted[i]);
    assert_near(gr_smoother_score(of), residual / N / (trace / N * trace / N), 1e-8);
    for (int k = -40; k <= 40; k++) {
        gr_smoother *other = spline(x, y, N, 1, lambda * pow(10, k / 10.0));
        assert_true(gr_smoother_score(other) >= gr_smoother_score(of) * (1 - 1e-9));
        gr_smoother_free(other);
    }
    assert_true(lambda > 1e-9 && lambda < 1e-2);
    gr_smoother_free(of);
}

/* Two points: w = exp(−(1/2)/h²·…) by hand; far away the nearest one's value, without 0/0. */
static void test_kernel(void **state) {
    (void)state;
    static const double x[] = {0, 1}, y[] = {2, 6}, at[] = {0.25, 0.5, 1000};
    double f[3];
    gr_smoother *of;
    assert_int_equal(gr_kernel_regression(x, y, 2, 1, 0.5, &of, &error), GR_OK);
    gr_smoother_evaluate(of, at, 3, f);
    const double near = exp(-0.0625 * 2), far = exp(-0.5625 * 2);
    assert_near(f[0], (2 * near + 6 * far) / (near + far), 1e-14);
    assert_near(f[1], 4, 1e-14);
    assert_near(f[2], 6, 1e-14);
    assert_near(gr_smoother_score(of), 16, 1e-14); /* each is predicted by the other */
    gr_smoother_free(of);
}

/* The chosen bandwidth is the best by fits that never saw the left-out point. */
static void test_bandwidth(void **state) {
    (void)state;
    double x[N], y[N], others[N], values[N], least = INFINITY;
    make_points(x, y);
    gr_smoother *of, *one;
    assert_int_equal(gr_kernel_regression(x, y, N, 1, 0, &of, &error), GR_OK);
    const double chosen = gr_smoother_parameter(of);
    for (int k = -20; k <= 20; k++) {
        const double bandwidth = chosen * pow(10, k / 10.0);
        double sum = 0;
        for (int left = 0; left < N; left++) {
            int count = 0;
            double f;
            for (int i = 0; i < N; i++) {
                if (i == left) continue;
                others[count] = x[i];
                values[count++] = y[i];
            }
            assert_int_equal(
                gr_kernel_regression(others, values, count, 1, bandwidth, &one, &error), GR_OK);
            gr_smoother_evaluate(one, &x[left], 1, &f);
            sum += (y[left] - f) * (y[left] - f) / N;
            gr_smoother_free(one);
        }
        if (k == 0) assert_near(gr_smoother_score(of), sum, 1e-12);
        least = fmin(least, sum);
    }
    assert_near(gr_smoother_score(of), least, 1e-12);
    gr_smoother_free(of);
}

/* In log10: a valley of depth `context[1]` at `context[0]`, and a slope down to −1 at the low end.
 */
static double valley(const void *context, double at) {
    const double *wanted = context, x = log10(at) - wanted[0];
    return -1 / (1 + exp(4 * (log10(at) + 6))) - wanted[1] * exp(-x * x);
}

/* The valley wins against a lower end; without a valley the lower end does. */
static void test_minimize(void **state) {
    (void)state;
    const double shallow[] = {1.5, 0.3}, none[] = {1.5, 0};
    assert_near(gr_smoother_minimize(valley, shallow, 1e-8, 1e8), pow(10, 1.5), 1e-3);
    assert_near(gr_smoother_minimize(valley, none, 1e-8, 1e8), 1e-8, 1e-3);
}

static void test_refused(void **state) {
    (void)state;
    static const double line[] = {0, 0, 1, 1, 2, 2, 3, 3}, same[] = {1, 1, 1, 1},
                        y[] = {1, 2, 3, NAN};
    gr_smoother *of;
    assert_int_equal(gr_smoothing_spline(line, line, 4, 2, 0, &of, &error), GR_INVALID);
    assert_int_equal(gr_smoothing_spline(same, line, 4, 1, 0, &of, &error), GR_INVALID);
    assert_int_equal(gr_smoothing_spline(line, y, 4, 2, 0, &of, &error), GR_INVALID);
    assert_int_equal(gr_smoothing_spline(line, line, 2, 1, 0, &of, &error), GR_INVALID);
    assert_int_equal(gr_smoothing_spline(line, line, 2, 3, 0, &of, &error), GR_INVALID);
    assert_int_equal(gr_kernel_regression(same, line, 4, 1, 0, &of, &error), GR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reinsch),  cmocka_unit_test(test_natural),
        cmocka_unit_test(test_limits),   cmocka_unit_test(test_generalized_cross_validation),
        cmocka_unit_test(test_kernel),   cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_minimize), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
