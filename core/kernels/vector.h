/* The vectors of the kernel set that is being compiled (GR_KERNEL_SET), in GCC's vector extension.
 */
#ifndef CORE_KERNELS_VECTOR_H
#define CORE_KERNELS_VECTOR_H

#include <math.h>
#include <string.h>

#include "core/kernels.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

#if defined(GR_KERNEL_SET_avx512)
#define VECTOR_BYTES 64
#elif defined(GR_KERNEL_SET_avx2)
#define VECTOR_BYTES 32
#else
#define VECTOR_BYTES 16
#endif
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

/* A value as it is now: the compiler neither makes it again nor joins it with what follows. */
INLINE vector settled(vector v) {
#if defined(GR_KERNEL_SET_avx512)
    __asm__("" : "+v"(v));
#elif defined(__x86_64__)
    __asm__("" : "+x"(v));
#endif
    return v;
}

/* In a register for all its uses: the compiler is not to load it again for each. */
INLINE vector load_once(const gr_real *p) {
    return settled(load(p));
}

/* An address that the compiler neither makes anew for each use nor joins with others: what is at a
 * constant distance from it is an operand without an index, which Intel's processors keep fused
 * with the product that it is for; with one it takes the room of two instructions. */
INLINE const gr_real *fixed(const gr_real *p) {
    __asm__("" : "+r"(p));
    return p;
}

INLINE void store(gr_real *p, vector v) {
    *(vector *)p = v;
}

INLINE vector broadcast(gr_real x) {
    return x - (vector){0};
}

/* The first `count` lanes (1 … VECTOR_LANES - 1); zero in the others. */
INLINE vector load_part(const gr_real *p, int64_t count);
INLINE void store_part(gr_real *p, int64_t count, vector v);

/* Integers of a lane's width: a lane's index in a window, and what a comparison gives. */
#ifdef GR_DOUBLE
typedef int64_t integers __attribute__((vector_size(VECTOR_BYTES), may_alias));
#else
typedef int32_t integers __attribute__((vector_size(VECTOR_BYTES), may_alias));
#endif

INLINE integers same_index(int32_t i) {
    return i - (integers){0};
}

/* Words of 32 bits, each in the lower half of a lane of 64; the upper half has no meaning. */
typedef uint64_t words
    __attribute__((vector_size(VECTOR_BYTES), aligned(sizeof(uint64_t)), may_alias));

/* All 64 bits of each word's product. */
INLINE words product_of_words(words a, uint32_t factor) {
#if defined(GR_KERNEL_SET_avx512)
    return (words)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(factor));
#elif defined(GR_KERNEL_SET_avx2)
    return (words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(factor));
#elif defined(__SSE2__)
    return (words)_mm_mul_epu32((__m128i)a, _mm_set1_epi64x(factor));
#else
    return (a & 0xffffffffu) * factor;
#endif
}

/* The upper halves. A shift would wait for the unit that multiplies. */
INLINE words upper_words(words a) {
#if defined(GR_KERNEL_SET_avx512)
    return (words)_mm512_shuffle_epi32((__m512i)a, _MM_PERM_DDBB);
#elif defined(GR_KERNEL_SET_avx2)
    return (words)_mm256_shuffle_epi32((__m256i)a, 0xf5);
#else
    return a >> 32;
#endif
}

/* Lane l is a[from[l]], or b[from[l] - VECTOR_LANES]. */
INLINE vector shuffle(vector a, vector b, integers from) {
#ifdef __clang__ /* has none by a variable */
    vector v;
    for (int l = 0; l < VECTOR_LANES; l++)
        v[l] = from[l] < VECTOR_LANES ? a[from[l]] : b[from[l] - VECTOR_LANES];
    return v;
#else
    return __builtin_shuffle(a, b, from);
#endif
}

/* Lane l is table[index[l]]. */
INLINE integers look_up(integers table, integers index) {
#ifdef __clang__ /* has none by a variable */
    integers v;
    for (int l = 0; l < VECTOR_LANES; l++) v[l] = table[index[l]];
    return v;
#else
    return __builtin_shuffle(table, index);
#endif
}

#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)

