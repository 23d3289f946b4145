#include "core/model.h"

#include <stdlib.h>
#include <string.h>

/* -- the layers of a preset, as the settings that a spec's layers would be
 * ------------------------------------ */

enum { MAXIMUM_PRESET_LAYERS = 64 };
struct gr_layer_list {
    gr_settings *items;
    size_t count;
    gr_status status;
};

static gr_value integer(int64_t n) {
    return (gr_value){.type = GR_INTEGER, .integer = n};
}
static gr_value number(double x) {
    return (gr_value){.type = GR_NUMBER, .number = x};
}
static gr_value null(void) {
    return (gr_value){.type = GR_NULL};
}

/* Adds a layer with values for all its options, in the order of its table. */
static void add(struct gr_layer_list *list, const gr_layer_kind *kind, const gr_value *values) {
    if (list->status != GR_OK) return;
    const size_t options = kind->kind.option_count;
    gr_value *copy = calloc(options + 1, sizeof *copy);
    if (!copy || list->count == MAXIMUM_PRESET_LAYERS) {
        free(copy);
        list->status = GR_OUT_OF_MEMORY;
        return;
    }
    for (size_t i = 0; i < options; i++) copy[i] = values[i];
    list->items[list->count++] = (gr_settings){.kind = &kind->kind, .values = copy};
}

static void add_convolution(struct gr_layer_list *list, int64_t filters, int64_t kernel,
                            int64_t padding) {
    add(list, &gr_layer_conv2d,
        (gr_value[]){integer(filters), integer(kernel), integer(1), integer(padding)});
    add(list, &gr_layer_relu, NULL);
}

static void add_linear(struct gr_layer_list *list, int64_t units) {
    add(list, &gr_layer_linear, (gr_value[]){integer(units)});
}

static void add_pool(struct gr_layer_list *list) {
    add(list, &gr_layer_maxpool2d, (gr_value[]){integer(2), null()});
}

static void add_dropout(struct gr_layer_list *list, double rate) {
    if (rate > 0) add(list, &gr_layer_dropout, (gr_value[]){number(rate)});
}

/* -- presets
 * ------------------------------------------------------------------------------------------- */

#define DROPOUT_OPTION(json)                                                                   \
    {                                                                                          \
        .name = "dropout",                                                                     \
        .help = "rate of the dropout layer before the last one; 0: no such layer",             \
        .accepts = GR_ACCEPT(GR_NUMBER), .minimum = 0, .maximum = 1, .maximum_excluded = true, \
        .default_json = json                                                                   \
    }

enum { LENET_DROPOUT };
static const gr_option lenet_options[] = {[LENET_DROPOUT] = DROPOUT_OPTION("0.5")};

static gr_status lenet(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                       int64_t first, int64_t second, struct gr_layer_list *list, gr_error *error) {
    if (input->rank != 3)
        return gr_fail(error, GR_INVALID, "%s needs images, and this data set has vectors: use mlp",
                       settings->kind->name);
    add_convolution(list, first, 5, 2);
    add_pool(list);
    add_convolution(list, second, 5, 0);
    add_pool(list);
    add_convolution(list, 120, 5, 0);
    add(list, &gr_layer_flatten, NULL);
    add_linear(list, 84);
    add(list, &gr_layer_relu, NULL);
    add_dropout(list, gr_number(settings, LENET_DROPOUT));
    add_linear(list, outputs);
    return GR_OK;
}

static gr_status expand_lenet(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                              struct gr_layer_list *list, gr_error *error) {
    return lenet(settings, input, outputs, 6, 16, list, error);
}

static gr_status expand_lenet_tuned(const gr_settings *settings, const gr_shape *input,
                                    int64_t outputs, struct gr_layer_list *list, gr_error *error) {
    return lenet(settings, input, outputs, 32, 64, list, error);
}

static const gr_model_kind model_lenet = {
    .kind = {.name = "lenet",
             .help = "LeNet with 6, 16 and 120 filters and 84 units (61,706 parameters on MNIST)",
             .options = lenet_options,
             .option_count = 1},
    .expand = expand_lenet,
};

