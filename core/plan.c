/* What a plan needs before it is trained: the table of "training", and whether its parts fit each
 * other. */
#include "core/plan.h"

#include <math.h>
#include <stdlib.h>

#include "core/analysis.h"
#include "core/data/split_content.h"
#include "core/early_stopping.h"
#include "core/objective.h"
#include "core/optimizer.h"
#include "core/training_options.h"

static const char *const keeps[] = {"last", "best", NULL};
static const gr_option options[] = {
    [GR_TRAINING_ITERATIONS] = {.name = "iterations",
                                .help = "optimiser steps in all",
                                .accepts = GR_ACCEPT(GR_INTEGER),
                                .minimum = 1,
                                .maximum = 1e9,
                                .default_json = "10000"},
    [GR_TRAINING_BATCH_SIZE] = {.name = "batch_size",
                                .help =
                                    "samples of a step; a last short batch of an epoch is dropped",
                                .accepts = GR_ACCEPT(GR_INTEGER),
                                .minimum = 1,
                                .maximum = 1e6,
                                .default_json = "50"},
    [GR_TRAINING_EVALUATE_EVERY] = {.name = "evaluate_every",
                                    .help = "iterations between evaluations and metric rows",
                                    .accepts = GR_ACCEPT(GR_INTEGER),
                                    .minimum = 1,
                                    .maximum = 1e9,
                                    .default_json = "500"},
    [GR_TRAINING_CHECKPOINT_EVERY] = {.name = "checkpoint_every",
                                      .help =
                                          "iterations between checkpoints, from which a stopped "
                                          "run goes on",
                                      .accepts = GR_ACCEPT(GR_INTEGER),
                                      .minimum = 1,
                                      .maximum = 1e9,
                                      .default_json = "1000"},
    [GR_TRAINING_CLIP_NORM] = {.name = "clip_norm",
                               .help = "the largest l2 norm of the whole gradient, which is scaled "
                                       "down to it; null: no limit",
                               .accepts = GR_ACCEPT(GR_NUMBER) | GR_ACCEPT(GR_NULL),
                               .minimum = 0,
                               .maximum = 1e30,
                               .minimum_excluded = true,
                               .default_json = "null"},
    [GR_TRAINING_CLIP_VALUE] = {.name = "clip_value",
                                .help = "the largest magnitude of each component of the gradient, "
                                        "which is cut off there; null: no limit",
                                .accepts = GR_ACCEPT(GR_NUMBER) | GR_ACCEPT(GR_NULL),
                                .minimum = 0,
                                .maximum = 1e30,
                                .minimum_excluded = true,
                                .default_json = "null"},
    [GR_TRAINING_EARLY_STOPPING] = {.name = "early_stopping",
                                    .help = "when a run ends before its last iteration, and what "
                                            "its evaluations are judged by",
                                    .accepts = GR_ACCEPT(GR_SETTINGS),
                                    .family = &gr_early_stopping_family,
                                    .default_json = "{}"},
    [GR_TRAINING_KEEP] = {.name = "keep",
                          .help = "the parameters that are tested and stored at the end: those of "
                                  "the last iteration, or of the best evaluation",
                          .accepts = GR_ACCEPT(GR_CHOICE),
                          .choices = keeps,
                          .default_json = "\"last\""},
};

static const gr_kind training = {.name = "training",
                                 .help = "length, batches and bookkeeping of a run",
                                 .options = options,
                                 .option_count = sizeof options / sizeof *options};

static const gr_kind *const kinds[] = {&training, NULL};

const gr_family gr_training_family = {.name = "training", .kinds = kinds, .unnamed = &training};

gr_status gr_plan_network(const gr_plan *plan, const gr_dataset *dataset, gr_network **network,
                          gr_error *error) {
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    return gr_model_build(plan->model, &about->input_shape,
                          about->classes ? about->classes : about->targets, network, error);
}

gr_fit gr_plan_fit(const gr_plan *plan, const gr_dataset *dataset, const gr_network *network) {
    return (gr_fit){.network = network,
                    .loss = gr_loss_kind_of(plan->loss),
                    .labels = gr_dataset_describe(dataset)->classes > 0,
                    .derivatives = gr_dataset_describe(dataset)->knows_derivatives};
}

/* What a plan's checks look at. */
typedef struct parts {
    const gr_plan *plan;
    const gr_dataset *dataset;
    gr_network *network; /* NULL: the model cannot be built */
    gr_split *split;     /* its sizes; NULL: the data set cannot be divided so */
    gr_fit fit;
} parts;

static gr_status check_model(parts *p, gr_error *error) {
    GR_TRY(gr_plan_network(p->plan, p->dataset, &p->network, error));
    p->fit = gr_plan_fit(p->plan, p->dataset, p->network);
    const gr_status status = gr_objective_check_network(&p->fit, p->plan->regularizer_count, error);
    if (status == GR_OK) return GR_OK;
    gr_network_free(p->network);
    p->network = NULL;
    return status;
}

