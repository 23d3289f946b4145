/* A training as a whole: the same seed gives the same bits, whatever runs beside it; and what does
 * not fit or runs away is said. What is stopped and goes on: test_resume.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "tests/core/training_record.h"

/* -- rows
 * --------------------------------------------------------------------------------------------------
 */

static void test_rows(void **state) {
    (void)state;
    record r;
    run(&(spec_texts){.seed = 1}, &r);
    static const char *const names[] = {"train_loss",      "train_objective",    "penalty.0",
                                        "penalty.1",       "penalty.2",          "train_accuracy",
                                        "validation_loss", "validation_accuracy"};
    static const int64_t iterations[] = {5, 10, 15, 17};
    for (int i = 0; i < 4; i++)
        for (size_t n = 0; n < sizeof names / sizeof *names; n++)
            assert_true(isfinite(row_value(&r, names[n], iterations[i])));
    for (int i = 0; i < r.row_count; i++) {
        const bool of_test = strncmp(r.rows[i].name, "test_", 5) == 0;
        assert_true(!of_test || r.rows[i].iteration == 17); /* the test set once, at the end */
        if (strstr(r.rows[i].name, "accuracy"))
            assert_true(r.rows[i].value >= 0 && r.rows[i].value <= 1);
    }
    row_value(&r, "test_loss", 17);
    row_value(&r, "test_accuracy", 17);
    assert_int_equal(r.row_count, 4 * 8 + 2);
    assert_false(r.stopped_early);
    /* The objective is the loss and the weighted penalties, over each interval. */
    for (int i = 0; i < 4; i++) {
        const double total = row_value(&r, "train_loss", iterations[i]) +
                             0.001 * row_value(&r, "penalty.0", iterations[i]) +
                             0.5 * row_value(&r, "penalty.1", iterations[i]) +
                             0.01 * row_value(&r, "penalty.2", iterations[i]);
        assert_true(fabs(row_value(&r, "train_objective", iterations[i]) - total) < 1e-9 * total);
    }
    gr_arrays_clear(&r.model);
}

/* It learns: or all that follows would hold of a training that does nothing. */
static void test_learns(void **state) {
    (void)state;
    record r;
    run(&(spec_texts){.seed = 1,
                      .model = "{preset: mlp, widths: [32]}",
                      .regularizers = "[{type: datagrad, weight: 0.1}]",
                      .optimizer = "{type: adam, learning_rate: 0.005}",
                      .dataset = "{name: digits, train_size: 500, validation_size: 500}",
                      .training = "{iterations: 150, batch_size: 50, evaluate_every: 50}"},
        &r);
    assert_true(row_value(&r, "train_loss", 150) < 0.5 * row_value(&r, "train_loss", 50));
    assert_true(row_value(&r, "test_accuracy", 150) > 0.6);
    gr_arrays_clear(&r.model);
}

/* -- determinism
 * ------------------------------------------------------------------------------------------- */

static void test_same_seed_same_bits(void **state) {
    (void)state;
    record first, second, other;
    run(&(spec_texts){.seed = 7}, &first);
    run(&(spec_texts){.seed = 7}, &second);
    run(&(spec_texts){.seed = 8}, &other);
    assert_true(same_arrays(&first.model, &second.model));
    assert_same_rows("the same seed", &second, &first, 0);
    assert_false(same_arrays(&first.model, &other.model));
    gr_arrays_clear(&first.model);
    gr_arrays_clear(&second.model);
    gr_arrays_clear(&other.model);
}

/* Every source of chance follows the seed, and only the seed: with the split's own seed fixed, the
 * initialisation, the order, dropout and probes still differ. */
static void test_split_seed(void **state) {
    (void)state;
    const char *fixed = "{name: digits, train_size: 130, validation_size: 600, split_seed: 3}";
    record first, second;
    run(&(spec_texts){.seed = 7, .dataset = fixed}, &first);
    run(&(spec_texts){.seed = 8, .dataset = fixed}, &second);
    assert_false(same_arrays(&first.model, &second.model));
    gr_arrays_clear(&first.model);
    gr_arrays_clear(&second.model);
}

/* -- what is kept, and when it ends
 * ---------------------------------------------------------------------------- */

