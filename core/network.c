#include "core/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How many leaf nodes a list of layers expands into; residuals add a sum. */
static int64_t count_nodes(const gr_settings *layers, size_t count) {
    int64_t nodes = 0;
    for (size_t i = 0; i < count; i++) {
        nodes++;
        if (layers[i].kind != &gr_layer_residual.kind) continue;
        for (int part = GR_RESIDUAL_BODY; part <= GR_RESIDUAL_SHORTCUT; part++) {
            size_t inner_count;
            const gr_settings *inner = gr_list(&layers[i], part, &inner_count);
            nodes += count_nodes(inner, inner_count);
        }
    }
    return nodes;
}

static gr_status place_blocks(gr_network *network, gr_node *node, gr_error *error) {
    for (int p = 0; p < node->parameter_count; p++) {
        node->parameters[p].offset = network->parameter_count;
        network->parameter_count += gr_shape_elements(&node->parameters[p].shape);
    }
    for (int b = 0; b < node->buffer_count; b++) {
        node->buffers[b].offset = network->buffer_count;
        network->buffer_count += gr_shape_elements(&node->buffers[b].shape);
    }
    if (network->parameter_count > GR_MAXIMUM_PARAMETERS)
        return gr_fail(
            error, GR_TOO_LARGE,
            "the network has more than %lld parameters up to this layer: make it smaller",
            (long long)GR_MAXIMUM_PARAMETERS);
    return GR_OK;
}

static const gr_shape *shape_of(const gr_network *network, int value, const gr_shape *input) {
    return value ? &network->nodes[value - 1].out : input;
}

/* Adds a leaf that reads `value`; the new node makes the value network->node_count. */
static gr_status add_node(gr_network *network, const gr_layer_kind *kind,
                          const gr_settings *settings, const char *name, int value,
                          const gr_shape *input, gr_error *error) {
    gr_node *node = &network->nodes[network->node_count];
    *node = (gr_node){.kind = kind,
                      .settings = settings,
                      .index = network->node_count,
                      .inputs = {value},
                      .input_count = 1,
                      .in = *shape_of(network, value, input)};
    node->in_features = gr_shape_elements(&node->in);
    snprintf(node->name, sizeof node->name, "%s", name);
    network->node_count++; /* from here on gr_network_free releases it */
    GR_TRY(kind->configure(node, error));
    node->out_features = gr_shape_elements(&node->out);
    if (node->out_features > GR_MAXIMUM_FEATURES)
        return gr_fail(error, GR_TOO_LARGE, "%lld outputs per sample; at most %d are allowed",
                       (long long)node->out_features, GR_MAXIMUM_FEATURES);
    network->operations += node->operations;
    network->couples_samples = network->couples_samples || node->couples_samples;
    return place_blocks(network, node, error);
}

static gr_status add_layers(gr_network *network, const gr_settings *layers, size_t count,
                            const char *prefix, int *value, const gr_shape *input, gr_error *error);

/* Body and shortcut from the same value, then their sum. */
static gr_status add_residual(gr_network *network, const gr_settings *layer, const char *name,
                              int *value, const gr_shape *input, gr_error *error) {
    static const char *const parts[] = {"body", "shortcut"};
    int ends[2];
    for (int part = GR_RESIDUAL_BODY; part <= GR_RESIDUAL_SHORTCUT; part++) {
        size_t count;
        const gr_settings *inner = gr_list(layer, part, &count);
        if (part == GR_RESIDUAL_BODY && count == 0)
            return gr_fail_at(error, GR_INVALID, "/body", "a residual's body needs a layer");
        char prefix[GR_NODE_NAME_SIZE];
        if ((size_t)snprintf(prefix, sizeof prefix, "%s.%s.", name, parts[part]) >= sizeof prefix)
            return gr_fail(error, GR_INVALID, "residuals are nested too deeply");
        ends[part] = *value;
        gr_status status = add_layers(network, inner, count, prefix, &ends[part], input, error);
        if (status != GR_OK) {
            gr_error_prefix_place(error, "/%s", parts[part]);
            return status;
        }
    }
    const gr_shape *body = shape_of(network, ends[0], input);
    const gr_shape *shortcut = shape_of(network, ends[1], input);
    if (!gr_shape_equal(body, shortcut)) {
        char one[128], other[128];
        return gr_fail(error, GR_INVALID,
                       "the body gives %s and the shortcut %s: they must be equal to be added",
                       gr_shape_text(body, one), gr_shape_text(shortcut, other));
    }
    GR_TRY(add_node(network, &gr_layer_sum, NULL, name, ends[0], input, error));
    gr_node *sum = &network->nodes[network->node_count - 1];
    sum->inputs[1] = ends[1];
    sum->input_count = 2;
    *value = network->node_count;
    return GR_OK;
}

