/* Predictions: those of the training's own evaluation, sample by sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "gradreg/prediction.h"
#include "tests/core/training_helper.h"

/* Trains to the end; the metrics of that name and the model. */
typedef struct trained {
    double test_loss, test_accuracy, validation_loss, validation_accuracy, train_accuracy;
    gr_arrays model;
} trained;

static void train(const spec *s, const gr_dataset *dataset, trained *result) {
    gr_training *training;
    gr_error error = {0};
    *result = (trained){.test_accuracy = NAN, .validation_accuracy = NAN};
    if (gr_training_create(&s->plan, dataset, &training, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    for (gr_progress progress = GR_PROGRESS_ITERATION; progress != GR_PROGRESS_FINISHED;) {
        if (gr_training_advance(training, &progress, &error) != GR_OK)
            fail_msg("%s", error.message);
        if (progress != GR_PROGRESS_METRICS) continue;
        size_t count;
        const gr_metric *rows = gr_training_metrics(training, &count);
        for (size_t i = 0; i < count; i++) {
            if (!strcmp(rows[i].name, "test_loss")) result->test_loss = rows[i].value;
            if (!strcmp(rows[i].name, "test_accuracy")) result->test_accuracy = rows[i].value;
            if (!strcmp(rows[i].name, "train_accuracy")) result->train_accuracy = rows[i].value;
            if (!strcmp(rows[i].name, "validation_loss")) result->validation_loss = rows[i].value;
            if (!strcmp(rows[i].name, "validation_accuracy"))
                result->validation_accuracy = rows[i].value;
        }
    }
    assert_int_equal(gr_training_model(training, &result->model, &error), GR_OK);
    gr_training_free(training);
}

static gr_predictor *predictor_of(const spec *s, const gr_dataset *dataset, const gr_arrays *model,
                                  gr_part part) {
    gr_predictor *predictor;
    gr_error error = {0};
    if (gr_predictor_create(&s->plan, dataset, model, part, &predictor, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    return predictor;
}

/* What the samples of a part come to: their mean loss (without smoothing) and accuracy; on the way,
 * that each is there once, in order, and that classes and probabilities go with the logits. */
static void summarize(const spec *s, const gr_dataset *dataset, const gr_arrays *model,
                      gr_part part, double *loss, double *accuracy) {
    gr_predictor *predictor = predictor_of(s, dataset, model, part);
    const int64_t outputs = gr_predictor_outputs(predictor);
    gr_split *split;
    gr_error error;
    assert_int_equal(gr_split_create(dataset, s->plan.dataset, s->plan.seed, &split, &error),
                     GR_OK);
    assert_int_equal(gr_predictor_samples(predictor), gr_split_size(split, part));
    const int64_t *indices = gr_split_indices(split, part);
    gr_predictions block;
    int64_t seen = 0, correct = 0;
    *loss = 0;
    while (gr_predictor_next(predictor, &block)) {
        assert_in_range(block.count, 1, gr_predictor_block(predictor));
        for (int64_t i = 0; i < block.count; i++, seen++) {
            assert_int_equal(block.places[i], indices[seen]);
            double sum = 0;
            for (int64_t k = 0; k < outputs; k++) {
                const double z = (double)block.outputs[k * block.count + i];
                if (block.targets) {
                    const double difference = z - (double)block.targets[k * block.count + i];
                    *loss += difference * difference / 2;
                    continue;
                }
                const double best = (double)block.outputs[block.classes[i] * block.count + i];
                assert_true(k < block.classes[i] ? z < best : z <= best);
                if (block.p) sum += (double)block.p[k * block.count + i];
            }
            if (block.p) {
                assert_true(fabs(sum - 1) < 1e-5);
                *loss -= log((double)block.p[block.labels[i] * block.count + i]);
            }
            if (block.labels) correct += block.labels[i] == block.classes[i];
        }
    }
    assert_false(gr_predictor_next(predictor, &block)); /* and it stays at its end */
    assert_int_equal(seen, gr_split_size(split, part));
    *loss /= (double)seen;
    *accuracy = (double)correct / (double)seen;
    gr_split_free(split);
    gr_predictor_free(predictor);
}

static void assert_same(const char *what, double got, double wanted) {
    if (!(fabs(got - wanted) <= 1e-5 * fabs(wanted)))
        fail_msg("%s: %.9g, not %.9g", what, got, wanted);
}

static void they_are_what_was_evaluated(void **state) {
    (void)state;
    static const spec_texts texts[] = {
        {.seed = 1},
        /* its last block is short, its statistics are the running ones */
        {.seed = 2, .model = NORMALISED_MODEL, .training = "{iterations: 12, batch_size: 32}"},
        /* the parameters that are kept are not the last */
        {.seed = 3,
         .model = NORMALISED_MODEL,
         .optimizer = "{type: adam, learning_rate: 0.05}",
         .training = "{iterations: 20, batch_size: 32, evaluate_every: 2, keep: best}"},
        {.seed = 4,
         .regularizers = "[]",
         .dataset = "{name: digits, train_size: 130, "
                    "validation_size: 77, test: holdout}"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        spec s;
        trained wanted;
        double loss, accuracy;
        spec_build(&s, &texts[i]);
        train(&s, digits, &wanted);
        summarize(&s, digits, &wanted.model, GR_PART_TEST, &loss, &accuracy);
        assert_same("test loss", loss, wanted.test_loss);
        assert_true(accuracy == wanted.test_accuracy);
        if (i != 2) { /* there, the last row is of the last parameters */
            summarize(&s, digits, &wanted.model, GR_PART_VALIDATION, &loss, &accuracy);
            assert_same("validation loss", loss, wanted.validation_loss);
            assert_true(accuracy == wanted.validation_accuracy);
            summarize(&s, digits, &wanted.model, GR_PART_TRAINING, &loss, &accuracy);
            assert_true(accuracy == wanted.train_accuracy);
        }
        gr_arrays_clear(&wanted.model);
        spec_clear(&s);
    }
}

static void squared_error_has_no_probabilities(void **state) {
    (void)state;
    spec s;
    trained wanted;
    double loss, accuracy;
    spec_build(&s, &(spec_texts){.loss = "{type: squared_error}", .regularizers = "[]"});
    train(&s, digits, &wanted);
    gr_predictor *predictor = predictor_of(&s, digits, &wanted.model, GR_PART_TEST);
    assert_false(gr_predictor_has_probabilities(predictor));
    gr_predictor_free(predictor);
    summarize(&s, digits, &wanted.model, GR_PART_TEST, &loss, &accuracy);
    assert_true(accuracy == wanted.test_accuracy);
    gr_arrays_clear(&wanted.model);
    spec_clear(&s);
}

static void a_regression_has_targets(void **state) {
    (void)state;
    gr_settings settings = settings_build(&gr_dataset_family, "{name: toy1}");
    gr_dataset *toy;
    gr_error error;
    assert_int_equal(gr_dataset_load(&settings, NULL, &toy, &error), GR_OK);
    gr_settings_clear(&settings);
    spec s;
    trained wanted;
    double loss, accuracy;
    spec_build(&s, &(spec_texts){.dataset = "{name: toy1}",
                                 .model = "{preset: toy}",
                                 .loss = "{type: squared_error}",
                                 .regularizers = "[]",
                                 .training = "{iterations: 20, batch_size: 10}"});
    train(&s, toy, &wanted);
    summarize(&s, toy, &wanted.model, GR_PART_TEST, &loss, &accuracy);
    assert_same("test loss", loss, wanted.test_loss);
    gr_predictor *predictor = predictor_of(&s, toy, &wanted.model, GR_PART_TEST);
    gr_predictions block;
    assert_true(gr_predictor_next(predictor, &block));
    assert_null(block.labels);
    assert_null(block.classes);
    assert_null(block.p);
    gr_predictor_free(predictor);
    gr_arrays_clear(&wanted.model);
    spec_clear(&s);
    gr_dataset_free(toy);
}

static void another_model_is_refused(void **state) {
    (void)state;
    spec s, other;
    trained wanted;
    spec_build(&s, &(spec_texts){0});
    spec_build(&other, &(spec_texts){.model = "{preset: mlp, widths: [5]}"});
    train(&s, digits, &wanted);
    gr_predictor *predictor = NULL;
    gr_error error = {0};
    assert_int_equal(
        gr_predictor_create(&other.plan, digits, &wanted.model, GR_PART_TEST, &predictor, &error),
        GR_INVALID);
    assert_null(predictor);
    assert_non_null(strstr(error.message, "0.weight"));
    gr_arrays_clear(&wanted.model);
    spec_clear(&other);
    spec_clear(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_what_was_evaluated),
        cmocka_unit_test(squared_error_has_no_probabilities),
        cmocka_unit_test(a_regression_has_targets),
        cmocka_unit_test(another_model_is_refused),
    };
    return cmocka_run_group_tests(tests, load_digits, free_digits);
}
