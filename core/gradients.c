/* The gradient of the regularised loss for given weights and one given batch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/blas.h"
#include "core/model.h"
#include "core/objective.h"
#include "gradreg/training.h"

/* A batch as the passes take it. */
typedef struct batch {
    int64_t samples;
    gr_real *x;           /* [samples][features], as in the file */
    int32_t *labels;      /* [samples] */
    gr_real *targets;     /* [samples][outputs] */
    gr_real *probe;       /* [outputs] or NULL */
    gr_real *derivatives; /* [samples][outputs][features] of the truth, or NULL */
} batch;

static void batch_clear(batch *b) {
    free(b->x);
    free(b->labels);
    free(b->targets);
    free(b->probe);
    free(b->derivatives);
}

/* The elements of an F32 or F64 array as gr_real, or an error. */
static gr_status reals_of(const gr_array *array, gr_real **values, gr_error *error) {
    const int64_t count = gr_shape_elements(&array->shape);
    if (array->type != GR_F32 && array->type != GR_F64)
        return gr_fail(error, GR_INVALID, "the batch's \"%s\" must be F32", array->name);
    *values = malloc(((size_t)count + 1) * sizeof **values);
    if (!*values) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the batch");
    for (int64_t i = 0; i < count; i++)
        (*values)[i] = array->type == GR_F64 ? (gr_real)((const double *)array->data)[i]
                                             : (gr_real)((const float *)array->data)[i];
    return GR_OK;
}

static gr_status read_targets(const gr_array *y, const gr_network *network, bool labels, batch *b,
                              gr_error *error) {
    const int64_t outputs = gr_network_outputs(network);
    if (!labels) {
        if (gr_shape_elements(&y->shape) != b->samples * outputs || y->shape.size[0] != b->samples)
            return gr_fail(error, GR_INVALID, "the batch's \"y\" must be [%lld, %lld]",
                           (long long)b->samples, (long long)outputs);
        return reals_of(y, &b->targets, error);
    }
    if (y->type != GR_I64 || y->shape.rank != 1 || y->shape.size[0] != b->samples)
        return gr_fail(error, GR_INVALID,
                       "the batch's \"y\" must be %lld labels of type I64, in one dimension",
                       (long long)b->samples);
    b->labels = malloc((size_t)b->samples * sizeof *b->labels);
    if (!b->labels) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the batch");
    for (int64_t i = 0; i < b->samples; i++) {
        const int64_t label = ((const int64_t *)y->data)[i];
        if (label < 0 || label >= outputs)
            return gr_fail(error, GR_INVALID,
                           "label %lld of sample %lld is not one of the %lld outputs, 0 to %lld",
                           (long long)label, (long long)i, (long long)outputs,
                           (long long)outputs - 1);
        b->labels[i] = (int32_t)label;
    }
    return GR_OK;
}

/* An array that is none of the batch's would be a misspelt one. */
static gr_status check_names(const gr_arrays *arrays, gr_error *error) {
    static const char *const names[] = {"x", "y", "probe", "derivatives"};
    for (size_t i = 0; i < arrays->count; i++) {
        bool known = false;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            known = known || strcmp(arrays->items[i].name, names[j]) == 0;
        if (!known)
            return gr_fail(error, GR_INVALID,
                           "the batch has no array \"%.100s\": its arrays are \"x\", \"y\", and "
                           "where they are needed \"probe\" and \"derivatives\"",
                           arrays->items[i].name);
    }
    return GR_OK;
}

static gr_status read_batch(const gr_arrays *arrays, const gr_network *network, bool labels,
                            batch *b, gr_error *error) {
    GR_TRY(check_names(arrays, error));
    const gr_array *x = gr_arrays_find(arrays, "x"), *y = gr_arrays_find(arrays, "y");
    const gr_array *probe = gr_arrays_find(arrays, "probe");
    if (!x || !y) return gr_fail(error, GR_INVALID, "the batch needs the arrays \"x\" and \"y\"");
    const gr_shape *input = gr_network_input(network);
    bool fits = x->shape.rank == input->rank + 1 && x->shape.size[0] > 0;
    for (int i = 0; fits && i < input->rank; i++) fits = x->shape.size[i + 1] == input->size[i];
    if (!fits || y->shape.rank < 1) {
        char is[128], wanted[128];
        return gr_fail(error, GR_INVALID, "the batch's \"x\" is %s, but n samples of %s are needed",
                       gr_shape_text(&x->shape, is), gr_shape_text(input, wanted));
    }
    b->samples = x->shape.size[0];
    GR_TRY(reals_of(x, &b->x, error));
    GR_TRY(read_targets(y, network, labels, b, error));
    const gr_array *derivatives = gr_arrays_find(arrays, "derivatives");
    if (derivatives) {
        if (gr_shape_elements(&derivatives->shape) !=
            b->samples * gr_network_outputs(network) * gr_network_features(network, 0))
            return gr_fail(error, GR_INVALID,
                           "the batch's \"derivatives\" must be [samples, outputs, features]");
        GR_TRY(reals_of(derivatives, &b->derivatives, error));
    }
    if (!probe) return GR_OK;
    if (gr_shape_elements(&probe->shape) != gr_network_outputs(network))
        return gr_fail(error, GR_INVALID, "the batch's \"probe\" must have %lld elements",
                       (long long)gr_network_outputs(network));
    return reals_of(probe, &b->probe, error);
}

