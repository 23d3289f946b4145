/* The regularised loss and its exact gradient, a block of samples at a time. */
#ifndef CORE_OBJECTIVE_H
#define CORE_OBJECTIVE_H

#include "core/passes.h"
#include "core/regularizer.h"

typedef struct gr_objective gr_objective;

/* A block of samples; [feature][sample], borrowed. The inputs themselves go to gr_objective_input.
 */
typedef struct gr_block {
    int64_t samples;
    int64_t batch_size; /* of the whole batch: means are over it */
    gr_draw draw;
    const int32_t *labels;      /* [samples], or NULL for a regression */
    const gr_real *targets;     /* [outputs][samples] */
    const gr_real *derivatives; /* [outputs][features][samples] of the truth, or NULL */
} gr_block;

/* What one batch came to: sums of its blocks. Zero before the first. */
typedef struct gr_objective_result {
    double loss; /* mean over the batch */
    int64_t correct;
    double values[GR_MAXIMUM_REGULARIZERS]; /* unweighted */
    double total;                           /* loss + Σ weight·value */
} gr_objective_result;

/* Refuses regularisers that do not fit; error->place is relative to the spec
 * ("/regularizers/1/probe"). */
gr_status gr_objective_check(const gr_fit *fit, const gr_settings *regularizers, size_t count,
                             gr_error *error);
/* The part of that which is of the network; the other is gr_regularizer_check. */
gr_status gr_objective_check_network(const gr_fit *fit, size_t count, gr_error *error);

/* The number of samples that are worked on at a time, by rule on shapes (docs/architecture.md). */
int64_t gr_objective_block_samples(const gr_network *network, const gr_settings *regularizers,
                                   size_t count, int64_t batch_size);
/* Bytes of an objective for such a block. */
int64_t gr_objective_bytes(const gr_network *network, const gr_settings *regularizers, size_t count,
                           int64_t block_samples);
/* Multiply-accumulates of one sample's share of an iteration (docs/methods.md, "Cost"). */
double gr_objective_operations(const gr_network *network, const gr_settings *regularizers,
                               size_t count);

/* Checks as gr_objective_check. `iterations`: in all, for weights that ramp; 0: no ramps. `seed`:
 * of the states that some regularisers keep. The settings must outlive the objective. */
gr_status gr_objective_create(const gr_fit *fit, const gr_settings *loss,
                              const gr_settings *regularizers, size_t count, int64_t block_samples,
                              int64_t iterations, uint64_t seed, gr_objective **objective,
                              gr_error *error);
void gr_objective_free(gr_objective *objective);

/* The network's running statistics, which training blocks update; borrowed. NULL (at first): none
 * are kept. */
void gr_objective_set_buffers(gr_objective *objective, gr_real *buffers);
/* [outputs] instead of the drawn vector of the random probe; borrowed. */
void gr_objective_set_probe(gr_objective *objective, const gr_real *probe);
const gr_kernels *gr_objective_kernels(const gr_objective *objective);
/* What the regularisers keep from step to step, *count reals: part of a checkpoint. */
gr_real *gr_objective_state(gr_objective *objective, int64_t *count);

/* Where a block's inputs go: [features][samples of the block], or where *turned
 * [samples][features], which never changes. */
gr_real *gr_objective_input(gr_objective *objective, bool *turned);

/* gradients [parameters] and result += the share of the block whose inputs are in
 * gr_objective_input. */
void gr_objective_block(gr_objective *objective, const gr_real *parameters, const gr_block *block,
                        gr_real *gradients, gr_objective_result *result);
/* After the last block: the regularisers of the parameters, and the total. `decay` not NULL: weight
 * decay is left to gr_optimizer_step, *decay is its weight (0: nothing is left), and its value is
 * yet to be added. */
void gr_objective_finish(gr_objective *objective, const gr_real *parameters, uint32_t iteration,
                         double *decay, gr_real *gradients, gr_objective_result *result);
/* … from the sum of squares of the decayed parameters. */
void gr_objective_add_decay(const gr_objective *objective, double decay, double squares,
                            gr_objective_result *result);

/* Evaluation mode, no gradients: adds the block's summed loss and right answers. */
void gr_objective_evaluate(gr_objective *objective, const gr_real *parameters,
                           const gr_block *block, double *loss_sum, int64_t *correct);

#endif