#define HOT_START                                                         \
    .seed = 4, .model = NORMALISED_MODEL, .schedule = "{type: constant}", \
    .optimizer = "{type: momentum, learning_rate: 0.6}", .regularizers = "[]"

/* A run that keeps the best ends with what a run of just so many iterations ends with: parameters,
 * running statistics, and test rows. */
static void test_keeps_best(void **state) {
    (void)state;
    record best, last, shorter;
    run(&(spec_texts){HOT_START, .training = "{iterations: 30, batch_size: 20, evaluate_every: 2, "
                                             "keep: best}"},
        &best);
    run(&(spec_texts){HOT_START, .training = "{iterations: 30, batch_size: 20, evaluate_every: 2}"},
        &last);
    const int64_t at = (int64_t)row_value(&best, "best_iteration", 30);
    assert_in_range(at, 2, 28); /* or this test shows nothing */
    double highest = 0;
    for (int64_t i = 2; i <= 30; i += 2) {
        const double accuracy = row_value(&best, "validation_accuracy", i);
        assert_true(accuracy == row_value(&last, "validation_accuracy", i)); /* the same run */
        if (accuracy > highest) highest = accuracy;
    }
    assert_true(row_value(&best, "validation_accuracy", at) == highest);
    assert_true(row_value(&best, "best_iteration", 2) == 2);
    char training[96];
    snprintf(training, sizeof training, "{iterations: %lld, batch_size: 20, evaluate_every: 2}",
             (long long)at);
    run(&(spec_texts){HOT_START, .training = training}, &shorter);
    assert_true(same_arrays(&best.model, &shorter.model));
    assert_false(same_arrays(&best.model, &last.model));
    assert_true(row_value(&best, "test_loss", 30) == row_value(&shorter, "test_loss", at));
    assert_true(row_value(&best, "test_accuracy", 30) == row_value(&shorter, "test_accuracy", at));
    gr_arrays_clear(&best.model);
    gr_arrays_clear(&last.model);
    gr_arrays_clear(&shorter.model);
}

/* Nothing is progress enough: the first evaluation is waited from. */
static void test_stops_early(void **state) {
    (void)state;
    record r, whole;
    run(&(spec_texts){HOT_START, .training = "{iterations: 30, batch_size: 20, evaluate_every: 2, "
                                             "early_stopping: {patience: 3, minimum_change: 1}}"},
        &r);
    assert_true(r.stopped_early);
    const row *end = &r.rows[r.row_count - 1];
    assert_int_equal(end->iteration, 2 + 3 * 2);
    assert_true(row_value(&r, "stopped_early", 8) == 1);
    row_value(&r, "test_accuracy", 8);
    for (int i = 0; i < r.row_count; i++)
        assert_true(strcmp(r.rows[i].name, "stopped_early") != 0 || r.rows[i].iteration == 8);
    /* It keeps the last: what a run of eight iterations ends with. */
    run(&(spec_texts){HOT_START, .training = "{iterations: 8, batch_size: 20, evaluate_every: 2, "
                                             "early_stopping: {patience: 3, minimum_change: 1}}"},
        &whole);
    assert_true(same_arrays(&r.model, &whole.model));
    assert_false(whole.stopped_early); /* its time was over anyway */
    assert_true(row_value(&whole, "stopped_early", 8) == 0);
    gr_arrays_clear(&r.model);
    gr_arrays_clear(&whole.model);
}

/* A gradient cut down to nearly nothing moves nearly nothing; cut to more than it has, nothing
 * changes. */
static void test_clipping(void **state) {
    (void)state;
    static const char *const clips[] = {"", ", clip_norm: 1e9", ", clip_value: 1e9",
                                        ", clip_norm: 1e-9", ", clip_value: 1e-12"};
    record r[5];
    for (int i = 0; i < 5; i++) {
        char training[96];
        snprintf(training, sizeof training, "{iterations: 4, batch_size: 20%s}", clips[i]);
        run(&(spec_texts){.seed = 4, .optimizer = "{type: sgd}", .training = training}, &r[i]);
        assert_int_equal(same_arrays(&r[0].model, &r[i].model), i < 3);
    }
    for (int i = 0; i < 5; i++) gr_arrays_clear(&r[i].model);
}

