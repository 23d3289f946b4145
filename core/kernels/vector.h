/* The vectors of the kernel set that is being compiled (GR_KERNEL_SET), in GCC's vector extension.
 */
#ifndef CORE_KERNELS_VECTOR_H
#define CORE_KERNELS_VECTOR_H

#include <string.h>

#include "core/kernels.h"

#if defined(GR_KERNEL_SET_avx512)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define TILE_VECTORS \
    6 /* with TILE_CHANNELS: 24 sums, 6 inputs and a weight fill the 32 registers */
#elif defined(GR_KERNEL_SET_avx2)
#define VECTOR_BYTES 32
#define TILE_VECTORS                                                             \
    2 /* 8 sums, 2 inputs and a weight of 16 registers; 3 would make 12, 3 and 1 \
       */
#else
#define VECTOR_BYTES 16
#define TILE_VECTORS 2
#endif
#define TILE_CHANNELS 4
#define VECTOR_LANES ((int64_t)(VECTOR_BYTES / sizeof(gr_real)))

/* Unaligned, may alias the arrays of gr_real. */
typedef gr_real vector
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(gr_real)), may_alias));

/* One name per set: KERNEL(convolve) is convolve_avx512, … */
#define KERNEL_JOIN(name, set) name##_##set
#define KERNEL_EXPAND(name, set) KERNEL_JOIN(name, set)
#define KERNEL(name) KERNEL_EXPAND(name, GR_KERNEL_SET)
#define INLINE static inline __attribute__((always_inline))

INLINE vector load(const gr_real *p) {
    return *(const vector *)p;
}

INLINE void store(gr_real *p, vector v) {
    *(vector *)p = v;
}

INLINE vector broadcast(gr_real x) {
    return x - (vector){0};
}

/* The first `count` lanes (1 … VECTOR_LANES - 1); zero in the others. */
INLINE vector load_part(const gr_real *p, int64_t count) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return (vector)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
#else
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(gr_real));
    return v;
#endif
}

INLINE void store_part(gr_real *p, int64_t count, vector v) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), (__m512)v);
#else
    memcpy(p, &v, (size_t)count * sizeof(gr_real));
#endif
}

/* The sum of all lanes, by halves: a fixed order. */
INLINE gr_real sum_of(vector v) {
    gr_real lane[VECTOR_BYTES / sizeof(gr_real)];
    memcpy(lane, &v, sizeof lane);
    for (int64_t half = VECTOR_LANES / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
}

void KERNEL(convolve)(const gr_convolution *convolution, const gr_real *weights,
                      const gr_real *bias, int64_t lanes, const gr_real *in, gr_real *out);
void KERNEL(convolve_accumulate)(const gr_convolution *convolution, int64_t lanes,
                                 const gr_real *d_out, const gr_real *in, gr_real *d_weights);

#endif
