/* What a regulariser kind is. One file in core/regularizers/ and one row of the table in
 * core/regularizer.c.
 *
 * A kind acts on the parameters alone (`parameters`), or through probes: logit cotangents c whose
 * pull-back g = Jᵀc to the input it penalises. The probes of all penalties are lanes of the same
 * passes (METHODS §2). */
#ifndef CORE_REGULARIZER_H
#define CORE_REGULARIZER_H

#include "core/layer.h"
#include "core/loss.h"
#include "core/network.h"

/* One penalty's share of a block's probe lanes. Arrays over outputs or inputs are
 * [feature][probes][samples] with `stride` reals between features. */
typedef struct gr_probe_block {
    const gr_settings *settings;
    const gr_loss_kind *loss_kind;
    const gr_loss_block *loss;
    int64_t features;   /* of the network's input */
    int64_t probes;     /* of this penalty */
    int64_t stride;     /* all penalties' probes · samples */
    int64_t batch_size; /* of the whole batch: means are over it */
    uint32_t index;     /* the penalty's number in the spec */
    gr_draw draw;
    const gr_real *given; /* [outputs], instead of the drawn vector of the random probe; or NULL */
    gr_real *scratch;     /* [2·samples] */
} gr_probe_block;

typedef struct gr_regularizer_kind {
    gr_kind kind;
    /* Refuses what does not fit, `labels` telling whether the data has classes; the place is an
     * option's ("/probe"). May be NULL. */
    gr_status (*check)(const gr_settings *settings, const gr_network *network,
                       const gr_loss_kind *loss, bool labels, gr_error *error);
    /* gradients += weight·∂; returns the unweighted value. NULL where it does not act on
     * parameters. */
    double (*parameters)(const gr_settings *settings, const gr_network *network,
                         const gr_real *parameters, gr_real *gradients);
    /* How many probes it needs; NULL: none, and the three below are NULL too. */
    int64_t (*probes)(const gr_settings *settings, int64_t outputs);
    /* Writes c. */
    void (*cotangent)(const gr_probe_block *block, gr_real *c);
    /* Turns g into u = ∂(weight/B·Σφ)/∂g in place; returns the block's Σφ (unweighted, over
     * samples). */
    double (*input)(const gr_probe_block *block, gr_real *g);
    /* q [outputs][samples] += (∂c/∂z)ᵀ ż. */
    void (*output)(const gr_probe_block *block, const gr_real *t_z, gr_real *q);
} gr_regularizer_kind;

static inline const gr_regularizer_kind *gr_regularizer_kind_of(const gr_settings *settings) {
    return (const gr_regularizer_kind *)(const void *)settings->kind;
}

extern const gr_regularizer_kind gr_regularizer_gradient_penalty, gr_regularizer_weight_decay;
extern const gr_kind gr_regularizer_datagrad, gr_regularizer_double_backprop,
    gr_regularizer_spectreg, gr_regularizer_jacreg, gr_regularizer_frobreg, gr_regularizer_onehot,
    gr_regularizer_random_onehot;

#endif