typedef __mmask16 mask;

INLINE __mmask16 first_lanes(int64_t count) {
    return (__mmask16)((1u << count) - 1);
}
INLINE vector load_part(const gr_real *p, int64_t count) {
    return (vector)_mm512_maskz_loadu_ps(first_lanes(count), p);
}
INLINE void store_part(gr_real *p, int64_t count, vector v) {
    _mm512_mask_storeu_ps(p, first_lanes(count), (__m512)v);
}
INLINE mask greater(vector a, vector b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
}
INLINE mask is_nan(vector a) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)a, _CMP_UNORD_Q);
}
INLINE mask equal(integers a, integers b) {
    return _mm512_cmpeq_epi32_mask((__m512i)a, (__m512i)b);
}
INLINE vector choose(mask m, vector yes, vector no) {
    return (vector)_mm512_mask_blend_ps(m, (__m512)no, (__m512)yes);
}

#else

typedef integers mask;

#if defined(GR_KERNEL_SET_avx2)
INLINE integers first_lanes(int64_t count) {
    integers index;
    for (int i = 0; i < VECTOR_LANES; i++) index[i] = i;
    return index < same_index((int32_t)count);
}
#endif
INLINE vector load_part(const gr_real *p, int64_t count) {
#if defined(GR_KERNEL_SET_avx2) && !defined(GR_DOUBLE)
    return (vector)_mm256_maskload_ps(p, (__m256i)first_lanes(count));
#elif defined(GR_KERNEL_SET_avx2)
    return (vector)_mm256_maskload_pd(p, (__m256i)first_lanes(count));
#else
    vector v = {0};
    memcpy(&v, p, (size_t)count * sizeof(gr_real));
    return v;
#endif
}
INLINE void store_part(gr_real *p, int64_t count, vector v) {
#if defined(GR_KERNEL_SET_avx2) && !defined(GR_DOUBLE)
    _mm256_maskstore_ps(p, (__m256i)first_lanes(count), (__m256)v);
#elif defined(GR_KERNEL_SET_avx2)
    _mm256_maskstore_pd(p, (__m256i)first_lanes(count), (__m256d)v);
#else
    memcpy(p, &v, (size_t)count * sizeof(gr_real));
#endif
}
INLINE mask greater(vector a, vector b) {
    return a > b;
}
INLINE mask is_nan(vector a) {
    return a != a;
}
INLINE mask equal(integers a, integers b) {
    return a == b;
}
INLINE vector choose(mask m, vector yes, vector no) {
    return (vector)((m & (integers)yes) | (~m & (integers)no));
}

#endif

/* Bit l: what the comparison gave for lane l. */
INLINE uint64_t bits_of(mask m) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return m;
#elif defined(GR_KERNEL_SET_avx2) && !defined(GR_DOUBLE)
    return (uint64_t)_mm256_movemask_ps((__m256)m);
#else
    uint64_t bits = 0;
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++) bits |= (uint64_t)(m[lane] != 0) << lane;
    return bits;
#endif
}

/* The way back. */
INLINE mask mask_of(uint64_t bits) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return (mask)bits;
#else
    integers bit;
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++) bit[lane] = 1 << lane;
    return (bit & same_index((int32_t)bits)) != 0;
#endif
}

/* Bit l: whether lane l is not 0 (NaN is not). */
INLINE uint64_t not_zero(vector v) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return _mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
#elif defined(GR_KERNEL_SET_avx2) && !defined(GR_DOUBLE)
    return (uint64_t)_mm256_movemask_ps(_mm256_cmp_ps((__m256)v, _mm256_setzero_ps(), _CMP_NEQ_UQ));
#else
    uint64_t bits = 0;
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++) bits |= (uint64_t)(v[lane] != 0) << lane;
    return bits;
#endif
}

/* The lanes whose bits are set are v's first ones, in their order; zero in the others. */
INLINE vector expand(uint64_t bits, vector v) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return (vector)_mm512_maskz_expand_ps((__mmask16)bits, (__m512)v);
#else
    gr_real lanes[VECTOR_BYTES / sizeof(gr_real)] = {0};
    for (int64_t from = 0; bits; bits &= bits - 1) lanes[__builtin_ctzll(bits)] = v[from++];
    return load(lanes);