/* Weights that rise at different times add up, in whatever order they stand. */
static void test_decays_add_up(void **state) {
    (void)state;
    static const char *const lists[] = {
        "[{type: weight_decay, weight: 4}, {type: weight_decay, weight: 2, ramp: [0, 0.25]}]",
        "[{type: weight_decay, weight: 2, ramp: [0, 0.25]}, {type: weight_decay, weight: 4}]",
        "[{type: weight_decay, weight: 2, ramp: [0, 0.25]}]"};
    record r[3];
    for (int i = 0; i < 3; i++)
        run(&(spec_texts){.seed = 4,
                          .regularizers = lists[i],
                          .training = "{iterations: 4, batch_size: 20}"},
            &r[i]);
    assert_true(same_arrays(&r[0].model, &r[1].model));
    assert_false(same_arrays(&r[0].model, &r[2].model));
    for (int i = 0; i < 3; i++) gr_arrays_clear(&r[i].model);
}

static void test_refused_plans(void **state) {
    (void)state;
    static const struct {
        spec_texts texts;
        const char *place, *word;
    } bad[] = {
        {{.training = "{clip_norm: 1, clip_value: 1}"}, "/training/clip_value", "leave one"},
        {{.training = "{batch_size: 1}", .model = "{preset: lenet, batchnorm: true}"},
         "/training/batch_size",
         "at least 2"},
        {{.optimizer = "{type: sgd, nesterov: true}"}, "/optimizer/momentum", "0.9"},
        {{.optimizer = "{type: adamw}", .regularizers = "[{type: weight_decay, weight: 1}]"},
         "/regularizers/0/type",
         "itself"},
        {{.regularizers = "[{type: datagrad, weight: 1}, {type: l1, weight: 1}, "
                          "{type: double_backprop, weight: 2}]"},
         "/regularizers/2/type",
         "/regularizers/0"},
        {{.regularizers = "[{type: l1, weight: 1, ramp: [0.1, 0.2]}, "
                          "{type: l1, weight: 2, ramp: [0.1, 0.2]}]"},
         "/regularizers/1/type",
         "again"},
        {{.regularizers = "[{type: input_noise, sigma: 1}, {type: input_noise, sigma: 1}]"},
         "/regularizers/1/type",
         "again"},
        {{.regularizers = "[{type: datagrad, weight: 1, resample_dropout: true}]",
          .model = "{preset: mlp}"},
         "/regularizers/0/resample_dropout",
         "no dropout"},
        {{.schedule = "{type: exponential, staircase: true}"}, "/schedule/every", "lower"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        spec s;
        spec_build(&s, &bad[i].texts);
        gr_error error = {0};
        assert_int_equal(gr_plan_check(&s.plan, digits, NULL, &error), GR_INVALID);
        assert_string_equal(error.place, bad[i].place);
        if (!strstr(error.message, bad[i].word))
            fail_msg("\"%s\" is not in: %s", bad[i].word, error.message);
        spec_clear(&s);
    }
}

static void add_place(void *places, const gr_error *failure) {
    assert_true(strlen(failure->message) > 10);
    strcat(strcat(places, failure->place), " ");
}

/* All that is wrong comes at once, also where there is no network to hold it against; the first of
 * it is the result. */
static void test_all_that_is_wrong(void **state) {
    (void)state;
    static const struct {
        spec_texts texts;
        const char *places;
    } bad[] = {
        {{.training = "{batch_size: 5}"}, ""},
        {{.model = "{preset: mlp}",
          .optimizer = "{type: sgd, nesterov: true}",
          .schedule = "{type: exponential, staircase: true}",
          .regularizers = "[{type: datagrad, weight: 1, resample_dropout: true}, "
                          "{type: spectreg, weight: 1}, {type: l1, weight: 1, ramp: [0.5, 0.2]}]",
          .training = "{batch_size: 100000, clip_norm: 1, clip_value: 1}"},
         "/schedule/every /optimizer/momentum /training/clip_value /training/batch_size "
         "/regularizers/0/resample_dropout /regularizers/2/ramp "},
        {{.model = "{layers: [{type: conv2d, filters: 2, kernel: 3}]}",
          .schedule = "{type: exponential, staircase: true}",
          .regularizers = "[{type: l1, weight: 1, ramp: [0.5, 0.2]}]",
          .training = "{batch_size: 100000}"},
         "/model/layers /schedule/every /training/batch_size "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        spec s;
        spec_build(&s, &bad[i].texts);
        gr_error error = {0};
        char places[1024] = "";
        const gr_status status =
            gr_plan_check_all(&s.plan, digits, NULL, add_place, places, &error);
        assert_int_equal(status, *bad[i].places ? GR_INVALID : GR_OK);
        assert_string_equal(places, bad[i].places);
        assert_memory_equal(error.place, places, strlen(error.place));
        spec_clear(&s);
    }
}

/* What only looks like it. */
static void test_plans_that_are_not_refused(void **state) {
    (void)state;
    static const spec_texts good[] = {
        {.optimizer = "{type: adamw, weight_decay: 0}",
         .regularizers = "[{type: weight_decay, weight: 1}]"},
        {.optimizer = "{type: adamw}", .regularizers = "[{type: weight_decay, weight: 0}]"},
        {.regularizers =
             "[{type: datagrad, weight: 1}, {type: datagrad, weight: 1, at: noise}, "
             "{type: datagrad, weight: 1, ramp: [0.5, 1]}, {type: spectreg, weight: 1}, "
             "{type: datagrad, weight: 1, ramp: [0.2, 1]}, {type: spectreg, weight: 1}]"},
        {.regularizers =
             "[{type: l1, weight: 1}, {type: l1, weight: 1, ramp: [0.1, 0.2]}, "
             "{type: tangent_prop, weight: 1}, {type: tangent_prop, weight: 1, rotation: false}]"},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        spec s;
        spec_build(&s, &good[i]);
        gr_error error = {0};
        if (gr_plan_check(&s.plan, digits, NULL, &error) != GR_OK)
            fail_msg("%s: %s", error.place, error.message);
        spec_clear(&s);
    }
}

/* A state may also be restored into a training that has already gone elsewhere. */
static void test_restore_over_another_state(void **state) {
    (void)state;
    spec s;
    spec_build(&s, &(spec_texts){.seed = 7});
    gr_training *training = create(&s);
    record whole, rest;
    gr_arrays at_rest = {0};
    for (int i = 0; i < 3; i++) advance(training);
    assert_int_equal(gr_training_save(training, &at_rest, NULL), GR_OK);
    run_to_end(training, &whole);
    assert_int_equal(gr_training_restore(training, &at_rest, NULL), GR_OK);
    run_to_end(training, &rest);
    assert_true(same_arrays(&whole.model, &rest.model));
    assert_same_rows("gone back", &rest, &whole, 0);
    gr_arrays_clear(&whole.model);
    gr_arrays_clear(&rest.model);
    gr_arrays_clear(&at_rest);
    gr_training_free(training);
    spec_clear(&s);
}

/* -- subnormal numbers
 * ------------------------------------------------------------------------------------------ */

/* What a training meets of them it takes for zeros; its caller's arithmetic goes on as before. */
static void test_subnormals(void **state) {
    (void)state;
    spec s;
    spec_build(&s, &(spec_texts){.seed = 8});
    gr_training *training = create(&s);
    gr_arrays model = {0};
    assert_int_equal(gr_training_model(training, &model, NULL), GR_OK);
    const volatile float least = FLT_MIN / 4, half = 0.5f;
    for (size_t a = 0; a < model.count; a++)
        for (int64_t i = 0; i < gr_shape_elements(&model.items[a].shape); i++)
            ((float *)model.items[a].data)[i] = least;
    assert_int_equal(gr_training_set_model(training, &model, NULL), GR_OK);
    gr_arrays_clear(&model);
    advance(training);
    assert_int_equal(gr_training_model(training, &model, NULL), GR_OK);
    for (size_t a = 0; a < model.count; a++)
        for (int64_t i = 0; i < gr_shape_elements(&model.items[a].shape); i++) {
            const float value = ((const float *)model.items[a].data)[i];
            if (fpclassify(value) == FP_SUBNORMAL)
                fail_msg("%s[%lld] is %g", model.items[a].name, (long long)i, (double)value);
        }
#ifdef __x86_64__
    assert_true(least * half > 0);
#endif
    gr_arrays_clear(&model);
    gr_training_free(training);
    spec_clear(&s);
}

/* -- threads
 * -----------------------------------------------------------------------------------------------
 */

static void *run_in_thread(void *argument) {
    gr_training *training = argument;
    gr_progress progress = GR_PROGRESS_ITERATION;
    while (progress != GR_PROGRESS_FINISHED)
        if (gr_training_advance(training, &progress, NULL) != GR_OK) break;
    return NULL;
}

static void test_two_threads(void **state) {
    (void)state;
    record alone[2];
    spec specs[2];
    gr_training *trainings[2];
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        const spec_texts texts = {.seed = 20 + (uint64_t)i};
        run(&texts, &alone[i]);
        spec_build(&specs[i], &texts);
        trainings[i] = create(&specs[i]);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run_in_thread, trainings[i]), 0);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++) {
        gr_arrays model = {0};
        assert_int_equal(gr_training_iteration(trainings[i]), 17);
        assert_int_equal(gr_training_model(trainings[i], &model, NULL), GR_OK);
        assert_true(same_arrays(&model, &alone[i].model));
        gr_arrays_clear(&model);
        gr_arrays_clear(&alone[i].model);
        gr_training_free(trainings[i]);
        spec_clear(&specs[i]);
    }
}

