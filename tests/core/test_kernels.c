/* The kernels without a test of their own: each set against the reference, over random shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

/* -- pixels
 * -----------------------------------------------------------------------------------------------
 */
static void test_standardize(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < 12; test++)
        for (int i = 0; i < sets; i++) {
            enum { MOST_LANES = 64 };
            const int64_t lanes = set[i]->vector_lanes, count = chosen(test, 0, 0, 70);
            const int64_t stride = lanes + chosen(test, 1, 0, 5);
            const double factor = 0.01 * (double)chosen(test, 2, 1, 100), term = -0.4242;
            guarded x = guarded_unwritten(count ? (count - 1) * stride + lanes : 0);
            gr_real *got = x.data;
            uint8_t *rows[MOST_LANES];
            for (int64_t lane = 0; lane < lanes; lane++) {
                rows[lane] = malloc((size_t)count + !count);
                assert_non_null(rows[lane]);
                for (int64_t f = 0; f < count; f++)
                    rows[lane][f] = (uint8_t)chosen(test, (uint32_t)(100 + lane * 70 + f), 0, 255);
            }
            const int64_t done =
                set[i]->standardize((const uint8_t *const *)rows, count, factor, term, stride, got);
            assert_int_equal(count / lanes * lanes, done);
            for (int64_t f = 0; f < done; f++)
                for (int64_t lane = 0; lane < lanes; lane++) {
                    const double wanted = rows[lane][f] * factor + term;
                    assert_true(fabs((double)got[f * stride + lane] - wanted) <=
                                2 * UNIT_ROUNDOFF * (fabs(wanted) + 1e-9));
                }
            guarded_check(&x, "standardize");
            guarded row = guarded_unwritten(done);
            assert_int_equal(set[i]->standardize_row(rows[0], count, factor, term, row.data), done);
            for (int64_t f = 0; f < done; f++)
                assert_true(((const gr_real *)row.data)[f] == got[f * stride]);
            guarded_check(&row, "standardize_row");
            guarded_free(&row);
            guarded_free(&x);
            for (int64_t lane = 0; lane < lanes; lane++) free(rows[lane]);
        }
}

/* -- elementwise kernels
 * ----------------------------------------------------------------------------------- */

typedef struct lane_case {
    int64_t features, probes, samples;
    char shape[160];
} lane_case;

static lane_case lane_case_create(uint32_t test) {
    lane_case c = {chosen(test, 0, 1, 12), chosen(test, 1, 1, 3), chosen(test, 2, 1, 130), ""};
    snprintf(c.shape, sizeof c.shape, "case %u: %lld features, %lld probes, %lld samples", test,
             (long long)c.features, (long long)c.probes, (long long)c.samples);
    return c;
}

static void test_row_sums(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const lane_case c = lane_case_create(test);
        const int64_t count = c.probes * c.samples;
        guarded d = guarded_normal(c.features * count, test, 1), size = guarded_absolute(&d);
        guarded before = guarded_normal(c.features, test, 2);
        guarded expected = guarded_copy(&before), magnitude = guarded_absolute(&before);
        gr_kernels_reference.row_sums(c.features, count, d.data, expected.data);
        gr_kernels_reference.row_sums(c.features, count, size.data, magnitude.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "row_sums", c.shape, what);
            guarded got = guarded_copy(&before);
            set[i]->row_sums(c.features, count, d.data, got.data);
            assert_within(what, &got, &expected, (double)count + 1, &magnitude);
            guarded_free(&got);
        }
        guarded *const all[] = {&d, &size, &before, &expected, &magnitude};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* relu and its mask, out of place and in place; zeros, signed zeros and NaN among the numbers. */
static void test_relu(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const lane_case c = lane_case_create(test);
        const int64_t count = c.features * c.samples, lanes = count * c.probes;
        guarded x = guarded_normal(count, test, 1), d_out = guarded_normal(lanes, test, 2);
        static const gr_real special[] = {0, (gr_real)-0.0, (gr_real)NAN, (gr_real)INFINITY,
                                          (gr_real)-INFINITY};
        for (int i = 0; i < 5; i++)
            ((gr_real *)x.data)[chosen(test, 10 + (uint32_t)i, 0, count - 1)] = special[i];
        guarded y = guarded_unwritten(count), d_in = guarded_unwritten(lanes);
        gr_kernels_reference.relu(count, x.data, y.data);
        gr_kernels_reference.relu_mask(c.features, c.probes, c.samples, y.data, d_out.data,
                                       d_in.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "relu", c.shape, what);
            guarded apart = guarded_unwritten(count), same = guarded_copy(&x);
            set[i]->relu(count, x.data, apart.data);
            set[i]->relu(count, same.data, same.data);
            assert_exactly(what, &apart, &y);
            assert_exactly(what, &same, &y);
            guarded_free(&apart);
            guarded_free(&same);
            set_name(set[i], "relu_mask", c.shape, what);
            apart = guarded_unwritten(lanes);
            same = guarded_copy(&d_out);
            set[i]->relu_mask(c.features, c.probes, c.samples, y.data, d_out.data, apart.data);
            set[i]->relu_mask(c.features, c.probes, c.samples, y.data, same.data, same.data);
            assert_exactly(what, &apart, &d_in);
            assert_exactly(what, &same, &d_in);
            guarded_free(&apart);
            guarded_free(&same);
        }
        guarded *const all[] = {&x, &d_out, &y, &d_in};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* Numbers of samples that go on at 0 after the last of 32 bits, too. */