#endif
}

/* The first `left` lanes, at most all; zero in the others. */
INLINE vector load_lanes(const gr_real *p, int64_t left) {
    return left >= VECTOR_LANES ? load(p) : load_part(p, left);
}
INLINE void store_lanes(gr_real *p, int64_t left, vector v) {
    if (left >= VECTOR_LANES)
        store(p, v);
    else
        store_part(p, left, v);
}

/* A vector's lanes in double, in as many vectors as that takes. */
enum { WIDE_PARTS = sizeof(double) / sizeof(gr_real) };
typedef double wide_vector __attribute__((vector_size(VECTOR_BYTES)));

INLINE void widen(vector v, wide_vector wide[WIDE_PARTS]) {
#if defined(GR_DOUBLE)
    wide[0] = v;
#elif defined(GR_KERNEL_SET_avx512)
    wide[0] = (wide_vector)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)v));
    wide[1] = (wide_vector)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)v, 1));
#elif defined(GR_KERNEL_SET_avx2)
    wide[0] = (wide_vector)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)v));
    wide[1] = (wide_vector)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)v, 1));
#else
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++)
        wide[lane * 2 / VECTOR_LANES][lane % (VECTOR_LANES / 2)] = v[lane];
#endif
}

/* The way back, rounded. */
INLINE vector narrow(const wide_vector wide[WIDE_PARTS]) {
#if defined(GR_DOUBLE)
    return wide[0];
#elif defined(GR_KERNEL_SET_avx512)
    return (vector)_mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps((__m512d)wide[0])),
                                      _mm512_cvtpd_ps((__m512d)wide[1]), 1);
#elif defined(GR_KERNEL_SET_avx2)
    return (vector)_mm256_set_m128(_mm256_cvtpd_ps((__m256d)wide[1]),
                                   _mm256_cvtpd_ps((__m256d)wide[0]));
#else
    vector v;
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++)
        v[lane] = (gr_real)wide[lane * 2 / VECTOR_LANES][lane % (VECTOR_LANES / 2)];
    return v;
#endif
}

/* Bytes as numbers. */
INLINE vector load_bytes(const uint8_t *p) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return (vector)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p)));
#elif defined(GR_KERNEL_SET_avx2) && !defined(GR_DOUBLE)
    return (vector)_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p)));
#else
    vector v;
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++) v[lane] = p[lane];
    return v;
#endif
}

/* Correctly rounded. */
INLINE vector square_root(vector v) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return (vector)_mm512_sqrt_ps((__m512)v);
#elif defined(GR_KERNEL_SET_avx2) && !defined(GR_DOUBLE)
    return (vector)_mm256_sqrt_ps((__m256)v);
#else
    for (int64_t lane = 0; lane < VECTOR_LANES; lane++)
#ifdef GR_DOUBLE
        v[lane] = sqrt(v[lane]);
#else
        v[lane] = sqrtf(v[lane]);
#endif
    return v;
#endif
}

/* n / d of d > 0 where 1 / d is normal, by an estimate: a division would wait for the unit that
 * takes the square roots. Rounded as a division is; of 3e8 random quotients none was otherwise. */
INLINE vector quotient(vector n, vector d) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    const __m512 by = (__m512)d, guess = _mm512_rcp14_ps(by);
    const __m512 inverse =
        _mm512_fmadd_ps(guess, _mm512_fnmadd_ps(by, guess, _mm512_set1_ps(1)), guess);
    const __m512 result = _mm512_mul_ps((__m512)n, inverse);
    const __m512 rest = _mm512_fnmadd_ps(result, by, (__m512)n);
    const __mmask16 finite = _mm512_cmp_ps_mask(by, _mm512_set1_ps(INFINITY), _CMP_NEQ_UQ);
    return (vector)_mm512_maskz_fmadd_ps(finite, rest, inverse, result);
#else
    return n / d;
#endif
}

/* 32-bit indices in memory, as integers of a lane's width. */
typedef int32_t indices
    __attribute__((vector_size(VECTOR_BYTES / sizeof(gr_real) * 4), aligned(4), may_alias));