/* -- states that are not of this run
 * ----------------------------------------------------------------------- */

/* Both statuses that gr_training_restore may answer with, and a message. */
static void assert_refused(const spec *s, const gr_arrays *at_rest, const char *word) {
    gr_training *training = create(s);
    gr_error error = {0};
    const gr_status status = gr_training_restore(training, at_rest, &error);
    assert_true(status == GR_INVALID || status == GR_CORRUPT);
    if (!strstr(error.message, word)) fail_msg("\"%s\" is not in: %s", word, error.message);
    gr_training_free(training);
}

static gr_array *array_of(gr_arrays *arrays, const char *name) {
    for (size_t i = 0; i < arrays->count; i++)
        if (strcmp(arrays->items[i].name, name) == 0) return &arrays->items[i];
    fail_msg("the state has no %s", name);
    return NULL;
}

static void test_foreign_states(void **state) {
    (void)state;
    spec s, other;
    spec_build(&s, &(spec_texts){.seed = 7, .model = NORMALISED_MODEL});
    spec_build(&other, &(spec_texts){.seed = 7, .model = "{preset: mlp, widths: [8]}"});
    gr_arrays at_rest = {0}, foreign = {0}, empty = {0};
    gr_training *training = create(&s), *of_other = create(&other);
    for (int i = 0; i < 3; i++) advance(training);
    assert_int_equal(gr_training_save(training, &at_rest, NULL), GR_OK);
    assert_int_equal(gr_training_save(of_other, &foreign, NULL), GR_OK);
    assert_refused(&s, &foreign, "parameters");
    assert_refused(&s, &empty, "missing");

    /* One array less, each in turn. */
    for (size_t i = 0; i < at_rest.count; i++) {
        char *name = at_rest.items[i].name, absent[] = "absent";
        at_rest.items[i].name = absent;
        assert_refused(&s, &at_rest, name);
        at_rest.items[i].name = name;
    }
    gr_array *counters = array_of(&at_rest, "counters");
    counters->shape.size[0]--;
    assert_refused(&s, &at_rest, "counters");
    counters->shape.size[0]++;
    counters->type = GR_U64;
    assert_refused(&s, &at_rest, "counters");
    counters->type = GR_I64;

    /* Counters that this run cannot have: (iteration, evaluated, of the interval). */
    static const int64_t impossible[][3] = {
        {-1, 0, 0}, {18, 0, 3}, {INT64_MAX, 0, 0}, {3, 4, 3},
        {3, -1, 3}, {3, 0, -1}, {3, 0, 4},         {INT64_MIN, INT64_MIN, INT64_MIN}};
    int64_t *counter = counters->data, kept[3];
    memcpy(kept, counter, sizeof kept);
    assert_int_equal(kept[0], 3);
    for (size_t i = 0; i < sizeof impossible / sizeof *impossible; i++) {
        memcpy(counter, impossible[i], sizeof kept);
        assert_refused(&s, &at_rest, "counters");
    }
    memcpy(counter, kept, sizeof kept);
    gr_training *fresh = create(&s); /* the state itself is still good */
    assert_int_equal(gr_training_restore(fresh, &at_rest, NULL), GR_OK);
    gr_training_free(fresh);
    gr_arrays_clear(&at_rest);
    gr_arrays_clear(&foreign);
    gr_training_free(training);
    gr_training_free(of_other);
    spec_clear(&s);
    spec_clear(&other);
}

