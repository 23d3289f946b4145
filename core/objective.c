#include "core/objective.h"

#include <stdlib.h>
#include <string.h>

static int64_t probes_of(const gr_settings *regularizer, int64_t outputs) {
    const gr_regularizer_kind *kind = gr_regularizer_kind_of(regularizer);
    return kind->probes ? kind->probes(regularizer, outputs) : 0;
}

static int64_t probes_of_all(const gr_network *network, const gr_settings *regularizers,
                             size_t count) {
    int64_t probes = 0;
    for (size_t i = 0; i < count; i++)
        probes += probes_of(&regularizers[i], gr_network_outputs(network));
    return probes;
}

gr_status gr_objective_check(const gr_network *network, const gr_settings *loss,
                             const gr_settings *regularizers, size_t count, bool labels,
                             gr_error *error) {
    if (count > GR_MAXIMUM_REGULARIZERS)
        return gr_fail_at(error, GR_INVALID, "/regularizers",
                          "%zu regularizers, but at most %d are allowed", count,
                          GR_MAXIMUM_REGULARIZERS);
    if (gr_network_output(network)->rank != 1)
        return gr_fail_at(error, GR_INVALID, "/model/layers",
                          "the network ends in an image: put a flatten layer before its end");
    for (size_t i = 0; i < count; i++) {
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(&regularizers[i]);
        if (!kind->check) continue;
        gr_status status =
            kind->check(&regularizers[i], network, gr_loss_kind_of(loss), labels, error);
        if (status != GR_OK) {
            gr_error_prefix_place(error, "/regularizers/%zu", i);
            return status;
        }
    }
    return GR_OK;
}

int64_t gr_objective_block_samples(const gr_network *network, const gr_settings *regularizers,
                                   size_t count, int64_t batch_size) {
    /* So many lanes that rows are long enough for the kernels, and few enough for the caches;
     * many probes need more, or their samples' rows become too short. */
    enum { LANES = 64, PROBE_LANES = 256 };
    if (network->couples_samples) return batch_size;
    const int64_t probes = probes_of_all(network, regularizers, count);
    const int64_t lanes = batch_size * (probes > 1 ? probes : 1);
    const int64_t most = probes > 1 ? PROBE_LANES : LANES;
    const int64_t blocks = (lanes + most - 1) / most;
    return (batch_size + blocks - 1) / blocks;
}

/* p and r over outputs, z's cotangents, and two rows of scratch. */
static int64_t extra_reals(const gr_network *network, int64_t samples) {
    return gr_network_outputs(network) * samples + 2 * samples;
}

int64_t gr_objective_bytes(const gr_network *network, const gr_settings *regularizers, size_t count,
                           int64_t block_samples) {
    return gr_workspace_bytes(network, block_samples, probes_of_all(network, regularizers, count)) +
           extra_reals(network, block_samples) * (int64_t)sizeof(gr_real);
}

double gr_objective_operations(const gr_network *network, const gr_settings *regularizers,
                               size_t count) {
    return network->operations * (3 + 3 * (double)probes_of_all(network, regularizers, count));
}

gr_status gr_objective_create(const gr_network *network, const gr_settings *loss,
                              const gr_settings *regularizers, size_t count, bool labels,
                              int64_t block_samples, gr_objective **result, gr_error *error) {
    GR_TRY(gr_objective_check(network, loss, regularizers, count, labels, error));
    gr_objective *objective = calloc(1, sizeof *objective);
    if (!objective) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an objective");
    objective->network = network;
    objective->loss = loss;
    objective->regularizers = regularizers;
    objective->regularizer_count = count;
    for (size_t i = 0; i < count; i++) {
        objective->probes[i] = probes_of(&regularizers[i], gr_network_outputs(network));
        objective->probe_count += objective->probes[i];
    }
    objective->p = calloc((size_t)extra_reals(network, block_samples), sizeof *objective->p);
    objective->scratch = objective->p + gr_network_outputs(network) * block_samples;
    gr_status status = objective->p
                           ? gr_workspace_create(network, block_samples, objective->probe_count,
                                                 &objective->workspace, error)
                           : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an objective");
    if (status != GR_OK) {
        gr_objective_free(objective);
        return status;
    }
    *result = objective;
    return GR_OK;
}

void gr_objective_free(gr_objective *objective) {
    if (!objective) return;
    gr_workspace_free(objective->workspace);
    free(objective->p);
    free(objective);
}

gr_real *gr_objective_input(gr_objective *objective) {
    return objective->workspace->a[0];
}