static gr_status check_loss(parts *p, gr_error *error) {
    const gr_dataset_information *about = gr_dataset_describe(p->dataset);
    const gr_loss_kind *loss = gr_loss_kind_of(p->plan->loss);
    if (about->classes > 0 || loss->regression) return GR_OK;
    return gr_fail_at(error, GR_INVALID, "/loss/type",
                      "the loss %s does not fit the data set %s, which is a regression",
                      loss->kind.name, about->name);
}

static gr_status check_schedule(parts *p, gr_error *error) {
    const gr_status status = gr_schedule_check(p->plan->schedule, error);
    if (status != GR_OK) gr_error_prefix_place(error, "/schedule");
    return status;
}

static gr_status check_optimizer(parts *p, gr_error *error) {
    const gr_status status = gr_optimizer_check(p->plan->optimizer, error);
    if (status != GR_OK) gr_error_prefix_place(error, "/optimizer");
    return status;
}

/* Weights that decay twice are a mistake in a comparison of the two ways. */
static gr_status check_decay(parts *p, gr_error *error) {
    const gr_plan *plan = p->plan;
    const gr_kind *optimizer = plan->optimizer->kind;
    const int option = gr_kind_option(optimizer, "weight_decay");
    if (option < 0 || gr_number(plan->optimizer, option) <= 0) return GR_OK;
    for (size_t i = 0; i < plan->regularizer_count; i++) {
        const gr_settings *settings = &plan->regularizers[i];
        if (settings->kind != &gr_regularizer_weight_decay.kind ||
            gr_number(settings, GR_REGULARIZER_WEIGHT) <= 0)
            continue;
        gr_fail_at(error, GR_INVALID, "/type",
                   "the optimizer %s decays the weights itself: leave weight_decay out here, or "
                   "give the optimizer \"weight_decay\": 0",
                   optimizer->name);
        gr_error_prefix_place(error, "/regularizers/%zu", i);
        return GR_INVALID;
    }
    return GR_OK;
}

static gr_status check_clipping(parts *p, gr_error *error) {
    if (gr_is_null(p->plan->training, GR_TRAINING_CLIP_NORM) ||
        gr_is_null(p->plan->training, GR_TRAINING_CLIP_VALUE))
        return GR_OK;
    return gr_fail_at(error, GR_INVALID, "/training/clip_value",
                      "clip_norm is given too: leave one of the two out");
}

static gr_status check_split(parts *p, gr_error *error) {
    const gr_status status = gr_split_outline(p->dataset, p->plan->dataset, &p->split, error);
    if (status != GR_OK) gr_error_prefix_place(error, "/dataset");
    return status;
}

static gr_status check_analysis(parts *p, gr_error *error) {
    return p->network && p->split ? gr_analysis_check(p->plan, &p->fit, p->split, error) : GR_OK;
}

static gr_status check_early_stopping(parts *p, gr_error *error) {
    if (!p->split) return GR_OK;
    const gr_status status =
        gr_early_stopping_check(p->plan->training, gr_dataset_describe(p->dataset)->classes > 0,
                                gr_split_size(p->split, GR_PART_VALIDATION), error);
    if (status != GR_OK) gr_error_prefix_place(error, "/training");
    return status;
}

static gr_status check_batch(parts *p, gr_error *error) {
    const int64_t batch = gr_integer(p->plan->training, GR_TRAINING_BATCH_SIZE);
    const int64_t samples = p->split ? gr_split_size(p->split, GR_PART_TRAINING) : batch;
    if (batch > samples)
        return gr_fail_at(error, GR_INVALID, "/training/batch_size",
                          "a batch of %lld is larger than the %lld training samples: lower it, or "
                          "raise train_size",
                          (long long)batch, (long long)samples);
    const gr_status status = p->network ? gr_network_check_batch(p->network, batch, error) : GR_OK;
    if (status != GR_OK) gr_error_prefix_place(error, "/training/batch_size");
    return status;
}

/* What was found so far. */
typedef struct findings {
    gr_report *report; /* NULL: the first failure ends the checks */
    void *context;
    gr_status status; /* of the first */
    gr_error *error;
} findings;

/* Whether the checks go on after one of this outcome. */
static bool goes_on(findings *found, gr_status status, const gr_error *failure) {
    if (status == GR_OK) return true;
    const bool of_the_plan = status == GR_INVALID || status == GR_TOO_LARGE;
    if (found->status == GR_OK || !of_the_plan) {
        found->status = status;
        *found->error = *failure;
    }
    if (!of_the_plan || !found->report) return false;
    found->report(found->context, failure);
    return true;
}

