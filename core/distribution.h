/* Numbers that describe many numbers. */
#ifndef CORE_DISTRIBUTION_H
#define CORE_DISTRIBUTION_H

#include <stdint.h>

/* Sorts ascending. A NaN counts as infinite: it is what a sum of squares overflows to. */
void gr_sort(double *values, int64_t count);
double gr_mean(const double *values, int64_t count);
/* With n - 1; 0 for a single value. */
double gr_standard_deviation(const double *values, int64_t count, double mean);
/* Of sorted values, by linear interpolation between the (n - 1)·probability-th and the next. */
double gr_quantile(const double *sorted, int64_t count, double probability);
/* How many values lie in each of `bins` bins of equal width from low to high, the last one closed
 * (and the others open at their upper end); what lies outside is not counted. */
void gr_histogram(const double *values, int64_t count, double low, double high, int64_t bins,
                  int64_t *counts);

#endif
