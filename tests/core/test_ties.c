/* Outputs of pixels that read the same: the kernel against the reference, and layers that would
 * round them by their place. With every set of kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/passes.h"
#include "tests/core/kernel_sets.h"
#include "tests/settings_builder.h"

enum { CASES = 120 };

/* Images of a few levels, mostly flat. */
static guarded levels(int64_t count, int64_t lanes, uint32_t test) {
    guarded g = guarded_reals(count * lanes);
    for (int64_t lane = 0; lane < lanes; lane++) {
        gr_real value = 0;
        for (int64_t i = 0; i < count; i++) {
            const uint32_t which = 100 + (uint32_t)(i * lanes + lane);
            if (chosen(test, which, 0, 9) == 0) value = (gr_real)chosen(test, which, 0, 2) / 2;
            ((gr_real *)g.data)[i * lanes + lane] = value;
        }
    }
    return g;
}

/* Images that are the same along one diagonal and nowhere else: only pixels up and to the right, or
 * down and to the left, read the same. */
static guarded stripes(const gr_convolution_shape *c, int64_t lanes, uint32_t test) {
    const int64_t length = c->in_rows + c->in_columns;
    guarded g = guarded_reals(c->in_channels * c->in_rows * c->in_columns * lanes);
    guarded line = guarded_normal(c->in_channels * length * lanes, test, 4);
    for (int64_t pixel = 0; pixel < c->in_channels * c->in_rows * c->in_columns; pixel++) {
        const int64_t column = pixel % c->in_columns, row = pixel / c->in_columns % c->in_rows;
        const int64_t channel = pixel / (c->in_columns * c->in_rows);
        memcpy((gr_real *)g.data + pixel * lanes,
               (gr_real *)line.data + (channel * length + row + column) * lanes,
               (size_t)lanes * sizeof(gr_real));
    }
    guarded_free(&line);
    return g;
}

static gr_convolution_shape shape_of(uint32_t test) {
    gr_convolution_shape c = {.in_channels = chosen(test, 0, 1, 3),
                              .out_channels = chosen(test, 1, 1, 9),
                              .kernel = chosen(test, 2, 1, 3),
                              .stride = chosen(test, 3, 1, 2)};
    c.padding = chosen(test, 4, 0, c.kernel - 1);
    c.in_rows = chosen(test, 5, c.kernel, 9);
    c.in_columns = chosen(test, 6, c.kernel, 9);
    c.out_rows = (c.in_rows + 2 * c.padding - c.kernel) / c.stride + 1;
    c.out_columns = (c.in_columns + 2 * c.padding - c.kernel) / c.stride + 1;
    return c;
}

/* What is settled is so to within rounding, and nothing else is touched. */
static void test_settle(void **state) {
    (void)state;
    int sets, settled = 0;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < CASES; test++) {
        const gr_convolution_shape c = shape_of(test);
        const int64_t lanes = chosen(test, 7, 1, 40), reach = chosen(test, 8, 0, 3);
        const int64_t taps = c.in_channels * c.kernel * c.kernel;
        const int64_t pixels = c.out_rows * c.out_columns;
        const int64_t count = c.out_channels * pixels * lanes;
        guarded in = test % 5 == 1 ? stripes(&c, lanes, test)
                                   : levels(c.in_channels * c.in_rows * c.in_columns, lanes, test);
        guarded weights = guarded_normal(c.out_channels * taps, test, 1);
        guarded bias = guarded_normal(c.out_channels, test, 2);
        if (test % 3 == 0) ((gr_real *)bias.data)[0] = 0;
        const gr_real *used = test % 4 ? bias.data : NULL;
        guarded before = guarded_normal(count, test, 3), expected = guarded_copy(&before);
        gr_kernels_reference.settle(&c, weights.data, used, reach, lanes, in.data, expected.data,
                                    NULL);
        for (int i = 0; i < sets; i++) {
            char what[256], shape[128];
            snprintf(shape, sizeof shape, "case %u, reach %lld, %lld lanes", test, (long long)reach,
                     (long long)lanes);
            set_name(set[i], "settle", shape, what);
            guarded got = guarded_copy(&before), scratch = guarded_unwritten(pixels);
            set[i]->settle(&c, weights.data, used, reach, lanes, in.data, got.data, scratch.data);
            const gr_real *a = got.data, *b = expected.data, *was = before.data;
            for (int64_t e = 0; e < count; e++) {
                settled += b[e] != was[e];
                if (b[e] == was[e] ? a[e] != was[e]
                                   : fabs((double)a[e] - (double)b[e]) >
                                         sum_bound((double)taps, 8.0 * (double)taps))
                    fail_msg("%s: output %lld is %.9g, not %.9g; it was %.9g", what, (long long)e,
                             (double)a[e], (double)b[e], (double)was[e]);
            }
            guarded_check(&got, what);
            guarded_check(&scratch, what);
            guarded_free(&got);
            guarded_free(&scratch);
        }
        guarded *const all[] = {&in, &weights, &bias, &before, &expected};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
    assert_true(settled > 1000);
}

