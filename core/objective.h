/* The regularised loss and its exact gradient, a block of samples at a time. */
#ifndef CORE_OBJECTIVE_H
#define CORE_OBJECTIVE_H

#include "core/passes.h"
#include "core/regularizer.h"

enum { GR_MAXIMUM_REGULARIZERS = 16 };

typedef struct gr_objective {
    const gr_network *network;
    const gr_settings *loss;         /* borrowed */
    const gr_settings *regularizers; /* borrowed */
    size_t regularizer_count;
    int64_t probes[GR_MAXIMUM_REGULARIZERS]; /* of each regulariser */
    int64_t probe_count;                     /* of all */
    gr_workspace *workspace;
    gr_real *p, *scratch;
    gr_real *buffers; /* the network's running statistics; borrowed, NULL: none are kept */
    const gr_real *given_probe; /* [outputs]; borrowed, NULL: drawn */
} gr_objective;

/* What one batch came to: sums of its blocks. */
typedef struct gr_objective_result {
    double loss; /* mean over the batch */
    int64_t correct;
    double values[GR_MAXIMUM_REGULARIZERS]; /* unweighted */
    double total;                           /* loss + Σ weight·value */
} gr_objective_result;

/* `labels`: whether the data has classes. Refuses regularisers that do not fit; error->place is
 * relative to the spec
 * ("/regularizers/1/probe"). */
gr_status gr_objective_check(const gr_network *network, const gr_settings *loss,
                             const gr_settings *regularizers, size_t count, bool labels,
                             gr_error *error);

/* The number of samples that are worked on at a time, by rule on shapes (DESIGN §3). */
int64_t gr_objective_block_samples(const gr_network *network, const gr_settings *regularizers,
                                   size_t count, int64_t batch_size);
/* Bytes of an objective for such a block. */
int64_t gr_objective_bytes(const gr_network *network, const gr_settings *regularizers, size_t count,
                           int64_t block_samples);
/* Multiply-accumulates of one sample's share of an iteration (METHODS §2, "Cost"). */
double gr_objective_operations(const gr_network *network, const gr_settings *regularizers,
                               size_t count);

/* Checks as gr_objective_check. The settings must outlive the objective. */
gr_status gr_objective_create(const gr_network *network, const gr_settings *loss,
                              const gr_settings *regularizers, size_t count, bool labels,
                              int64_t block_samples, gr_objective **objective, gr_error *error);
void gr_objective_free(gr_objective *objective);

/* Where a block's inputs go: [features][samples of the block]. */
gr_real *gr_objective_input(gr_objective *objective);

/* gradients [parameters] and result += the share of a block of `samples` samples of a batch of
 * `batch_size`, whose inputs are in gr_objective_input; labels [samples] or targets
 * [outputs][samples]. */
void gr_objective_block(gr_objective *objective, const gr_real *parameters, int64_t samples,
                        int64_t batch_size, gr_draw draw, const int32_t *labels,
                        const gr_real *targets, gr_real *gradients, gr_objective_result *result);
/* After the last block: the regularisers of the parameters, and the total. */
void gr_objective_finish(gr_objective *objective, const gr_real *parameters, gr_real *gradients,
                         gr_objective_result *result);

/* Evaluation mode, no gradients: adds the block's summed loss and right answers. */
void gr_objective_evaluate(gr_objective *objective, const gr_real *parameters, int64_t samples,
                           const int32_t *labels, const gr_real *targets, double *loss_sum,
                           int64_t *correct);

#endif