/* -- divergence
 * -------------------------------------------------------------------------------------------- */

static void assert_diverges(const spec_texts *texts) {
    spec s;
    spec_build(&s, texts);
    gr_training *training = create(&s);
    gr_progress progress = GR_PROGRESS_ITERATION;
    gr_error error = {0};
    gr_status status = GR_OK;
    while (status == GR_OK && progress != GR_PROGRESS_FINISHED)
        status = gr_training_advance(training, &progress, &error);
    if (status != GR_DIVERGED) fail_msg("it did not diverge: %s", gr_status_name(status));
    char iteration[32];
    snprintf(iteration, sizeof iteration, "iteration %lld",
             (long long)gr_training_iteration(training));
    assert_in_range(gr_training_iteration(training), 1, gr_training_iterations(training));
    if (!strstr(error.message, iteration))
        fail_msg("\"%s\" is not in: %s", iteration, error.message);
    /* What is left may still be looked at. */
    gr_arrays at_rest = {0};
    assert_int_equal(gr_training_save(training, &at_rest, NULL), GR_OK);
    gr_arrays_clear(&at_rest);
    gr_training_free(training);
    spec_clear(&s);
}

static void test_divergence(void **state) {
    (void)state;
    const char *hot = "{type: adam, learning_rate: 1e6}";
    const char *wild = "{preset: mlp, widths: [16, 16, 16, 16, 16, 16]}";
    assert_diverges(&(spec_texts){.seed = 1, .optimizer = hot, .model = wild});
    assert_diverges(
        &(spec_texts){.seed = 1, .optimizer = hot, .model = wild, .regularizers = "[]"});
    /* In the very last step: its evaluation has to notice. */
    assert_diverges(&(spec_texts){
        .seed = 1, .optimizer = hot, .model = wild, .training = "{iterations: 1, batch_size: 20}"});
}

