/* What a regulariser kind is. One file in core/regularizers/ and one row of the table in
 * core/regularizer.c.
 *
 * A kind sets the functions of the one or more ways in which it acts; the objective
 * (core/objective.c) calls them. Whatever of the methods needs second derivatives is an instance of
 * one procedure, ∇_θ(cᵀ J u) with c and u held constant, plus a cotangent q at the logits
 * (docs/methods.md).
 */
#ifndef CORE_REGULARIZER_H
#define CORE_REGULARIZER_H

#include "core/loss.h"
#include "core/passes.h"

/* The first options of every regulariser that has a weight. */
enum { GR_REGULARIZER_WEIGHT, GR_REGULARIZER_RAMP, GR_REGULARIZER_OPTIONS };
#define GR_WEIGHT_OPTIONS(weight_help)                                                            \
    [GR_REGULARIZER_WEIGHT] = {.name = "weight",                                                  \
                               .help = weight_help,                                               \
                               .accepts = GR_ACCEPT(GR_NUMBER),                                   \
                               .minimum = 0,                                                      \
                               .maximum = 1e12,                                                   \
                               .required = true},                                                 \
    [GR_REGULARIZER_RAMP] = {                                                                     \
        .name = "ramp",                                                                           \
        .help = "[begin, end], shares of the iterations between which the weight rises linearly " \
                "from 0; null: the whole weight at once",                                         \
        .accepts = GR_ACCEPT(GR_NUMBERS) | GR_ACCEPT(GR_NULL),                                    \
        .minimum = 0,                                                                             \
        .maximum = 1,                                                                             \
        .default_json = "null"}

enum { GR_MAXIMUM_REGULARIZERS = 16 };

/* One regulariser at work on one block of samples. Arrays over outputs or inputs are
 * [feature][probe][sample] with `stride` reals between features. */
typedef struct gr_probe_block {
    const gr_kernels *kernels;
    const gr_settings *settings;
    double weight; /* at this iteration */
    const gr_loss_kind *loss_kind;
    const gr_loss_block *loss;
    gr_shape input;                  /* of a sample */
    int64_t features;                /* of a sample */
    int64_t probes;                  /* of this regulariser that are worked on now, */
    int64_t first_probe, all_probes; /* from this one on, of so many */
    int64_t stride;                  /* all probes · samples of its set of lanes */
    bool turned;                     /* g is [probe][sample][feature] */
    int64_t batch_size;              /* of the whole batch: means are over it */
    uint32_t index;                  /* the regulariser's number in the spec */
    gr_draw draw;
    const gr_real *x; /* [features][samples]: the points; NULL where no regulariser needs them */
    const gr_real *given; /* [outputs], instead of the drawn vector of the random probe; or NULL */
    const gr_real *derivatives; /* [outputs][features][samples]: of the truth, where the data knows
                                   it; or NULL */
    gr_real *scratch;           /* [2·samples] */
} gr_probe_block;

enum { GR_NORMS = 64 };
/* norm[i] = Σ g² over features and probes, of the samples from `first` on, at most GR_NORMS of
 * them: summed so that thousands of like terms lose nothing. (core/norms.c) */
void gr_squared_norms(const gr_probe_block *block, const gr_real *g, int64_t first,
                      double norm[GR_NORMS]);
/* g *= factor[sample]. */
void gr_scale_samples(const gr_probe_block *block, const gr_real *factor, gr_real *g);

/* A block of a regulariser that has points of its own, beside those of the loss. */
typedef struct gr_points_block {
    gr_probe_block probe;
    gr_pass pass;    /* a workspace of its own; its running statistics are not kept */
    gr_lanes *lanes; /* of kind->points_probes probes; NULL where that is 0 */
    const gr_settings *loss_settings;
    gr_loss_block loss;         /* of its own points, once evaluated */
    const gr_real *main_losses; /* [samples]: ℓ at the data */
    gr_real *main_d;       /* cotangent of the main loss [outputs][samples]; a kind may add to it */
    const gr_real *main_r; /* ∂ℓ/∂z at the data [outputs][samples] */
    gr_real *sample_losses; /* [samples]: of its own points, once evaluated */
    gr_real *gradients;
} gr_points_block;

/* What kinds may need to know before they accept a network. */
typedef struct gr_fit {
    const gr_network *network;
    const gr_loss_kind *loss;
    bool labels;      /* the data has classes */
    bool derivatives; /* the data knows its derivatives */
} gr_fit;

