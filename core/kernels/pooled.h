/* What the two ways share to work on a convolution and its max-pool in one (pooled.c). */
#ifndef CORE_KERNELS_POOLED_H
#define CORE_KERNELS_POOLED_H

#include "core/kernels/vector.h"

#define L VECTOR_LANES
#define FOR_EACH(i, count) _Pragma("GCC unroll 8") for (int i = 0; i < (count); i++)

/* Runs its body for each feature f of the pool's output. */
#define FOR_EACH_POOLED(c)                                                               \
    for (int32_t f = 0, channel_ = 0; channel_ < (int32_t)(c)->out_channels; channel_++) \
        for (int64_t row_ = 0; row_ < (c)->pooled_rows; row_++)                          \
            for (int64_t column_ = 0; column_ < (c)->pooled_columns; column_++, f++)

/* How far the pixels of a window lie from its first, in images whose rows have `columns` pixels of
 * `pixel` reals. */
typedef struct window_offsets {
    int32_t of[GR_POOLED_WINDOW * GR_POOLED_WINDOW];
} window_offsets;

INLINE window_offsets offsets_in(const gr_pooled_convolution *c, int64_t columns, int64_t pixel) {
    window_offsets offsets = {{0}};
    for (int64_t i = 0; i < c->window * c->window; i++)
        offsets.of[i] = (int32_t)((i / c->window * columns + i % c->window) * pixel);
    return offsets;
}

/* A few samples are quicker one number at a time. */
enum { FEW = 4 };

/* The passes where vectors hold channels (pooled_channels.c); arguments as those of gr_kernels. */
void KERNEL(pooled_backward_by_channels)(const gr_pooled_convolution *c, const gr_real *weights,
                                         int64_t probes, int64_t samples, const int32_t *winner,
                                         const gr_real *d_pooled, gr_real *d_in, gr_real *scratch);
void KERNEL(pooled_accumulate_by_channels)(const gr_pooled_convolution *c, const gr_real *weights,
                                           int64_t probes, int64_t samples, const int32_t *winner,
                                           const gr_real *kept, const gr_real *d_pooled,
                                           const gr_real *t_in, gr_real *t_pooled,
                                           gr_real *d_weights, gr_real *scratch);
void KERNEL(pooled_tangent_by_channels)(const gr_pooled_convolution *c, const gr_real *weights,
                                        int64_t probes, int64_t samples, const int32_t *winner,
                                        const gr_real *kept, const gr_real *t_in, gr_real *t_pooled,
                                        gr_real *scratch);

#endif