/* In the order in which a plan is put together: later ones may need what earlier ones have made. */
static void check_parts(parts *p, findings *found) {
    typedef gr_status check(parts * p, gr_error * error);
    static check *const checks[] = {
        check_model,    check_loss,  check_schedule, check_optimizer,      check_decay,
        check_clipping, check_split, check_analysis, check_early_stopping, check_batch};
    const gr_plan *plan = p->plan;
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        gr_error failure = {0};
        if (!goes_on(found, checks[i](p, &failure), &failure)) return;
    }
    for (size_t i = 0; p->network && i < plan->regularizer_count; i++) {
        gr_error failure = {0};
        const gr_status status = gr_regularizer_check(&p->fit, plan->regularizers, i, &failure);
        if (!goes_on(found, status, &failure)) return;
    }
}

int64_t gr_training_array_reals(const gr_network *network) {
    enum { LINE = GR_ALIGNMENT / sizeof(gr_real) };
    return (network->parameter_count + LINE - 1) / LINE * LINE;
}

int64_t gr_training_block_reals(const gr_plan *plan, const gr_network *network) {
    const int64_t moments = gr_optimizer_kind_of(plan->optimizer)->moments;
    const bool keeps_best = gr_choice(plan->training, GR_TRAINING_KEEP) == GR_TRAINING_KEEP_BEST;
    const int64_t sets = keeps_best ? 2 : 1; /* of parameters and buffers */
    return gr_training_array_reals(network) * (1 + moments + sets) + network->buffer_count * sets;
}

static gr_estimate estimate_of(const parts *p) {
    const gr_plan *plan = p->plan;
    const gr_network *network = p->network;
    const int64_t batch = gr_integer(plan->training, GR_TRAINING_BATCH_SIZE);
    const int64_t block =
        gr_objective_block_samples(network, plan->regularizers, plan->regularizer_count, batch);
    const gr_dataset_information *about = gr_dataset_describe(p->dataset);
    return (gr_estimate){
        .parameters = network->parameter_count,
        .memory_bytes =
            gr_objective_bytes(network, plan->regularizers, plan->regularizer_count, block) +
            gr_training_block_reals(plan, network) * (int64_t)sizeof(gr_real) +
            gr_analysis_bytes(plan, network) +
            (about->training_samples + about->test_samples) * 2 * (int64_t)sizeof(int64_t),
        .forward_operations = network->operations,
        .iteration_operations = (double)batch * gr_objective_operations(network, plan->regularizers,
                                                                        plan->regularizer_count)};
}

gr_status gr_plan_check_all(const gr_plan *plan, const gr_dataset *dataset, gr_estimate *estimate,
                            gr_report *report, void *context, gr_error *error) {
    gr_error own_error;
    parts p = {.plan = plan, .dataset = dataset};
    findings found = {report, context, GR_OK, error ? error : &own_error};
    check_parts(&p, &found);
    if (found.status == GR_OK && estimate) *estimate = estimate_of(&p);
    gr_network_free(p.network);
    gr_split_free(p.split);
    return found.status;
}

gr_status gr_plan_check(const gr_plan *plan, const gr_dataset *dataset, gr_estimate *estimate,
                        gr_error *error) {
    return gr_plan_check_all(plan, dataset, estimate, NULL, NULL, error);
}

/* A training that starts there would diverge at once, and blame its learning rate. */
static gr_status check_finite(const gr_arrays *model, gr_error *error) {
    for (size_t a = 0; a < model->count; a++) {
        const gr_array *array = &model->items[a];
        const int64_t count = gr_shape_elements(&array->shape);
        for (int64_t e = 0; e < count; e++) {
            const double value = array->type == GR_F64   ? ((const double *)array->data)[e]
                                 : array->type == GR_F32 ? (double)((const float *)array->data)[e]
                                                         : 0;
            if (!isfinite(value))
                return gr_fail(error, GR_INVALID,
                               "the array \"%s\" holds numbers that are not finite: this model has "
                               "diverged, take another one",
                               array->name);
        }
    }
    return GR_OK;
}

gr_status gr_plan_check_model(const gr_plan *plan, const gr_dataset *dataset,
                              const gr_arrays *model, gr_error *error) {
    gr_network *network;
    GR_TRY(gr_plan_network(plan, dataset, &network, error));
    const size_t count = (size_t)(network->parameter_count + network->buffer_count);
    gr_real *numbers = malloc((count + 1) * sizeof *numbers);
    gr_status status =
        numbers ? gr_network_from_arrays(network, model, numbers,
                                         numbers + network->parameter_count, error)
                : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %zu parameters", count);
    free(numbers);
    gr_network_free(network);
    return status == GR_OK ? check_finite(model, error) : status;
}
