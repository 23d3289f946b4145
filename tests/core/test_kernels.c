/* Each set of kernels against the reference, over random shapes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

static void set_name(const gr_kernels *set, const char *kernel, const char *shape, char text[256]) {
    snprintf(text, 256, "%s of %s, %s", kernel, set->name, shape);
}

/* -- convolutions
 * ------------------------------------------------------------------------------------------ */

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
            guarded_free(&x);
            for (int64_t lane = 0; lane < lanes; lane++) free(rows[lane]);
        }
}

/* -- Winograd's algorithm
 * ------------------------------------------------------------------------------------ */

/* Its error is spread over a tile, so it is measured by norms: ‖got - exact‖ is at most so many
 * unit roundoffs of ‖exact‖: 1.5e-6 in float for kernels of three pixels, 4.8e-6 of five, which
 * have more points. */
static double winograd_roundoffs(const gr_winograd *c) {
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

static gr_winograd winograd_case(uint32_t test) {
    gr_winograd c = {.in_channels = chosen(test, 0, 1, 12),
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
        const gr_winograd c = winograd_case(test);
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

/* The rule, at its edges. */
static void test_winograd_pays(void **state) {
    (void)state;
    const gr_winograd good = {16, 8, 8, 16, 8, 8, 3, 1};
    assert_true(gr_winograd_suits(&good));
    assert_true(gr_winograd_pays(&good, 32));
    assert_false(gr_winograd_pays(&good, 31));
    gr_winograd c = good;
    c.in_channels = 15;
    assert_false(gr_winograd_suits(&c));
    c = good;
    c.out_channels = 513;
    assert_false(gr_winograd_suits(&c));
    c = good;
    c.kernel = 4;
    assert_false(gr_winograd_suits(&c));
    c = (gr_winograd){31, 5, 5, 32, 5, 5, 3, 1}; /* four tiles of 4x4 for 25 pixels */
    assert_false(gr_winograd_suits(&c));
    c.in_channels = 32; /* 10x10 products instead of 12x12 */
    assert_true(gr_winograd_suits(&c));
    c = (gr_winograd){16, 14, 14, 16, 10, 10, 5, 0};
    assert_true(gr_winograd_suits(&c));
    c = (gr_winograd){16, 5, 5, 16, 3, 3, 3, 0};
    assert_true(gr_winograd_pays(&c, 57));
    assert_false(gr_winograd_pays(&c, 56)); /* the weights' transform */
}

/* -- elementwise kernels
 * ----------------------------------------------------------------------------------- */

enum { ELEMENTWISE_CASES = 200 };

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

/* -- batch normalisation
 * ----------------------------------------------------------------------------------- */

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

/* -- weight decay
 * ----------------------------------------------------------------------------------------- */

/* -- convolution and max-pool in one
 * -----------------------------------------------------------------------------------------------
 */

static void test_pooled_convolution(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < 60; test++) {
        gr_pooled_convolution c = {.in_channels = chosen(test, 0, 1, 21),
                                   .out_channels = chosen(test, 1, 1, 4),
                                   .kernel = chosen(test, 2, 0, 1) ? 5 : 3,
                                   .window = chosen(test, 3, 1, 3)};
        if (test % 3 == 0) c.in_channels = 1;
        c.padding = chosen(test, 4, 0, c.kernel / 2);
        c.step = c.window + chosen(test, 5, 0, 1);
        c.pooled_rows = chosen(test, 6, 1, 3);
        c.pooled_columns = chosen(test, 7, 1, 4);
        c.out_rows = (c.pooled_rows - 1) * c.step + c.window + chosen(test, 8, 0, 1);
        c.out_columns = (c.pooled_columns - 1) * c.step + c.window + chosen(test, 9, 0, 1);
        c.in_rows = c.out_rows + c.kernel - 1 - 2 * c.padding;
        c.in_columns = c.out_columns + c.kernel - 1 - 2 * c.padding;
        if (c.in_rows < 1 || c.in_columns < 1) continue;
        const int64_t probes = chosen(test, 10, 1, 20), samples = chosen(test, 11, 1, 35);
        const int64_t lanes = probes * samples, area = c.kernel * c.kernel;
        const int64_t image = c.in_channels * c.in_rows * c.in_columns;
        const int64_t pooled = c.out_channels * c.pooled_rows * c.pooled_columns;
        const int64_t weight_count = c.out_channels * c.in_channels * area;
        char shape[160];
        snprintf(shape, sizeof shape,
                 "%lldx%lldx%lld by %lld of %lld, padding %lld, windows of %lld, %lldx%lld lanes",
                 (long long)c.in_channels, (long long)c.in_rows, (long long)c.in_columns,
                 (long long)c.out_channels, (long long)c.kernel, (long long)c.padding,
                 (long long)c.window, (long long)probes, (long long)samples);
        guarded weights = guarded_normal(weight_count, test, 1);
        guarded d_pooled = guarded_normal(pooled * lanes, test, 2);
        guarded t_in = guarded_normal(image * lanes, test, 3);
        guarded before = guarded_normal(weight_count, test, 4);
        guarded kept = guarded_normal(pooled * samples, test, 5);
        guarded winner = guarded_create((size_t)(pooled * samples), sizeof(int32_t));
        for (int64_t i = 0; i < pooled * samples; i++) {
            ((int32_t *)winner.data)[i] =
                (int32_t)chosen(test, 100 + (uint32_t)i, 0, c.window * c.window - 1);
            if (chosen(test, 20000 + (uint32_t)i, 0, 1)) continue;
            for (int64_t k = 0; k < probes; k++) /* as behind a relu that does not pass */
                ((gr_real *)d_pooled.data)[(i / samples * probes + k) * samples + i % samples] = 0;
        }
        guarded absolute_weights = guarded_absolute(&weights);
        guarded absolute_d = guarded_absolute(&d_pooled), absolute_t = guarded_absolute(&t_in);
        const gr_kernels *plain = &gr_kernels_reference;
        guarded d_in = guarded_unwritten(image * lanes),
                d_in_size = guarded_unwritten(image * lanes);
        plain->pooled_backward(&c, weights.data, probes, samples, winner.data, d_pooled.data,
                               d_in.data, NULL);
        plain->pooled_backward(&c, absolute_weights.data, probes, samples, winner.data,
                               absolute_d.data, d_in_size.data, NULL);
        guarded sums = guarded_copy(&before), sums_size = guarded_absolute(&before);
        plain->pooled_accumulate(&c, NULL, probes, samples, winner.data, NULL, d_pooled.data,
                                 t_in.data, NULL, sums.data, NULL);
        plain->pooled_accumulate(&c, NULL, probes, samples, winner.data, NULL, absolute_d.data,
                                 absolute_t.data, NULL, sums_size.data, NULL);
        const double gradient_terms = 2.0 * (double)(c.pooled_rows * c.pooled_columns * lanes) + 2;
        for (int i = 0; i < sets; i++) {
            char what[256];
            guarded scratch = guarded_unwritten(gr_pooled_scratch(set[i], &c));
            set_name(set[i], "pooled_backward", shape, what);
            guarded got = guarded_unwritten(image * lanes);
            set[i]->pooled_backward(&c, weights.data, probes, samples, winner.data, d_pooled.data,
                                    got.data, scratch.data);
            /* Both sides are sums of gr_real. */
            assert_within(what, &got, &d_in, 2.0 * (double)(c.out_channels * area) + 2, &d_in_size);
            guarded_free(&got);
            set_name(set[i], "pooled_accumulate", shape, what);
            got = guarded_copy(&before);
            set[i]->pooled_accumulate(&c, NULL, probes, samples, winner.data, NULL, d_pooled.data,
                                      t_in.data, NULL, got.data, scratch.data);
            assert_within(what, &got, &sums, gradient_terms, &sums_size);
            guarded_free(&got);
            set_name(set[i], "pooled_tangent", shape, what);
            for (int behind_relu = 0; behind_relu < 2; behind_relu++) {
                guarded expected = guarded_unwritten(pooled * lanes);
                guarded size = guarded_unwritten(pooled * lanes);
                got = guarded_unwritten(pooled * lanes);
                const gr_real *passes = behind_relu ? kept.data : NULL;
                plain->pooled_tangent(&c, weights.data, probes, samples, winner.data, passes,
                                      t_in.data, expected.data, NULL);
                plain->pooled_tangent(&c, absolute_weights.data, probes, samples, winner.data,
                                      passes, absolute_t.data, size.data, NULL);
                set[i]->pooled_tangent(&c, weights.data, probes, samples, winner.data, passes,
                                       t_in.data, got.data, scratch.data);
                assert_within(what, &got, &expected, 2.0 * (double)(c.in_channels * area) + 2,
                              &size);
                /* Both at once, the tangents over the adjoints. */
                guarded both = guarded_copy(&d_pooled), gradients = guarded_copy(&before);
                set[i]->pooled_accumulate(&c, weights.data, probes, samples, winner.data, passes,
                                          both.data, t_in.data, both.data, gradients.data,
                                          scratch.data);
                assert_within(what, &both, &expected, 2.0 * (double)(c.in_channels * area) + 2,
                              &size);
                assert_within(what, &gradients, &sums, gradient_terms, &sums_size);
                guarded_free(&both);
                guarded_free(&gradients);
                guarded_free(&expected);
                guarded_free(&size);
                guarded_free(&got);
            }
            guarded_check(&scratch, what);
            guarded_free(&scratch);
        }
        guarded *all[] = {&weights,          &d_pooled,   &t_in,       &before, &kept,      &winner,
                          &absolute_weights, &absolute_d, &absolute_t, &d_in,   &d_in_size, &sums,
                          &sums_size};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

static void test_decay(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real weight = (gr_real)0.37;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 200);
        guarded w = guarded_normal(count, test, 1), before = guarded_normal(count, test, 2);
        guarded w_size = guarded_absolute(&w), magnitude = guarded_absolute(&before);
        guarded expected = guarded_copy(&before);
        const double squares = gr_kernels_reference.decay(count, weight, w.data, expected.data);
        gr_kernels_reference.decay(count, weight, w_size.data, magnitude.data);
        for (int i = 0; i < sets; i++) {
            char shape[64], what[256];
            snprintf(shape, sizeof shape, "%lld parameters", (long long)count);
            set_name(set[i], "decay", shape, what);
            guarded got = guarded_copy(&before);
            const double sum = set[i]->decay(count, weight, w.data, got.data);
            assert_within(what, &got, &expected, 2, &magnitude);
            /* All terms are positive, and added in double. */
            if (fabs(sum - squares) > (double)count * DBL_EPSILON * squares)
                fail_msg("%s: %.17g, not %.17g", what, sum, squares);
            guarded_free(&got);
        }
        guarded *const all[] = {&w, &before, &w_size, &magnitude, &expected};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* -- optimisers' steps
 * --------------------------------------------------------------------------------------------------
 */

static gr_step step_of(guarded *parameters, guarded *gradients, guarded *first, guarded *second) {
    return (gr_step){.count = (int64_t)(parameters->bytes / sizeof(gr_real)),
                     .parameters = parameters->data,
                     .gradients = gradients->data,
                     .moments = {first->data, second->data},
                     .kept = 1};
}

static void assert_cleared(const char *what, const guarded *gradients) {
    for (size_t i = 0; i < gradients->bytes / sizeof(gr_real); i++)
        if (((const gr_real *)gradients->data)[i] != 0)
            fail_msg("%s: gradient %lld is not cleared", what, (long long)i);
    guarded_check(gradients, what);
}

enum { MOMENTUM, NESTEROV, RMSPROP, ADAM, STEPS };
static const char *const step_names[] = {"momentum", "momentum (nesterov)", "rmsprop", "adam"};
static const gr_real step_rate = (gr_real)0.01, step_kept = (gr_real)0.9,
                     step_alpha = (gr_real)0.95, step_epsilon = (gr_real)1e-3;

/* The velocity is moment 0 of `step`, and squares are moment 1. */
static double make_step(const gr_kernels *set, int kernel, const gr_step *step) {
    gr_step turned = *step;
    turned.moments[0] = step->moments[1];
    turned.moments[1] = step->moments[0];
    if (kernel == ADAM)
        return set->adam(step, step_kept, step_alpha, step_rate, (gr_real)1.7, step_epsilon);
    if (kernel == RMSPROP)
        return set->rmsprop(&turned, step_rate, step_alpha, step_epsilon, step_kept);
    return set->momentum(step, step_rate, step_kept, kernel == NESTEROV);
}

/* A decay within a step is that of the decay kernel before it, to the last bit; and what is kept of
 * the parameter is all that `kept` changes. */
static void test_decay_in_steps(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real weight = (gr_real)0.37, share = (gr_real)0.8;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++)
        for (int i = -1; i < sets * STEPS; i++) {
            const gr_kernels *kernels = i < 0 ? &gr_kernels_reference : set[i / STEPS];
            const int kernel = i < 0 ? (int)test % STEPS : i % STEPS;
            const int64_t count = chosen(test, 0, 1, 300);
            guarded w = guarded_normal(count, test, 1), g = guarded_normal(count, test, 2);
            guarded m = guarded_normal(count, test, 3), normal = guarded_normal(count, test, 4);
            guarded v = guarded_absolute(&normal);
            enum { APART, AT_ONCE, KEPT, WAYS };
            guarded at[WAYS][4];
            double squares[WAYS];
            char shape[64], what[256];
            snprintf(shape, sizeof shape, "case %u: %lld parameters", test, (long long)count);
            set_name(kernels, step_names[kernel], shape, what);
            for (int way = 0; way < WAYS; way++) {
                const guarded *const from[] = {&w, &g, &m, &v};
                for (int a = 0; a < 4; a++) at[way][a] = guarded_copy(from[a]);
                gr_step step = step_of(&at[way][0], &at[way][1], &at[way][2], &at[way][3]);
                if (way == APART)
                    squares[way] = kernels->decay(count, weight, w.data, step.gradients);
                else
                    step.decay = weight;
                if (way == KEPT) step.kept = share;
                const double sum = make_step(kernels, kernel, &step);
                if (way != APART)
                    squares[way] = sum;
                else if (sum != 0)
                    fail_msg("%s: a sum of squares without decay", what);
                assert_cleared(what, &at[way][1]);
            }
            if (squares[APART] != squares[AT_ONCE] || squares[APART] != squares[KEPT])
                fail_msg("%s: sums of squares %.17g, %.17g and %.17g", what, squares[APART],
                         squares[AT_ONCE], squares[KEPT]);
            for (int a = 0; a < 4; a++) {
                const size_t bytes = (size_t)count * sizeof(gr_real);
                if (memcmp(at[APART][a].data, at[AT_ONCE][a].data, bytes) != 0)
                    fail_msg("%s: array %d differs with the decay in the step", what, a);
                if (a > 0 && memcmp(at[KEPT][a].data, at[AT_ONCE][a].data, bytes) != 0)
                    fail_msg("%s: array %d differs with less kept", what, a);
            }
            for (int64_t e = 0; e < count; e++) {
#define AT(array) ((double)((const gr_real *)(array).data)[e])
                const double wanted = AT(at[AT_ONCE][0]) - (1 - (double)share) * AT(w);
                const double magnitude = fabs(AT(at[AT_ONCE][0])) + 2 * fabs(AT(w));
                if (!(fabs(AT(at[KEPT][0]) - wanted) <= 4 * UNIT_ROUNDOFF * magnitude))
                    fail_msg("%s: parameter %lld is %.9g, not %.9g", what, (long long)e,
                             AT(at[KEPT][0]), wanted);
#undef AT
            }
            for (int way = 0; way < WAYS; way++)
                for (int a = 0; a < 4; a++) {
                    guarded_check(&at[way][a], what);
                    guarded_free(&at[way][a]);
                }
            guarded *const all[] = {&w, &g, &m, &normal, &v};
            for (size_t a = 0; a < sizeof all / sizeof *all; a++) guarded_free(all[a]);
        }
}

/* One step's bounds. Each moment is a sum of two terms of at most three factors: 4u of their
 * magnitudes. The step is moment·size/(root·correction + ε): the first moment's error passes
 * through the quotient, the second's is relative (its terms are positive) and halved by the root;
 * five more operations round, and the subtraction once more: 12u of the magnitude in all. */
enum { ADAM_MOMENT_ROUNDINGS = 4, ADAM_STEP_ROUNDINGS = 12 };

static void test_adam(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real beta1 = (gr_real)0.9, beta2 = (gr_real)0.999, size = (gr_real)0.01,
                  correction = (gr_real)1.7, epsilon = (gr_real)1e-8;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 300);
        guarded p = guarded_normal(count, test, 1), g = guarded_normal(count, test, 2);
        guarded m = guarded_normal(count, test, 3), v = guarded_normal(count, test, 4);
        for (int64_t i = 0; i < count; i++) /* second moments are not negative; some are zero */
            ((gr_real *)v.data)[i] *= i % 5 ? ((gr_real *)v.data)[i] : 0;
        if (count > 1) ((gr_real *)g.data)[0] = 0;
        guarded m_size = guarded_absolute(&m), g_size = guarded_absolute(&g);
        guarded reference[] = {guarded_copy(&p), guarded_copy(&m), guarded_copy(&v)};
        guarded used = guarded_copy(&g);
        const gr_step expected = step_of(&reference[0], &used, &reference[1], &reference[2]);
        gr_kernels_reference.adam(&expected, beta1, beta2, size, correction, epsilon);
        guarded_free(&used);
        for (int i = 0; i < sets; i++) {
            char what[256], shape[64];
            snprintf(shape, sizeof shape, "case %u: %lld parameters", test, (long long)count);
            set_name(set[i], "adam", shape, what);
            guarded got[] = {guarded_copy(&p), guarded_copy(&m), guarded_copy(&v)};
            used = guarded_copy(&g);
            const gr_step taken = step_of(&got[0], &used, &got[1], &got[2]);
            set[i]->adam(&taken, beta1, beta2, size, correction, epsilon);
            assert_cleared(what, &used);
            guarded_free(&used);
            for (int64_t e = 0; e < count; e++) {
#define AT(array) ((double)((const gr_real *)(array).data)[e])
                const double moment = (double)beta1 * AT(m_size) + (1 - (double)beta1) * AT(g_size);
                const double root = sqrt(AT(reference[2])) * (double)correction + (double)epsilon;
                const double step = (double)size * moment / root;
                const double bounds[] = {ADAM_STEP_ROUNDINGS * UNIT_ROUNDOFF * (fabs(AT(p)) + step),
                                         ADAM_MOMENT_ROUNDINGS * UNIT_ROUNDOFF * moment,
                                         ADAM_MOMENT_ROUNDINGS * UNIT_ROUNDOFF * AT(reference[2])};
                for (int a = 0; a < 3; a++)
                    if (!(fabs(AT(got[a]) - AT(reference[a])) <= bounds[a]))
                        fail_msg("%s: array %d, element %lld is %.9g, not %.9g", what, a,
                                 (long long)e, AT(got[a]), AT(reference[a]));
#undef AT
            }
            for (int a = 0; a < 3; a++) {
                guarded_check(&got[a], what);
                guarded_free(&got[a]);
            }
        }
        guarded *const all[] = {
            &p, &g, &m, &v, &m_size, &g_size, &reference[0], &reference[1], &reference[2]};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* As for adam: what a step moves is known up to a few roundings of the magnitudes of its terms,
 * and the subtraction rounds once more. */
static void test_momentum_and_rmsprop(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real rate = step_rate, kept = step_kept, epsilon = step_epsilon;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 300);
        guarded p = guarded_normal(count, test, 1), g = guarded_normal(count, test, 2);
        guarded v = guarded_normal(count, test, 3), s = guarded_normal(count, test, 4);
        for (int64_t i = 0; i < count; i++) /* mean squares are not negative; some are zero */
            ((gr_real *)s.data)[i] *= i % 5 ? ((gr_real *)s.data)[i] : 0;
        if (count > 1) ((gr_real *)g.data)[0] = 0;
        for (int kernel = 0; kernel < ADAM; kernel++) {
            guarded wanted[] = {guarded_copy(&p), guarded_copy(&v), guarded_copy(&s)};
            guarded used = guarded_copy(&g);
            gr_step taken = step_of(&wanted[0], &used, &wanted[1], &wanted[2]);
            make_step(&gr_kernels_reference, kernel, &taken);
            guarded_free(&used);
            for (int i = 0; i < sets; i++) {
                char what[256], shape[64];
                snprintf(shape, sizeof shape, "case %u: %lld parameters", test, (long long)count);
                set_name(set[i], step_names[kernel], shape, what);
                guarded got[] = {guarded_copy(&p), guarded_copy(&v), guarded_copy(&s)};
                used = guarded_copy(&g);
                taken = step_of(&got[0], &used, &got[1], &got[2]);
                make_step(set[i], kernel, &taken);
                assert_cleared(what, &used);
                guarded_free(&used);
                for (int64_t e = 0; e < count; e++) {
#define AT(array) fabs((double)((const gr_real *)(array).data)[e])
                    const double scaled =
                        kernel == RMSPROP ? AT(g) / (sqrt(AT(wanted[2])) + (double)epsilon) : AT(g);
                    const double velocity = (double)kept * AT(v) + scaled;
                    const double step = (double)rate * (velocity + AT(g));
                    const double bounds[] = {ADAM_STEP_ROUNDINGS * UNIT_ROUNDOFF * (AT(p) + step),
                                             ADAM_STEP_ROUNDINGS * UNIT_ROUNDOFF * velocity,
                                             ADAM_MOMENT_ROUNDINGS * UNIT_ROUNDOFF * AT(wanted[2])};
#undef AT
                    for (int a = 0; a < 3; a++) {
                        const double is = (double)((const gr_real *)got[a].data)[e];
                        const double should = (double)((const gr_real *)wanted[a].data)[e];
                        if (!(fabs(is - should) <= bounds[a]))
                            fail_msg("%s: array %d, element %lld is %.9g, not %.9g", what, a,
                                     (long long)e, is, should);
                    }
                }
                for (int a = 0; a < 3; a++) {
                    guarded_check(&got[a], what);
                    guarded_free(&got[a]);
                }
            }
            for (int a = 0; a < 3; a++) guarded_free(&wanted[a]);
        }
        guarded *const all[] = {&p, &g, &v, &s};
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
        cmocka_unit_test(test_convolve),
        cmocka_unit_test(test_convolve_accumulate),
        cmocka_unit_test(test_row_sums),
        cmocka_unit_test(test_relu),
        cmocka_unit_test(test_scale_and_add_products),
        cmocka_unit_test(test_moments_and_normalize),
        cmocka_unit_test(test_channel_sums),
        cmocka_unit_test(test_planes),
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_standardize),
        cmocka_unit_test(test_winograd),
        cmocka_unit_test(test_winograd_pays),
        cmocka_unit_test(test_pooled_convolution),
        cmocka_unit_test(test_decay),
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_momentum_and_rmsprop),
        cmocka_unit_test(test_decay_in_steps),
        cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