INLINE integers load_indices(const int32_t *p) {
    return __builtin_convertvector(*(const indices *)p, integers);
}
INLINE void store_indices(int32_t *p, int64_t left, integers v) {
    const indices narrow = __builtin_convertvector(v, indices);
    memcpy(p, &narrow, (size_t)(left < VECTOR_LANES ? left : VECTOR_LANES) * sizeof *p);
}
INLINE integers choose_index(mask m, integers yes, integers no) {
    return (integers)choose(m, (vector)yes, (vector)no);
}

/* The sum of all lanes, by halves: a fixed order. */
INLINE gr_real sum_of(vector v) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return _mm512_reduce_add_ps((__m512)v);
#else
    gr_real lane[VECTOR_BYTES / sizeof(gr_real)];
    memcpy(lane, &v, sizeof lane);
    for (int64_t half = VECTOR_LANES / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++) lane[i] += lane[i + half];
    return lane[0];
#endif
}

/* Of two rows d apart, a power of two: lanes whose bit d is set in a, and those where it is not in
 * b, change places. */
INLINE void exchange(const int d, vector *a, vector *b) {
    const vector first = *a, second = *b;
    integers low = {0}, high = {0};
    _Pragma("GCC unroll 16") for (int l = 0; l < (int)VECTOR_LANES; l++) {
        low[l] = (l & d) ? (int)VECTOR_LANES + (l ^ d) : l;
        high[l] = (l & d) ? (int)VECTOR_LANES + l : (l ^ d);
    }
    *a = shuffle(first, second, low);
    *b = shuffle(first, second, high);
}

/* Of VECTOR_LANES vectors: v becomes its transpose. */
INLINE void transpose(vector v[]) {
    _Pragma("GCC unroll 4") for (int d = 1; d < (int)VECTOR_LANES; d *= 2)
        _Pragma("GCC unroll 16") for (int i = 0; i < (int)VECTOR_LANES; i++) if (!(i & d))
            exchange(d, &v[i], &v[i | d]);
}

INLINE vector sums_from(const int first, vector v[]) {
    _Pragma("GCC unroll 4") for (int d = first; d > 0; d /= 2)
        _Pragma("GCC unroll 16") for (int i = 0; i < d; i++) {
        exchange(d, &v[i], &v[i | d]);
        v[i] += v[i | d];
    }
    return v[0];
}

/* Of VECTOR_LANES vectors, which change: lane l of the result is the sum of vector l's lanes. */
INLINE vector sums_of(vector v[]) {
    return sums_from((int)VECTOR_LANES / 2, v);
}

/* The same of vectors that lie behind each other. */
INLINE vector sums_at(const gr_real *vectors) {
    vector v[VECTOR_BYTES / sizeof(gr_real)];
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    /* The first step by loads of halves, which spare half of its shuffles. */
    _Pragma("GCC unroll 8") for (int i = 0; i < 8; i++) {
        const gr_real *a = vectors + i * 16, *b = a + 8 * 16;
        v[i] = (vector)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(a)),
                                          _mm256_loadu_ps(b), 1) +
               (vector)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(a + 8)),
                                          _mm256_loadu_ps(b + 8), 1);
    }
    return sums_from(4, v);
#else
    _Pragma("GCC unroll 16") for (int i = 0; i < (int)VECTOR_LANES; i++) v[i] =
        load(vectors + i * VECTOR_LANES);
    return sums_of(v);
#endif
}

gr_smooth KERNEL(tanh), KERNEL(sigmoid), KERNEL(softplus), KERNEL(elu);
void KERNEL(add_normals)(const gr_random *random, uint32_t first_sample, int64_t samples,
                         int64_t elements, double factor, const gr_real *from, gr_real *to);
void KERNEL(dropout_mask)(const gr_random *random, uint32_t first_sample, int64_t samples,
                          int64_t elements, uint32_t threshold, gr_real kept, gr_real *factors);
int64_t KERNEL(standardize)(const uint8_t *const *rows, int64_t count, double factor, double term,
                            int64_t stride, gr_real *x);
