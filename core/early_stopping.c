#include "core/early_stopping.h"

#include <math.h>

#include "core/training_options.h"

enum { PATIENCE, METRIC, MINIMUM_CHANGE };
enum { METRIC_ACCURACY, METRIC_LOSS };
static const char *const metrics[] = {"validation_accuracy", "validation_loss", NULL};
static const gr_option options[] = {
    [PATIENCE] = {.name = "patience",
                  .help = "evaluations in a row without progress after which training stops; null: "
                          "it does not",
                  .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),
                  .minimum = 1,
                  .maximum = 1e9,
                  .default_json = "null"},
    [METRIC] = {.name = "metric",
                .help = "what is judged, for \"keep\" too; null: the accuracy, of a regression the "
                        "loss",
                .accepts = GR_ACCEPT(GR_CHOICE) | GR_ACCEPT(GR_NULL),
                .choices = metrics,
                .default_json = "null"},
    [MINIMUM_CHANGE] = {.name = "minimum_change",
                        .help = "progress is to be better than the last progress by more than this",
                        .accepts = GR_ACCEPT(GR_NUMBER),
                        .minimum = 0,
                        .maximum = 1e6,
                        .default_json = "0"},
};

static const gr_kind early_stopping = {.name = "early_stopping",
                                       .help = "ending a run that makes no progress any more",
                                       .options = options,
                                       .option_count = sizeof options / sizeof *options};

static const gr_kind *const kinds[] = {&early_stopping, NULL};

const gr_family gr_early_stopping_family = {
    .name = "early_stopping", .kinds = kinds, .unnamed = &early_stopping};

gr_early_stopping gr_early_stopping_create(const gr_settings *training, bool classification) {
    const gr_settings *settings = gr_settings_of(training, GR_TRAINING_EARLY_STOPPING);
    return (gr_early_stopping){
        .keeps_best = gr_choice(training, GR_TRAINING_KEEP) == GR_TRAINING_KEEP_BEST,
        .by_accuracy = gr_is_null(settings, METRIC)
                           ? classification
                           : gr_choice(settings, METRIC) == METRIC_ACCURACY,
        .patience = gr_is_null(settings, PATIENCE) ? 0 : gr_integer(settings, PATIENCE),
        .minimum_change = gr_number(settings, MINIMUM_CHANGE)};
}

gr_status gr_early_stopping_check(const gr_settings *training, bool classification,
                                  int64_t validation_samples, gr_error *error) {
    const gr_early_stopping made = gr_early_stopping_create(training, classification);
    if (!gr_early_stopping_judges(&made)) return GR_OK;
    if (validation_samples == 0)
        return gr_fail_at(error, GR_INVALID, made.patience ? "/early_stopping/patience" : "/keep",
                          "this is judged by validation samples, and there are none: set the data "
                          "set's validation_size");
    if (made.by_accuracy && !classification)
        return gr_fail_at(error, GR_INVALID, "/early_stopping/metric",
                          "a regression has no accuracy: use validation_loss, or leave it out");
    return GR_OK;
}

gr_early_stopping gr_early_stopping_after(const gr_early_stopping *state, int64_t iteration,
                                          int64_t iterations, double loss, double accuracy) {
    gr_early_stopping next = *state;
    if (!gr_early_stopping_judges(state)) return next;
    const double score = state->by_accuracy ? accuracy : -loss;
    const bool first = state->best_iteration == 0;
    if (first || score > state->best) {
        next.best = score;
        next.best_iteration = iteration;
    }
    if (first || score > state->reference + state->minimum_change) {
        next.reference = score;
        next.waited = 0;
    } else {
        next.waited++;
    }
    next.stopped = state->patience && next.waited >= state->patience && iteration < iterations;
    return next;
}

/* -- the state at rest
 * -------------------------------------------------------------------------------------- */

enum { COUNTER_BEST_ITERATION, COUNTER_WAITED, COUNTER_STOPPED, COUNTERS };
enum { SCORE_BEST, SCORE_REFERENCE, SCORES };
static const gr_shape counter_shape = {1, {COUNTERS}}, score_shape = {1, {SCORES}};

gr_status gr_early_stopping_save(const gr_early_stopping *state, gr_arrays *arrays,
                                 gr_error *error) {
    if (!gr_early_stopping_judges(state)) return GR_OK;
    void *data;
    GR_TRY(gr_arrays_add(arrays, "early_stopping.counters", GR_I64, &counter_shape, &data, error));
    int64_t *counters = data;
    counters[COUNTER_BEST_ITERATION] = state->best_iteration;
    counters[COUNTER_WAITED] = state->waited;
    counters[COUNTER_STOPPED] = state->stopped;
    GR_TRY(gr_arrays_add(arrays, "early_stopping.scores", GR_F64, &score_shape, &data, error));
    double *scores = data;
    scores[SCORE_BEST] = state->best;
    scores[SCORE_REFERENCE] = state->reference;
    return GR_OK;
}

gr_status gr_early_stopping_restore(gr_early_stopping *state, const gr_arrays *arrays,
                                    int64_t iteration, gr_error *error) {
    if (!gr_early_stopping_judges(state)) return GR_OK;
    const void *counter_data, *score_data;
    GR_TRY(gr_arrays_require(arrays, "early_stopping.counters", GR_I64, &counter_shape,
                             &counter_data, error));
    GR_TRY(gr_arrays_require(arrays, "early_stopping.scores", GR_F64, &score_shape, &score_data,
                             error));
    const int64_t *counters = counter_data;
    const double *scores = score_data;
    if (counters[COUNTER_BEST_ITERATION] < 0 || counters[COUNTER_BEST_ITERATION] > iteration ||
        counters[COUNTER_WAITED] < 0 || counters[COUNTER_WAITED] > iteration ||
        (counters[COUNTER_STOPPED] != 0 && counters[COUNTER_STOPPED] != 1) ||
        (counters[COUNTER_STOPPED] && !state->patience) || !isfinite(scores[SCORE_BEST]) ||
        !isfinite(scores[SCORE_REFERENCE]))
        return gr_fail(error, GR_CORRUPT,
                       "the checkpoint's early_stopping counters are not those of this run");
    state->best_iteration = counters[COUNTER_BEST_ITERATION];
    state->waited = counters[COUNTER_WAITED];
    state->stopped = counters[COUNTER_STOPPED];
    state->best = scores[SCORE_BEST];
    state->reference = scores[SCORE_REFERENCE];
    return GR_OK;
}
