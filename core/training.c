#include "gradreg/training.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blas.h"
#include "core/early_stopping.h"
#include "core/large_memory.h"
#include "core/objective.h"
#include "core/optimizer.h"
#include "core/plan.h"
#include "core/subnormals.h"
#include "core/training_options.h"

enum {
    TRAINING_EVALUATION_SAMPLES =
        2000, /* at most so many training samples are evaluated (docs/methods.md) */
    EVALUATION_STEP_SAMPLES = 512, /* a bounded piece of work */
    MAXIMUM_METRICS = 16 + GR_MAXIMUM_REGULARIZERS
};

/* An evaluation under way: not part of the state at rest, it starts anew after a restore. */
typedef struct evaluation {
    bool running;
    gr_part part;
    int64_t position, size; /* samples done, and in all, of the part */
    double loss;
    int64_t correct;
    gr_early_stopping after; /* what this evaluation makes of the training's */
} evaluation;

/* Sums since the last metric rows. */
typedef struct interval {
    int64_t iterations;
    double loss, total, values[GR_MAXIMUM_REGULARIZERS];
} interval;

struct gr_training {
    gr_plan plan;
    const gr_dataset *dataset;
    gr_network *network;
    gr_objective *objective;
    gr_split *split;
    int64_t iterations, batch_size, evaluate_every, block_samples;
    bool classification;
    gr_clipping clipping;

    /* One block of memory (gr_training_block_reals). */
    gr_real *parameters, *gradients, *moments[GR_MAXIMUM_MOMENTS], *buffers;
    gr_real *best_parameters, *best_buffers; /* of the best evaluation, where they are kept */
    gr_early_stopping stopping;
    int64_t iteration;
    int64_t evaluated; /* the iteration whose rows were reported last; 0: none */
    interval interval;

    int64_t *order; /* of the epoch `order_epoch` */
    int64_t order_epoch;
    int32_t *labels;
    gr_real *targets;
    gr_real *derivatives; /* of the truth, where the data knows them; else NULL */
    int64_t *positions;

    evaluation evaluation;
    gr_metric metrics[MAXIMUM_METRICS];
    size_t metric_count;
    char penalty_names[GR_MAXIMUM_REGULARIZERS][32];
};

/* -- creation
 * -------------------------------------------------------------------------------------------- */

void gr_training_free(gr_training *training) {
    if (!training) return;
    gr_objective_free(training->objective);
    gr_network_free(training->network);
    gr_split_free(training->split);
    free(training->parameters);
    free(training->order);
    free(training->labels);
    free(training->targets);
    free(training->derivatives);
    free(training->positions);
    free(training);
}

static gr_status allocate(gr_training *training, gr_error *error) {
    const size_t count = (size_t)gr_training_array_reals(training->network);
    const int moments = gr_optimizer_kind_of(training->plan.optimizer)->moments;
    const size_t samples = (size_t)gr_split_size(training->split, GR_PART_TRAINING);
    const size_t block = (size_t)training->block_samples;
    const size_t outputs = (size_t)gr_network_outputs(training->network);
    /* Kernels read whole vectors past the end of the parameters: the gradients follow them. */
    training->parameters = gr_allocate_large(
        sizeof(gr_real) * (size_t)gr_training_block_reals(&training->plan, training->network) +
        GR_SLACK_BYTES);
    training->order = malloc(samples * sizeof(int64_t));
    training->labels = calloc(block, sizeof(int32_t));
    training->targets = calloc(block * outputs, sizeof(gr_real));
    training->positions = malloc((block + 1) * sizeof(int64_t));
    if (!training->parameters || !training->order || !training->labels || !training->targets ||
        !training->positions)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a training of %lld parameters",
                       (long long)training->network->parameter_count);
    if (gr_dataset_describe(training->dataset)->knows_derivatives) {
        const size_t features = (size_t)gr_network_features(training->network, 0);
        training->derivatives = calloc(outputs * features * block, sizeof(gr_real));
        if (!training->derivatives)
            return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for known derivatives");
    }
    training->gradients = training->parameters + count;
    for (int m = 0; m < moments; m++)
        training->moments[m] = training->gradients + count * (size_t)(m + 1);
    training->buffers = training->gradients + count * (size_t)(moments + 1);
    if (training->stopping.keeps_best) {
        training->best_parameters = training->buffers + training->network->buffer_count;
        training->best_buffers = training->best_parameters + count;
    }
    return GR_OK;
}