static const gr_model_kind model_lenet_tuned = {
    .kind = {.name = "lenet_tuned",
             .help = "LeNet with 32, 64 and 120 filters and 84 units (255,230 parameters on MNIST)",
             .options = lenet_options,
             .option_count = 1},
    .expand = expand_lenet_tuned,
};

enum { MLP_WIDTHS, MLP_ACTIVATION, MLP_DROPOUT };
static const char *const activations[] = {"relu", "tanh", NULL};
static const gr_layer_kind *const activation_kinds[] = {&gr_layer_relu, &gr_layer_tanh};
static const gr_option mlp_options[] = {
    [MLP_WIDTHS] = {.name = "widths",
                    .help = "units of each hidden layer",
                    .accepts = GR_ACCEPT(GR_NUMBERS),
                    .minimum = 1,
                    .maximum = 65536,
                    .default_json = "[200, 200]"},
    [MLP_ACTIVATION] = {.name = "activation",
                        .help = "what follows each hidden layer",
                        .accepts = GR_ACCEPT(GR_CHOICE),
                        .choices = activations,
                        .default_json = "\"relu\""},
    [MLP_DROPOUT] = DROPOUT_OPTION("0"),
};

static gr_status expand_mlp(const gr_settings *settings, const gr_shape *input, int64_t outputs,
                            struct gr_layer_list *list, gr_error *error) {
    size_t count;
    const double *widths = gr_numbers(settings, MLP_WIDTHS, &count);
    if (count > MAXIMUM_PRESET_LAYERS / 2 - 2)
        return gr_fail_at(error, GR_INVALID, "/widths", "%zu hidden layers; at most %d are allowed",
                          count, MAXIMUM_PRESET_LAYERS / 2 - 2);
    if (input->rank != 1) add(list, &gr_layer_flatten, NULL);
    for (size_t i = 0; i < count; i++) {
        if (widths[i] != (double)(int64_t)widths[i])
            return gr_fail_at(error, GR_INVALID, "/widths", "widths must be whole numbers");
        add_linear(list, (int64_t)widths[i]);
        add(list, activation_kinds[gr_choice(settings, MLP_ACTIVATION)], NULL);
    }
    add_dropout(list, gr_number(settings, MLP_DROPOUT));
    add_linear(list, outputs);
    return GR_OK;
}

static const gr_model_kind model_mlp = {
    .kind = {.name = "mlp",
             .help = "fully connected hidden layers",
             .options = mlp_options,
             .option_count = sizeof mlp_options / sizeof *mlp_options},
    .expand = expand_mlp,
};

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

static const gr_kind *const kinds[] = {&model_layers.kind, &model_lenet.kind,
                                       &model_lenet_tuned.kind, &model_mlp.kind, NULL};

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
                        struct gr_layer_list *list, gr_shape *shape, gr_error *error) {
    if (model->kind == &model_layers.kind) {
        GR_TRY(explicit_shape(model, input, shape, error));
        size_t count;
        const gr_settings *layers = gr_list(model, LAYERS_LAYERS, &count);
        list->items = calloc(count + 1, sizeof *list->items);
        if (!list->items) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for layers");
        for (; list->count < count; list->count++)
            GR_TRY(gr_settings_copy(&list->items[list->count], &layers[list->count], error));
        return GR_OK;
    }
    if (!input)
        return gr_fail_at(error, GR_INVALID, "/model/preset",
                          "a preset needs a data set: give input_shape and layers instead");
    *shape = *input;
    list->items = calloc(MAXIMUM_PRESET_LAYERS, sizeof *list->items);
    if (!list->items) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for layers");
    gr_status status = ((const gr_model_kind *)(const void *)model->kind)
                           ->expand(model, input, outputs, list, error);
    if (status != GR_OK) {
        gr_error_prefix_place(error, "/model");
        return status;
    }
    if (list->status != GR_OK) return gr_fail(error, list->status, "no memory for layers");
    return GR_OK;
}

gr_status gr_model_build(const gr_settings *model, const gr_shape *input, int64_t outputs,
                         gr_network **network, gr_error *error) {
    struct gr_layer_list list = {0};
    gr_shape shape = {0};
    gr_status status = expand(model, input, outputs, &list, &shape, error);
    if (status != GR_OK) {
        gr_settings_array_free(list.items, list.count);
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
