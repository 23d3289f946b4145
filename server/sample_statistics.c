/* One sample, two paired samples, and a family of tests. */
#include "server/sample_statistics.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const interval nowhere = {NAN, NAN};

/* -- sums
 * ------------------------------------------------------------------------------------------ */

/* Neumaier's compensated sum: the mean of equal values is that value. */
double sample_mean(const double *values, size_t n) {
    if (n == 0) return NAN;
    double sum = 0, rest = 0;
    for (size_t i = 0; i < n; i++) {
        const double next = sum + values[i];
        rest += fabs(sum) >= fabs(values[i]) ? (sum - next) + values[i] : (values[i] - next) + sum;
        sum = next;
    }
    return (sum + rest) / (double)n;
}

/* In two passes, with the correction for the mean's rounding (Chan, Golub and LeVeque 1983). */
double sample_deviation(const double *values, size_t n) {
    if (n < 2) return NAN;
    const double mean = sample_mean(values, n);
    double squares = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double d = values[i] - mean;
        squares += d * d;
        sum += d;
    }
    const double variance = (squares - sum * sum / (double)n) / (double)(n - 1);
    return sqrt(variance > 0 ? variance : 0);
}

interval student_interval(double mean, double deviation, size_t n, double confidence) {
    if (n < 2 || isnan(deviation)) return nowhere;
    const double half =
        student_quantile((1 + confidence) / 2, (double)(n - 1)) * deviation / sqrt((double)n);
    return (interval){mean - half, mean + half};
}

/* -- one sample
 * ------------------------------------------------------------------------------------------ */

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

gr_status sample_summarize(const double *values, size_t n, double confidence,
                           sample_summary *summary, gr_error *error) {
    *summary = (sample_summary){.n = n,
                                .mean = sample_mean(values, n),
                                .deviation = sample_deviation(values, n),
                                .median = NAN,
                                .interquartile_mean = NAN,
                                .interquartile_band = nowhere};
    summary->mean_band = student_interval(summary->mean, summary->deviation, n, confidence);
    if (n == 0) return GR_OK;
    double *sorted = malloc(n * sizeof *sorted);
    if (!sorted) return gr_fail(error, GR_OUT_OF_MEMORY, "statistics: out of memory");
    memcpy(sorted, values, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, compare);
    summary->median = sorted_median(sorted, n);
    summary->interquartile_mean = sorted_interquartile_mean(sorted, n);
    const gr_status status =
        interquartile_bootstrap(sorted, n, confidence, &summary->interquartile_band, error);
    free(sorted);
    return status;
}

/* -- pairs
 * ------------------------------------------------------------------------------------------ */

/* Differences that are equal but for the rounding of the subtraction: a deviation that small is no
 * measure of anything. */
static bool is_constant(const double *differences, size_t n, double deviation, double largest) {
    if (n < 2) return false;
    bool equal = true;
    for (size_t i = 1; equal && i < n; i++) equal = differences[i] == differences[0];
    return equal || deviation <= 4 * DBL_EPSILON * largest;
}

gr_status paired_compare(const double *a, const double *b, size_t n, double confidence,
                         paired_test *test, gr_error *error) {
    *test = (paired_test){.n = n,
                          .mean = NAN,
                          .deviation = NAN,
                          .mean_band = nowhere,
                          .t = NAN,
                          .p = NAN,
                          .signed_rank_p = NAN};
    if (n == 0) return GR_OK;
    double *differences = malloc(n * sizeof *differences);
    if (!differences) return gr_fail(error, GR_OUT_OF_MEMORY, "statistics: out of memory");
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        differences[i] = a[i] - b[i];
        largest = fmax(largest, fmax(fabs(a[i]), fabs(b[i])));
    }
    test->mean = sample_mean(differences, n);
    test->deviation = sample_deviation(differences, n);
    test->constant = is_constant(differences, n, test->deviation, largest);
    if (test->constant) test->deviation = 0;
    test->mean_band = student_interval(test->mean, test->deviation, n, confidence);
    if (n >= 2 && !test->constant) {
        test->t = test->mean / (test->deviation / sqrt((double)n));
        test->p = student_two_sided(test->t, (double)(n - 1));
    }
    const gr_status status = signed_rank_test(differences, n, &test->signed_rank_p, error);
    free(differences);
    return status;
}

/* -- families of tests
 * ------------------------------------------------------------------------------------------ */

typedef struct ranked_p {
    double p;
    size_t index;
} ranked_p;

static int compare_p(const void *a, const void *b) {
    const ranked_p *x = a, *y = b;
    if (x->p != y->p) return x->p > y->p ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

gr_status holm_correct(double *p, size_t n, gr_error *error) {
    if (n == 0) return GR_OK;
    ranked_p *tests = malloc(n * sizeof *tests);
    if (!tests) return gr_fail(error, GR_OUT_OF_MEMORY, "statistics: out of memory");
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (!isnan(p[i])) tests[count++] = (ranked_p){p[i], i};
    qsort(tests, count, sizeof *tests, compare_p);
    double greatest = 0;
    for (size_t k = 0; k < count; k++) {
        greatest = fmax(greatest, (double)(count - k) * tests[k].p);
        p[tests[k].index] = fmin(1, greatest);
    }
    free(tests);
    return GR_OK;
}
