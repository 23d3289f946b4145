/* The table of analyses, and what they share. */
#include "core/analysis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blas.h"
#include "core/data/dataset_content.h"
#include "core/data/split_content.h"
#include "core/needs.h"
#include "core/objective.h"
#include "core/subnormals.h"
#include "core/training_options.h"

/* -- the table: each kind is a member of "analysis", and a family of its own
 * ---------------------------------------------------------------------------------------- */

#define FAMILY(member)                                                                 \
    static const gr_kind *const member##_kinds[] = {&gr_analysis_##member.kind, NULL}; \
    static const gr_family member##_family = {                                         \
        .name = #member, .kinds = member##_kinds, .unnamed = &gr_analysis_##member.kind};
#define MEMBER(member, text)                                                            \
    {                                                                                   \
        .name = #member, .help = text " (true: with its defaults)",                     \
        .accepts = GR_ACCEPT(GR_SETTINGS) | GR_ACCEPT(GR_BOOLEAN) | GR_ACCEPT(GR_NULL), \
        .family = &member##_family, .optional = true, .default_json = "null"            \
    }

FAMILY(gradient_norms)
FAMILY(transitions)
FAMILY(lipschitz)
FAMILY(robustness)
FAMILY(calibration)
FAMILY(input_gradients)
FAMILY(function)

static const gr_option options[] = {
    MEMBER(gradient_norms, "how long input gradients are at and between the training points"),
    MEMBER(transitions, "how often linear pieces change along closed paths"),
    MEMBER(lipschitz, "the layer-wise bound of the Lipschitz constant"),
    MEMBER(robustness, "the accuracy under attack"),
    MEMBER(calibration, "how far confidence can be trusted"),
    MEMBER(input_gradients, "pictures of the loss's input gradient"),
    MEMBER(function, "the fitted function of a toy task"),
};
/* In the same order. */
static const gr_analysis_kind *const rows[] = {
    &gr_analysis_gradient_norms, &gr_analysis_transitions, &gr_analysis_lipschitz,
    &gr_analysis_robustness,     &gr_analysis_calibration, &gr_analysis_input_gradients,
    &gr_analysis_function};
enum { ROWS = sizeof rows / sizeof *rows };
_Static_assert(ROWS == sizeof options / sizeof *options, "each analysis is an option and a row");

static const gr_kind analysis = {.name = "analysis",
                                 .help = "what is measured of the trained model",
                                 .options = options,
                                 .option_count = ROWS};
static const gr_kind *const kinds[] = {&analysis, NULL};

const gr_family gr_analysis_family = {.name = "analysis", .kinds = kinds, .unnamed = &analysis};

static bool is_wanted(const gr_settings *settings, int row) {
    return settings->values[row].type == GR_SETTINGS;
}

gr_status gr_analysis_check(const gr_plan *plan, const gr_fit *fit, const gr_split *split,
                            gr_error *error) {
    for (int i = 0; plan->analysis && i < ROWS; i++) {
        if (!is_wanted(plan->analysis, i) || !rows[i]->check) continue;
        const gr_status status =
            rows[i]->check(gr_settings_of(plan->analysis, i), fit, split, error);
        if (status == GR_OK) continue;
        gr_error_prefix_place(error, "/analysis/%s", options[i].name);
        return status;
    }
    return GR_OK;
}

/* -- the trained network
 * ------------------------------------------------------------------------------------- */

static int64_t block_of(const gr_plan *plan, const gr_network *network) {
    return gr_objective_block_samples(network, plan->regularizers, plan->regularizer_count,
                                      gr_integer(plan->training, GR_TRAINING_BATCH_SIZE));
}

static int64_t probes_of(const gr_network *network, int64_t block) {
    const int64_t outputs = gr_network_outputs(network);
    const int64_t probes = GR_PROBE_LANES / block > 1 ? GR_PROBE_LANES / block : 1;
    return probes < outputs ? probes : outputs;
}

/* Reals of one allocation: parameters, buffers, p, r, targets, losses. */
static int64_t reals_of(const gr_network *network, int64_t block) {
    return network->parameter_count + network->buffer_count +
           (3 * gr_network_outputs(network) + 1) * block + GR_SLACK_BYTES;
}

