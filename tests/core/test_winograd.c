/* Winograd's algorithm of each set of kernels against the reference's direct sums, and the rule for
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

/* Its error is spread over a tile, so it is measured by norms: ‖got - exact‖ is at most so many
 * unit roundoffs of ‖exact‖: 1.5e-6 in float for kernels of three pixels, 4.8e-6 of five, which
 * have more points. */
static double winograd_roundoffs(const gr_convolution_shape *c) {
    return c->kernel == 3 ? 25 : 80;
}

static void assert_near(const char *what, const guarded *got, const guarded *expected,
                        double roundoffs) {
    const gr_real *a = got->data, *b = expected->data;
    double difference = 0, norm = 0;
    for (size_t i = 0; i < got->bytes / sizeof *a; i++) {
        const double d = (double)a[i] - (double)b[i];
        difference += d * d;
        norm += (double)b[i] * (double)b[i];
    }
    const double error = sqrt(difference / norm) / UNIT_ROUNDOFF;
    if (!(error <= roundoffs)) fail_msg("%s: an error of %.3g unit roundoffs", what, error);
    guarded_check(got, what);
}

static gr_convolution_shape winograd_case(uint32_t test) {
    gr_convolution_shape c = {.in_channels = chosen(test, 0, 1, 12),
                              .out_channels = chosen(test, 1, 1, 20),
                              .kernel = chosen(test, 2, 0, 1) ? 5 : 3};
    c.padding = chosen(test, 3, 0, c.kernel - 1);
    int64_t least = c.kernel - 2 * c.padding;
    if (least < 1) least = 1;
    c.in_rows = chosen(test, 4, least, least + 8);
    c.in_columns = chosen(test, 5, least, least + 8);
    c.out_rows = c.in_rows + 2 * c.padding - c.kernel + 1;
    c.out_columns = c.in_columns + 2 * c.padding - c.kernel + 1;
    return c;
}

/* All three passes; with few lanes, and with more than a block has positions. */
static void test_winograd(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_kernels *plain = &gr_kernels_reference;
    for (uint32_t test = 0; test < 24; test++) {
        const gr_convolution_shape c = winograd_case(test);
        const int64_t lanes = test % 8 ? chosen(test, 6, 1, 40) : chosen(test, 6, 380, 420);

        const int64_t in_count = c.in_channels * c.in_rows * c.in_columns * lanes;
        const int64_t out_count = c.out_channels * c.out_rows * c.out_columns * lanes;
        const int64_t weight_count = c.out_channels * c.in_channels * c.kernel * c.kernel;
        char shape[160];
        snprintf(shape, sizeof shape, "%lldx%lldx%lld by %lld of %lld, padding %lld, %lld lanes",
                 (long long)c.in_channels, (long long)c.in_rows, (long long)c.in_columns,
                 (long long)c.out_channels, (long long)c.kernel, (long long)c.padding,
                 (long long)lanes);
        guarded weights = guarded_normal(weight_count, test, 1);
        guarded in = guarded_normal(in_count, test, 2), d_out = guarded_normal(out_count, test, 3);
        guarded bias = guarded_normal(c.out_channels, test, 4);
        guarded before = guarded_normal(weight_count, test, 5), sums = guarded_copy(&before);
        guarded out = guarded_unwritten(out_count), d_in = guarded_unwritten(in_count);
        const gr_real *used = test % 2 ? bias.data : NULL;
        plain->winograd_forward(&c, weights.data, used, lanes, in.data, out.data, NULL);
        plain->winograd_backward(&c, weights.data, lanes, d_out.data, d_in.data, NULL);
        plain->winograd_accumulate(&c, lanes, d_out.data, in.data, sums.data, NULL);
        for (int i = 0; i < sets; i++) {
            char what[256];
            guarded scratch = guarded_unwritten(gr_winograd_scratch(&c));
            set_name(set[i], "winograd_forward", shape, what);
            guarded got = guarded_unwritten(out_count);
            set[i]->winograd_forward(&c, weights.data, used, lanes, in.data, got.data,
                                     scratch.data);
            assert_near(what, &got, &out, winograd_roundoffs(&c));
            guarded_free(&got);
            set_name(set[i], "winograd_backward", shape, what);
            got = guarded_unwritten(in_count);
            set[i]->winograd_backward(&c, weights.data, lanes, d_out.data, got.data, scratch.data);
            assert_near(what, &got, &d_in, winograd_roundoffs(&c));
            guarded_free(&got);
            set_name(set[i], "winograd_accumulate", shape, what);
            got = guarded_copy(&before);
            set[i]->winograd_accumulate(&c, lanes, d_out.data, in.data, got.data, scratch.data);
            assert_near(what, &got, &sums, winograd_roundoffs(&c));
            guarded_free(&got);
            guarded_check(&scratch, what);
            guarded_free(&scratch);
        }
        guarded *const all[] = {&weights, &in, &d_out, &bias, &before, &sums, &out, &d_in};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

static gr_convolution_shape square(int64_t in_channels, int64_t in_side, int64_t out_channels,
                                   int64_t out_side, int64_t kernel, int64_t padding) {
    return (gr_convolution_shape){.in_channels = in_channels,
                                  .in_rows = in_side,
                                  .in_columns = in_side,
                                  .out_channels = out_channels,
                                  .out_rows = out_side,
                                  .out_columns = out_side,
                                  .kernel = kernel,
                                  .stride = 1,
                                  .padding = padding};
}

/* The rule, at its edges. */
static void test_winograd_pays(void **state) {
    (void)state;
    const gr_convolution_shape good = square(16, 8, 16, 8, 3, 1);
    assert_true(gr_winograd_suits(&good));
    assert_true(gr_winograd_pays(&good, 16));
    assert_false(gr_winograd_pays(&good, 15));
    gr_convolution_shape c = good;
    c.in_channels = 15;
    assert_false(gr_winograd_suits(&c));
    c = good;
    c.out_channels = 513;
    assert_false(gr_winograd_suits(&c));
    c = good;
    c.kernel = 4;
    assert_false(gr_winograd_suits(&c));
    c = square(31, 5, 32, 5, 3, 1); /* four tiles of 4x4 for 25 pixels */
    assert_false(gr_winograd_suits(&c));
    c.in_channels = 32; /* 10x10 products instead of 12x12 */
    assert_true(gr_winograd_suits(&c));
    c = square(16, 14, 16, 10, 5, 0);
    assert_true(gr_winograd_suits(&c));
    c = square(16, 5, 16, 3, 3, 0);
    assert_true(gr_winograd_pays(&c, 57));
    assert_false(gr_winograd_pays(&c, 56)); /* the weights' transform */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_winograd_pays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
