/* What a loss kind is. One file in core/losses/ and one row of the table in core/loss.c. Arrays
 * over outputs are [outputs][samples]. */
#ifndef CORE_LOSS_H
#define CORE_LOSS_H

#include "gradreg/arrays.h"
#include "gradreg/settings.h"

typedef struct gr_loss_block {
    int64_t outputs, samples;
    const gr_real *z;       /* logits */
    const int32_t *labels;  /* [samples]; NULL for a regression */
    const gr_real *targets; /* [outputs][samples]; not read where there are labels */
    gr_real *p;             /* softmax of z, written where the kind has it */
    gr_real *losses;        /* [samples], written where not NULL */
    gr_real *r;             /* ∂ℓ/∂z per sample, written */
} gr_loss_block;

typedef struct gr_loss_kind {
    gr_kind kind;
    bool softmax;    /* works on class probabilities: needs labels, and writes p */
    bool regression; /* takes real targets too */
    /* Writes p and r; returns the sum of the samples' losses and adds the number of right answers
     * to *correct. */
    double (*evaluate)(const gr_settings *settings, const gr_loss_block *block, int64_t *correct);
    /* q [outputs][samples] += the part of (∂r/∂z)ᵀ ż (docs/methods.md, "loss"), ż with `stride`
     * reals between outputs. */
    void (*curvature)(const gr_loss_block *block, const gr_real *t_z, int64_t stride, gr_real *q);
} gr_loss_kind;

static inline const gr_loss_kind *gr_loss_kind_of(const gr_settings *settings) {
    return (const gr_loss_kind *)(const void *)settings->kind;
}

/* The class that a sample's outputs z [outputs], `stride` reals apart, stand for: the greatest, of
 * equals the first. */
static inline int64_t gr_greatest_output(const gr_real *z, int64_t outputs, int64_t stride) {
    int64_t best = 0;
    for (int64_t k = 1; k < outputs; k++)
        if (z[k * stride] > z[best * stride]) best = k;
    return best;
}

/* `count` rows of the Jacobian of the softmax p [outputs][samples], from the first on: row m, which
 * is p_m(e_m - p), at c[k·stride + (m - first)·samples + sample] for each output k. 1 - p_m is the
 * sum of the others, which keeps its digits where p_m is nearly 1. */
void gr_softmax_rows(int64_t outputs, int64_t samples, const gr_real *p, int64_t first,
                     int64_t count, int64_t stride, gr_real *c);

extern const gr_loss_kind gr_loss_cross_entropy, gr_loss_squared_error;

#endif