/* An absurd weight ends in a stated outcome: finished, or diverged; never a crash or a hang. */
static void test_absurd_weights(void **state) {
    (void)state;
    static const char *const lists[] = {
        "[{type: datagrad, weight: 1e12}]", "[{type: weight_decay, weight: 1e12}]",
        "[{type: jacreg, weight: 1e12, norm: l1}]",
        "[{type: gradient_penalty, probe: logits, shape: two_sided, target: 1e12, weight: 1e12}]"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        spec s;
        spec_build(&s, &(spec_texts){.seed = 1,
                                     .regularizers = lists[i],
                                     .optimizer = "{type: adam, learning_rate: 1}"});
        gr_training *training = create(&s);
        gr_progress progress = GR_PROGRESS_ITERATION;
        gr_status status = GR_OK;
        gr_error error = {0};
        while (status == GR_OK && progress != GR_PROGRESS_FINISHED)
            status = gr_training_advance(training, &progress, &error);
        assert_true(status == GR_OK || status == GR_DIVERGED);
        gr_training_free(training);
        spec_clear(&s);
    }
}

/* -- plans that do not fit
 * --------------------------------------------------------------------------------- */

static void test_plans_that_do_not_fit(void **state) {
    (void)state;
    static const struct {
        spec_texts texts;
        const char *place;
    } plans[] = {
        {{.training = "{batch_size: 131}"}, "/training/batch_size"},
        {{.training = "{batch_size: 1000000}"}, "/training/batch_size"},
        {{.dataset = "{name: digits, train_size: 60001}"}, "/dataset/train_size"},
        {{.schedule = "{type: piecewise, factors: [1, 2]}"}, "/schedule/factors"},
        {{.regularizers = "[{type: weight_decay, weight: 1}, "
                          "{type: gradient_penalty, probe: top_k, k: 11, weight: 1}]"},
         "/regularizers/1/k"},
        {{.regularizers = "[{type: datagrad, norm: l1, shape: one_sided, weight: 1}]"},
         "/regularizers/0/shape"},
        {{.model = "{layers: [{type: flatten}, {type: linear, units: 9}]}"}, "/model/layers"},
        {{.model = "{layers: [{type: conv2d, filters: 10, kernel: 28}]}"}, "/model/layers"},
        {{.model = "{input_shape: [1, 27, 28], layers: [{type: flatten}, "
                   "{type: linear, units: 10}]}"},
         "/model/input_shape"},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
        spec s;
        spec_build(&s, &plans[i].texts);
        gr_error error = {0};
        gr_training *training = NULL;
        assert_int_equal(gr_plan_check(&s.plan, digits, NULL, &error), GR_INVALID);
        assert_string_equal(error.place, plans[i].place);
        assert_true(strlen(error.message) > 10);
        assert_int_equal(gr_training_create(&s.plan, digits, &training, &error), GR_INVALID);
        assert_null(training);
        spec_clear(&s);
    }
}