static gr_clipping clipping_of(const gr_settings *settings) {
    gr_clipping clipping = {0};
    if (!gr_is_null(settings, GR_TRAINING_CLIP_NORM))
        clipping.norm = gr_number(settings, GR_TRAINING_CLIP_NORM);
    if (!gr_is_null(settings, GR_TRAINING_CLIP_VALUE))
        clipping.value = gr_number(settings, GR_TRAINING_CLIP_VALUE);
    return clipping;
}

gr_status gr_training_create(const gr_plan *plan, const gr_dataset *dataset, gr_training **result,
                             gr_error *error) {
    GR_TRY(gr_plan_check(plan, dataset, NULL, error));
    gr_blas_single_thread();
    gr_status status = GR_OK;
    gr_training *training = calloc(1, sizeof *training);
    if (!training) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a training");
    training->plan = *plan;
    training->dataset = dataset;
    training->iterations = gr_integer(plan->training, GR_TRAINING_ITERATIONS);
    training->batch_size = gr_integer(plan->training, GR_TRAINING_BATCH_SIZE);
    training->evaluate_every = gr_integer(plan->training, GR_TRAINING_EVALUATE_EVERY);
    training->classification = gr_dataset_describe(dataset)->classes > 0;
    training->clipping = clipping_of(plan->training);
    training->stopping = gr_early_stopping_create(plan->training, training->classification);
    training->order_epoch = -1;
    for (size_t i = 0; i < plan->regularizer_count; i++)
        snprintf(training->penalty_names[i], sizeof training->penalty_names[i], "penalty.%zu", i);
    GR_TRY_OR(fail, gr_plan_network(plan, dataset, &training->network, error));
    training->block_samples = gr_objective_block_samples(
        training->network, plan->regularizers, plan->regularizer_count, training->batch_size);
    const gr_fit fit = gr_plan_fit(plan, dataset, training->network);
    GR_TRY_OR(fail,
              gr_objective_create(&fit, plan->loss, plan->regularizers, plan->regularizer_count,
                                  training->block_samples, training->iterations, plan->seed,
                                  &training->objective, error));
    GR_TRY_OR(fail, gr_split_create(dataset, plan->dataset, plan->seed, &training->split, error));
    GR_TRY_OR(fail, allocate(training, error));
    gr_network_initialize(training->network, plan->seed, training->parameters);
    gr_network_initialize_buffers(training->network, training->buffers);
    gr_objective_set_buffers(training->objective, training->buffers);
    *result = training;
    return GR_OK;
fail:
    gr_training_free(training);
    return status;
}

gr_status gr_training_set_model(gr_training *training, const gr_arrays *model, gr_error *error) {
    return gr_network_from_arrays(training->network, model, training->parameters, training->buffers,
                                  error);
}

/* -- one optimiser step
 * ------------------------------------------------------------------------------------ */

/* The batch's positions among the training samples: each epoch is a permutation of its own. */
static const int64_t *batch_positions(gr_training *training, int64_t iteration) {
    const int64_t samples = gr_split_size(training->split, GR_PART_TRAINING);
    const int64_t batches = samples / training->batch_size;
    const int64_t epoch = iteration / batches;
    if (training->order_epoch != epoch) {
        const gr_random random =
            gr_random_source(training->plan.seed, GR_PURPOSE_ORDER, 0, (uint32_t)epoch);
        gr_random_permutation(&random, 0, samples, training->order);
        training->order_epoch = epoch;
    }
    return training->order + iteration % batches * training->batch_size;
}

static gr_status require_finite(gr_training *training, double total, gr_error *error) {
    if (isfinite(total)) return GR_OK;
    /* Zero before each step, as one leaves them. */
    memset(training->gradients, 0, (size_t)training->network->parameter_count * sizeof(gr_real));
    return gr_fail(error, GR_DIVERGED,
                   "the regularised loss is %s at iteration %lld: lower the learning rate or the "
                   "weights of the penalties",
                   isnan(total) ? "not a number" : "infinite", (long long)training->iteration);
}

