#include "core/distribution.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    const double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

void gr_sort(double *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (isnan(values[i])) values[i] = INFINITY;
    qsort(values, (size_t)count, sizeof *values, ascending);
}

double gr_mean(const double *values, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += values[i];
    return sum / (double)count;
}

double gr_standard_deviation(const double *values, int64_t count, double mean) {
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (values[i] - mean) * (values[i] - mean);
    return count > 1 ? sqrt(sum / (double)(count - 1)) : 0;
}

double gr_quantile(const double *sorted, int64_t count, double probability) {
    const double place = probability * (double)(count - 1);
    const int64_t below = (int64_t)place;
    if (below + 1 >= count || place == (double)below) return sorted[below];
    return sorted[below] + (place - (double)below) * (sorted[below + 1] - sorted[below]);
}

void gr_histogram(const double *values, int64_t count, double low, double high, int64_t bins,
                  int64_t *counts) {
    for (int64_t b = 0; b < bins; b++) counts[b] = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!(values[i] >= low && values[i] <= high)) continue;
        const int64_t bin = (int64_t)((values[i] - low) / (high - low) * (double)bins);
        counts[bin < bins ? bin : bins - 1]++;
    }
}