static void test_estimate(void **state) {
    (void)state;
    /* Forward passes of an iteration (docs/methods.md): batch 20, 10 classes. */
    static const struct {
        const char *model, *regularizers;
        double passes;
    } cases[] = {
        {"{preset: lenet}", "[]", 3},
        {"{preset: lenet}", "[{type: datagrad, weight: 1}]", 6},
        {"{preset: lenet}", "[{type: jacreg, weight: 1}]", 3 + 3 * 9},
        {"{preset: lenet}", "[{type: frobreg, weight: 1}]", 3 + 3 * 10},
        {"{preset: lenet}", "[{type: datagrad, weight: 1}, {type: spectreg, weight: 1}]", 9},
        {"{preset: lenet}", "[{type: tangent_prop, weight: 1}]", 3 + 3 * 4},
        {"{preset: lenet}", "[{type: adversarial, weight: 1, epsilon: 0.3}]", 8},
        {"{preset: lenet}", "[{type: adversarial, weight: 1, epsilon: 0.3, steps: 5}]", 16},
        {"{preset: lenet}", "[{type: gradient_difference, weight: 1}]", 8},
        {"{preset: lenet}", "[{type: spectreg, weight: 1, at: noise}]", 7},
        {"{preset: lenet}", "[{type: datagrad, weight: 1, at: noise}]", 9},
        {"{preset: mlp, activation: tanh}", "[{type: spectreg, weight: 1, at: mixup}]", 9},
        {"{preset: lenet}", "[{type: jacreg, weight: 1, at: uniform}]", 3 + 1 + 3 * 9 + 2},
    };
    gr_estimate plain = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spec s;
        gr_estimate estimate;
        spec_build(&s,
                   &(spec_texts){.model = cases[i].model, .regularizers = cases[i].regularizers});
        assert_int_equal(gr_plan_check(&s.plan, digits, &estimate, NULL), GR_OK);
        spec_clear(&s);
        if (i == 0) plain = estimate;
        if (estimate.iteration_operations != 20 * cases[i].passes * estimate.forward_operations)
            fail_msg("%s: %g passes instead of %g", cases[i].regularizers,
                     estimate.iteration_operations / (20 * estimate.forward_operations),
                     cases[i].passes);
        assert_true(i == 0 || estimate.memory_bytes > plain.memory_bytes ||
                    estimate.parameters != plain.parameters);
    }
    assert_int_equal(plain.parameters, 61706);
    assert_true(plain.memory_bytes > 4 * 61706 * (int64_t)sizeof(gr_real));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_learns),
        cmocka_unit_test(test_same_seed_same_bits),
        cmocka_unit_test(test_split_seed),
        cmocka_unit_test(test_keeps_best),
        cmocka_unit_test(test_stops_early),
        cmocka_unit_test(test_clipping),
        cmocka_unit_test(test_decays_add_up),
        cmocka_unit_test(test_refused_plans),
        cmocka_unit_test(test_all_that_is_wrong),
        cmocka_unit_test(test_plans_that_are_not_refused),
        cmocka_unit_test(test_restore_over_another_state),
        cmocka_unit_test(test_subnormals),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_foreign_states),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_absurd_weights),
        cmocka_unit_test(test_plans_that_do_not_fit),
        cmocka_unit_test(test_estimate),
    };
    return cmocka_run_group_tests(tests, load_digits, free_digits);
}
