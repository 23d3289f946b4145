/* The passes that every method is made of, over one block of samples (docs/methods.md). */
#ifndef CORE_PASSES_H
#define CORE_PASSES_H

#include "core/network.h"

/* The memory of the passes at one set of points: all values of a network for at most `samples`
 * samples. */
typedef struct gr_workspace {
    const gr_network *network;
    const gr_kernels *kernels;
    int64_t samples; /* capacity */
    bool turned;     /* the network's input is [samples][features] instead: see gr_needs */
    gr_real **a;     /* by value: activations, [features][samples] */
    gr_real **d;     /* by value: the ordinary adjoint; values share memory as it becomes free */
    gr_real **bend;  /* by node: what curvature adds to the adjoint of its input; NULL: none */
    void **state, **shared_state; /* by node */
    gr_real *scratch;             /* one share of a value's adjoint, where several nodes read it */
    gr_real *node_scratch;        /* what one node's functions use for themselves */
    gr_real *pooled_scratch;      /* of the pooled kernels in the ordinary pass; NULL: not used */
    bool *written;                /* by value: whether a backward pass has reached it */
    int *pending;                 /* by value: the sum whose adjoint is yet to be added; 0: none */
    bool *bent;                   /* by node: whether `bend` holds anything of this block */
    void *arena;
} gr_workspace;

/* How lanes hold the tangents. */
typedef enum gr_lanes_use {
    GR_LANES_PULLED, /* adjoints first; each layer's tangent takes the place of its adjoint */
    GR_LANES_PUSHED, /* tangents first: both are kept */
} gr_lanes_use;

/* The memory of probe lanes: adjoints and tangents of all values, [features][probes][samples].
 * Where lanes are pulled, t[v] is delta[v]. */
typedef struct gr_lanes {
    int64_t probes; /* in use; at most what it was created for */
    bool turned;    /* those of the network's input are [probes][samples][features] instead */
    gr_real **delta, **t;
    gr_real *scratch;
    gr_real *pooled_scratch; /* of the pooled kernels; NULL where nothing needs it */
    void *arena;
} gr_lanes;

/* Bytes that each takes. `probed`: there are probe lanes at these points. */
int64_t gr_workspace_bytes(const gr_network *network, int64_t samples, bool probed);
/* … of it what only the ordinary backward pass needs. */
int64_t gr_workspace_descent_bytes(const gr_network *network, int64_t samples);
int64_t gr_lanes_bytes(const gr_network *network, int64_t samples, int64_t probes,
                       gr_lanes_use use);

/* `lent`: gr_workspace_descent_bytes of memory that nothing else needs during the ordinary backward
 * pass, borrowed; NULL: the workspace takes its own. */
gr_status gr_workspace_create(const gr_network *network, int64_t samples, bool probed, void *lent,
                              gr_workspace **workspace, gr_error *error);
void gr_workspace_free(gr_workspace *workspace);
gr_status gr_lanes_create(const gr_network *network, int64_t samples, int64_t probes,
                          gr_lanes_use use, gr_lanes **lanes, gr_error *error);
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
/* delta at the range's end → delta at its beginning, or of lanes that were pushed at the output of
 * the first layer with parameters: the adjoint alone, accumulating nothing. */
void gr_pass_probe_backward(const gr_pass *pass, const gr_lanes *lanes, gr_range range);
/* t at the range's beginning → t at its end. */
void gr_pass_tangent(const gr_pass *pass, const gr_lanes *lanes, gr_range range);
/* For lanes that have been pulled back: t at the range's beginning → t at its end, or where not
 * `onwards` only up to its last layer; each tangent takes the place of the adjoint. On its way:
 * gradients += delta at each layer's output paired with t at its input, and curvature goes to the
 * workspace's `bend`. */
void gr_pass_tangent_accumulate(const gr_pass *pass, const gr_lanes *lanes, gr_range range,
                                bool onwards, gr_real *gradients);
/* The same two, for lanes whose adjoints and tangents are all there. */
void gr_pass_accumulate_probes(const gr_pass *pass, const gr_lanes *lanes, gr_range range,
                               gr_real *gradients);
/* d[last] → the first layer with parameters: the ordinary backward pass, accumulating gradients and
 * taking along `bend`. */
void gr_pass_backward(const gr_pass *pass, gr_real *gradients);

#endif