void gr_objective_block(gr_objective *objective, const gr_real *parameters, int64_t samples,
                        int64_t batch_size, gr_draw draw, const int32_t *labels,
                        const gr_real *targets, gr_real *gradients, gr_objective_result *result) {
    gr_workspace *w = objective->workspace;
    const int last = objective->network->node_count;
    const int64_t outputs = gr_network_outputs(objective->network);
    const gr_pass pass = {.workspace = w,
                          .parameters = parameters,
                          .samples = samples,
                          .probes = objective->probe_count,
                          .training = true,
                          .buffers = objective->buffers,
                          .draw = draw};
    gr_pass_forward(&pass);

    gr_real *d = w->d[last];
    const gr_loss_kind *loss_kind = gr_loss_kind_of(objective->loss);
    const gr_loss_block loss = {.outputs = outputs,
                                .samples = samples,
                                .z = w->a[last],
                                .labels = labels,
                                .targets = targets,
                                .p = objective->p,
                                .r = d};
    result->loss +=
        loss_kind->evaluate(objective->loss, &loss, &result->correct) / (double)batch_size;

    gr_probe_block blocks[GR_MAXIMUM_REGULARIZERS];
    int64_t first[GR_MAXIMUM_REGULARIZERS], lanes = 0;
    for (size_t i = 0; i < objective->regularizer_count; i++) {
        first[i] = lanes;
        lanes += objective->probes[i] * samples;
        blocks[i] = (gr_probe_block){.settings = &objective->regularizers[i],
                                     .loss_kind = loss_kind,
                                     .loss = &loss,
                                     .features = gr_network_features(objective->network, 0),
                                     .probes = objective->probes[i],
                                     .stride = objective->probe_count * samples,
                                     .batch_size = batch_size,
                                     .index = (uint32_t)i,
                                     .draw = draw,
                                     .given = objective->given_probe,
                                     .scratch = objective->scratch};
    }
#define FOR_EACH_PENALTY(i)                                   \
    for (size_t i = 0; i < objective->regularizer_count; i++) \
        if (objective->probes[i])

    if (objective->probe_count) {
        FOR_EACH_PENALTY(i)
        gr_regularizer_kind_of(blocks[i].settings)
            ->cotangent(&blocks[i], w->delta[last] + first[i]);
        gr_pass_probe_backward(&pass);
        FOR_EACH_PENALTY(i)
        result->values[i] +=
            gr_regularizer_kind_of(blocks[i].settings)->input(&blocks[i], w->delta[0] + first[i]) /
            (double)batch_size;
        gr_pass_tangent(&pass);
        gr_pass_accumulate_probes(&pass, gradients);
    }

    /* The main loss's cotangent r/B, then what the probes' own dependence on the logits adds to it.
     */
    const gr_real share = (gr_real)(1.0 / (double)batch_size);
    for (int64_t i = 0; i < outputs * samples; i++) d[i] *= share;
    FOR_EACH_PENALTY(i)
    gr_regularizer_kind_of(blocks[i].settings)->output(&blocks[i], w->t[last] + first[i], d);
    gr_pass_backward(&pass, gradients);
}

void gr_objective_finish(gr_objective *objective, const gr_real *parameters, gr_real *gradients,
                         gr_objective_result *result) {
    result->total = result->loss;
    for (size_t i = 0; i < objective->regularizer_count; i++) {
        const gr_settings *settings = &objective->regularizers[i];
        const gr_regularizer_kind *kind = gr_regularizer_kind_of(settings);
        if (kind->parameters)
            result->values[i] =
                kind->parameters(settings, objective->network, parameters, gradients);
        const int weight = gr_kind_option(&kind->kind, "weight");
        if (weight >= 0) result->total += gr_number(settings, weight) * result->values[i];
    }
}

void gr_objective_evaluate(gr_objective *objective, const gr_real *parameters, int64_t samples,
                           const int32_t *labels, const gr_real *targets, double *loss_sum,
                           int64_t *correct) {
    gr_workspace *w = objective->workspace;
    const int last = objective->network->node_count;
    const gr_pass pass = {.workspace = w,
                          .parameters = parameters,
                          .buffers = objective->buffers,
                          .samples = samples};
    gr_pass_forward(&pass);
    const gr_loss_block loss = {.outputs = gr_network_outputs(objective->network),
                                .samples = samples,
                                .z = w->a[last],
                                .labels = labels,
                                .targets = targets,
                                .p = objective->p,
                                .r = w->d[last]};
    *loss_sum += gr_loss_kind_of(objective->loss)->evaluate(objective->loss, &loss, correct);
}
