/* The table of models: explicit layers, and the presets of core/models/. From settings to a
 * network.
 */
#include "core/model.h"

enum { LAYERS_INPUT_SHAPE, LAYERS_LAYERS };
static const gr_option layers_options[] = {
    [LAYERS_INPUT_SHAPE] = {.name = "input_shape",
                            .help = "(channels, rows, columns) or (features); null: the data set's",
                            .accepts = GR_ACCEPT(GR_NUMBERS) | GR_ACCEPT(GR_NULL),
                            .minimum = 1,
                            .maximum = 65536,
                            .default_json = "null"},
    [LAYERS_LAYERS] = {.name = "layers",
                       .help = "the layers, first to last",
                       .accepts = GR_ACCEPT(GR_LIST),
                       .family = &gr_layer_family,
                       .required = true},
};

static const gr_model_kind model_layers = {
    .kind = {.name = "layers",
             .help = "explicit layers (leave preset out)",
             .options = layers_options,
             .option_count = sizeof layers_options / sizeof *layers_options},
};

static const gr_kind *const kinds[] = {&model_layers.kind,
                                       &gr_model_lenet.kind,
                                       &gr_model_lenet_tuned.kind,
                                       &gr_model_resnet.kind,
                                       &gr_model_mlp.kind,
                                       &gr_model_toy,
                                       NULL};

const gr_family gr_model_family = {
    .name = "model", .discriminator = "preset", .kinds = kinds, .unnamed = &model_layers.kind};

/* -- building
 * ------------------------------------------------------------------------------------------ */

static gr_status explicit_shape(const gr_settings *model, const gr_shape *of_data, gr_shape *shape,
                                gr_error *error) {
    if (gr_is_null(model, LAYERS_INPUT_SHAPE)) {
        if (!of_data)
            return gr_fail_at(error, GR_INVALID, "/model/input_shape",
                              "input_shape is needed where there is no data set");
        *shape = *of_data;
        return GR_OK;
    }
    size_t rank;
    const double *sizes = gr_numbers(model, LAYERS_INPUT_SHAPE, &rank);
    if (rank != 1 && rank != 3)
        return gr_fail_at(error, GR_INVALID, "/model/input_shape",
                          "input_shape is [features] or [channels, rows, columns]");
    shape->rank = (int)rank;
    double elements = 1;
    for (size_t i = 0; i < rank; i++) {
        if (sizes[i] != (double)(int64_t)sizes[i])
            return gr_fail_at(error, GR_INVALID, "/model/input_shape",
                              "the sizes must be whole numbers");
        shape->size[i] = (int64_t)sizes[i];
        elements *= sizes[i];
    }
    if (elements > GR_MAXIMUM_FEATURES)
        return gr_fail_at(error, GR_TOO_LARGE, "/model/input_shape",
                          "more than %d inputs per sample", GR_MAXIMUM_FEATURES);
    if (of_data && !gr_shape_equal(shape, of_data)) {
        char given[128], wanted[128];
        return gr_fail_at(error, GR_INVALID, "/model/input_shape",
                          "the data set's samples are %s, not %s: leave input_shape out",
                          gr_shape_text(of_data, wanted), gr_shape_text(shape, given));
    }
    return GR_OK;
}

static gr_status expand(const gr_settings *model, const gr_shape *input, int64_t outputs,
                        gr_layer_list *list, gr_shape *shape, gr_error *error) {
    if (model->kind == &model_layers.kind) {
        GR_TRY(explicit_shape(model, input, shape, error));
        size_t count;
        const gr_settings *layers = gr_list(model, LAYERS_LAYERS, &count);
        for (size_t i = 0; i < count; i++) gr_layer_list_add_copy(list, &layers[i]);
    } else {
        if (!input)
            return gr_fail_at(error, GR_INVALID, "/model/preset",
                              "a preset needs a data set: give input_shape and layers instead");
        *shape = *input;
        gr_status status = ((const gr_model_kind *)(const void *)model->kind)
                               ->expand(model, input, outputs, list, error);
        if (status != GR_OK) {
            gr_error_prefix_place(error, "/model");
            return status;
        }
    }
    if (list->status != GR_OK) return gr_fail(error, list->status, "no memory for layers");
    return GR_OK;
}

gr_status gr_model_build(const gr_settings *model, const gr_shape *input, int64_t outputs,
                         gr_network **network, gr_error *error) {
    gr_layer_list list = {0};
    gr_shape shape = {0};
    gr_status status = expand(model, input, outputs, &list, &shape, error);
    if (status != GR_OK) {
        gr_layer_list_clear(&list);
        return status;
    }
    status = gr_network_create(list.items, list.count, &shape, network, error);
    if (status != GR_OK && model->kind != &model_layers.kind) {
        /* The spec of a preset has no layers to point at. */
        gr_error inner = error ? *error : (gr_error){0};
        return gr_fail_at(error, status, "/model/preset",
                          "%s does not fit this data set: at %s: %s", model->kind->name,
                          inner.place, inner.message);
    }
    if (status != GR_OK) {
        gr_error_prefix_place(error, "/model");
        return status;
    }
    if (outputs && gr_network_outputs(*network) != outputs) {
        status = gr_fail_at(error, GR_INVALID, "/model/layers",
                            "the network has %lld outputs, but the data set needs %lld: let the "
                            "last layer be linear with %lld units",
                            (long long)gr_network_outputs(*network), (long long)outputs,
                            (long long)outputs);
        gr_network_free(*network);
        *network = NULL;
    }
    return status;
}
