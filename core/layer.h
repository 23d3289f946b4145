/* What a layer kind is: a shape rule and the five functions of docs/architecture.md. A kind is one
 * file in core/layers/ and one row of the table in core/layers.c.
 *
 * Arrays are [feature][lane], lanes innermost. A forward pass has one lane a sample. Adjoints and
 * tangents of probes are [feature][probe][sample]: lane = probe·samples + sample, and what belongs
 * to the sample (masks, argmaxes, slopes) is shared by its probes. */
#ifndef CORE_LAYER_H
#define CORE_LAYER_H

#include "core/kernels.h"
#include "core/random.h"
#include "gradreg/arrays.h"
#include "gradreg/settings.h"

typedef struct gr_layer_kind gr_layer_kind;
typedef struct gr_node gr_node;

/* Nodes of a network at most. */
enum { GR_MAXIMUM_NODES = 4096 };

enum { GR_NODE_NAME_SIZE = 96, GR_NODE_PARAMETERS = 2, GR_NODE_BUFFERS = 3, GR_NODE_INPUTS = 2 };

/* One parameter array of a node, under PyTorch's name and layout. */
typedef struct gr_parameter {
    const char *name; /* "weight", "bias" */
    gr_shape shape;
    int64_t offset; /* of its first element in the network's block of parameters */
    double initial_value;
    bool counter;             /* a buffer that counts batches: I64 in files, not read here */
    double initial_deviation; /* uniform on ±√3 of it around initial_value; 0: constant */
} gr_parameter;

/* A leaf of the network. Value 0 is the network's input, node i makes value i + 1. */
struct gr_node {
    const gr_layer_kind *kind;
    const gr_settings *settings; /* borrowed; NULL for nodes that no spec names */
    int index;
    char name[GR_NODE_NAME_SIZE]; /* as in nn.Sequential: "3.body.0" */
    int inputs[GR_NODE_INPUTS];   /* values */
    int input_count;
    gr_shape in, out; /* (channels, rows, columns) or (features) */
    int64_t in_features, out_features;
    gr_parameter parameters[GR_NODE_PARAMETERS];
    int parameter_count;
    gr_parameter buffers[GR_NODE_BUFFERS]; /* state of the network that no gradient reaches */
    int buffer_count;
    int64_t state_bytes;        /* what forward keeps for the others, per sample */
    int64_t shared_state_bytes; /* … and once for all samples */
    bool couples_samples; /* a sample's output depends on the others: a block is a whole batch */
    /* For a kind whose functions know gr_site.picked, part of its geometry; NULL: it cannot be. The
     * network sets what is the pool's, and `pool`: the node of the max-pool; 0: there is none. */
    gr_convolution_shape *pooled;
    int pool;
    /* Rows and columns between outputs of this node that may meet in the window of a max-pool
     * behind: where their inputs are the same, so must they be. 0: none. The network sets it. */
    int64_t ties_reach;
    int64_t scratch_reals; /* what its functions use for themselves, whatever the samples */
    void *geometry;        /* owned; freed by kind->release */
    double operations;     /* multiply-accumulates of one lane's forward pass, without padding */
};

/* Where a random number of a training pass belongs. */
typedef struct gr_draw {
    uint64_t seed;
    uint32_t iteration;
    uint32_t first_sample; /* position in the batch of lane 0 */
    uint32_t stream;       /* 0 at the data; passes at other points may draw their own numbers */
} gr_draw;

/* What a max-pool picks from the output of the layer before it. */
typedef struct gr_picked {
    const int32_t *winner; /* [pooled feature][sample] */
    gr_real *scratch;
} gr_picked;

/* A node at work on a block of lanes. */
typedef struct gr_site {
    const gr_node *node;
    const gr_kernels *kernels;
    const gr_real *parameters; /* the network's block */
    int64_t samples;
    bool training;
    gr_real *buffers; /* the network's; changed by a training pass; NULL: none are kept */
    gr_draw draw;
    bool in_turned;    /* for kinds that know it: a_in is [sample][in_feature], */
    bool turned;       /* d_in and t_in of probes are [probe][sample][in_feature] */
    const gr_real *in; /* a_in  [in_features][samples] */
    gr_real *out;      /* a_out [out_features][samples] */
    /* Not NULL: d_out and t_out are those of the max-pool that alone reads the output. */
    const gr_picked *picked;
    /* Not NULL: [feature][sample] of what t_out is at; only tangents of positive ones are wanted,
     * since a relu alone reads them. */
    const gr_real *kept;
    /* Not NULL: forward and accumulate do the work of that max-pool too, d_out is at its output,
     * and what `out` holds afterwards is of no use. */
    const struct gr_site *pool;
    gr_real *scratch; /* node->scratch_reals */
    void *shared_state;
    void *state; /* state_bytes·samples bytes, written by forward, read by the others */
} gr_site;