/* Whether layer i changes places with the max-pool behind it: where f never falls, the maximum of f
 * is f of the maximum, and there are fewer of the latter. Where f rises, a window's winner is the
 * same; where it does not, as a relu below 0 or a tanh that is 1 in all digits, no derivative
 * passes. */
static bool is_put_off(const gr_settings *layers, size_t count, size_t i) {
    if (i + 1 >= count || layers[i + 1].kind != &gr_layer_maxpool2d.kind) return false;
    const gr_layer_kind *kind = gr_layer_kind_of(layers[i].kind);
    return kind->rises && kind->rises(&layers[i]);
}

/* The layer that takes place `i`. */
static size_t layer_at(const gr_settings *layers, size_t count, size_t i) {
    if (is_put_off(layers, count, i)) return i + 1;
    if (i > 0 && is_put_off(layers, count, i - 1)) return i - 1;
    return i;
}

/* Adds a chain of layers from *value, which becomes the value at its end. */
static gr_status add_layers(gr_network *network, const gr_settings *layers, size_t count,
                            const char *prefix, int *value, const gr_shape *input,
                            gr_error *error) {
    for (size_t place = 0; place < count; place++) {
        const size_t i = layer_at(layers, count, place);
        char name[GR_NODE_NAME_SIZE];
        if ((size_t)snprintf(name, sizeof name, "%s%zu", prefix, i) >= sizeof name)
            return gr_fail(error, GR_INVALID, "residuals are nested too deeply");
        gr_status status;
        if (layers[i].kind == &gr_layer_residual.kind) {
            status = add_residual(network, &layers[i], name, value, input, error);
        } else {
            status = add_node(network, gr_layer_kind_of(layers[i].kind), &layers[i], name, *value,
                              input, error);
            *value = network->node_count;
        }
        if (status != GR_OK) {
            gr_error_prefix_place(error, prefix[0] ? "/%zu" : "/layers/%zu", i);
            return status;
        }
    }
    return GR_OK;
}

/* The pixels that a window or kernel moves by from one output to the next; 1 for other layers. */
static int64_t stride_of(const gr_node *node) {
    const int option = node->settings ? gr_kind_option(node->settings->kind, "stride") : -1;
    if (option < 0) return 1;
    if (!gr_is_null(node->settings, option)) return gr_integer(node->settings, option);
    return gr_integer(node->settings, gr_kind_option(node->settings->kind, "size"));
}

/* From the pools back to what they pick from. */
static void set_ties(gr_network *network) {
    for (int i = network->node_count - 1; i >= 0; i--) {
        const gr_node *node = &network->nodes[i];
        int64_t reach = node->ties_reach * stride_of(node);
        if (node->kind == &gr_layer_maxpool2d) {
            const int size = gr_kind_option(node->settings->kind, "size");
            reach += gr_integer(node->settings, size) - 1;
        }
        for (int j = 0; j < node->input_count; j++) {
            if (node->inputs[j] == 0) continue;
            gr_node *maker = &network->nodes[node->inputs[j] - 1];
            if (reach > maker->ties_reach) maker->ties_reach = reach;
        }
    }
}

