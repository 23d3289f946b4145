/* Convolution and max-pool in one, of each set of kernels, against the reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

static void test_pooled_convolution(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < 90; test++) {
        gr_convolution_shape c = {.in_channels = chosen(test, 0, 1, 21),
                                  .out_channels = chosen(test, 1, 1, 4),
                                  .kernel = chosen(test, 2, 0, 1) ? 5 : 3,
                                  .window = chosen(test, 3, 1, 3)};
        if (test % 3 == 0) c.in_channels = 1;
        const bool rows = test % 3 == 1; /* few channels and probes, windows of two: by rows */
        if (rows) c.in_channels = chosen(test, 12, 1, 5), c.window = 2;
        if (test % 6 == 4) c.in_channels = 5, c.kernel = 3, c.window = 2;
        if (test % 5 == 0) c.out_channels += 16;
        const bool blocks = test == 2; /* by channels, more filters than are taken at once */
        if (blocks) c.in_channels = 9, c.out_channels = 70;
        c.padding = chosen(test, 4, 0, c.kernel / 2);
        c.step = c.window + chosen(test, 5, 0, 1);
        c.pooled_rows = chosen(test, 6, 1, 3);
        c.pooled_columns = chosen(test, 7, 1, 4);
        c.out_rows = (c.pooled_rows - 1) * c.step + c.window + chosen(test, 8, 0, 1);
        c.out_columns = (c.pooled_columns - 1) * c.step + c.window + chosen(test, 9, 0, 1);
        c.in_rows = c.out_rows + c.kernel - 1 - 2 * c.padding;
        c.in_columns = c.out_columns + c.kernel - 1 - 2 * c.padding;
        if (c.in_rows < 1 || c.in_columns < 1) continue;
        const int64_t probes = blocks ? 1 : chosen(test, 10, 1, rows ? 3 : 20),
                      samples = chosen(test, 11, 1, 35);
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
            gr_real *passes = (gr_real *)kept.data + i;
            if (chosen(test, 20000 + (uint32_t)i, 0, 1)) {
                *passes = *passes < 0 ? -*passes : *passes;
                continue;
            }
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
        guarded tangents[2], tangent_sizes[2]; /* all, and those that a relu behind lets pass */
        for (int behind_relu = 0; behind_relu < 2; behind_relu++) {
            const gr_real *passes = behind_relu ? kept.data : NULL;
            tangents[behind_relu] = guarded_unwritten(pooled * lanes);
            tangent_sizes[behind_relu] = guarded_unwritten(pooled * lanes);
            plain->pooled_tangent(&c, weights.data, probes, samples, winner.data, passes, t_in.data,
                                  tangents[behind_relu].data, NULL);
            plain->pooled_tangent(&c, absolute_weights.data, probes, samples, winner.data, passes,
                                  absolute_t.data, tangent_sizes[behind_relu].data, NULL);
        }
        const double gradient_terms = 2.0 * (double)(c.pooled_rows * c.pooled_columns * lanes) + 2;
        for (int i = 0; i < sets; i++) {
            char what[256];
            guarded scratch = guarded_unwritten(gr_pooled_scratch(set[i], &c, probes));
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
                const guarded *expected = &tangents[behind_relu],
                              *size = &tangent_sizes[behind_relu];
                got = guarded_unwritten(pooled * lanes);
                const gr_real *passes = behind_relu ? kept.data : NULL;
                set[i]->pooled_tangent(&c, weights.data, probes, samples, winner.data, passes,
                                       t_in.data, got.data, scratch.data);
                assert_within(what, &got, expected, 2.0 * (double)(c.in_channels * area) + 2, size);
                /* Both at once, the tangents over the adjoints. */
                guarded both = guarded_copy(&d_pooled), gradients = guarded_copy(&before);
                set[i]->pooled_accumulate(&c, weights.data, probes, samples, winner.data, passes,
                                          both.data, t_in.data, both.data, gradients.data,
                                          scratch.data);
                assert_within(what, &both, expected, 2.0 * (double)(c.in_channels * area) + 2,
                              size);
                assert_within(what, &gradients, &sums, gradient_terms, &sums_size);
                guarded_free(&both);
                guarded_free(&gradients);
                guarded_free(&got);
            }
            guarded_check(&scratch, what);
            guarded_free(&scratch);
        }
        guarded *all[] = {&weights,
                          &d_pooled,
                          &t_in,
                          &before,
                          &kept,
                          &winner,
                          &absolute_weights,
                          &absolute_d,
                          &absolute_t,
                          &d_in,
                          &d_in_size,
                          &sums,
                          &sums_size,
                          &tangents[0],
                          &tangents[1],
                          &tangent_sizes[0],
                          &tangent_sizes[1]};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pooled_convolution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