/* A layer with a max-pool behind it, on images whose lower right part is flat, of the value `flat`:
 * all pixels that read nothing else have the same output, and the bias where that is 0. */
static void check_flat(const char *layers_text, const gr_shape *input, gr_real flat) {
    enum { SAMPLES = 33, EDGE = 6 };
    size_t count;
    gr_settings *layers = settings_build_list(&gr_layer_family, layers_text, &count);
    gr_error error = {0};
    gr_network *network;
    if (gr_network_create(layers, count, input, &network, &error) != GR_OK)
        fail_msg("%s: %s", layers_text, error.message);
    gr_workspace *workspace;
    assert_int_equal(gr_workspace_create(network, SAMPLES, false, NULL, &workspace, &error), GR_OK);
    guarded parameters = guarded_normal(network->parameter_count, 1, 1);
    const gr_node *node = &network->nodes[0];
    gr_real *bias = (gr_real *)parameters.data + node->parameters[1].offset;
    bias[0] = 0;
    const int64_t channels = input->size[0], rows = input->size[1], columns = input->size[2];
    gr_real *x = workspace->a[0];
    const gr_random random = gr_random_source(97, GR_PURPOSE_GENERATED_DATA, 0, 0);
    for (int64_t e = 0; e < channels * rows * columns; e++)
        for (int64_t s = 0; s < SAMPLES; s++) {
            const bool drawn = e / columns % rows < EDGE || e % columns < EDGE;
            x[e * SAMPLES + s] =
                drawn ? (gr_real)gr_random_normal(&random, (uint32_t)s, (uint32_t)e) : flat;
        }
    const gr_pass pass = {
        .workspace = workspace, .parameters = parameters.data, .samples = SAMPLES};
    gr_pass_forward(&pass);
    const int64_t out_rows = node->out.size[1], out_columns = node->out.size[2];
    const int64_t kernel = node->parameters[0].shape.size[2], padding = (kernel - 1) / 2;
    for (int64_t f = 0; f < node->out.size[0]; f++)
        for (int64_t y = EDGE + padding; y + padding < out_rows; y++)
            for (int64_t z = EDGE + padding; z + padding < out_columns; z++)
                for (int64_t s = 0; s < SAMPLES; s++) {
                    const gr_real *image = workspace->a[1] + f * out_rows * out_columns * SAMPLES;
                    const gr_real first =
                        image[((EDGE + padding) * out_columns + EDGE + padding) * SAMPLES + s];
                    const gr_real value = image[(y * out_columns + z) * SAMPLES + s];
                    if (value != (flat == 0 ? bias[f] : first))
                        fail_msg("%s, kernels %s: filter %lld at %lld, %lld of sample %lld is "
                                 "%.9g, not %.9g",
                                 layers_text, workspace->kernels->name, (long long)f, (long long)y,
                                 (long long)z, (long long)s, (double)value,
                                 (double)(flat == 0 ? bias[f] : first));
                }
    guarded_free(&parameters);
    gr_workspace_free(workspace);
    gr_network_free(network);
}

static void test_flat_images(void **state) {
    (void)state;
    static const char *const nets[] = {
        "[{type: conv2d, filters: 16, kernel: 3, padding: same}, {type: maxpool2d}]",
        "[{type: conv2d, filters: 16, kernel: 5, padding: same}, {type: relu}, {type: maxpool2d}]",
        "[{type: conv2d, filters: 17, kernel: 3, padding: same}, {type: tanh}, {type: avgpool2d}, "
        "{type: conv2d, filters: 2, kernel: 3}, {type: maxpool2d, size: 3, stride: 1}]",
        "[{type: conv2d, filters: 3, kernel: 1}, {type: maxpool2d}]"};
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++) {
        setenv("GRADREG_KERNELS", set[i]->name, 1);
        for (size_t n = 0; n < sizeof nets / sizeof *nets; n++) {
            const gr_shape input = {3, {n == 3 ? 80 : 16, 18, 17}};
            check_flat(nets[n], &input, (gr_real)0.7);
            check_flat(nets[n], &input, 0);
        }
    }
    unsetenv("GRADREG_KERNELS");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settle),
        cmocka_unit_test(test_flat_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
