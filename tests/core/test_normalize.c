/* Batch normalisation's kernels of each set against the reference, over random shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

/* One probe's lanes of a channel among those of several. */
typedef struct channel_case {
    int64_t positions, samples, stride, count, lanes;
    gr_real center;
    guarded d, t, a, extra;
    char shape[160];
} channel_case;

static channel_case channel_case_create(uint32_t test) {
    channel_case c = {.positions = chosen(test, 0, 1, 40), .samples = chosen(test, 2, 1, 130)};
    const int64_t probes = chosen(test, 1, 1, 3);
    if (test % 8 == 0) c.positions *= 40; /* more than one piece of a sum */
    c.stride = probes * c.samples;
    c.count = c.positions * c.samples;
    c.lanes = (c.positions - 1) * c.stride + c.samples; /* up to the last that may be touched */
    c.d = guarded_normal(c.lanes, test, 1);
    c.t = guarded_normal(c.lanes, test, 2);
    c.a = guarded_normal(c.count, test, 3);
    c.extra = guarded_normal(c.count, test, 4);
    c.center = (gr_real)chosen(test, 3, -2, 2) / 3;
    snprintf(c.shape, sizeof c.shape, "case %u: %lld positions, %lld samples, stride %lld", test,
             (long long)c.positions, (long long)c.samples, (long long)c.stride);
    return c;
}

static void channel_case_clear(channel_case *c) {
    guarded *const all[] = {&c->d, &c->t, &c->a, &c->extra};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
}

/* Of a case's arrays with every number's absolute value, and a center below zero: what the terms
 * of a sum amount to. */
static channel_case channel_case_absolute(const channel_case *c) {
    channel_case size = *c;
    size.d = guarded_absolute(&c->d);
    size.t = guarded_absolute(&c->t);
    size.a = guarded_absolute(&c->a);
    size.extra = guarded_absolute(&c->extra);
    size.center = c->center < 0 ? c->center : -c->center;
    return size;
}

static void assert_sums_within(const char *what, int count, const double *got,
                               const double *expected, double terms, const double *magnitude) {
    for (int i = 0; i < count; i++)
        if (!(fabs(got[i] - expected[i]) <= sum_bound(terms, magnitude[i])))
            fail_msg("%s: sum %d is %.9g, not %.9g (bound %.3g)", what, i, got[i], expected[i],
                     sum_bound(terms, magnitude[i]));
}

static void test_moments_and_normalize(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        channel_case c = channel_case_create(test), size = channel_case_absolute(&c);
        const double n = (double)c.count;
        double mean, variance, mean_size, unused;
        gr_kernels_reference.moments(c.count, c.a.data, &mean, &variance);
        gr_kernels_reference.moments(c.count, size.a.data, &mean_size, &unused);
        const gr_real scale = (gr_real)1.7, shift = (gr_real)-0.3;
        guarded y = guarded_unwritten(c.count), y_size = guarded_unwritten(c.count);
        gr_kernels_reference.normalize(c.count, c.a.data, c.center, scale, shift, y.data);
        gr_kernels_reference.normalize(c.count, size.a.data, size.center, scale, -shift,
                                       y_size.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "moments", c.shape, what);
            double got_mean, got_variance;
            set[i]->moments(c.count, c.a.data, &got_mean, &got_variance);
            assert_sums_within(what, 1, &got_mean, &mean, n, &mean_size);
            /* Σ of squares of rounded differences from a rounded center. */
            const double size_of_square = variance + 2 * mean * mean * UNIT_ROUNDOFF;
            assert_sums_within(what, 1, &got_variance, &variance, n + 4, &size_of_square);
            set_name(set[i], "normalize", c.shape, what);
            guarded got = guarded_unwritten(c.count);
            set[i]->normalize(c.count, c.a.data, c.center, scale, shift, got.data);
            assert_within(what, &got, &y, 3, &y_size);
            guarded_free(&got);
        }
        guarded_free(&y);
        guarded_free(&y_size);
        channel_case_clear(&c);
        channel_case_clear(&size);
    }
}

static void test_channel_sums(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        channel_case c = channel_case_create(test), size = channel_case_absolute(&c);
        double two[2], two_size[2], five[GR_SECOND_SUMS], five_size[GR_SECOND_SUMS];
        const gr_kernels *reference = &gr_kernels_reference;
        reference->normalized_sums(c.positions, c.samples, c.stride, c.d.data, c.a.data, c.center,
                                   two);
        reference->normalized_sums(c.positions, c.samples, c.stride, size.d.data, size.a.data,
                                   size.center, two_size);
        reference->second_sums(c.positions, c.samples, c.stride, c.d.data, c.t.data, c.a.data,
                               c.center, five);
        reference->second_sums(c.positions, c.samples, c.stride, size.d.data, size.t.data,
                               size.a.data, size.center, five_size);
        const double terms = (double)c.count + 1;
        for (int i = 0; i < sets; i++) {
            char what[256];
            double got[GR_SECOND_SUMS];
            set_name(set[i], "normalized_sums", c.shape, what);
            set[i]->normalized_sums(c.positions, c.samples, c.stride, c.d.data, c.a.data, c.center,
                                    got);
            assert_sums_within(what, 2, got, two, terms, two_size);
            set_name(set[i], "second_sums", c.shape, what);
            set[i]->second_sums(c.positions, c.samples, c.stride, c.d.data, c.t.data, c.a.data,
                                c.center, got);
            assert_sums_within(what, GR_SECOND_SUMS, got, five, terms, five_size);
        }
        channel_case_clear(&c);
        channel_case_clear(&size);
    }
}

