/* Convolutions of each set of kernels against the reference, over random shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

/* The taps of a gather along one axis, from the definition of a strided convolution: input i and
 * output o belong together through tap = i - o·stride + padding where 0 <= tap < kernel. `forward`
 * gathers inputs for an output, else outputs for an input, in order of rising source. */
static gr_taps taps_of(bool forward, int64_t index, int64_t sources, int64_t kernel, int64_t stride,
                       int64_t padding) {
    gr_taps taps = {.input_step = 1};
    for (int64_t source = 0; source < sources; source++) {
        const int64_t i = forward ? source : index, o = forward ? index : source;
        const int64_t tap = i - o * stride + padding;
        if (tap < 0 || tap >= kernel) continue;
        if (taps.count == 0) taps.input = (int32_t)source, taps.weight = (int32_t)tap;
        if (taps.count == 1) taps.weight_step = (int32_t)(tap - taps.weight);
        taps.count++;
    }
    return taps;
}

static void plan_axes(gr_convolution *c, bool forward, int64_t kernel, int64_t stride,
                      int64_t padding) {
    c->rows = calloc((size_t)c->out_rows, sizeof *c->rows);
    c->runs = calloc((size_t)c->out_columns, sizeof *c->runs);
    assert_non_null(c->rows);
    assert_non_null(c->runs);
    for (int64_t y = 0; y < c->out_rows; y++)
        c->rows[y] = taps_of(forward, y, c->in_rows, kernel, stride, padding);
    for (int64_t x = 0; x < c->out_columns; x++) {
        const gr_taps taps = taps_of(forward, x, c->in_columns, kernel, stride, padding);
        gr_run *last = c->run_count ? &c->runs[c->run_count - 1] : NULL;
        if (last && taps.count == last->taps.count && taps.weight == last->taps.weight &&
            taps.input == last->taps.input + last->columns)
            last->columns++;
        else
            c->runs[c->run_count++] = (gr_run){(int32_t)x, 1, taps};
    }
}

typedef struct convolution_case {
    gr_convolution forward, transposed;
    int64_t kernel, stride, padding, channels, filters, rows, columns, lanes;
    int64_t weights, in, out; /* elements */
    char shape[160];
} convolution_case;

static convolution_case convolution_case_create(uint32_t test) {
    convolution_case c = {.kernel = chosen(test, 0, 1, 7),
                          .stride = chosen(test, 1, 1, 3),
                          .channels = chosen(test, 2, 1, 9),
                          .filters = chosen(test, 3, 1, 9),
                          .lanes = chosen(test, 4, 1, 130)};
    c.padding = chosen(test, 5, 0, c.kernel);
    int64_t smallest = c.kernel - 2 * c.padding;
    if (smallest < 1) smallest = 1;
    c.rows = chosen(test, 6, smallest, 14);
    c.columns = chosen(test, 7, smallest, 14);
    const int64_t out_rows = (c.rows + 2 * c.padding - c.kernel) / c.stride + 1;
    const int64_t out_columns = (c.columns + 2 * c.padding - c.kernel) / c.stride + 1;
    const int64_t area = c.kernel * c.kernel;
    c.forward =
        (gr_convolution){c.channels,        c.rows, c.columns, c.filters, out_rows, out_columns,
                         c.channels * area, area,   c.kernel,  NULL,      NULL,     0};
    c.transposed =
        (gr_convolution){c.filters, out_rows,          out_columns, c.channels, c.rows, c.columns,
                         area,      c.channels * area, c.kernel,    NULL,       NULL,   0};
    plan_axes(&c.forward, true, c.kernel, c.stride, c.padding);
    plan_axes(&c.transposed, false, c.kernel, c.stride, c.padding);
    c.weights = c.filters * c.channels * area;
    c.in = c.channels * c.rows * c.columns * c.lanes;
    c.out = c.filters * out_rows * out_columns * c.lanes;
    snprintf(c.shape, sizeof c.shape,
             "case %u: kernel %lld stride %lld padding %lld, %lld channels %lldx%lld to %lld, "
             "%lld lanes",
             test, (long long)c.kernel, (long long)c.stride, (long long)c.padding,
             (long long)c.channels, (long long)c.rows, (long long)c.columns, (long long)c.filters,
             (long long)c.lanes);
    return c;
}