/* to[column][row] = from[row][column]. */
static void transpose(int64_t rows, int64_t columns, const gr_real *from, gr_real *to) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) to[c * rows + r] = from[r * columns + c];
}

static gr_status add_scalar(gr_arrays *arrays, const char *name, double value, gr_error *error) {
    const gr_shape scalar = {0};
    void *data;
    GR_TRY(gr_arrays_add(arrays, name, GR_REAL_ELEMENT, &scalar, &data, error));
    *(gr_real *)data = (gr_real)value;
    return GR_OK;
}

gr_status gr_gradients(const gr_settings *model, const gr_settings *loss,
                       const gr_settings *regularizers, size_t regularizer_count,
                       const gr_arrays *weights, const gr_arrays *arrays, gr_arrays *gradients,
                       gr_error *error) {
    gr_blas_single_thread();
    gr_network *network = NULL;
    gr_objective *objective = NULL;
    gr_real *parameters = NULL, *gradient = NULL, *targets = NULL, *derivatives = NULL;
    batch b = {0};
    gr_status status = GR_OK;
    GR_TRY_OR(done, gr_model_build(model, NULL, 0, &network, error));
    const size_t count = (size_t)network->parameter_count;
    const int64_t features = gr_network_features(network, 0), outputs = gr_network_outputs(network);
    const gr_array *y = gr_arrays_find(arrays, "y");
    const bool labels = gr_loss_kind_of(loss)->softmax || (y && y->type == GR_I64);
    const gr_fit fit = {.network = network,
                        .loss = gr_loss_kind_of(loss),
                        .labels = labels,
                        .derivatives = gr_arrays_find(arrays, "derivatives") != NULL};
    GR_TRY_OR(done, gr_objective_check(&fit, regularizers, regularizer_count, error));
    GR_TRY_OR(done, read_batch(arrays, network, labels, &b, error));
    GR_TRY_OR(done, gr_network_check_batch(network, b.samples, error));
    const int64_t block =
        gr_objective_block_samples(network, regularizers, regularizer_count, b.samples);
    GR_TRY_OR(done, gr_objective_create(&fit, loss, regularizers, regularizer_count, block, 0, 0,
                                        &objective, error));
    gr_objective_set_probe(objective, b.probe);
    parameters = calloc(count + GR_SLACK_BYTES, sizeof *parameters);
    gradient = calloc(count + GR_SLACK_BYTES, sizeof *gradient);
    targets = calloc((size_t)(block * outputs), sizeof *targets);
    derivatives =
        calloc(b.derivatives ? (size_t)(block * outputs * features) : 1, sizeof *derivatives);
    if (!parameters || !gradient || !targets || !derivatives) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %zu parameters", count);
        goto done;
    }
    GR_TRY_OR(done, gr_network_from_arrays(network, weights, parameters, NULL, error));

    gr_objective_result result = {0};
    for (int64_t first = 0; first < b.samples; first += block) {
        const int64_t samples = b.samples - first < block ? b.samples - first : block;
        bool turned;
        gr_real *x = gr_objective_input(objective, &turned);
        if (turned)
            memcpy(x, b.x + first * features, (size_t)(samples * features) * sizeof *x);
        else
            transpose(samples, features, b.x + first * features, x);
        if (!labels) transpose(samples, outputs, b.targets + first * outputs, targets);
        for (int64_t k = 0; b.derivatives && k < outputs; k++)
            for (int64_t f = 0; f < features; f++)
                for (int64_t i = 0; i < samples; i++)
                    derivatives[(k * features + f) * samples + i] =
                        b.derivatives[((first + i) * outputs + k) * features + f];
        gr_objective_block(objective, parameters,
                           &(gr_block){.samples = samples,
                                       .batch_size = b.samples,
                                       .draw = {.first_sample = (uint32_t)first},
                                       .labels = labels ? b.labels + first : NULL,
                                       .targets = targets,
                                       .derivatives = b.derivatives ? derivatives : NULL},
                           gradient, &result);
    }
    gr_objective_finish(objective, parameters, 0, NULL, gradient, &result);

    GR_TRY_OR(done, gr_network_to_arrays(network, "grad.", gradient, NULL, 0, gradients, error));
    GR_TRY_OR(done, add_scalar(gradients, "loss", result.loss, error));
    for (size_t i = 0; i < regularizer_count; i++) {
        char name[48];
        snprintf(name, sizeof name, "regularizers.%zu", i);
        GR_TRY_OR(done, add_scalar(gradients, name, result.values[i], error));
    }
    GR_TRY_OR(done, add_scalar(gradients, "total", result.total, error));
done:
    gr_objective_free(objective);
    gr_network_free(network);
    batch_clear(&b);
    free(parameters);
    free(gradient);
    free(targets);
    free(derivatives);
    return status;
}