static inline const gr_real *gr_site_parameter(const gr_site *site, int parameter) {
    return site->parameters + site->node->parameters[parameter].offset;
}

struct gr_layer_kind {
    gr_kind kind;
    /* Reads node->settings and node->in; sets out, parameters, state_bytes, scratch_reals,
     * geometry, operations.
     * The place of an error is an option's name ("/kernel"). */
    gr_status (*configure)(gr_node *node, gr_error *error);
    void (*release)(gr_node *node); /* NULL where geometry needs no more than free() */

    /* a_out = f(a_in), keeping in state what the others need. */
    void (*forward)(const gr_site *site);
    /* d_in [in_features][probes][samples] = Jᵀ d_out; d_in is overwritten. */
    void (*backward)(const gr_site *site, int64_t probes, const gr_real *d_out, gr_real *d_in);
    /* gradients (the network's block) += d_out paired with `in`, which is a_in, or a tangent t_in
     * (`tangent`: then the bias gets nothing). NULL without parameters. */
    void (*accumulate)(const gr_site *site, int64_t probes, const gr_real *d_out, const gr_real *in,
                       bool tangent, gr_real *gradients);
    /* t_out [out_features][probes][samples] = J t_in. */
    void (*tangent)(const gr_site *site, int64_t probes, const gr_real *t_in, gr_real *t_out);
    /* d_in [in_features][samples] += what comes from J changing along t_in, given the probes'
     * d_out. NULL where f is piecewise linear. */
    void (*curvature)(const gr_site *site, int64_t probes, const gr_real *t_in,
                      const gr_real *d_out, gr_real *d_in);

    /* For kinds that share work between functions, or NULL: accumulate and backward of the ordinary
     * adjoint, with `extra` [in_features][samples] (NULL: none) added to d_in; */
    void (*backward_and_accumulate)(const gr_site *site, const gr_real *d_out, const gr_real *extra,
                                    gr_real *d_in, gr_real *gradients);
    /* and accumulate, curvature and tangent of probes: bend [in_features][samples] (NULL: not
     * wanted) is written or, where `add`, added to; t_out (NULL: not wanted) may be d_out. */
    void (*tangent_and_accumulate)(const gr_site *site, int64_t probes, const gr_real *d_out,
                                   const gr_real *t_in, gr_real *bend, bool add, gr_real *t_out,
                                   gr_real *gradients);

    /* The greatest stretch of f, |f(a) - f(b)| / |a - b| in the l2 norm; NULL: f is affine in
     * evaluation, so that it is the largest singular value of J. */
    double (*stretch)(const gr_node *node);
    /* Whether f works on each element by itself and never falls, so that it may change places with
     * a max-pool; NULL: it may not. */
    bool (*rises)(const gr_settings *settings);

    /* out may be in, d_in may be d_out, t_out may be t_in; such a kind has neither parameters nor
     * curvature. */
    bool in_place;
    bool knows_turned; /* its functions heed gr_site.in_turned and gr_site.turned */
    bool passes_on;    /* in place, and no number changes in any pass: only the shape does */
    bool reads_output; /* others than forward read a_out: the next layer must not overwrite it */
};

/* The stretch of a layer that enlarges no difference, and makes some no smaller. */
double gr_stretch_one(const gr_node *node);
/* Of a function that never falls, whatever its settings. */
bool gr_always_rises(const gr_settings *settings);

/* The table's row of a layer kind, from its public half. */
static inline const gr_layer_kind *gr_layer_kind_of(const gr_kind *kind) {
    return (const gr_layer_kind *)(const void *)kind;
}

extern const gr_layer_kind gr_layer_linear, gr_layer_conv2d, gr_layer_relu, gr_layer_tanh,
    gr_layer_maxpool2d, gr_layer_flatten, gr_layer_dropout, gr_layer_leaky_relu, gr_layer_sigmoid,
    gr_layer_softplus, gr_layer_elu, gr_layer_avgpool2d, gr_layer_global_avgpool2d,
    gr_layer_batchnorm, gr_layer_pad_channels, gr_layer_residual, gr_layer_sum;

/* The options of gr_layer_residual, which the network reads. */
enum { GR_RESIDUAL_BODY, GR_RESIDUAL_SHORTCUT };

#endif
