/* ResNet-20 at its full size, 3×32×32, with the penalties that run through batch normalisation and
 * residuals: a step downhill is one, training on a part of CIFAR-10 (where ../shared has it) makes
 * the objective fall, and the same bits come out twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <unistd.h>

#include "core/model.h"
#include "core/objective.h"
#include "core/optimizer.h"
#include "tests/core/training_record.h"

enum { SAMPLES = 10, CLASSES = 10, FEATURES = 3 * 32 * 32 };
#ifdef __SANITIZE_ADDRESS__ /* 40 times slower, and would see nothing new in a second training */
enum { STEPS = 3, TRAININGS = 1 };
#else
enum { STEPS = 6, TRAININGS = 2 };
#endif

/* A picture of each class: a wave of its own, and noise. [features][samples] */
static void draw(gr_real *x, int32_t *labels) {
    const gr_random random = gr_random_source(5, GR_PURPOSE_GENERATED_DATA, 0, 0);
    for (int s = 0; s < SAMPLES; s++) {
        labels[s] = s % CLASSES;
        for (int f = 0; f < FEATURES; f++) {
            const double wave = sin(0.2 * (1 + labels[s]) * (f % 32) + f / 32 % 32 * 0.1);
            x[f * SAMPLES + s] =
                (gr_real)(wave + 0.3 * gr_random_normal(&random, (uint32_t)s, (uint32_t)f));
        }
    }
}