static void test_dropout_mask(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const gr_random random =
            gr_random_source((uint64_t)test << 40 | 7, GR_PURPOSE_DROPOUT, test, 3 * test);
        const uint32_t first = test % 2 ? (uint32_t)chosen(test, 2, 0, 1000) : UINT32_MAX - 3;
        const uint32_t threshold = test == 0 ? 0 : (uint32_t)chosen(test, 3, 0, UINT32_MAX);
        const int64_t samples = chosen(test, 0, 1, 70), elements = chosen(test, 1, 1, 50);
        guarded expected = guarded_unwritten(samples * elements);
        gr_kernels_reference.dropout_mask(&random, first, samples, elements, threshold,
                                          (gr_real)1.25, expected.data);
        for (int i = 0; i < sets; i++) {
            char shape[64], what[256];
            snprintf(shape, sizeof shape, "%lld samples, %lld elements", (long long)samples,
                     (long long)elements);
            set_name(set[i], "dropout_mask", shape, what);
            guarded got = guarded_unwritten(samples * elements);
            set[i]->dropout_mask(&random, first, samples, elements, threshold, (gr_real)1.25,
                                 got.data);
            assert_exactly(what, &got, &expected);
            guarded_free(&got);
        }
        guarded_free(&expected);
    }
}

static void test_scale_and_add_products(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const lane_case c = lane_case_create(test);
        const int64_t count = c.features * c.samples, lanes = count * c.probes;
        guarded a = guarded_normal(count, test, 1), t = guarded_normal(lanes, test, 2);
        guarded e = guarded_normal(lanes, test, 3), before = guarded_normal(count, test, 4);
        guarded a_size = guarded_absolute(&a), t_size = guarded_absolute(&t);
        guarded e_size = guarded_absolute(&e), magnitude = guarded_absolute(&before);
        guarded scaled = guarded_unwritten(lanes), sums = guarded_copy(&before);
        gr_kernels_reference.scale(c.features, c.probes, c.samples, a.data, t.data, scaled.data);
        gr_kernels_reference.add_products(c.features, c.probes, c.samples, a.data, t.data, e.data,
                                          sums.data);
        gr_kernels_reference.add_products(c.features, c.probes, c.samples, a_size.data, t_size.data,
                                          e_size.data, magnitude.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "scale", c.shape, what);
            guarded apart = guarded_unwritten(lanes), same = guarded_copy(&t);
            set[i]->scale(c.features, c.probes, c.samples, a.data, t.data, apart.data);
            set[i]->scale(c.features, c.probes, c.samples, a.data, same.data, same.data);
            assert_exactly(what, &apart, &scaled);
            assert_exactly(what, &same, &scaled);
            set_name(set[i], "add_products", c.shape, what);
            guarded got = guarded_copy(&before);
            set[i]->add_products(c.features, c.probes, c.samples, a.data, t.data, e.data, got.data);
            /* Two products a term. */
            assert_within(what, &got, &sums, 2 * (double)c.probes + 1, &magnitude);
            guarded_free(&apart);
            guarded_free(&same);
            guarded_free(&got);
        }
        guarded *const all[] = {&a,      &t,      &e,         &before, &a_size,
                                &t_size, &e_size, &magnitude, &scaled, &sums};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* Probes of others between the rows, which must stay; and sums of so many terms that single
 * precision would lose digits. */
static void test_norms_and_scale_samples(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        lane_case c = lane_case_create(test);
        if (test % 4 <= 1) c.features = 3000;
        if (test % 3 == 0) c.samples = chosen(test, 7, 1, 150);
        const int64_t stride = (c.probes + chosen(test, 8, 0, 2)) * c.samples;
        const int64_t first = chosen(test, 9, 0, (int64_t)c.samples - 1);
        const int64_t count = chosen(test, 10, 1, c.samples - first);
        const bool turned = test % 2;
        const int64_t reals = c.features * (turned ? c.probes * c.samples : stride);
        guarded g = guarded_normal(reals, test, 1);
        guarded factor = guarded_normal(c.samples, test, 2), scaled = guarded_copy(&g);
        gr_kernels_reference.scale_samples(c.features, c.probes, c.samples, stride, turned,
                                           factor.data, scaled.data);
        double wanted[150], got[150 + 1];
        const gr_real *from = (const gr_real *)g.data + first * (turned ? c.features : 1);
        gr_kernels_reference.squared_norms(c.features, c.probes, c.samples, stride, turned, count,
                                           from, wanted);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "squared_norms", c.shape, what);
            got[count] = -1;
            set[i]->squared_norms(c.features, c.probes, c.samples, stride, turned, count, from,
                                  got);
            assert_true(got[count] == -1);
            for (int64_t s = 0; s < count; s++) /* sixteen terms are added in gr_real */
                if (!(fabs(got[s] - wanted[s]) <= 17 * UNIT_ROUNDOFF * wanted[s]))
                    fail_msg("%s: %.17g, not %.17g", what, got[s], wanted[s]);
            set_name(set[i], "scale_samples", c.shape, what);
            guarded same = guarded_copy(&g);
            set[i]->scale_samples(c.features, c.probes, c.samples, stride, turned, factor.data,
                                  same.data);
            assert_exactly(what, &same, &scaled);
            guarded_free(&same);
        }
        guarded *const all[] = {&g, &factor, &scaled};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* -- windows
 * -----------------------------------------------------------------------------------------------
 */

