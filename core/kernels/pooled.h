/* What the two ways share to work on a convolution and its max-pool in one (pooled.c). */
#ifndef CORE_KERNELS_POOLED_H
#define CORE_KERNELS_POOLED_H

#include "core/kernels/vector.h"

#define L VECTOR_LANES
#define FOR_EACH(i, count) _Pragma("GCC unroll 16") for (int i = 0; i < (count); i++)

/* A few samples are quicker one number at a time. */
enum { FEW = 4 };

/* The passes where the lanes of a vector are not probes (gr_pooled_way); arguments as those of
 * gr_kernels. */
#define DECLARE_WAY(way)                                                                          \
    void KERNEL(pooled_backward_by_##way)(                                                        \
        const gr_convolution_shape *c, const gr_real *weights, int64_t probes, int64_t samples,   \
        const int32_t *winner, const gr_real *d_pooled, gr_real *d_in, gr_real *scratch);         \
    void KERNEL(pooled_accumulate_by_##way)(                                                      \
        const gr_convolution_shape *c, const gr_real *weights, int64_t probes, int64_t samples,   \
        const int32_t *winner, const gr_real *kept, const gr_real *d_pooled, const gr_real *t_in, \
        gr_real *t_pooled, gr_real *d_weights, gr_real *scratch);                                 \
    void KERNEL(pooled_tangent_by_##way)(const gr_convolution_shape *c, const gr_real *weights,   \
                                         int64_t probes, int64_t samples, const int32_t *winner,  \
                                         const gr_real *kept, const gr_real *t_in,                \
                                         gr_real *t_pooled, gr_real *scratch);
DECLARE_WAY(channels)
DECLARE_WAY(rows)

#endif