/* project with and without extra, apart and in place; bend written and added to, with a tangent
 * apart or in the adjoint's place, and without one; lanes of other probes stay as they are. */
static void test_planes(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets), *reference = &gr_kernels_reference;
    const gr_plane plane = {(gr_real)0.7, (gr_real)-1.3, (gr_real)0.4, (gr_real)0.2};
    const gr_plane onwards = {0, (gr_real)1.9, (gr_real)-0.6, (gr_real)-0.1};
    const gr_plane plane_size = {(gr_real)0.7, (gr_real)1.3, (gr_real)0.4, (gr_real)0.2};
    const gr_plane onwards_size = {0, (gr_real)1.9, (gr_real)0.6, (gr_real)0.1};
    enum { ROUNDINGS = 8 }; /* four terms of at most two factors, and what is added */
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        channel_case c = channel_case_create(test), size = channel_case_absolute(&c);
        const gr_real *extra = test % 2 ? c.extra.data : NULL;
        const gr_real *extra_size = test % 2 ? size.extra.data : NULL;
        const bool add = test % 3 == 0, tangent = test % 5 != 0;
        guarded v = guarded_copy(&c.d), v_size = guarded_copy(&size.d);
        reference->project(c.positions, c.samples, c.stride, v.data, c.a.data, c.center, &onwards,
                           extra, v.data);
        reference->project(c.positions, c.samples, c.stride, v_size.data, size.a.data, size.center,
                           &onwards_size, extra_size, v_size.data);
        guarded bend = guarded_copy(&c.extra), bend_size = guarded_copy(&size.extra);
        guarded t = guarded_copy(&c.t), t_size = guarded_copy(&size.t);
        reference->bend(c.positions, c.samples, c.stride, c.d.data, t.data, c.a.data, c.center,
                        &plane, add, bend.data, &onwards, tangent ? t.data : NULL);
        reference->bend(c.positions, c.samples, c.stride, size.d.data, t_size.data, size.a.data,
                        size.center, &plane_size, add, bend_size.data, &onwards_size,
                        tangent ? t_size.data : NULL);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "project", c.shape, what);
            guarded same = guarded_copy(&c.d), apart = guarded_copy(&c.d);
            set[i]->project(c.positions, c.samples, c.stride, same.data, c.a.data, c.center,
                            &onwards, extra, same.data);
            set[i]->project(c.positions, c.samples, c.stride, c.d.data, c.a.data, c.center,
                            &onwards, extra, apart.data);
            assert_within(what, &same, &v, ROUNDINGS, &v_size);
            assert_within(what, &apart, &v, ROUNDINGS, &v_size);
            guarded_free(&same);
            guarded_free(&apart);
            set_name(set[i], "bend", c.shape, what);
            guarded got = add ? guarded_copy(&c.extra) : guarded_unwritten(c.count);
            guarded got_t = guarded_copy(&c.t), d = guarded_copy(&c.d);
            set[i]->bend(c.positions, c.samples, c.stride, d.data, c.t.data, c.a.data, c.center,
                         &plane, add, got.data, &onwards,
                         !tangent   ? NULL
                         : test % 4 ? got_t.data
                                    : d.data);
            assert_within(what, &got, &bend, ROUNDINGS, &bend_size);
            const bool in_place = tangent && test % 4 == 0;
            for (int64_t p = 0; in_place && p < c.positions; p++) /* the other lanes are d's own */
                memcpy((gr_real *)got_t.data + p * c.stride, (gr_real *)d.data + p * c.stride,
                       (size_t)c.samples * sizeof(gr_real));
            assert_within(what, &got_t, &t, ROUNDINGS, &t_size);
            guarded_check(&d, what);
            guarded *const own[] = {&got, &got_t, &d};
            for (size_t e = 0; e < sizeof own / sizeof *own; e++) guarded_free(own[e]);
        }
        guarded *const all[] = {&v, &v_size, &bend, &bend_size, &t, &t_size};
        for (size_t e = 0; e < sizeof all / sizeof *all; e++) guarded_free(all[e]);
        channel_case_clear(&c);
        channel_case_clear(&size);
    }
}

static void test_add(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 300);
        guarded a = guarded_normal(count, test, 1), b = guarded_normal(count, test, 2);
        guarded sum = guarded_unwritten(count);
        gr_kernels_reference.add(count, a.data, b.data, sum.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            snprintf(what, sizeof what, "add of %s, case %u", set[i]->name, test);
            guarded apart = guarded_unwritten(count), first = guarded_copy(&a);
            guarded second = guarded_copy(&b);
            set[i]->add(count, a.data, b.data, apart.data);
            set[i]->add(count, first.data, b.data, first.data);
            set[i]->add(count, a.data, second.data, second.data);
            guarded *const got[] = {&apart, &first, &second};
            for (size_t e = 0; e < 3; e++) {
                assert_exactly(what, got[e], &sum);
                guarded_free(got[e]);
            }
        }
        guarded *const all[] = {&a, &b, &sum};
        for (size_t e = 0; e < 3; e++) guarded_free(all[e]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments_and_normalize),
        cmocka_unit_test(test_channel_sums),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
