/* The sets of kernels that this processor can run, and arrays that notice what a kernel does to the
 * memory around them. Include after cmocka. */
#ifndef TESTS_CORE_KERNEL_SETS_H
#define TESTS_CORE_KERNEL_SETS_H

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels.h"
#include "core/random.h"
#include "gradreg/processor.h"

/* The unit roundoff of gr_real: a correctly rounded operation errs by at most this much,
 * relatively. */
#define UNIT_ROUNDOFF (sizeof(gr_real) == 4 ? FLT_EPSILON / 2.0 : DBL_EPSILON / 2)

/* Bound on |computed - exact| of a sum of n products whose absolute values sum to `magnitude`, for
 * any order of summation and with or without fused operations: γ_n·magnitude with γ_n = nu/(1 - nu)
 * (Higham, Accuracy and Stability of Numerical Algorithms, §3.1), n + 1 for what is added to, and
 * one more for the rounding of the reference's double to gr_real. */
static inline double sum_bound(double n, double magnitude) {
    const double nu = (n + 2) * UNIT_ROUNDOFF;
    return nu / (1 - nu) * magnitude;
}

/* Sets that can run here, best first; their number in *count. */
static inline const gr_kernels *const *runnable_sets(int *count) {
    static const gr_kernels *const sets[] = {&gr_kernels_avx512, &gr_kernels_avx2,
                                             &gr_kernels_baseline};
    const char *best = gr_blas_best_kernel();
    const int first = !best ? 2 : strcmp(best, "SkylakeX") == 0 ? 0 : 1;
    *count = 3 - first;
    return sets + first;
}

enum { ELEMENTWISE_CASES = 200 }; /* of kernels that are quick */

/* What a failure says of it: text[256]. */
static inline void set_name(const gr_kernels *set, const char *kernel, const char *shape,
                            char text[256]) {
    snprintf(text, 256, "%s of %s, %s", kernel, set->name, shape);
}

/* An array of 4-byte or gr_real elements at the very end of its allocation, but for the slack that
 * core/kernels.h grants: filled with quiet NaNs, so that a result that it leaks into is a NaN, and
 * compared afterwards, so that a write into it is seen. Beyond the slack AddressSanitizer watches.
 */
typedef struct guarded {
    void *data;
    size_t bytes;
} guarded;

enum { GUARD_WORDS = GR_SLACK_BYTES / 4 };
#define GUARD_WORD UINT32_C(0x7fc5a5a5) /* a NaN as float; two of them are one as double */

static inline guarded guarded_create(size_t elements, size_t size) {
    guarded g = {malloc(elements * size + GR_SLACK_BYTES), elements * size};
    assert_non_null(g.data);
    const uint32_t word = GUARD_WORD;
    for (size_t i = 0; i < GUARD_WORDS; i++)
        memcpy((char *)g.data + g.bytes + 4 * i, &word, sizeof word);
    return g;
}

static inline void guarded_check(const guarded *g, const char *what) {
    for (size_t i = 0; i < GUARD_WORDS; i++) {
        uint32_t word;
        memcpy(&word, (const char *)g->data + g->bytes + 4 * i, sizeof word);
        if (word != GUARD_WORD) fail_msg("%s: written %zu bytes past the end", what, 4 * i);
    }
}

static inline void guarded_free(guarded *g) {
    free(g->data);
    g->data = NULL;
}

static inline guarded guarded_reals(int64_t count) {
    return guarded_create((size_t)count, sizeof(gr_real));
}

/* Standard normal numbers, a function of (test, array). */
static inline guarded guarded_normal(int64_t count, uint32_t test, uint32_t array) {
    const gr_random random = gr_random_source(99, GR_PURPOSE_GENERATED_DATA, array, test);
    guarded g = guarded_reals(count);
    gr_real *values = g.data;
    for (int64_t i = 0; i < count; i++)
        values[i] = (gr_real)gr_random_normal(&random, 0, (uint32_t)i);
    return g;
}

/* NaN everywhere: an element that a kernel forgets to write stays one. */
static inline guarded guarded_unwritten(int64_t count) {
    guarded g = guarded_reals(count);
    for (int64_t i = 0; i < count; i++) ((gr_real *)g.data)[i] = (gr_real)NAN;
    return g;
}

static inline guarded guarded_copy(const guarded *from) {
    guarded g = guarded_create(from->bytes, 1);
    memcpy(g.data, from->data, from->bytes);
    return g;
}

/* A copy with every number's absolute value. */
static inline guarded guarded_absolute(const guarded *from) {
    guarded g = guarded_copy(from);
    gr_real *values = g.data;
    for (size_t i = 0; i < g.bytes / sizeof *values; i++)
        values[i] = values[i] < 0 ? -values[i] : values[i];
    return g;
}

/* Elements of `got` lie within sum_bound(terms, magnitude) of `expected`. */
static inline void assert_within(const char *what, const guarded *got, const guarded *expected,
                                 double terms, const guarded *magnitude) {
    const gr_real *a = got->data, *b = expected->data, *m = magnitude->data;
    for (size_t i = 0; i < got->bytes / sizeof *a; i++) {
        const double error = fabs((double)a[i] - (double)b[i]);
        if (!(error <= sum_bound(terms, (double)m[i])))
            fail_msg("%s: element %zu is %.9g, not %.9g (bound %.3g)", what, i, (double)a[i],
                     (double)b[i], sum_bound(terms, (double)m[i]));
    }
    guarded_check(got, what);
}

/* The same numbers, exactly (NaN is itself, -0 is 0). */
static inline void assert_exactly(const char *what, const guarded *got, const guarded *expected) {
    const gr_real *a = got->data, *b = expected->data;
    for (size_t i = 0; i < got->bytes / sizeof *a; i++)
        if (!(a[i] == b[i] || (a[i] != a[i] && b[i] != b[i])))
            fail_msg("%s: element %zu is %.9g, not %.9g", what, i, (double)a[i], (double)b[i]);
    guarded_check(got, what);
}

/* A whole number from low to high, a function of (test, which). */
static inline int64_t chosen(uint32_t test, uint32_t which, int64_t low, int64_t high) {
    const gr_random random = gr_random_source(98, GR_PURPOSE_GENERATED_DATA, 0, test);
    return low + gr_random_below(&random, 0, which, high - low + 1);
}

#endif