typedef struct gr_regularizer_kind {
    gr_kind kind;
    /* Refuses what does not fit; the place is an option's ("/probe"). May be NULL. */
    gr_status (*check)(const gr_settings *settings, const gr_fit *fit, gr_error *error);

    /* Whether what is penalised is drawn at random, so that two with the same settings are not one
     * with twice the weight. NULL: never. */
    bool (*draws)(const gr_settings *settings);

    /* -- on the parameters alone: gradients += weight·∂; returns the unweighted value. `state` is
     * state_size reals that are kept from step to step and in checkpoints. */
    double (*parameters)(const gr_settings *settings, double weight, const gr_network *network,
                         const gr_real *parameters, gr_real *state, gr_real *gradients);
    /* It is half the sum of squares of the parameters of rank >= 2: an optimiser may add its
     * gradient in its own pass (gr_optimizer_step). */
    bool decays;
    int64_t (*state_size)(const gr_settings *settings, const gr_network *network);
    void (*initialize_state)(const gr_settings *settings, const gr_network *network, uint64_t seed,
                             gr_real *state);

    /* -- on the logits: q [outputs][samples] += weight/B·∂; returns the block's sum of values. */
    double (*logits)(const gr_probe_block *block, gr_real *q);

    /* -- on the inputs: changes x [features][samples] before the forward pass. */
    void (*inputs)(const gr_probe_block *block, gr_real *x);

    /* -- by probes, cotangents c at the logits whose pull-back g = Jᵀc is penalised. */
    int64_t (*probes)(const gr_settings *settings, int64_t outputs);
    void (*cotangent)(const gr_probe_block *block, gr_real *c);
    /* Turns g into u = ∂(weight/B·Σφ)/∂g in place; returns the block's Σφ (unweighted, over
     * samples). */
    double (*input)(const gr_probe_block *block, gr_real *g);
    bool knows_turned; /* `input` heeds block->turned */
    /* q [outputs][samples] += (∂c/∂z)ᵀ ż. */
    void (*output)(const gr_probe_block *block, const gr_real *t_z, gr_real *q);
    /* Whether a probe's u, value and q need that probe alone: its probes may then be worked on one
     * after the other, where memory or the caches want it. NULL: no. */
    bool (*separable)(const gr_settings *settings);
    /* Whether what it does with a sample depends on the others of the batch: a block is the whole
     * batch then. NULL: no. */
    bool (*couples_samples)(const gr_settings *settings);

    /* -- by tangents u at the input, whose push-forward ż = J u is penalised. */
    int64_t (*tangents)(const gr_settings *settings);
    void (*tangent)(const gr_probe_block *block, gr_real *u);
    /* Writes c = ∂(weight/B·Σφ)/∂ż; returns the block's Σφ. */
    double (*tangent_output)(const gr_probe_block *block, const gr_real *t_z, gr_real *c);

    /* -- layer by layer: a cotangent at each layer's output, [features][samples], whose pull-back
     * to the layer's input is penalised as in `input`. Only for chains of layers. */
    void (*layer_cotangent)(const gr_probe_block *block, gr_real *c);
    double (*layer_input)(const gr_probe_block *block, gr_real *g);

    /* -- at points of its own: everything from forward to gradients. */
    bool (*has_points)(const gr_settings *settings); /* NULL: where `points` is set, always */
    int64_t (*points_probes)(const gr_settings *settings, int64_t outputs);
    double (*points)(gr_points_block *block); /* returns the block's sum of values */
    /* What that costs, in forward passes (docs/methods.md). Set where `points` is. */
    double (*points_cost)(const gr_settings *settings, const gr_network *network);
} gr_regularizer_kind;

static inline const gr_regularizer_kind *gr_regularizer_kind_of(const gr_settings *settings) {
    return (const gr_regularizer_kind *)(const void *)settings->kind;
}

/* The penalty's value and gradients at the block's own points, which x [features][samples] holds:
 * forward, probes, tangent, and, where the cotangent moves or layers bend, the way back. */
double gr_points_penalty(gr_points_block *block);
/* Forward at the block's own points, and its loss there (sample_losses, loss.r, loss.p). */
void gr_points_evaluate(gr_points_block *block);
/* The gradient of each sample's loss at its own points with respect to them: [features][samples],
 * in the lanes' delta. Needs gr_points_evaluate and one probe. */
const gr_real *gr_points_input_gradient(gr_points_block *block);
/* gradients += Σ factor[s]·∇ℓ at the own points; needs gr_points_evaluate. */
void gr_points_loss_gradient(gr_points_block *block, const gr_real *factor);

/* c = e_k for probe k, k below the number of outputs: all rows of the logits' Jacobian. */
void gr_unit_cotangents(const gr_probe_block *block, gr_real *c);
/* to = from + N(0, σ²), [features][samples], by the block's own random numbers; to may be from. */
void gr_add_noise(const gr_probe_block *block, double sigma, const gr_real *from, gr_real *to);

extern const gr_regularizer_kind gr_regularizer_gradient_penalty, gr_regularizer_weight_decay,
    gr_regularizer_l1, gr_regularizer_confidence_penalty, gr_regularizer_input_noise,
    gr_regularizer_adversarial, gr_regularizer_gradient_difference, gr_regularizer_tangent_prop,
    gr_regularizer_sobolev, gr_regularizer_derivative_sparsity, gr_regularizer_spectral_norm,
    gr_regularizer_contractive;
extern const gr_kind gr_regularizer_datagrad, gr_regularizer_double_backprop,
    gr_regularizer_spectreg, gr_regularizer_jacreg, gr_regularizer_frobreg, gr_regularizer_onehot,
    gr_regularizer_random_onehot, gr_regularizer_jacobian_norm;

/* Refuses the one at `index` where it does not fit, or is one before it again; error->place is
 * relative to the spec ("/regularizers/1/probe"). */
gr_status gr_regularizer_check(const gr_fit *fit, const gr_settings *regularizers, size_t index,
                               gr_error *error);

#endif