static void convolution_case_clear(convolution_case *c) {
    free(c->forward.rows);
    free(c->forward.runs);
    free(c->transposed.rows);
    free(c->transposed.runs);
}

enum { CONVOLUTION_CASES = 120 };

/* Both gathers, with and without bias. */
static void compare_gathers(const convolution_case *c, uint32_t test, bool forward) {
    const gr_convolution *gather = forward ? &c->forward : &c->transposed;
    const double terms = (double)((forward ? c->channels : c->filters) * c->kernel * c->kernel) + 1;
    guarded weights = guarded_normal(c->weights, test, 1), bias = guarded_normal(16, test, 2);
    guarded in = guarded_normal(forward ? c->in : c->out, test, 3);
    guarded expected = guarded_unwritten(forward ? c->out : c->in);
    guarded magnitude = guarded_unwritten(forward ? c->out : c->in);
    guarded weights_size = guarded_absolute(&weights), in_size = guarded_absolute(&in);
    guarded bias_size = guarded_absolute(&bias);
    const gr_real *used = test % 2 ? bias.data : NULL;
    gr_kernels_reference.convolve(gather, weights.data, used, c->lanes, in.data, expected.data);
    gr_kernels_reference.convolve(gather, weights_size.data, used ? bias_size.data : NULL, c->lanes,
                                  in_size.data, magnitude.data);
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++) {
        char what[256];
        set_name(set[i], forward ? "convolve" : "transposed convolve", c->shape, what);
        guarded out = guarded_unwritten(forward ? c->out : c->in);
        set[i]->convolve(gather, weights.data, used, c->lanes, in.data, out.data);
        assert_within(what, &out, &expected, terms, &magnitude);
        guarded_free(&out);
    }
    guarded *const all[] = {&weights,      &bias,    &in,        &expected,
                            &weights_size, &in_size, &bias_size, &magnitude};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
}

static void test_convolve(void **state) {
    (void)state;
    for (uint32_t test = 0; test < CONVOLUTION_CASES; test++) {
        convolution_case c = convolution_case_create(test);
        compare_gathers(&c, test, true);
        compare_gathers(&c, test, false);
        convolution_case_clear(&c);
    }
}

static void test_convolve_accumulate(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < CONVOLUTION_CASES; test++) {
        convolution_case c = convolution_case_create(test);
        const double terms = (double)(c.forward.out_rows * c.forward.out_columns * c.lanes) + 1;
        guarded d_out = guarded_normal(c.out, test, 4), in = guarded_normal(c.in, test, 5);
        guarded before = guarded_normal(c.weights, test, 6);
        guarded d_out_size = guarded_absolute(&d_out), in_size = guarded_absolute(&in);
        guarded expected = guarded_copy(&before), magnitude = guarded_absolute(&before);
        gr_kernels_reference.convolve_accumulate(&c.forward, c.lanes, d_out.data, in.data,
                                                 expected.data);
        gr_kernels_reference.convolve_accumulate(&c.forward, c.lanes, d_out_size.data, in_size.data,
                                                 magnitude.data);
        for (int i = 0; i < sets; i++) {
            char what[256];
            set_name(set[i], "convolve_accumulate", c.shape, what);
            guarded got = guarded_copy(&before);
            set[i]->convolve_accumulate(&c.forward, c.lanes, d_out.data, in.data, got.data);
            assert_within(what, &got, &expected, terms, &magnitude);
            guarded_free(&got);
        }
        guarded *const all[] = {&d_out, &in, &before, &d_out_size, &in_size, &expected, &magnitude};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
        convolution_case_clear(&c);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolve),
        cmocka_unit_test(test_convolve_accumulate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