static gr_status step(gr_training *training, gr_error *error) {
    const int64_t iteration = training->iteration;
    const int64_t *positions = batch_positions(training, iteration);
    gr_objective_result result = {0};
    for (int64_t first = 0; first < training->batch_size; first += training->block_samples) {
        int64_t samples = training->batch_size - first;
        if (samples > training->block_samples) samples = training->block_samples;
        const gr_block block = {
            .samples = samples,
            .batch_size = training->batch_size,
            .draw = {training->plan.seed, (uint32_t)iteration, (uint32_t)first, 0},
            .labels = training->classification ? training->labels : NULL,
            .targets = training->targets,
            .derivatives = training->derivatives};
        if (training->derivatives)
            gr_split_fill_derivatives(training->split, GR_PART_TRAINING, positions + first, samples,
                                      training->derivatives);
        bool turned;
        gr_real *x = gr_objective_input(training->objective, &turned);
        gr_split_fill_augmented(training->split, iteration, positions + first, samples, turned, x,
                                training->labels, training->targets);
        gr_objective_block(training->objective, training->parameters, &block, training->gradients,
                           &result);
    }
    /* A limit on the gradient is one on the whole of it. */
    const bool clips = training->clipping.norm > 0 || training->clipping.value > 0;
    double decay = 0;
    gr_objective_finish(training->objective, training->parameters, (uint32_t)iteration,
                        clips ? NULL : &decay, training->gradients, &result);
    training->iteration++;
    GR_TRY(require_finite(training, result.total, error));

    const gr_settings *optimizer = training->plan.optimizer;
    const double rate =
        gr_learning_rate(optimizer) *
        gr_schedule_factor(training->plan.schedule, iteration, training->iterations);
    gr_clip(&training->clipping, training->network->parameter_count, training->gradients);
    const double squares = gr_optimizer_step(
        optimizer, training->network, gr_objective_kernels(training->objective), iteration + 1,
        rate, decay, training->parameters, training->gradients, training->moments);
    if (decay != 0) {
        gr_objective_add_decay(training->objective, decay, squares, &result);
        GR_TRY(require_finite(training, result.total, error));
    }

    interval *sums = &training->interval;
    sums->iterations++;
    sums->loss += result.loss;
    sums->total += result.total;
    for (size_t i = 0; i < training->plan.regularizer_count; i++)
        sums->values[i] += result.values[i];
    return GR_OK;
}

/* -- evaluation
 * -------------------------------------------------------------------------------------------- */

static bool at_end(const gr_training *training, const gr_early_stopping *stopping) {
    return stopping->stopped || training->iteration >= training->iterations;
}

/* Whether the parameters of the best evaluation stand for the present ones. */
static bool best_is_kept(const gr_training *training, const gr_early_stopping *stopping) {
    return stopping->keeps_best && stopping->best_iteration > 0 &&
           stopping->best_iteration != training->iteration;
}

static void add_metric(gr_training *training, const char *name, double value) {
    training->metrics[training->metric_count++] =
        (gr_metric){.name = name, .iteration = training->iteration, .value = value};
}

static void begin_part(gr_training *training, gr_part part) {
    int64_t size = gr_split_size(training->split, part);
    if (part == GR_PART_TRAINING && size > TRAINING_EVALUATION_SAMPLES)
        size = TRAINING_EVALUATION_SAMPLES;
    const gr_early_stopping after = training->evaluation.after;
    if (part == GR_PART_TEST && !at_end(training, &after)) size = 0;
    training->evaluation =
        (evaluation){.running = true, .part = part, .size = size, .after = after};
}

static void begin_evaluation(gr_training *training) {
    training->metric_count = 0;
    const interval *sums = &training->interval;
    if (sums->iterations) {
        const double n = (double)sums->iterations;
        add_metric(training, "train_loss", sums->loss / n);
        add_metric(training, "train_objective", sums->total / n);
        for (size_t i = 0; i < training->plan.regularizer_count; i++)
            add_metric(training, training->penalty_names[i], sums->values[i] / n);
    }
    training->evaluation.after = training->stopping;
    begin_part(training, GR_PART_TRAINING);
}

