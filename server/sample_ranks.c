/* What rests on the order of the values: median, interquartile mean, the signed-rank test. */
#include <math.h>
#include <stdlib.h>

#include "server/sample_statistics.h"

double sorted_median(const double *sorted, size_t n) {
    if (n == 0) return NAN;
    if (n % 2) return sorted[n / 2];
    return sorted[n / 2 - 1] + (sorted[n / 2] - sorted[n / 2 - 1]) / 2;
}

double sorted_interquartile_mean(const double *sorted, size_t n) {
    if (n == 0) return NAN;
    const double from = (double)n / 4, to = (double)n * 3 / 4;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double weight = fmin((double)i + 1, to) - fmax((double)i, from);
        /* Around the median: equal values give that value. */
        if (weight > 0) sum += weight * (sorted[i] - sorted[n / 2]);
    }
    return sorted[n / 2] + sum / (to - from);
}

/* -- the bootstrap
 * ------------------------------------------------------------------------------------------ */

/* SplitMix64 (Steele, Lea and Flood 2014): enough for drawing indices. */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Puts values[k] where it would stand in ascending order, nothing greater before it and nothing
 * less behind it (Hoare 1961): two quantiles need no whole sort. */
static void place(double *values, size_t n, size_t k) {
    size_t first = 0, last = n - 1;
    while (first < last) {
        const double pivot = values[first + (last - first) / 2];
        size_t i = first, j = last;
        for (;; i++, j--) {
            while (values[i] < pivot) i++;
            while (values[j] > pivot) j--;
            if (i >= j) break;
            const double swapped = values[i];
            values[i] = values[j];
            values[j] = swapped;
        }
        /* Now values[first … j] <= pivot <= values[j + 1 … last], neither of them empty. */
        if (k <= j)
            last = j;
        else
            first = j + 1;
    }
}

/* The quantile between the order statistics (type 7 of Hyndman and Fan 1996); reorders. */
static double quantile(double *values, size_t n, double p) {
    const double at = p * (double)(n - 1), below = floor(at);
    const size_t k = (size_t)below;
    place(values, n, k);
    if (k + 1 >= n) return values[k];
    double next = values[k + 1];
    for (size_t i = k + 2; i < n; i++) next = values[i] < next ? values[i] : next;
    return values[k] + (at - below) * (next - values[k]);
}

/* A resample in ascending order is how often each value was drawn: no sorting. Weights are counted
 * in quarters, whole numbers; offsets: of the sorted values from the middle one. */
static double drawn_interquartile_mean(const double *offsets, const uint32_t *times, size_t n) {
    const int64_t from = (int64_t)n, to = 3 * (int64_t)n;
    double sum = 0;
    int64_t position = 0;
    for (size_t i = 0; i < n; i++) {
        const int64_t end = position + 4 * (int64_t)times[i];
        const int64_t first = position > from ? position : from, last = end < to ? end : to;
        sum += last > first ? (double)(last - first) * offsets[i] : 0; /* a choice, not a jump */
        position = end;
    }
    return sum / (double)(to - from);
}

gr_status interquartile_bootstrap(const double *sorted, size_t n, double confidence, interval *band,
                                  gr_error *error) {
    *band = (interval){NAN, NAN};
    if (n < 2) return GR_OK;
    if (n > UINT32_MAX) return gr_fail(error, GR_TOO_LARGE, "statistics: too many values");
    double *means = malloc(BOOTSTRAP_RESAMPLES * sizeof *means);
    double *offsets = malloc(n * sizeof *offsets);
    uint32_t *times = malloc(n * sizeof *times);
    if (!means || !offsets || !times) {
        free(means);
        free(offsets);
        free(times);
        return gr_fail(error, GR_OUT_OF_MEMORY, "statistics: out of memory");
    }
    for (size_t i = 0; i < n; i++) offsets[i] = sorted[i] - sorted[n / 2];
    uint64_t state = 1;
    for (int resample = 0; resample < BOOTSTRAP_RESAMPLES; resample++) {
        for (size_t i = 0; i < n; i++) times[i] = 0;
        uint64_t bits = 0;
        for (size_t i = 0; i < n; i++) {
            bits = i % 2 ? bits << 32 : next_random(&state); /* two indices of each number */
            /* The upper half of the product: an index without modulo. */
            times[(size_t)(((bits >> 32) * n) >> 32)]++;
        }
        means[resample] = sorted[n / 2] + drawn_interquartile_mean(offsets, times, n);
    }
    band->low = quantile(means, BOOTSTRAP_RESAMPLES, (1 - confidence) / 2);
    band->high = quantile(means, BOOTSTRAP_RESAMPLES, (1 + confidence) / 2);
    free(means);
    free(offsets);
    free(times);
    return GR_OK;
}