gr_status gr_network_create(gr_settings *layers, size_t layer_count, const gr_shape *input,
                            gr_network **result, gr_error *error) {
    gr_status status = GR_OK;
    const int64_t nodes = count_nodes(layers, layer_count);
    gr_network *network = calloc(1, sizeof *network);
    if (network && nodes <= GR_MAXIMUM_NODES) {
        network->nodes = calloc((size_t)nodes + 1, sizeof *network->nodes);
        network->storage = calloc((size_t)nodes + 1, sizeof *network->storage);
        network->consumers = calloc((size_t)nodes + 1, sizeof *network->consumers);
        network->slot = calloc((size_t)nodes + 1, sizeof *network->slot);
        network->slot_features = calloc((size_t)nodes + 1, sizeof *network->slot_features);
    }
    if (!network) {
        gr_settings_array_free(layers, layer_count);
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a network");
    }
    network->layers = layers;
    network->layer_count = layer_count;
    if (nodes > GR_MAXIMUM_NODES) {
        status = gr_fail_at(error, GR_TOO_LARGE, "/layers",
                            "%lld layers, those inside residuals counted; at most %d are allowed",
                            (long long)nodes, GR_MAXIMUM_NODES);
        goto fail;
    }
    if (!network->nodes || !network->storage || !network->consumers || !network->slot ||
        !network->slot_features) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a network");
        goto fail;
    }
    if (layer_count == 0) {
        status = gr_fail_at(error, GR_INVALID, "/layers", "a network needs at least one layer");
        goto fail;
    }
    int value = 0;
    GR_TRY_OR(fail, add_layers(network, layers, layer_count, "", &value, input, error));
    if (network->parameter_count == 0) {
        status = gr_fail_at(error, GR_INVALID, "/layers",
                            "the network has nothing to train: add a linear or conv2d layer");
        goto fail;
    }
    while (network->nodes[network->first_trained].parameter_count == 0) network->first_trained++;
    GR_TRY_OR(fail, gr_network_assign_storage(network, error));
    set_ties(network);
    *result = network;
    return GR_OK;
fail:
    gr_network_free(network);
    return status;
}

void gr_network_free(gr_network *network) {
    if (!network) return;
    for (int i = 0; i < network->node_count; i++) {
        gr_node *node = &network->nodes[i];
        if (!node->geometry) continue;
        if (node->kind->release)
            node->kind->release(node);
        else
            free(node->geometry);
    }
    free(network->nodes);
    free(network->storage);
    free(network->consumers);
    free(network->slot);
    free(network->slot_features);
    gr_settings_array_free(network->layers, network->layer_count);
    free(network);
}

gr_status gr_network_check_batch(const gr_network *network, int64_t batch_size, gr_error *error) {
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        if (node->couples_samples && node->in_features / node->in.size[0] * batch_size < 2)
            return gr_fail(error, GR_INVALID,
                           "layer %s (%s) normalises each channel by its values in the batch, and "
                           "a batch of %lld has one: take at least 2 samples",
                           node->name, node->kind->kind.name, (long long)batch_size);
    }
    return GR_OK;
}

void gr_network_initialize(const gr_network *network, uint64_t seed, gr_real *parameters) {
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int p = 0; p < node->parameter_count; p++) {
            const gr_parameter *parameter = &node->parameters[p];
            const double range = sqrt(3.0) * parameter->initial_deviation;
            const gr_random random = gr_random_source(seed, GR_PURPOSE_INITIALIZATION,
                                                      (uint32_t)(i * GR_NODE_PARAMETERS + p), 0);
            gr_real *values = parameters + parameter->offset;
            const int64_t count = gr_shape_elements(&parameter->shape);
            for (int64_t e = 0; e < count; e++) {
                double value = parameter->initial_value;
                if (range > 0)
                    value += range * (2 * gr_random_uniform(&random, 0, (uint32_t)e) - 1);
                values[e] = (gr_real)value;
            }
        }
    }
}

void gr_network_initialize_buffers(const gr_network *network, gr_real *buffers) {
    for (int i = 0; i < network->node_count; i++)
        for (int b = 0; b < network->nodes[i].buffer_count; b++) {
            const gr_parameter *buffer = &network->nodes[i].buffers[b];
            const int64_t count = gr_shape_elements(&buffer->shape);
            for (int64_t e = 0; e < count; e++)
                buffers[buffer->offset + e] = (gr_real)buffer->initial_value;
        }
}