/* Runs STEPS steps on one batch; the totals before each, and the parameters (free). */
static gr_real *train(const char *regularizer, double totals[STEPS]) {
    static const gr_shape input = {3, {3, 32, 32}};
    gr_settings model = settings_build(&gr_model_family, "{preset: resnet}");
    gr_settings loss = settings_build(&gr_loss_family, "{type: cross_entropy}");
    gr_settings optimizer =
        settings_build(&gr_optimizer_family, "{type: nesterov, learning_rate: 0.01}");
    size_t count;
    gr_settings *regularizers = settings_build_list(&gr_regularizer_family, regularizer, &count);
    gr_network *network;
    gr_objective *objective;
    gr_error error = {0};
    assert_int_equal(gr_model_build(&model, &input, CLASSES, &network, &error), GR_OK);
    const size_t parameters = (size_t)network->parameter_count;
    gr_real *block =
        calloc(3 * parameters + (size_t)network->buffer_count + GR_SLACK_BYTES, sizeof *block);
    gr_real *x = calloc(FEATURES * SAMPLES, sizeof *x);
    assert_non_null(block);
    assert_non_null(x);
    gr_real *gradients = block + parameters, *buffers = block + 3 * parameters;
    gr_real *const moments[GR_MAXIMUM_MOMENTS] = {block + 2 * parameters, NULL};
    int32_t labels[SAMPLES];
    draw(x, labels);
    gr_network_initialize(network, 2, block);
    gr_network_initialize_buffers(network, buffers);
    const gr_fit fit = {.network = network, .loss = gr_loss_kind_of(&loss), .labels = true};
    if (gr_objective_create(&fit, &loss, regularizers, count, SAMPLES, STEPS, 2, &objective,
                            &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    gr_objective_set_buffers(objective, buffers);
    for (int t = 0; t < STEPS; t++) {
        gr_objective_result result = {0};
        memset(gradients, 0, parameters * sizeof *gradients);
        bool turned;
        memcpy(gr_objective_input(objective, &turned), x, FEATURES * SAMPLES * sizeof *x);
        /* One draw for all steps, so that the random probe's objective stays the same too. */
        const gr_block all = {
            .samples = SAMPLES, .batch_size = SAMPLES, .draw = {.seed = 2}, .labels = labels};
        gr_objective_block(objective, block, &all, gradients, &result);
        gr_objective_finish(objective, block, 0, NULL, gradients, &result);
        totals[t] = result.total;
        gr_optimizer_step(&optimizer, network, gr_objective_kernels(objective), t + 1, 0.01, 0,
                          block, gradients, moments);
    }
    gr_objective_free(objective);
    gr_network_free(network);
    gr_settings_clear(&model);
    gr_settings_clear(&loss);
    gr_settings_clear(&optimizer);
    gr_settings_array_free(regularizers, count);
    free(x);
    return realloc(block, parameters * sizeof *block);
}

static void check(const char *regularizer) {
    double totals[STEPS];
    gr_real *first = train(regularizer, totals);
    for (int t = 1; t < STEPS; t++)
        if (!(totals[t] < totals[t - 1]))
            fail_msg("%s: the objective rose from %.6g to %.6g at step %d", regularizer,
                     totals[t - 1], totals[t], t);
    assert_true(totals[STEPS - 1] < 0.8 * totals[0]);
    for (int i = 1; i < TRAININGS; i++) {
        double again[STEPS];
        gr_real *second = train(regularizer, again);
        assert_memory_equal(totals, again, sizeof totals);
        assert_memory_equal(first, second, 270410 * sizeof *first);
        free(second);
    }
    free(first);
}

static void test_datagrad(void **state) {
    (void)state;
    check("[{type: datagrad, weight: 1}, {type: weight_decay, weight: 0.003}]");
}

static void test_spectreg(void **state) {
    (void)state;
    check("[{type: spectreg, weight: 0.003}]");
}

/* -- real pictures
 * ----------------------------------------------------------------------------------------- */

static gr_dataset *load_pictures(void) {
    const char *source = getenv("GRADREG_SOURCE_DIR");
    char pictures[512], folder[] = "/tmp/gradreg-resnet-XXXXXX", link[64];
    snprintf(pictures, sizeof pictures, "%s/../shared/data/cifar-10-subset", source ? source : ".");
    char *absolute = realpath(pictures, NULL);
    if (!absolute) {
        printf("skipped: there is no %s\n", pictures);
        return NULL;
    }
    assert_non_null(mkdtemp(folder));
    snprintf(link, sizeof link, "%s/cifar10", folder);
    assert_int_equal(symlink(absolute, link), 0);
    free(absolute);
    gr_settings settings = settings_build(&gr_dataset_family, "{name: cifar10}");
    gr_dataset *loaded = NULL;
    gr_error error = {0};
    const gr_status status = gr_dataset_load(&settings, folder, &loaded, &error);
    gr_settings_clear(&settings);
    unlink(link);
    rmdir(folder);
    if (status != GR_OK) fail_msg("%s", error.message);
    return loaded;
}

enum { EVALUATIONS = 2 };

/* The mean objective of each interval; the parameters. */
static gr_arrays train_on_pictures(const gr_dataset *pictures, const char *regularizers,
                                   double objectives[EVALUATIONS]) {
    spec s;
    spec_build(&s, &(spec_texts){.seed = 1,
                                 .dataset = "{name: cifar10, train_size: 100, validation_size: 20,"
                                            " augment: {shift: 0.125, flip: true}}",
                                 .model = "{preset: resnet}",
                                 .regularizers = regularizers,
                                 .optimizer = "{type: nesterov, learning_rate: 0.01}",
                                 .training = "{iterations: 1000, batch_size: 16, "
                                             "evaluate_every: 5}"});
    gr_training *training;
    gr_error error = {0};
    if (gr_training_create(&s.plan, pictures, &training, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    for (int i = 0; i < EVALUATIONS;) {
        size_t count;
        if (advance(training) != GR_PROGRESS_METRICS) continue;
        const gr_metric *rows = gr_training_metrics(training, &count);
        for (size_t r = 0; r < count; r++)
            if (strcmp(rows[r].name, "train_objective") == 0) objectives[i] = rows[r].value;
        i++;
    }
    gr_arrays model = {0};
    assert_int_equal(gr_training_model(training, &model, &error), GR_OK);
    gr_training_free(training);
    spec_clear(&s);
    return model;
}

__attribute__((unused)) static void test_on_pictures(void **state) {
    (void)state;
    static const char *const lists[] = {
        "[{type: datagrad, weight: 1}, {type: weight_decay, weight: 0.003}]",
        "[{type: spectreg, weight: 0.003}, {type: weight_decay, weight: 0.003}]"};
    gr_dataset *pictures = load_pictures();
    if (!pictures) skip();
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        double first[EVALUATIONS] = {0}, second[EVALUATIONS] = {0};
        gr_arrays one = train_on_pictures(pictures, lists[i], first);
        gr_arrays other = train_on_pictures(pictures, lists[i], second);
        printf("%s: %.3g %.3g\n", lists[i], first[0], first[1]);
        assert_true(isfinite(first[0]) && first[EVALUATIONS - 1] < 0.95 * first[0]);
        assert_memory_equal(first, second, sizeof first);
        assert_true(same_arrays(&one, &other));
        gr_arrays_clear(&one);
        gr_arrays_clear(&other);
    }
    gr_dataset_free(pictures);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_datagrad),
        cmocka_unit_test(test_spectreg),
#ifndef __SANITIZE_ADDRESS__ /* which would see nothing here that it does not see above */
        cmocka_unit_test(test_on_pictures),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
