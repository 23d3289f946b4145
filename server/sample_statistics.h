/* Statistics of samples: what a table of means over seeds says, and how sure one can be of it. Pure
 * functions of their arguments, without allocation where nothing else is said. A result that is not
 * defined (the deviation of one value, the test of one pair) is NaN, never a number that looks like
 * one. docs/sweeps.md has the sources. */
#ifndef SERVER_SAMPLE_STATISTICS_H
#define SERVER_SAMPLE_STATISTICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gradreg/status.h"

/* -- Student's distribution
 * --------------------------------------------------------------------------------- */
/* The regularised incomplete beta function I_x(a, b), for a, b > 0 and 0 <= x <= 1. */
double incomplete_beta(double a, double b, double x);
/* P(T <= t) and its inverse, for any degrees > 0; the quantile's p within (0, 1). */
double student_cdf(double t, double degrees);
double student_quantile(double p, double degrees);
/* P(|T| >= |t|). */
double student_two_sided(double t, double degrees);
/* P(Z <= z) of the normal distribution. */
double normal_cdf(double z);

/* -- one sample
 * --------------------------------------------------------------------------------- */
typedef struct interval {
    double low, high;
} interval;

/* Values in any order, all finite: whoever holds a NaN says so instead of handing it in. */
typedef struct sample_summary {
    size_t n;
    double mean;        /* NaN for n = 0 */
    double deviation;   /* of the sample, by n - 1; NaN for n < 2 */
    interval mean_band; /* Student's interval of the mean at the given confidence; NaN for n < 2 */
    double median;      /* NaN for n = 0 */
    double interquartile_mean;   /* the mean of the middle half, by weight; NaN for n = 0 */
    interval interquartile_band; /* of it, by the percentile bootstrap (interquartile_bootstrap); n
                                    < 2: NaN */
} sample_summary;
/* `confidence` is within (0, 1). GR_OUT_OF_MEMORY only. */
gr_status sample_summarize(const double *values, size_t n, double confidence,
                           sample_summary *summary, gr_error *error);

double sample_mean(const double *values, size_t n);
double sample_deviation(const double *values, size_t n);
interval student_interval(double mean, double deviation, size_t n, double confidence);

/* Of ascending values. */
double sorted_median(const double *sorted, size_t n);
/* Each value has weight 1; a quarter of the weight is cut off at each end, a value at the cut
 * counts with what is left of it. */
double sorted_interquartile_mean(const double *sorted, size_t n);
/* The percentile interval over BOOTSTRAP_RESAMPLES resamples, drawn by a generator that is seeded
 * with the same number each time: the same values give the same interval. */
enum { BOOTSTRAP_RESAMPLES = 2000 };
gr_status interquartile_bootstrap(const double *sorted, size_t n, double confidence, interval *band,
                                  gr_error *error);

/* -- two paired samples
 * --------------------------------------------------------------------------------- */
typedef struct paired_test {
    size_t n;             /* pairs */
    double mean;          /* of a[i] - b[i]; NaN for n = 0 */
    double deviation;     /* of the differences; NaN for n < 2 */
    interval mean_band;   /* NaN for n < 2 */
    double t, p;          /* two-sided; NaN for n < 2, and where the differences are constant */
    double signed_rank_p; /* Wilcoxon's signed-rank test, two-sided; NaN for n = 0 */
    bool constant;        /* n >= 2 and the differences do not vary: no t-test can be made */
} paired_test;
gr_status paired_compare(const double *a, const double *b, size_t n, double confidence,
                         paired_test *test, gr_error *error);

/* Wilcoxon's signed-rank test of differences around zero, two-sided. Zeros are left out (Wilcoxon's
 * way; all zero: p = 1), equal sizes share their mean rank. Exact, ties included, up to
 * SIGNED_RANK_EXACT differences, by the normal approximation with its correction for ties beyond.
 */
enum { SIGNED_RANK_EXACT = 100 };
gr_status signed_rank_test(const double *differences, size_t n, double *p, gr_error *error);

/* Holm's step-down correction: p[i] becomes the smallest level at which the family rejects it. A
 * NaN is no test: it stays NaN and does not count. */
gr_status holm_correct(double *p, size_t n, gr_error *error);

#endif
