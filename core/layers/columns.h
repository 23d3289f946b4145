/* Convolutions whose outputs are few pixels as matrix products (im2col: Chellapilla, Puri & Simard
 * 2006): all that an output pixel reads, all channels and taps, is a column of a matrix, which the
 * weights are multiplied by. The direct sums have short rows there. */
#ifndef CORE_LAYERS_COLUMNS_H
#define CORE_LAYERS_COLUMNS_H

#include "core/kernels.h"

/* Whether they pay: a rule on shapes. */
bool gr_columns_pay(const gr_convolution_shape *shape);
/* Reals that the functions below need. */
int64_t gr_columns_scratch(const gr_convolution_shape *shape);

/* out = weights * in + bias (NULL: none); arrays [channel][row][column][lane], weights
 * [filter][channel][row of taps][column of taps]. */
void gr_columns_forward(const gr_convolution_shape *shape, const gr_kernels *kernels,
                        const gr_real *weights, const gr_real *bias, int64_t lanes,
                        const gr_real *in, gr_real *out, gr_real *scratch);
/* d_in = Jᵀ d_out. */
void gr_columns_backward(const gr_convolution_shape *shape, const gr_kernels *kernels,
                         const gr_real *weights, int64_t lanes, const gr_real *d_out, gr_real *d_in,
                         gr_real *scratch);
/* d_weights += Σ over lanes. */
void gr_columns_accumulate(const gr_convolution_shape *shape, const gr_kernels *kernels,
                           int64_t lanes, const gr_real *d_out, const gr_real *in,
                           gr_real *d_weights, gr_real *scratch);

#endif