int64_t gr_analysis_bytes(const gr_plan *plan, const gr_network *network) {
    if (!plan->analysis) return 0;
    const int64_t block = block_of(plan, network);
    return gr_workspace_bytes(network, block, false) +
           gr_lanes_bytes(network, block, probes_of(network, block), GR_LANES_PULLED) +
           reals_of(network, block) * (int64_t)sizeof(gr_real);
}

static void trained_clear(gr_trained *t) {
    gr_lanes_free(t->lanes);
    gr_workspace_free(t->workspace);
    gr_split_free(t->split);
    gr_network_free(t->network);
    free(t->parameters);
    free(t->labels);
    free(t->positions);
}

static gr_status trained_create(gr_trained *t, const gr_arrays *model, gr_error *error) {
    const gr_plan *plan = t->plan;
    GR_TRY(gr_plan_network(plan, t->dataset, &t->network, error));
    GR_TRY(gr_split_create(t->dataset, plan->dataset, plan->seed, &t->split, error));
    const gr_network *network = t->network;
    t->capacity = block_of(plan, network);
    t->probe_capacity = probes_of(network, t->capacity);
    t->features = gr_network_features(network, 0);
    t->outputs = gr_network_outputs(network);
    t->classification = gr_dataset_describe(t->dataset)->classes > 0;
    t->probabilities = gr_loss_kind_of(plan->loss)->softmax;
    GR_TRY(gr_workspace_create(network, t->capacity, false, NULL, &t->workspace, error));
    GR_TRY(gr_lanes_create(network, t->capacity, t->probe_capacity, GR_LANES_PULLED, &t->lanes,
                           error));
    t->parameters = calloc((size_t)reals_of(network, t->capacity), sizeof(gr_real));
    t->labels = calloc(2 * (size_t)t->capacity, sizeof *t->labels);
    t->positions = calloc((size_t)t->capacity, sizeof *t->positions);
    if (!t->parameters || !t->labels || !t->positions)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a network of %lld parameters",
                       (long long)network->parameter_count);
    const int64_t outputs = t->outputs * t->capacity;
    t->buffers = t->parameters + network->parameter_count;
    t->p = t->buffers + network->buffer_count;
    t->r = t->p + outputs;
    t->targets = t->r + outputs;
    t->losses = t->targets + outputs;
    t->classes = t->labels + t->capacity;
    t->x = t->workspace->a[0];
    t->z = t->workspace->a[network->node_count];
    return gr_network_from_arrays(network, model, t->parameters, t->buffers, error);
}

gr_status gr_trained_go_on(const gr_trained *t, gr_error *error) {
    if (t->stop && t->stop(t->stop_context))
        return gr_fail(error, GR_CONFLICT, "the analysis was interrupted");
    return GR_OK;
}

int64_t gr_trained_count(const gr_trained *t, gr_part part, int64_t wanted) {
    const int64_t size = gr_split_size(t->split, part);
    return wanted < size ? wanted : size;
}

void gr_trained_fill(gr_trained *t, gr_part part, int64_t first, int64_t count) {
    const int64_t size = gr_split_size(t->split, part);
    t->samples = count - first < t->capacity ? count - first : t->capacity;
    for (int64_t s = 0; s < t->samples; s++) t->positions[s] = gr_spread(first + s, count, size);
    gr_split_fill(t->split, part, t->positions, t->samples, false, t->x, t->labels, t->targets);
}

static gr_pass pass_of(const gr_trained *t) {
    return (gr_pass){.workspace = t->workspace,
                     .parameters = t->parameters,
                     .buffers = t->buffers,
                     .samples = t->samples};
}

void gr_trained_forward(gr_trained *t) {
    const gr_pass pass = pass_of(t);
    gr_pass_forward(&pass);
    for (int64_t s = 0; s < t->samples; s++)
        t->classes[s] = (int32_t)gr_greatest_output(t->z + s, t->outputs, t->samples);
}