/* Adds the rows of a part. */
static void end_part(gr_training *training) {
    static const char *const losses[] = {NULL, "validation_loss", "test_loss"};
    static const char *const accuracies[] = {"train_accuracy", "validation_accuracy",
                                             "test_accuracy"};
    evaluation *done = &training->evaluation;
    if (done->size == 0) return;
    const double loss = done->loss / (double)done->size;
    const double accuracy = (double)done->correct / (double)done->size;
    if (losses[done->part]) add_metric(training, losses[done->part], loss);
    if (training->classification) add_metric(training, accuracies[done->part], accuracy);
    if (done->part == GR_PART_VALIDATION && gr_early_stopping_judges(&training->stopping)) {
        done->after = gr_early_stopping_after(&training->stopping, training->iteration,
                                              training->iterations, loss, accuracy);
        add_metric(training, "best_iteration", (double)done->after.best_iteration);
        if (done->after.patience && at_end(training, &done->after))
            add_metric(training, "stopped_early", done->after.stopped);
    }
}

/* All parts are done: what they came to becomes the training's state. (Not before, or a run that
 * is restored within an evaluation would count it twice.) */
static void end_evaluation(gr_training *training) {
    const gr_network *network = training->network;
    training->stopping = training->evaluation.after;
    training->evaluation.running = false;
    training->evaluated = training->iteration;
    training->interval = (interval){0};
    if (training->stopping.keeps_best && training->stopping.best_iteration == training->iteration) {
        memcpy(training->best_parameters, training->parameters,
               (size_t)network->parameter_count * sizeof(gr_real));
        if (network->buffer_count)
            memcpy(training->best_buffers, training->buffers,
                   (size_t)network->buffer_count * sizeof(gr_real));
    }
}

static gr_status evaluate(gr_training *training, gr_progress *progress, gr_error *error) {
    evaluation *e = &training->evaluation;
    *progress = GR_PROGRESS_EVALUATION;
    const int64_t stop = e->position + EVALUATION_STEP_SAMPLES;
    /* The test samples are for what the run ends with. */
    const bool of_best = e->part == GR_PART_TEST && best_is_kept(training, &e->after);
    const gr_real *parameters = of_best ? training->best_parameters : training->parameters;
    if (of_best) gr_objective_set_buffers(training->objective, training->best_buffers);
    while (e->position < e->size && e->position < stop) {
        int64_t samples = e->size - e->position;
        if (samples > training->block_samples) samples = training->block_samples;
        for (int64_t i = 0; i < samples; i++) training->positions[i] = e->position + i;
        bool turned;
        gr_real *x = gr_objective_input(training->objective, &turned);
        gr_split_fill(training->split, e->part, training->positions, samples, turned, x,
                      training->labels, training->targets);
        const gr_block block = {.samples = samples,
                                .batch_size = samples,
                                .labels = training->classification ? training->labels : NULL,
                                .targets = training->targets};
        gr_objective_evaluate(training->objective, parameters, &block, &e->loss, &e->correct);
        e->position += samples;
    }
    gr_objective_set_buffers(training->objective, training->buffers);
    if (e->position < e->size) return GR_OK;
    if (!isfinite(e->loss))
        return gr_fail(error, GR_DIVERGED,
                       "the loss is not finite in the evaluation after iteration %lld: lower the "
                       "learning rate or the weights of the penalties",
                       (long long)training->iteration);
    end_part(training);
    if (e->part != GR_PART_TEST) {
        begin_part(training, e->part + 1);
        return GR_OK;
    }
    end_evaluation(training);
    *progress = GR_PROGRESS_METRICS;
    return GR_OK;
}

static gr_status advance(gr_training *training, gr_progress *progress, gr_error *error) {
    if (training->evaluation.running) return evaluate(training, progress, error);
    const bool ends = at_end(training, &training->stopping);
    const bool due = training->iteration > 0 && training->evaluated != training->iteration &&
                     (ends || training->iteration % training->evaluate_every == 0);
    if (due) {
        begin_evaluation(training);
        return evaluate(training, progress, error);
    }
    if (ends) {
        *progress = GR_PROGRESS_FINISHED;
        return GR_OK;
    }
    *progress = GR_PROGRESS_ITERATION;
    return step(training, error);
}