static void assert_same_winners(const char *what, const guarded *got, const guarded *expected) {
    if (memcmp(got->data, expected->data, got->bytes) != 0) fail_msg("%s: other winners", what);
    guarded_check(got, what);
}

/* Values from a small set, so that most windows have ties: the first in row-major order must win.
 */
static void test_windows(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const lane_case c = lane_case_create(test);
        const int64_t size = chosen(test, 3, 1, 4), stride = chosen(test, 4, 1, 5);
        const int64_t windows = chosen(test, 5, 1, 4);
        const int64_t columns = (windows - 1) * stride + size + chosen(test, 6, 0, 3);
        const int64_t n = c.samples, lanes = c.probes * n;
        /* The last window's last pixel is the array's last. */
        const int64_t pixels = (size - 1) * columns + (windows - 1) * stride + size;
        guarded in = guarded_normal(pixels * n, test, 1);
        for (int64_t i = 0; i < pixels * n; i++)
            ((gr_real *)in.data)[i] = (gr_real)chosen(test, 100 + (uint32_t)i, -1, 1);
        guarded t_in = guarded_normal(pixels * lanes, test, 2);
        guarded d_out = guarded_normal(windows * lanes, test, 3);
        guarded before = guarded_normal(pixels * lanes, test, 4);
        guarded best = guarded_unwritten(windows * n);
        guarded winner = guarded_create((size_t)(windows * n), sizeof(int32_t));
        guarded gathered = guarded_unwritten(windows * lanes);
        gr_kernels_reference.window_maximum(windows, stride * n, size, columns * n, n, in.data,
                                            best.data, winner.data);
        gr_kernels_reference.window_gather(windows, stride * lanes, size, columns * lanes, c.probes,
                                           n, winner.data, t_in.data, gathered.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "window_maximum", c.shape, what);
            guarded got = guarded_unwritten(windows * n);
            guarded got_winner = guarded_create((size_t)(windows * n), sizeof(int32_t));
            memset(got_winner.data, 0xff, got_winner.bytes);
            set[i]->window_maximum(windows, stride * n, size, columns * n, n, in.data, got.data,
                                   got_winner.data);
            assert_exactly(what, &got, &best);
            assert_same_winners(what, &got_winner, &winner);
            guarded_free(&got);
            guarded_free(&got_winner);
            set_name(set[i], "window_gather", c.shape, what);
            got = guarded_unwritten(windows * lanes);
            set[i]->window_gather(windows, stride * lanes, size, columns * lanes, c.probes, n,
                                  winner.data, t_in.data, got.data);
            assert_exactly(what, &got, &gathered);
            guarded_free(&got);
            set_name(set[i], "window_scatter", c.shape, what);
            for (int add = stride < size; add < 2; add++) {
                guarded expected = guarded_copy(&before);
                got = guarded_copy(&before);
                gr_kernels_reference.window_scatter(windows, stride * lanes, size, columns * lanes,
                                                    add, c.probes, n, winner.data, d_out.data,
                                                    expected.data);
                set[i]->window_scatter(windows, stride * lanes, size, columns * lanes, add,
                                       c.probes, n, winner.data, d_out.data, got.data);
                assert_exactly(what, &got, &expected);
                guarded_free(&expected);
                guarded_free(&got);
            }
        }
        guarded *const all[] = {&in, &t_in, &d_out, &before, &best, &winner, &gathered};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* -- the choice of a set
 * ----------------------------------------------------------------------------------- */

static void test_choice(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    unsetenv("GRADREG_KERNELS");
    assert_ptr_equal(gr_kernels_choose(), set[0]);
    for (int i = 0; i < sets; i++) {
        setenv("GRADREG_KERNELS", set[i]->name, 1);
        assert_ptr_equal(gr_kernels_choose(), set[i]);
        assert_string_equal(gr_kernels_name(), set[i]->name);
    }
    static const char *const unknown[] = {"", "avx1024", "reference", "AVX2"};
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
        setenv("GRADREG_KERNELS", unknown[i], 1);
        assert_ptr_equal(gr_kernels_choose(), set[0]);
    }
    unsetenv("GRADREG_KERNELS");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_standardize),
        cmocka_unit_test(test_row_sums),
        cmocka_unit_test(test_relu),
        cmocka_unit_test(test_scale_and_add_products),
        cmocka_unit_test(test_norms_and_scale_samples),
        cmocka_unit_test(test_dropout_mask),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
