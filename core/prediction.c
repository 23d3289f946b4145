#include "gradreg/prediction.h"

#include <stdlib.h>

#include "core/blas.h"
#include "core/loss.h"
#include "core/objective.h"
#include "core/passes.h"
#include "core/plan.h"
#include "core/subnormals.h"
#include "core/training_options.h"

struct gr_predictor {
    gr_network *network;
    gr_workspace *workspace;
    gr_split *split;
    const gr_settings *loss;   /* borrowed */
    const gr_dataset *dataset; /* borrowed */
    gr_part part;
    bool classification;
    int64_t position, samples, block;
    gr_real *parameters, *buffers;
    gr_real *p, *r, *targets;    /* [outputs][block]; like the parameters, in one allocation */
    int64_t *positions, *places; /* [block] */
    int32_t *labels, *classes;   /* [block] */
};

void gr_predictor_free(gr_predictor *predictor) {
    if (!predictor) return;
    gr_workspace_free(predictor->workspace);
    gr_network_free(predictor->network);
    gr_split_free(predictor->split);
    free(predictor->parameters);
    free(predictor->positions);
    free(predictor->labels);
    free(predictor);
}

static gr_status allocate(gr_predictor *predictor, gr_error *error) {
    const size_t parameters = (size_t)predictor->network->parameter_count;
    const size_t buffers = (size_t)predictor->network->buffer_count;
    const size_t block = (size_t)predictor->block;
    const size_t outputs = (size_t)gr_network_outputs(predictor->network) * block;
    /* Kernels read whole vectors past the end of the parameters. */
    predictor->parameters =
        calloc(parameters + buffers + 3 * outputs + GR_SLACK_BYTES, sizeof(gr_real));
    predictor->positions = calloc(2 * block, sizeof *predictor->positions);
    predictor->labels = calloc(2 * block, sizeof *predictor->labels);
    if (!predictor->parameters || !predictor->positions || !predictor->labels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a network of %zu parameters",
                       parameters);
    predictor->buffers = predictor->parameters + parameters;
    predictor->p = predictor->buffers + buffers;
    predictor->r = predictor->p + outputs;
    predictor->targets = predictor->r + outputs;
    predictor->places = predictor->positions + block;
    predictor->classes = predictor->labels + block;
    return GR_OK;
}

gr_status gr_predictor_create(const gr_plan *plan, const gr_dataset *dataset,
                              const gr_arrays *model, gr_part part, gr_predictor **result,
                              gr_error *error) {
    GR_TRY(gr_plan_check(plan, dataset, NULL, error));
    gr_blas_single_thread();
    gr_status status = GR_OK;
    gr_predictor *predictor = calloc(1, sizeof *predictor);
    if (!predictor) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for predictions");
    predictor->dataset = dataset;
    predictor->loss = plan->loss;
    predictor->part = part;
    predictor->classification = gr_dataset_describe(dataset)->classes > 0;
    GR_TRY_OR(fail, gr_plan_network(plan, dataset, &predictor->network, error));
    predictor->block =
        gr_objective_block_samples(predictor->network, plan->regularizers, plan->regularizer_count,
                                   gr_integer(plan->training, GR_TRAINING_BATCH_SIZE));
    GR_TRY_OR(fail, gr_split_create(dataset, plan->dataset, plan->seed, &predictor->split, error));
    predictor->samples = gr_split_size(predictor->split, part);
    GR_TRY_OR(fail, gr_workspace_create(predictor->network, predictor->block, false, NULL,
                                        &predictor->workspace, error));
    GR_TRY_OR(fail, allocate(predictor, error));
    GR_TRY_OR(fail, gr_network_from_arrays(predictor->network, model, predictor->parameters,
                                           predictor->buffers, error));
    *result = predictor;
    return GR_OK;
fail:
    gr_predictor_free(predictor);
    return status;
}

int64_t gr_predictor_samples(const gr_predictor *predictor) {
    return predictor->samples;
}

int64_t gr_predictor_block(const gr_predictor *predictor) {
    return predictor->block;
}

int64_t gr_predictor_outputs(const gr_predictor *predictor) {
    return gr_network_outputs(predictor->network);
}

bool gr_predictor_has_probabilities(const gr_predictor *predictor) {
    return gr_loss_kind_of(predictor->loss)->softmax;
}

/* What the network answers for the `count` samples in its input; labels may be any classes. */
static void answer(gr_predictor *predictor, int64_t count, gr_predictions *predictions) {
    const gr_pass pass = {.workspace = predictor->workspace,
                          .parameters = predictor->parameters,
                          .buffers = predictor->buffers,
                          .samples = count};
    const unsigned before = gr_flush_subnormals();
    gr_pass_forward(&pass);
    gr_restore_subnormals(before);
    const int64_t outputs = gr_network_outputs(predictor->network);
    const gr_real *z = predictor->workspace->a[predictor->network->node_count];
    const bool probabilities = gr_predictor_has_probabilities(predictor);
    int64_t correct = 0;
    if (probabilities) {
        const gr_loss_block loss = {.outputs = outputs,
                                    .samples = count,
                                    .z = z,
                                    .labels = predictor->labels,
                                    .p = predictor->p,
                                    .r = predictor->r};
        gr_loss_kind_of(predictor->loss)->evaluate(predictor->loss, &loss, &correct);
    }
    for (int64_t i = 0; i < count; i++)
        predictor->classes[i] = (int32_t)gr_greatest_output(z + i, outputs, count);
    *predictions =
        (gr_predictions){.count = count,
                         .outputs = z,
                         .classes = predictor->classification ? predictor->classes : NULL,
                         .p = probabilities ? predictor->p : NULL};
}

bool gr_predictor_next(gr_predictor *predictor, gr_predictions *predictions) {
    int64_t count = predictor->samples - predictor->position;
    if (count > predictor->block) count = predictor->block;
    if (count <= 0) return false;
    for (int64_t i = 0; i < count; i++) predictor->positions[i] = predictor->position + i;
    gr_split_fill(predictor->split, predictor->part, predictor->positions, count, false,
                  predictor->workspace->a[0], predictor->labels, predictor->targets);
    answer(predictor, count, predictions);
    const int64_t *indices = gr_split_indices(predictor->split, predictor->part);
    const bool of_test = gr_split_from_test_samples(predictor->split, predictor->part);
    for (int64_t i = 0; i < count; i++) {
        const int64_t index = indices[predictor->position + i];
        predictor->places[i] = gr_dataset_place(predictor->dataset, of_test, index);
    }
    predictions->places = predictor->places;
    predictions->labels = predictor->classification ? predictor->labels : NULL;
    predictions->targets = predictor->classification ? NULL : predictor->targets;
    predictor->position += count;
    return true;
}

void gr_predictor_answer(gr_predictor *predictor, const double *values, int64_t count,
                         gr_predictions *predictions) {
    const double *mean, *deviation;
    int64_t groups;
    const int64_t features =
        gr_shape_elements(&gr_dataset_describe(predictor->dataset)->input_shape);
    gr_split_standardization(predictor->split, &mean, &deviation, &groups);
    gr_real *x = predictor->workspace->a[0];
    for (int64_t feature = 0; feature < features; feature++) {
        const int64_t group = feature / (features / groups);
        for (int64_t i = 0; i < count; i++)
            x[feature * count + i] =
                (gr_real)((values[i * features + feature] - mean[group]) / deviation[group]);
    }
    for (int64_t i = 0; i < count; i++) predictor->labels[i] = 0;
    answer(predictor, count, predictions);
}