gr_status gr_training_advance(gr_training *training, gr_progress *progress, gr_error *error) {
    const unsigned before = gr_flush_subnormals();
    const gr_status status = advance(training, progress, error);
    gr_restore_subnormals(before);
    return status;
}

int64_t gr_training_iteration(const gr_training *training) {
    return training->iteration;
}

int64_t gr_training_iterations(const gr_training *training) {
    return training->iterations;
}

const gr_metric *gr_training_metrics(const gr_training *training, size_t *count) {
    *count = training->metric_count;
    return training->metrics;
}

/* -- the state at rest
 * -------------------------------------------------------------------------------------- */

enum { COUNTER_ITERATION, COUNTER_EVALUATED, COUNTER_INTERVAL, COUNTERS };
enum { SUM_LOSS, SUM_TOTAL, SUM_VALUES, SUMS = SUM_VALUES + GR_MAXIMUM_REGULARIZERS };
static const char best_parameters_name[] = "best.parameters", best_buffers_name[] = "best.buffers";
static const char *const moment_names[GR_MAXIMUM_MOMENTS] = {"optimizer.moment.0",
                                                             "optimizer.moment.1"};

gr_status gr_training_save(const gr_training *training, gr_arrays *state, gr_error *error) {
    const int64_t count = training->network->parameter_count;
    const gr_shape block = {1, {count}}, counters = {1, {COUNTERS}}, sums = {1, {SUMS}};
    const int moments = gr_optimizer_kind_of(training->plan.optimizer)->moments;
    void *data;
    GR_TRY(gr_arrays_add(state, "parameters", GR_REAL_ELEMENT, &block, &data, error));
    memcpy(data, training->parameters, (size_t)count * sizeof(gr_real));
    for (int m = 0; m < moments; m++) {
        GR_TRY(gr_arrays_add(state, moment_names[m], GR_REAL_ELEMENT, &block, &data, error));
        memcpy(data, training->moments[m], (size_t)count * sizeof(gr_real));
    }
    const gr_shape buffers = {1, {training->network->buffer_count}};
    GR_TRY(gr_arrays_add(state, "buffers", GR_REAL_ELEMENT, &buffers, &data, error));
    if (buffers.size[0]) memcpy(data, training->buffers, (size_t)buffers.size[0] * sizeof(gr_real));
    gr_shape kept = {1, {0}};
    const gr_real *regularizer_state = gr_objective_state(training->objective, &kept.size[0]);
    if (kept.size[0]) {
        GR_TRY(gr_arrays_add(state, "regularizers", GR_REAL_ELEMENT, &kept, &data, error));
        memcpy(data, regularizer_state, (size_t)kept.size[0] * sizeof(gr_real));
    }
    GR_TRY(gr_arrays_add(state, "counters", GR_I64, &counters, &data, error));
    int64_t *counter = data;
    counter[COUNTER_ITERATION] = training->iteration;
    counter[COUNTER_EVALUATED] = training->evaluated;
    counter[COUNTER_INTERVAL] = training->interval.iterations;
    GR_TRY(gr_arrays_add(state, "interval", GR_F64, &sums, &data, error));
    double *sum = data;
    sum[SUM_LOSS] = training->interval.loss;
    sum[SUM_TOTAL] = training->interval.total;
    memcpy(sum + SUM_VALUES, training->interval.values, sizeof training->interval.values);
    if (training->stopping.keeps_best) {
        GR_TRY(gr_arrays_add(state, best_parameters_name, GR_REAL_ELEMENT, &block, &data, error));
        memcpy(data, training->best_parameters, (size_t)count * sizeof(gr_real));
        if (buffers.size[0]) {
            GR_TRY(
                gr_arrays_add(state, best_buffers_name, GR_REAL_ELEMENT, &buffers, &data, error));
            memcpy(data, training->best_buffers, (size_t)buffers.size[0] * sizeof(gr_real));
        }
    }
    return gr_early_stopping_save(&training->stopping, state, error);
}