/* -- the signed-rank test
 * ------------------------------------------------------------------------------------------ */

static int compare_size(const void *a, const void *b) {
    const double x = fabs(*(const double *)a), y = fabs(*(const double *)b);
    return (x > y) - (x < y);
}

/* P(W <= lesser) twice, over all 2^n signs of the (doubled) ranks: W's distribution is built up
 * rank by rank. */
static gr_status exact_p(const size_t *ranks, size_t n, size_t lesser, double *p, gr_error *error) {
    size_t total = 0, reached = 0;
    for (size_t i = 0; i < n; i++) total += ranks[i];
    double *chance = calloc(total + 1, sizeof *chance);
    if (!chance) return gr_fail(error, GR_OUT_OF_MEMORY, "statistics: out of memory");
    chance[0] = 1;
    for (size_t i = 0; i < n; i++) {
        reached += ranks[i];
        for (size_t w = reached + 1; w-- > 0;)
            chance[w] = (chance[w] + (w >= ranks[i] ? chance[w - ranks[i]] : 0)) / 2;
    }
    double sum = 0;
    for (size_t w = 0; w <= lesser; w++) sum += chance[w];
    *p = fmin(1, 2 * sum);
    free(chance);
    return GR_OK;
}

/* `lesser` and `ranks` are doubled: a mean rank of ties may end in a half. */
static double approximate_p(const size_t *ranks, size_t n, size_t lesser) {
    double squares = 0, total = 0; /* of the ranks: with ties the variance is less */
    for (size_t i = 0; i < n; i++) {
        const double rank = (double)ranks[i] / 2;
        squares += rank * rank;
        total += rank;
    }
    const double z = ((double)lesser / 2 - total / 2) / sqrt(squares / 4);
    return fmin(1, 2 * normal_cdf(z));
}

gr_status signed_rank_test(const double *differences, size_t n, double *p, gr_error *error) {
    *p = NAN;
    if (n == 0) return GR_OK;
    double *sorted = malloc(n * sizeof *sorted);
    size_t *ranks = malloc(n * sizeof *ranks), count = 0;
    if (!sorted || !ranks) {
        free(sorted);
        free(ranks);
        return gr_fail(error, GR_OUT_OF_MEMORY, "statistics: out of memory");
    }
    for (size_t i = 0; i < n; i++)
        if (differences[i] != 0) sorted[count++] = differences[i];
    qsort(sorted, count, sizeof *sorted, compare_size);
    size_t positive = 0, negative = 0;
    for (size_t i = 0, end; i < count; i = end) {
        for (end = i + 1; end < count && fabs(sorted[end]) == fabs(sorted[i]);) end++;
        for (size_t k = i; k < end; k++) {
            ranks[k] = i + 1 + end; /* twice the mean of the ranks i + 1 … end */
            *(sorted[k] > 0 ? &positive : &negative) += ranks[k];
        }
    }
    const size_t lesser = positive < negative ? positive : negative;
    gr_status status = GR_OK;
    if (count == 0)
        *p = 1;
    else if (count <= SIGNED_RANK_EXACT)
        status = exact_p(ranks, count, lesser, p, error);
    else
        *p = approximate_p(ranks, count, lesser);
    free(sorted);
    free(ranks);
    return status;
}
