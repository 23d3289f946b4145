/* A network's numbers as named arrays, under the names and layouts of PyTorch's nn.Sequential. */
#include <stdio.h>
#include <string.h>

#include "core/network.h"

enum { NAME_SIZE = GR_NODE_NAME_SIZE + 64 };

static void full_name(const char *prefix, const gr_node *node, const gr_parameter *array,
                      char name[NAME_SIZE]) {
    snprintf(name, NAME_SIZE, "%s%s.%s", prefix, node->name, array->name);
}

static gr_status add_array(const char *prefix, const gr_node *node, const gr_parameter *parameter,
                           const gr_real *block, int64_t batches, gr_arrays *arrays,
                           gr_error *error) {
    char name[NAME_SIZE];
    full_name(prefix, node, parameter, name);
    const gr_real *values = block + parameter->offset;
    void *data;
    if (parameter->counter) {
        GR_TRY(gr_arrays_add(arrays, name, GR_I64, &parameter->shape, &data, error));
        *(int64_t *)data = batches;
        return GR_OK;
    }
    GR_TRY(gr_arrays_add(arrays, name, GR_REAL_ELEMENT, &parameter->shape, &data, error));
    memcpy(data, values, (size_t)gr_shape_elements(&parameter->shape) * sizeof(gr_real));
    return GR_OK;
}

gr_status gr_network_to_arrays(const gr_network *network, const char *prefix,
                               const gr_real *parameters, const gr_real *buffers, int64_t batches,
                               gr_arrays *arrays, gr_error *error) {
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int p = 0; p < node->parameter_count; p++)
            GR_TRY(add_array(prefix, node, &node->parameters[p], parameters, 0, arrays, error));
        for (int b = 0; buffers && b < node->buffer_count; b++)
            GR_TRY(add_array(prefix, node, &node->buffers[b], buffers, batches, arrays, error));
    }
    return GR_OK;
}

/* Copies an array of the file into its place in the block. */
static gr_status take_array(const gr_node *node, const gr_parameter *parameter,
                            const gr_arrays *arrays, gr_real *block, gr_error *error) {
    char name[NAME_SIZE];
    full_name("", node, parameter, name);
    const gr_array *array = gr_arrays_find(arrays, name);
    gr_element_type type = array && array->type == GR_F64 ? GR_F64 : GR_F32;
    if (parameter->counter) type = GR_I64;
    const void *data;
    GR_TRY(gr_arrays_require(arrays, name, type, &parameter->shape, &data, error));
    const int64_t count = gr_shape_elements(&parameter->shape);
    gr_real *values = block + parameter->offset;
    for (int64_t e = 0; e < count; e++)
        values[e] = type == GR_I64   ? (gr_real)((const int64_t *)data)[e]
                    : type == GR_F64 ? (gr_real)((const double *)data)[e]
                                     : (gr_real)((const float *)data)[e];
    return GR_OK;
}

static bool is_known(const gr_network *network, const char *name) {
    char known[NAME_SIZE];
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int p = 0; p < node->parameter_count; p++) {
            full_name("", node, &node->parameters[p], known);
            if (strcmp(known, name) == 0) return true;
        }
        for (int b = 0; b < node->buffer_count; b++) {
            full_name("", node, &node->buffers[b], known);
            if (strcmp(known, name) == 0) return true;
        }
    }
    return false;
}

gr_status gr_network_from_arrays(const gr_network *network, const gr_arrays *arrays,
                                 gr_real *parameters, gr_real *buffers, gr_error *error) {
    for (size_t i = 0; i < arrays->count; i++)
        if (!is_known(network, arrays->items[i].name))
            return gr_fail(error, GR_INVALID, "the array \"%s\" is no parameter of this network",
                           arrays->items[i].name);
    for (int i = 0; i < network->node_count; i++) {
        const gr_node *node = &network->nodes[i];
        for (int p = 0; p < node->parameter_count; p++)
            GR_TRY(take_array(node, &node->parameters[p], arrays, parameters, error));
        for (int b = 0; buffers && b < node->buffer_count; b++)
            GR_TRY(take_array(node, &node->buffers[b], arrays, buffers, error));
    }
    return GR_OK;
}
