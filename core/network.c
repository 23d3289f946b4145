#include "core/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static gr_status add_node(gr_network *network, const gr_settings *settings, size_t position,
                          const gr_shape *in, gr_error *error) {
    gr_node *node = &network->nodes[network->node_count];
    *node = (gr_node){.kind = gr_layer_kind_of(settings->kind),
                      .settings = settings,
                      .index = network->node_count,
                      .inputs = {network->node_count},
                      .input_count = 1,
                      .in = *in,
                      .in_features = gr_shape_elements(in)};
    snprintf(node->name, sizeof node->name, "%zu", position);
    network->node_count++; /* from here on gr_network_free releases it */
    gr_status status = node->kind->configure(node, error);
    if (status != GR_OK) {
        gr_error_prefix_place(error, "/layers/%zu", position);
        return status;
    }
    node->out_features = gr_shape_elements(&node->out);
    if (node->out_features > GR_MAXIMUM_FEATURES)
        return gr_fail_at(error, GR_TOO_LARGE, "/layers",
                          "layer %zu (%s) has %lld outputs per sample; at most %d are allowed",
                          position, node->kind->kind.name, (long long)node->out_features,
                          GR_MAXIMUM_FEATURES);
    for (int p = 0; p < node->parameter_count; p++) {
        node->parameters[p].offset = network->parameter_count;
        network->parameter_count += gr_shape_elements(&node->parameters[p].shape);
        if (network->parameter_count > GR_MAXIMUM_PARAMETERS)
            return gr_fail_at(error, GR_TOO_LARGE, "/layers",
                              "the network has more than %lld parameters at layer %zu (%s): make "
                              "it smaller",
                              (long long)GR_MAXIMUM_PARAMETERS, position, node->kind->kind.name);
    }
    network->operations += node->operations;
    return GR_OK;
}

/* A layer that works in place writes over its input, unless that is the network's input or is read
 * again. */
static void assign_storage(gr_network *network) {
    network->storage[0] = 0;
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        const bool overwrites =
            node->kind->in_place && i > 0 && !network->nodes[i - 1].kind->reads_output;
        network->storage[i + 1] = overwrites ? network->storage[i] : i + 1;
    }
}

gr_status gr_network_create(gr_settings *layers, size_t layer_count, const gr_shape *input,
                            gr_network **result, gr_error *error) {
    gr_status status = GR_OK;
    gr_network *network = calloc(1, sizeof *network);
    if (network) {
        network->nodes = calloc(layer_count + 1, sizeof *network->nodes);
        network->storage = calloc(layer_count + 2, sizeof *network->storage);
    }
    if (!network || !network->nodes || !network->storage) {
        gr_settings_array_free(layers, layer_count);
        if (network) network->layers = NULL;
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a network");
        goto fail;
    }
    network->layers = layers;
    network->layer_count = layer_count;
    if (layer_count == 0) {
        status = gr_fail_at(error, GR_INVALID, "/layers", "a network needs at least one layer");
        goto fail;
    }
    gr_shape shape = *input;
    for (size_t i = 0; i < layer_count; i++) {
        GR_TRY_OR(fail, add_node(network, &layers[i], i, &shape, error));
        shape = network->nodes[network->node_count - 1].out;
    }
    if (network->parameter_count == 0) {
        status = gr_fail_at(error, GR_INVALID, "/layers",
                            "the network has nothing to train: add a linear or conv2d layer");
        goto fail;
    }
    while (network->nodes[network->first_trained].parameter_count == 0) network->first_trained++;
    assign_storage(network);
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
        if (node->kind->release)
            node->kind->release(node);
        else
            free(node->geometry);
    }
    free(network->nodes);
    free(network->storage);
    gr_settings_array_free(network->layers, network->layer_count);
    free(network);
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

static void full_name(const char *prefix, const gr_node *node, const gr_parameter *parameter,
                      char name[128]) {
    snprintf(name, 128, "%s%s.%s", prefix, node->name, parameter->name);
}

gr_status gr_network_to_arrays(const gr_network *network, const char *prefix,
                               const gr_real *parameters, gr_arrays *arrays, gr_error *error) {
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int p = 0; p < node->parameter_count; p++) {
            const gr_parameter *parameter = &node->parameters[p];
            char name[128];
            full_name(prefix, node, parameter, name);
            void *data;
            GR_TRY(gr_arrays_add(arrays, name, GR_REAL_ELEMENT, &parameter->shape, &data, error));
            memcpy(data, parameters + parameter->offset,
                   (size_t)gr_shape_elements(&parameter->shape) * sizeof(gr_real));
        }
    }
    return GR_OK;
}

gr_status gr_network_from_arrays(const gr_network *network, const gr_arrays *arrays,
                                 gr_real *parameters, gr_error *error) {
    size_t used = 0;
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int p = 0; p < node->parameter_count; p++) {
            const gr_parameter *parameter = &node->parameters[p];
            char name[128];
            full_name("", node, parameter, name);
            const gr_array *array = gr_arrays_find(arrays, name);
            const gr_element_type type = array && array->type == GR_F64 ? GR_F64 : GR_F32;
            const void *data;
            GR_TRY(gr_arrays_require(arrays, name, type, &parameter->shape, &data, error));
            const int64_t count = gr_shape_elements(&parameter->shape);
            for (int64_t e = 0; e < count; e++)
                parameters[parameter->offset + e] = type == GR_F64
                                                        ? (gr_real)((const double *)data)[e]
                                                        : (gr_real)((const float *)data)[e];
            used++;
        }
    }
    for (size_t i = 0; used != arrays->count && i < arrays->count; i++) {
        bool known = false;
        for (int n = 0; n < network->node_count; n++)
            for (int p = 0; p < network->nodes[n].parameter_count; p++) {
                char name[128];
                full_name("", &network->nodes[n], &network->nodes[n].parameters[p], name);
                known = known || strcmp(name, arrays->items[i].name) == 0;
            }
        if (!known)
            return gr_fail(error, GR_INVALID, "the array \"%s\" is no parameter of this network",
                           arrays->items[i].name);
    }
    return GR_OK;
}
