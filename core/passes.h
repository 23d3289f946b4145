/* The passes that every method is made of, over one block of lanes (METHODS §2). */
#ifndef CORE_PASSES_H
#define CORE_PASSES_H

#include "core/network.h"

/* The memory of one block: all values of one network for at most `samples` samples and `probes`
 * probes. */
typedef struct gr_workspace {
    const gr_network *network;
    const gr_kernels *kernels;
    int64_t samples, probes; /* capacity */
    /* By value: a[v] and d[v] are [features][samples], delta[v] and t[v]
     * [features][probes][samples]. t[0] is delta[0]: the cotangent at the input is turned into the
     * tangent in place. delta and t are NULL without probes. */
    gr_real **a, **d, **delta, **t;
    void **state, **shared_state; /* by node */
    gr_real *scratch;             /* one share of a value's adjoint, where several nodes read it */
    bool *written;                /* by value: whether a backward pass has reached it */
    void *arena;
    int64_t bytes;
} gr_workspace;

/* Bytes that a workspace takes. */
int64_t gr_workspace_bytes(const gr_network *network, int64_t samples, int64_t probes);
/* `gradients`: also room for d (else only forward passes). */
gr_status gr_workspace_create(const gr_network *network, int64_t samples, int64_t probes,
                              gr_workspace **workspace, gr_error *error);
void gr_workspace_free(gr_workspace *workspace);

/* A pass's circumstances. */
typedef struct gr_pass {
    gr_workspace *workspace;
    const gr_real *parameters;
    gr_real *buffers;        /* of the network; NULL: none are kept */
    int64_t samples, probes; /* of this block: at most the capacity */
    bool training;
    gr_draw draw;
} gr_pass;

/* a[0] → a[last]. */
void gr_pass_forward(const gr_pass *pass);
/* delta[last] → delta[0]: the adjoint alone, accumulating nothing. */
void gr_pass_probe_backward(const gr_pass *pass);
/* t[0] → t[last]. */
void gr_pass_tangent(const gr_pass *pass);
/* gradients += delta at each layer's output paired with t at its input. */
void gr_pass_accumulate_probes(const gr_pass *pass, gr_real *gradients);
/* d[last] → the first layer with parameters: the ordinary backward pass, accumulating gradients
 * and, where there are probes, collecting the curvature of smooth layers on its way. */
void gr_pass_backward(const gr_pass *pass, gr_real *gradients);

#endif
