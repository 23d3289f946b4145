/* A network: a flat, topologically ordered list of leaf nodes and one block of parameters. */
#ifndef CORE_NETWORK_H
#define CORE_NETWORK_H

#include "core/layer.h"

typedef struct gr_network {
    gr_settings *layers; /* owned: what the nodes' settings point into */
    size_t layer_count;
    gr_node *nodes;
    int node_count;
    int *storage; /* [node_count + 1]: the value whose memory a value uses (its own, or that of the
                     value it overwrites) */
    int *consumers; /* by value: how many nodes read it */
    /* The ordinary backward pass needs an adjoint only from its last reader to its maker: values
     * share slots of memory; slot 0 is the last value's alone. */
    int *slot; /* by value; -1: none, as no ordinary adjoint reaches it */
    int slot_count;
    int64_t *slot_features;   /* by slot: of its largest value */
    int64_t scratch_features; /* of the largest value with two readers that each make a share */
    int first_trained; /* the first node with parameters: no ordinary backward pass goes below it */
    bool couples_samples; /* some node does: a block is a whole batch */
    int64_t parameter_count, buffer_count;
    double operations; /* multiply-accumulates of one lane's forward pass */
} gr_network;

enum { GR_MAXIMUM_FEATURES = 1 << 26 };
#define GR_MAXIMUM_PARAMETERS ((int64_t)1 << 28)

/* Builds the nodes. Takes over `layers` (also where it fails). error->place is relative to the
 * model
 * ("/layers/3/kernel"). */
gr_status gr_network_create(gr_settings *layers, size_t layer_count, const gr_shape *input,
                            gr_network **network, gr_error *error);
void gr_network_free(gr_network *network);

static inline const gr_shape *gr_network_input(const gr_network *network) {
    return &network->nodes[0].in;
}
static inline const gr_shape *gr_network_output(const gr_network *network) {
    return &network->nodes[network->node_count - 1].out;
}
static inline int64_t gr_network_outputs(const gr_network *network) {
    return network->nodes[network->node_count - 1].out_features;
}
/* Whether a node has weights, not only biases and scales: parameters of rank 2 or more. */
static inline bool gr_node_has_weights(const gr_node *node) {
    for (int p = 0; p < node->parameter_count; p++)
        if (node->parameters[p].shape.rank >= 2) return true;
    return false;
}
/* Features of a value. */
static inline int64_t gr_network_features(const gr_network *network, int value) {
    return value ? network->nodes[value - 1].out_features : network->nodes[0].in_features;
}

/* The sum at a residual's end, which the passes do themselves. */
static inline bool gr_node_is_sum(const gr_node *node) {
    return node->kind == &gr_layer_sum;
}

/* Fills storage, consumers, slots and scratch_features of a network whose nodes are all there. */
gr_status gr_network_assign_storage(gr_network *network, gr_error *error);

/* GR_INVALID where a node that couples the samples would see a single value of a channel in a batch
 * of this size: its statistics would say nothing. */
gr_status gr_network_check_batch(const gr_network *network, int64_t batch_size, gr_error *error);

/* Initial parameters (docs/methods.md), a function of the seed. */
void gr_network_initialize(const gr_network *network, uint64_t seed, gr_real *parameters);

/* Initial buffers: running means 0, variances 1. */
void gr_network_initialize_buffers(const gr_network *network, gr_real *buffers);

/* Parameters as arrays called <prefix><node>.<parameter>, of gr_real's type; and buffers, where not
 * NULL; `batches` are the training passes that they have seen. */
gr_status gr_network_to_arrays(const gr_network *network, const char *prefix,
                               const gr_real *parameters, const gr_real *buffers, int64_t batches,
                               gr_arrays *arrays, gr_error *error);
/* F32 or F64 arrays of exactly these names and shapes into the blocks; an array that the network
 * does not have is an error. With buffers NULL those may be missing and are passed over. */
gr_status gr_network_from_arrays(const gr_network *network, const gr_arrays *arrays,
                                 gr_real *parameters, gr_real *buffers, gr_error *error);

#endif
