/* The paper's regression tasks (docs/datasets.md): x ~ U[-1, 1]^d, noise on the training targets
 * only, tests on a grid without noise. The truth's derivatives are known. */
#include <math.h>
#include <stdio.h>

#include "core/data/generated.h"

enum { TOY_NOISE = GR_GENERATED_OWN, OPTION_COUNT };
enum { GRID = 900, GRID_SIDE = 30 };

/* One target of `features` numbers x, and its derivatives. */
typedef double truth_function(const double *x, double *derivatives);

static double toy1(const double *x, double *derivatives) {
    derivatives[0] = 5 * cos(5 * x[0]);
    return sin(5 * x[0]);
}

static double toy2(const double *x, double *derivatives) {
    derivatives[0] = 2 * x[0];
    derivatives[1] = 2 * x[1];
    return x[0] * x[0] + x[1] * x[1];
}

static gr_status load(const gr_settings *settings, int features, truth_function *truth,
                      gr_dataset *dataset, gr_error *error) {
    int64_t n = gr_integer(settings, GR_GENERATED_N), count = n + GR_GENERATED_HOLDOUT;
    double deviation = gr_number(settings, TOY_NOISE);
    dataset->information.input_shape = (gr_shape){.rank = 1, .size = {features}};
    dataset->information.targets = 1;
    dataset->information.default_validation_size = GR_GENERATED_HOLDOUT;
    dataset->information.knows_derivatives = true;
    dataset->training_pool = n;
    snprintf(dataset->information.description, sizeof dataset->information.description,
             "%lld generated points with noise %g, %d without for validation, a grid of %d for "
             "test",
             (long long)n, deviation, GR_GENERATED_HOLDOUT, GRID);

    gr_samples *training = &dataset->training, *test = &dataset->test;
    GR_TRY(gr_generated_allocate(training, count, features, 1, error));
    GR_TRY(gr_generated_allocate(test, GRID, features, 1, error));
    const uint32_t first = features == 1 ? 0 : 2; /* numbers of their own for each of the two */
    const gr_random points = gr_generated_random(settings, GR_STREAM_TOY, first);
    const gr_random noise = gr_generated_random(settings, GR_STREAM_TOY, first + 1);
    for (int64_t i = 0; i < count; i++) {
        double *x = training->values + i * features;
        for (int j = 0; j < features; j++)
            x[j] = 2 * gr_random_uniform(&points, (uint32_t)i, (uint32_t)j) - 1;
        training->targets[i] = truth(x, training->derivatives + i * features);
        if (i < n) training->targets[i] += deviation * gr_random_normal(&noise, (uint32_t)i, 0);
    }
    for (int i = 0; i < GRID; i++) {
        double *x = test->values + (int64_t)i * features;
        if (features == 1) {
            x[0] = 2.0 * i / (GRID - 1) - 1;
        } else {
            x[0] = 2.0 * (i % GRID_SIDE) / (GRID_SIDE - 1) - 1;
            x[1] = 2.0 * (i / GRID_SIDE) / (GRID_SIDE - 1) - 1;
        }
        test->targets[i] = truth(x, test->derivatives + (int64_t)i * features);
    }
    return GR_OK;
}

gr_status gr_toy1_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                       gr_error *error) {
    (void)directory;
    return load(settings, 1, toy1, dataset, error);
}

gr_status gr_toy2_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                       gr_error *error) {
    (void)directory;
    return load(settings, 2, toy2, dataset, error);
}

static const gr_option options[OPTION_COUNT] = {
    /* As they are: penalty weights are then those of the paper, whose x is in [-1, 1]. */
    GR_DATASET_SHARED_OPTIONS("none", "1,000"),
    GR_GENERATED_OPTIONS("100"),
    [TOY_NOISE] = {.name = "noise",
                   .help = "standard deviation of the noise on the training targets",
                   .accepts = GR_ACCEPT(GR_NUMBER),
                   .minimum = 0,
                   .maximum = 1000,
                   .default_json = "0.1"},
};

const gr_kind gr_toy1_kind = {
    .name = "toy1",
    .help = "regression: y = sin 5x with noise, x uniform on [-1, 1]; tests on a grid of 900 "
            "without noise (the paper's first toy task)",
    .options = options,
    .option_count = OPTION_COUNT,
};

const gr_kind gr_toy2_kind = {
    .name = "toy2",
    .help = "regression: y = x1^2 + x2^2 with noise, x uniform on [-1, 1]^2; tests on a grid of "
            "30x30 without noise (the paper's second toy task)",
    .options = options,
    .option_count = OPTION_COUNT,
};
