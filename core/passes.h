/* The passes that every method is made of, over one block of samples (METHODS §2). */
#ifndef CORE_PASSES_H
#define CORE_PASSES_H

#include "core/network.h"

/* The memory of the passes at one set of points: all values of a network for at most `samples`
 * samples. */
typedef struct gr_workspace {
    const gr_network *network;
    const gr_kernels *kernels;
    int64_t samples;  /* capacity */
    gr_real **a, **d; /* by value: activations and the ordinary adjoint, [features][samples] */
    void **state, **shared_state; /* by node */
    gr_real *scratch;             /* one share of a value's adjoint, where several nodes read it */
    bool *written;                /* by value: whether a backward pass has reached it */
    void *arena;
    int64_t bytes;
} gr_workspace;

/* The memory of probe lanes: adjoints and tangents of all values, [features][probes][samples]. t[0]
 * is delta[0]: the cotangent at the input is turned into the tangent in place. */
typedef struct gr_lanes {
    int64_t probes; /* in use; at most what it was created for */
    gr_real **delta, **t;
    gr_real *scratch;
    void *arena;
} gr_lanes;

/* Bytes that each takes. */
int64_t gr_workspace_bytes(const gr_network *network, int64_t samples);
/* `in_place`: t[0] is delta[0], for penalties that turn the pull-back at the input into the
 * tangent. */
int64_t gr_lanes_bytes(const gr_network *network, int64_t samples, int64_t probes, bool in_place);

gr_status gr_workspace_create(const gr_network *network, int64_t samples, gr_workspace **workspace,
                              gr_error *error);
void gr_workspace_free(gr_workspace *workspace);
gr_status gr_lanes_create(const gr_network *network, int64_t samples, int64_t probes, bool in_place,
                          gr_lanes **lanes, gr_error *error);
void gr_lanes_free(gr_lanes *lanes);

/* A pass's circumstances. */
typedef struct gr_pass {
    gr_workspace *workspace;
    const gr_real *parameters;
    gr_real *buffers; /* of the network; NULL: none are kept */
    int64_t samples;  /* of this block: at most the capacity */
    bool training;
    gr_draw draw;
} gr_pass;

/* A range of nodes: [first, end). */
typedef struct gr_range {
    int first, end;
} gr_range;

static inline gr_range gr_all_nodes(const gr_network *network) {
    return (gr_range){0, network->node_count};
}

/* a[0] → a[last]. */
void gr_pass_forward(const gr_pass *pass);
/* delta at the range's end → delta at its beginning: the adjoint alone, accumulating nothing. */
void gr_pass_probe_backward(const gr_pass *pass, const gr_lanes *lanes, gr_range range);
/* t at the range's beginning → t at its end. */
void gr_pass_tangent(const gr_pass *pass, const gr_lanes *lanes, gr_range range);
/* gradients += delta at each layer's output paired with t at its input. */
void gr_pass_accumulate_probes(const gr_pass *pass, const gr_lanes *lanes, gr_range range,
                               gr_real *gradients);
/* d[last] → the first layer with parameters: the ordinary backward pass, accumulating gradients and
 * collecting on its way, for each set of lanes, the curvature of smooth layers. */
void gr_pass_backward(const gr_pass *pass, const gr_lanes *const *lanes, int lane_sets,
                      gr_real *gradients);

#endif