int64_t KERNEL(standardize_row)(const uint8_t *row, int64_t count, double factor, double term,
                                gr_real *x);
void KERNEL(convolve)(const gr_convolution *convolution, const gr_real *weights,
                      const gr_real *bias, int64_t lanes, const gr_real *in, gr_real *out);
void KERNEL(convolve_accumulate)(const gr_convolution *convolution, int64_t lanes,
                                 const gr_real *d_out, const gr_real *in, gr_real *d_weights);
void KERNEL(settle)(const gr_convolution_shape *convolution, const gr_real *weights,
                    const gr_real *bias, int64_t reach, int64_t lanes, const gr_real *in,
                    gr_real *out, gr_real *scratch);
void KERNEL(winograd_forward)(const gr_convolution_shape *convolution, const gr_real *weights,
                              const gr_real *bias, int64_t lanes, const gr_real *in, gr_real *out,
                              gr_real *scratch);
void KERNEL(winograd_backward)(const gr_convolution_shape *convolution, const gr_real *weights,
                               int64_t lanes, const gr_real *d_out, gr_real *d_in,
                               gr_real *scratch);
void KERNEL(winograd_accumulate)(const gr_convolution_shape *convolution, int64_t lanes,
                                 const gr_real *d_out, const gr_real *in, gr_real *d_weights,
                                 gr_real *scratch);
void KERNEL(pooled_backward)(const gr_convolution_shape *convolution, const gr_real *weights,
                             int64_t probes, int64_t samples, const int32_t *winner,
                             const gr_real *d_pooled, gr_real *d_in, gr_real *scratch);
void KERNEL(pooled_accumulate)(const gr_convolution_shape *convolution, const gr_real *weights,
                               int64_t probes, int64_t samples, const int32_t *winner,
                               const gr_real *kept, const gr_real *d_pooled, const gr_real *t_in,
                               gr_real *t_pooled, gr_real *d_weights, gr_real *scratch);
void KERNEL(pooled_tangent)(const gr_convolution_shape *convolution, const gr_real *weights,
                            int64_t probes, int64_t samples, const int32_t *winner,
                            const gr_real *kept, const gr_real *t_in, gr_real *t_pooled,
                            gr_real *scratch);
void KERNEL(multiply)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                      const gr_real *bias, bool turned, const gr_real *x, gr_real *y);
void KERNEL(multiply_kept)(int64_t units, int64_t in, int64_t probes, int64_t samples,
                           const gr_real *weights, const gr_real *kept, bool turned,
                           const gr_real *x, gr_real *y);
void KERNEL(multiply_kept_and_accumulate)(int64_t units, int64_t in, int64_t probes,
                                          int64_t samples, const gr_real *weights,
                                          const gr_real *kept, const gr_real *d_out, bool turned,
                                          const gr_real *x, gr_real *y, gr_real *d_weights);
void KERNEL(multiply_transposed)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                                 const gr_real *d_out, bool turned, gr_real *d_in);
void KERNEL(multiply_accumulate)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out,
                                 bool turned, const gr_real *x, gr_real *d_weights);
void KERNEL(add)(int64_t count, const gr_real *a, const gr_real *b, gr_real *out);
void KERNEL(moments)(int64_t count, const gr_real *a, double *mean, double *variance);
void KERNEL(normalize)(int64_t count, const gr_real *a, gr_real center, gr_real scale,
                       gr_real shift, gr_real *y);
void KERNEL(normalized_sums)(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                             const gr_real *a, gr_real center, double *sums);
void KERNEL(second_sums)(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                         const gr_real *t, const gr_real *a, gr_real center, double *sums);
void KERNEL(project)(int64_t positions, int64_t samples, int64_t stride, const gr_real *v,
                     const gr_real *a, gr_real center, const gr_plane *plane, const gr_real *extra,
                     gr_real *out);
void KERNEL(bend)(int64_t positions, int64_t samples, int64_t stride, const gr_real *d,
                  const gr_real *t, const gr_real *a, gr_real center, const gr_plane *plane,
                  bool add, gr_real *bend, const gr_plane *t_plane, gr_real *t_out);

#endif