double gr_trained_loss(gr_trained *t) {
    const gr_loss_block block = {.outputs = t->outputs,
                                 .samples = t->samples,
                                 .z = t->z,
                                 .labels = t->classification ? t->labels : NULL,
                                 .targets = t->targets,
                                 .p = t->p,
                                 .losses = t->losses,
                                 .r = t->r};
    int64_t correct = 0;
    return gr_loss_kind_of(t->plan->loss)->evaluate(t->plan->loss, &block, &correct);
}

gr_real *gr_trained_cotangents(gr_trained *t) {
    return t->lanes->delta[t->network->node_count];
}

const gr_real *gr_trained_pull(gr_trained *t, int64_t probes) {
    const gr_pass pass = pass_of(t);
    gr_lanes lanes = *t->lanes;
    lanes.probes = probes;
    gr_pass_probe_backward(&pass, &lanes, gr_all_nodes(t->network));
    return lanes.delta[0];
}

const gr_real *gr_trained_loss_gradient(gr_trained *t) {
    memcpy(gr_trained_cotangents(t), t->r, (size_t)(t->outputs * t->samples) * sizeof *t->r);
    return gr_trained_pull(t, 1);
}

static int64_t group_of(const gr_trained *t, int64_t feature) {
    return feature / (t->features / t->split->groups);
}

double gr_trained_deviation(const gr_trained *t, int64_t feature) {
    return t->split->deviation[group_of(t, feature)];
}

double gr_trained_mean(const gr_trained *t, int64_t feature) {
    return t->split->mean[group_of(t, feature)];
}

bool gr_trained_byte_range(const gr_trained *t, int64_t feature, double *low, double *high) {
    if (!t->dataset->training.pixels) return false;
    const double mean = gr_trained_mean(t, feature), deviation = gr_trained_deviation(t, feature);
    *low = -mean / deviation;
    *high = (1 - mean) / deviation;
    return true;
}

/* -- results
 * ----------------------------------------------------------------------------------------- */

static const gr_shape scalar = {0};

gr_status gr_put(gr_trained *t, const char *path, gr_element_type type, const gr_shape *shape,
                 void *data, gr_error *error) {
    return gr_arrays_add(&t->analysis->values, path, type, shape, data, error);
}

gr_status gr_put_list(gr_trained *t, const char *path, int64_t count, double **data,
                      gr_error *error) {
    void *room;
    GR_TRY(gr_put(t, path, GR_F64, &(gr_shape){1, {count}}, &room, error));
    *data = room;
    return GR_OK;
}

gr_status gr_put_number(gr_trained *t, const char *path, double value, gr_error *error) {
    void *data;
    GR_TRY(gr_put(t, path, GR_F64, &scalar, &data, error));
    *(double *)data = value;
    return GR_OK;
}

gr_status gr_put_count(gr_trained *t, const char *path, int64_t value, gr_error *error) {
    void *data;
    GR_TRY(gr_put(t, path, GR_I64, &scalar, &data, error));
    *(int64_t *)data = value;
    return GR_OK;
}

gr_status gr_put_metric(gr_trained *t, const char *name, double value, gr_error *error) {
    void *data;
    GR_TRY(gr_arrays_add(&t->analysis->metrics, name, GR_F64, &scalar, &data, error));
    *(double *)data = value;
    return GR_OK;
}

void gr_analysis_clear(gr_analysis *cleared) {
    gr_arrays_clear(&cleared->values);
    gr_arrays_clear(&cleared->metrics);
}

gr_status gr_analyse(const gr_plan *plan, const gr_dataset *dataset, const gr_arrays *model,
                     bool (*stop)(void *context), void *context, gr_analysis *result,
                     gr_error *error) {
    GR_TRY(gr_plan_check(plan, dataset, NULL, error));
    gr_blas_single_thread();
    gr_trained trained = {.plan = plan,
                          .dataset = dataset,
                          .stop = stop,
                          .stop_context = context,
                          .analysis = result};
    const unsigned before = gr_flush_subnormals();
    gr_status status = trained_create(&trained, model, error);
    for (int i = 0; status == GR_OK && i < ROWS; i++)
        if (is_wanted(plan->analysis, i))
            status = rows[i]->run(gr_settings_of(plan->analysis, i), &trained, error);
    gr_restore_subnormals(before);
    trained_clear(&trained);
    if (status != GR_OK) gr_analysis_clear(result);
    return status;
}