gr_status gr_training_restore(gr_training *training, const gr_arrays *state, gr_error *error) {
    const int64_t count = training->network->parameter_count;
    const gr_shape block = {1, {count}}, counters = {1, {COUNTERS}}, sums = {1, {SUMS}};
    const int moments = gr_optimizer_kind_of(training->plan.optimizer)->moments;
    const void *parameters, *counter_data, *sum_data, *moment[GR_MAXIMUM_MOMENTS] = {0};
    GR_TRY(gr_arrays_require(state, "parameters", GR_REAL_ELEMENT, &block, &parameters, error));
    GR_TRY(gr_arrays_require(state, "counters", GR_I64, &counters, &counter_data, error));
    GR_TRY(gr_arrays_require(state, "interval", GR_F64, &sums, &sum_data, error));
    for (int m = 0; m < moments; m++)
        GR_TRY(
            gr_arrays_require(state, moment_names[m], GR_REAL_ELEMENT, &block, &moment[m], error));
    const gr_shape buffers = {1, {training->network->buffer_count}};
    const void *buffer_data = NULL;
    if (buffers.size[0])
        GR_TRY(gr_arrays_require(state, "buffers", GR_REAL_ELEMENT, &buffers, &buffer_data, error));
    gr_shape kept = {1, {0}};
    gr_real *regularizer_state = gr_objective_state(training->objective, &kept.size[0]);
    const void *kept_data = NULL;
    if (kept.size[0])
        GR_TRY(gr_arrays_require(state, "regularizers", GR_REAL_ELEMENT, &kept, &kept_data, error));
    const void *best_parameter_data = NULL, *best_buffer_data = NULL;
    if (training->stopping.keeps_best) {
        GR_TRY(gr_arrays_require(state, best_parameters_name, GR_REAL_ELEMENT, &block,
                                 &best_parameter_data, error));
        if (buffers.size[0])
            GR_TRY(gr_arrays_require(state, best_buffers_name, GR_REAL_ELEMENT, &buffers,
                                     &best_buffer_data, error));
    }
    const int64_t *counter = counter_data;
    const double *sum = sum_data;
    if (counter[COUNTER_ITERATION] < 0 || counter[COUNTER_ITERATION] > training->iterations ||
        counter[COUNTER_EVALUATED] < 0 || counter[COUNTER_EVALUATED] > counter[COUNTER_ITERATION] ||
        counter[COUNTER_INTERVAL] < 0 || counter[COUNTER_INTERVAL] > counter[COUNTER_ITERATION])
        return gr_fail(error, GR_CORRUPT, "the checkpoint's counters are not those of this run");
    GR_TRY(
        gr_early_stopping_restore(&training->stopping, state, counter[COUNTER_ITERATION], error));
    if (training->stopping.keeps_best) {
        memcpy(training->best_parameters, best_parameter_data, (size_t)count * sizeof(gr_real));
        if (buffers.size[0])
            memcpy(training->best_buffers, best_buffer_data,
                   (size_t)buffers.size[0] * sizeof(gr_real));
    }
    memcpy(training->parameters, parameters, (size_t)count * sizeof(gr_real));
    for (int m = 0; m < moments; m++)
        memcpy(training->moments[m], moment[m], (size_t)count * sizeof(gr_real));
    if (buffers.size[0])
        memcpy(training->buffers, buffer_data, (size_t)buffers.size[0] * sizeof(gr_real));
    if (kept.size[0]) memcpy(regularizer_state, kept_data, (size_t)kept.size[0] * sizeof(gr_real));
    training->iteration = counter[COUNTER_ITERATION];
    training->evaluated = counter[COUNTER_EVALUATED];
    training->interval.iterations = counter[COUNTER_INTERVAL];
    training->interval.loss = sum[SUM_LOSS];
    training->interval.total = sum[SUM_TOTAL];
    memcpy(training->interval.values, sum + SUM_VALUES, sizeof training->interval.values);
    training->evaluation.running = false;
    training->metric_count = 0;
    return GR_OK;
}

gr_status gr_training_model(const gr_training *training, gr_arrays *model, gr_error *error) {
    const bool of_best = best_is_kept(training, &training->stopping);
    return gr_network_to_arrays(
        training->network, "", of_best ? training->best_parameters : training->parameters,
        of_best ? training->best_buffers : training->buffers,
        of_best ? training->stopping.best_iteration : training->iteration, model, error);
}

const gr_split *gr_training_split(const gr_training *training) {
    return training->split;
}
