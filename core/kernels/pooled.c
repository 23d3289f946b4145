/* Convolutions before max-pooling: of each window only one pixel, the winner, has an adjoint, and
 * only its tangent goes on. Here for many probes; pooled_channels.c and pooled_rows.c are for few
 * and for the ordinary pass. All probes of a sample share the winners, so that the probes are the
 * lanes, a sample's arrays are [feature][probe], and three of four products of 2x2 windows are
 * never made; nor are those of adjoints that are zero for all probes, as behind a relu that does
 * not pass. */
#include "core/kernels/pooled.h"

enum { OUTPUTS = 8 }; /* of a tangent at once: so many sums hide the latency of one */

#define FOR_EACH_LANE(i) _Pragma("GCC unroll 16") for (int i = 0; i < (int)L; i++)

/* At most L samples and L probes of the lanes [feature][probe][sample]. */
typedef struct chunk {
    int64_t probes, samples; /* of all lanes */
    int64_t first_probe, probe_count, first_sample, sample_count;
} chunk;

/* A picked pixel that counts: its feature among the pooled ones, and where it reads. */
typedef struct pick {
    int32_t feature, offset;
} pick;

/* What lies where in the scratch: [sample][element][probe] twice, and the lists. */
typedef struct areas {
    gr_real *image, *pooled, *tile;      /* the layer's input (or its adjoint); the pool's output */
    int64_t image_stride, pooled_stride; /* between samples, in reals */
    pick *picks;
    int32_t *position, *first;
} areas;

enum { WIDEST_TILE = 6 };

static areas areas_of(const gr_convolution_shape *c, gr_real *scratch) {
    const int64_t rows = c->in_rows + 2 * c->padding, columns = c->in_columns + 2 * c->padding;
    const int64_t features = c->out_channels * c->pooled_rows * c->pooled_columns;
    areas a = {.image = scratch};
    /* Odd numbers of vectors: samples do not compete for the same lines of a cache. */
    a.image_stride = (c->in_channels * rows * (columns + WIDEST_TILE) | 1) * L;
    a.pooled = a.image + L * a.image_stride;
    a.pooled_stride = (features | 1) * L;
    a.tile = a.pooled + L * a.pooled_stride;
    const int64_t taps = c->kernel * (c->kernel + 2 * WIDEST_TILE);
    a.picks = (pick *)(void *)(a.tile + c->out_channels * c->in_channels * taps * L);
    a.position = (int32_t *)(a.picks + features);
    a.first = a.position + features;
    return a;
}

#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)

/* Four samples at a time, whose four-lane pieces are put in place as they are loaded: one piece for
 * each probe, so that only squares of four by four are left to transpose. */
enum { QUAD = 4 };

INLINE void transpose_quads(__m512 v[QUAD]) {
    const __m512d a = _mm512_castps_pd(_mm512_unpacklo_ps(v[0], v[1]));
    const __m512d b = _mm512_castps_pd(_mm512_unpackhi_ps(v[0], v[1]));
    const __m512d c = _mm512_castps_pd(_mm512_unpacklo_ps(v[2], v[3]));
    const __m512d d = _mm512_castps_pd(_mm512_unpackhi_ps(v[2], v[3]));
    v[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
    v[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
    v[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
    v[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
}

/* G quads of probes; where the last has fewer, the last probe stands for the missing ones. */
INLINE void read_quads(const int G, const chunk *c, const gr_real *row, gr_real *to,
                       int64_t stride) {
    int64_t offset[L];
    for (int64_t k = 0; k < QUAD * G; k++)
        offset[k] = (k < c->probe_count ? k : c->probe_count - 1) * c->samples;
    const __mmask16 probes = (__mmask16)((1u << c->probe_count) - 1);
    for (int64_t s = 0; s < c->sample_count; s += QUAD, row += QUAD) {
        __m512 v[QUAD];
        FOR_EACH (j, QUAD) {
            v[j] = _mm512_zextps128_ps512(_mm_loadu_ps(row + offset[j]));
            if (G > 1) v[j] = _mm512_insertf32x4(v[j], _mm_loadu_ps(row + offset[QUAD + j]), 1);
            if (G > 2) v[j] = _mm512_insertf32x4(v[j], _mm_loadu_ps(row + offset[2 * QUAD + j]), 2);
            if (G > 3) v[j] = _mm512_insertf32x4(v[j], _mm_loadu_ps(row + offset[3 * QUAD + j]), 3);
        }
        transpose_quads(v);
        FOR_EACH (i, QUAD)
            if (s + i < c->sample_count)
                store(to + (s + i) * stride, (vector)_mm512_maskz_mov_ps(probes, v[i]));
    }
}

INLINE void write_quads(const int G, const chunk *c, const gr_real *from, int64_t stride,
                        gr_real *row) {
    for (int64_t s = 0; s < c->sample_count; s += QUAD) {
        const int64_t left = c->sample_count - s;
        const __mmask8 samples = (__mmask8)(left < QUAD ? (1u << left) - 1 : 15);
        __m512 v[QUAD];
        FOR_EACH (i, QUAD) v[i] = (__m512)load(from + (s + i) * stride);
        transpose_quads(v);
        FOR_EACH (j, QUAD) {
            gr_real *to = row + s + j * c->samples;
            const int64_t step = QUAD * c->samples;
            if (j < c->probe_count) _mm_mask_storeu_ps(to, samples, _mm512_castps512_ps128(v[j]));
            if (G > 1 && QUAD + j < c->probe_count)
                _mm_mask_storeu_ps(to + step, samples, _mm512_extractf32x4_ps(v[j], 1));
            if (G > 2 && 2 * QUAD + j < c->probe_count)
                _mm_mask_storeu_ps(to + 2 * step, samples, _mm512_extractf32x4_ps(v[j], 2));
            if (G > 3 && 3 * QUAD + j < c->probe_count)
                _mm_mask_storeu_ps(to + 3 * step, samples, _mm512_extractf32x4_ps(v[j], 3));
        }
    }
}

INLINE void read_lanes(const chunk *c, const gr_real *row, gr_real *to, int64_t stride) {
    const int64_t quads = (c->probe_count + QUAD - 1) / QUAD;
    if (quads == 4) read_quads(4, c, row, to, stride);
    if (quads == 3) read_quads(3, c, row, to, stride);
    if (quads == 2) read_quads(2, c, row, to, stride);
    if (quads == 1) read_quads(1, c, row, to, stride);
}
INLINE void write_lanes(const chunk *c, const gr_real *from, int64_t stride, gr_real *row) {
    const int64_t quads = (c->probe_count + QUAD - 1) / QUAD;
    if (quads == 4) write_quads(4, c, from, stride, row);
    if (quads == 3) write_quads(3, c, from, stride, row);
    if (quads == 2) write_quads(2, c, from, stride, row);
    if (quads == 1) write_quads(1, c, from, stride, row);
}

#else

INLINE void read_lanes(const chunk *c, const gr_real *row, gr_real *to, int64_t stride) {
    vector v[L];
    for (int k = 0; k < (int)L; k++, row += c->samples)
        v[k] = k >= c->probe_count    ? (vector){0}
               : c->sample_count >= L ? load(row)
                                      : load_part(row, c->sample_count);
    transpose(v);
    for (int s = 0; s < c->sample_count; s++, to += stride) store(to, v[s]);
}

INLINE void write_lanes(const chunk *c, const gr_real *from, int64_t stride, gr_real *row) {
    vector v[L];
    for (int s = 0; s < (int)L; s++, from += stride)
        v[s] = s < c->sample_count ? load(from) : (vector){0};
    transpose(v);
    for (int k = 0; k < c->probe_count; k++, row += c->samples)
        store_lanes(row, c->sample_count, v[k]);
}

#endif

/* One feature's lanes of the chunk, to vectors of probes `stride` apart: one for each sample, zero
 * where there are no more probes. */
INLINE void read_feature(const chunk *c, const gr_real *row, gr_real *to, int64_t stride) {
    row += c->first_probe * c->samples + c->first_sample;
    if (c->sample_count <= FEW) {
        for (int64_t s = 0; s < c->sample_count; s++, to += stride) {
            store(to, (vector){0});
            for (int64_t k = 0; k < c->probe_count; k++) to[k] = row[k * c->samples + s];
        }
        return;
    }
    read_lanes(c, row, to, stride);
}

INLINE void write_feature(const chunk *c, const gr_real *from, int64_t stride, gr_real *row) {
    row += c->first_probe * c->samples + c->first_sample;
    if (c->sample_count <= FEW) {
        for (int64_t s = 0; s < c->sample_count; s++, from += stride)
            for (int64_t k = 0; k < c->probe_count; k++) row[k * c->samples + s] = from[k];
        return;
    }
    write_lanes(c, from, stride, row);
}

static void read_pooled(const gr_convolution_shape *c, const chunk *part, const gr_real *pooled,
                        const areas *a) {
    for (int64_t f = 0; f < c->out_channels * c->pooled_rows * c->pooled_columns; f++)
        read_feature(part, pooled + f * part->probes * part->samples, a->pooled + f * L,
                     a->pooled_stride);
}

static void write_pooled(const gr_convolution_shape *c, const chunk *part, const areas *a,
                         gr_real *pooled) {
    for (int64_t f = 0; f < c->out_channels * c->pooled_rows * c->pooled_columns; f++)
        write_feature(part, a->pooled + f * L, a->pooled_stride,
                      pooled + f * part->probes * part->samples);
}

/* The layer's input with its padding. */
static void read_image(const gr_convolution_shape *c, const chunk *part, const gr_real *in,
                       const areas *a) {
    const int64_t p = c->padding, rows = c->in_rows + 2 * p, columns = c->in_columns + 2 * p;
    gr_real *to = a->image;
    for (int64_t channel = 0; channel < c->in_channels; channel++)
        for (int64_t y = -p; y < rows - p; y++)
            for (int64_t x = -p; x < columns - p; x++, to += L) {
                const bool inside = y >= 0 && y < c->in_rows && x >= 0 && x < c->in_columns;
                const int64_t f = (channel * c->in_rows + y) * c->in_columns + x;
                if (inside)
                    read_feature(part, in + f * part->probes * part->samples, to, a->image_stride);
                else
                    for (int64_t s = 0; s < part->sample_count; s++)
                        store(to + s * a->image_stride, (vector){0});
            }
}

INLINE bool is_zero(vector v) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    return !_mm512_cmp_ps_mask((__m512)v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
#else
    const integers differs = v != (vector){0};
    bool zero = true;
    for (int i = 0; i < (int)L; i++) zero = zero && !differs[i];
    return zero;
#endif
}

/* Runs its body for each feature f of the pool's output. */
#define FOR_EACH_POOLED(c)                                                               \
    for (int32_t f = 0, channel_ = 0; channel_ < (int32_t)(c)->out_channels; channel_++) \
        for (int64_t row_ = 0; row_ < (c)->pooled_rows; row_++)                          \
            for (int64_t column_ = 0; column_ < (c)->pooled_columns; column_++, f++)

/* How far the pixels of a window lie from its first, in images whose rows have `columns` elements.
 */
typedef struct window_offsets {
    int32_t of[GR_POOLED_WINDOW * GR_POOLED_WINDOW];
} window_offsets;

static window_offsets offsets_in(const gr_convolution_shape *c, int64_t columns) {
    window_offsets offsets;
    for (int64_t i = 0; i < c->window * c->window; i++)
        offsets.of[i] = (int32_t)(i / c->window * columns + i % c->window);
    return offsets;
}

/* Runs its body for each chunk of the lanes. */
#define FOR_EACH_CHUNK(part, probes_, samples_)                                             \
    for (int64_t s_ = 0; s_ < (samples_); s_ += L)                                          \
        for (chunk part = {.probes = (probes_), .samples = (samples_), .first_sample = s_}; \
             next_chunk(&part); part.first_probe += L)

INLINE bool next_chunk(chunk *c) {
    c->probe_count = c->probes - c->first_probe < L ? c->probes - c->first_probe : L;
    c->sample_count = c->samples - c->first_sample < L ? c->samples - c->first_sample : L;
    return c->probe_count > 0;
}

/* -- the adjoint of the input: each pixel gathers from the picked ones around it
 * ----------------------------- */

/* The picks in the order of rows and columns of the convolution's output: those at position p are
 * first[p] … first[p + 1] - 1. */
static void sort_picks(const gr_convolution_shape *c, const chunk *part, int64_t s,
                       const int32_t *winner, int64_t channel_step, const areas *a) {
    const int64_t positions = c->out_rows * c->out_columns;
    const gr_real *pooled = a->pooled + s * a->pooled_stride;
    const window_offsets offsets = offsets_in(c, c->out_columns);
    winner += part->first_sample + s;
    memset(a->first, 0, (size_t)(positions + 3) * sizeof *a->first);
    FOR_EACH_POOLED (c) { /* those without an adjoint go behind the last position */
        const int64_t corner = (row_ * c->out_columns + column_) * c->step;
        const int32_t position = (int32_t)corner + offsets.of[winner[f * part->samples]];
        a->position[f] = is_zero(load(pooled + f * L)) ? (int32_t)positions : position;
        a->first[a->position[f] + 2]++;
    }
    for (int64_t p = 2; p <= positions + 1; p++) a->first[p] += a->first[p - 1];
    FOR_EACH_POOLED (c) {
        const int32_t position = a->position[f];
        const int32_t x = position % (int32_t)c->out_columns;
        a->picks[a->first[position + 1]++] =
            (pick){f, (int32_t)(channel_ * channel_step - x * c->in_channels)};
    }
}

/* C channels of T neighbouring pixels, the first at (y, x). weights: [filter][row of taps][column
 * of taps, with T - 1 zeros on both sides][channel]. */
INLINE void gather_tile(const int C, const int T, const gr_convolution_shape *c, const areas *a,
                        const gr_real *pooled, const gr_real *weights, int64_t y, int64_t x,
                        gr_real *out) {
    const int64_t columns = c->kernel + 2 * (T - 1);
    const int64_t channels = T == 6 ? 1 : c->in_channels;
    int64_t low = x + c->padding - (c->kernel - 1), high = x + T - 1 + c->padding;
    if (low < 0) low = 0;
    if (high > c->out_columns - 1) high = c->out_columns - 1;
    vector sum[6][8]; /* T and C at most */
    FOR_EACH (t, T)
        FOR_EACH (k, C) sum[t][k] = (vector){0};
    for (int64_t tap = 0; low <= high && tap < c->kernel; tap++) {
        const int64_t row = y + c->padding - tap;
        if (row < 0 || row >= c->out_rows) continue;
        const gr_real *w = weights + (tap * columns + x + c->padding + T - 1) * channels;
        const pick *end = a->picks + a->first[row * c->out_columns + high + 1];
        for (const pick *p = a->picks + a->first[row * c->out_columns + low]; p < end; p++) {
            const vector d = load_once(pooled + p->feature * L);
            FOR_EACH (t, T)
                FOR_EACH (k, C) sum[t][k] += broadcast(w[p->offset + t * channels + k]) * d;
        }
    }
    const int64_t plane = c->in_rows * (c->in_columns + WIDEST_TILE) * L;
    FOR_EACH (t, T)
        FOR_EACH (k, C) store(out + k * plane + t * L, sum[t][k]);
}

/* All pixels of C channels; out may be written up to T - 1 pixels past a row. */
#define GATHER(C, T)                                                                            \
    static void gather_##C##_##T(const gr_convolution_shape *c, const areas *a,                 \
                                 const gr_real *pooled, const gr_real *weights, gr_real *out) { \
        for (int64_t y = 0; y < c->in_rows; y++)                                                \
            for (int64_t x = 0; x < c->in_columns; x += T)                                      \
                gather_tile(C, T, c, a, pooled, weights, y, x,                                  \
                            out + (y * (c->in_columns + WIDEST_TILE) + x) * L);                 \
    }
GATHER(1, 6)
GATHER(1, 2)
GATHER(2, 2)
GATHER(4, 2)
GATHER(6, 2)
GATHER(8, 2)

static void gather(const gr_convolution_shape *c, const areas *a, int64_t s) {
    const int64_t plane = c->in_rows * (c->in_columns + WIDEST_TILE) * L;
    const gr_real *pooled = a->pooled + s * a->pooled_stride, *weights = a->tile;
    gr_real *out = a->image + s * a->image_stride;
    if (c->in_channels == 1) {
        gather_1_6(c, a, pooled, weights, out);
        return;
    }
    for (int64_t k = 0; k < c->in_channels;) {
        const int64_t left = c->in_channels - k;
        const int64_t now = left >= 8 && left != 10 ? 8
                            : left >= 6             ? 6
                            : left >= 4             ? 4
                            : left >= 2             ? 2
                                                    : 1;
        (now == 8   ? gather_8_2
         : now == 6 ? gather_6_2
         : now == 4 ? gather_4_2
         : now == 2 ? gather_2_2
                    : gather_1_2)(c, a, pooled, weights + k, out + k * plane);
        k += now;
    }
}

static void backward_by_probes(const gr_convolution_shape *c, const gr_real *weights,
                               int64_t probes, int64_t samples, const int32_t *winner,
                               const gr_real *d_pooled, gr_real *d_in, gr_real *scratch) {
    const areas a = areas_of(c, scratch);
    const int64_t T = c->in_channels == 1 ? 6 : 2, columns = c->kernel + 2 * (T - 1);
    const int64_t step = c->kernel * columns * c->in_channels;
    memset(a.tile, 0, (size_t)(c->out_channels * step) * sizeof *a.tile);
    for (int64_t f = 0; f < c->out_channels; f++)
        for (int64_t k = 0; k < c->in_channels; k++)
            for (int64_t y = 0; y < c->kernel; y++)
                for (int64_t x = 0; x < c->kernel; x++)
                    a.tile[f * step + (y * columns + T - 1 + x) * c->in_channels + k] =
                        weights[((f * c->in_channels + k) * c->kernel + y) * c->kernel + x];
    FOR_EACH_CHUNK (part, probes, samples) {
        read_pooled(c, &part, d_pooled, &a);
        for (int64_t s = 0; s < part.sample_count; s++) {
            sort_picks(c, &part, s, winner, step, &a);
            gather(c, &a, s);
        }
        const gr_real *from = a.image;
        gr_real *to = d_in;
        for (int64_t k = 0; k < c->in_channels * c->in_rows; k++, from += WIDEST_TILE * L)
            for (int64_t x = 0; x < c->in_columns; x++, from += L, to += probes * samples)
                write_feature(&part, from, a.image_stride, to);
    }
}

/* -- gradients and tangents: each picked pixel reads its taps
 * ------------------------------------------------ */

/* The picks of sample s in the order of their features, those of a channel from first[channel] on:
 * all whose adjoint is not zero, or where `kept` is given, all where that is positive. */
static void list_picks(const gr_convolution_shape *c, const chunk *part, int64_t s,
                       const int32_t *winner, bool by_adjoint, const gr_real *kept,
                       const areas *a) {
    const int64_t columns = c->in_columns + 2 * c->padding;
    const gr_real *pooled = a->pooled + s * a->pooled_stride;
    const window_offsets offsets = offsets_in(c, columns);
    int32_t count = 0;
    FOR_EACH_POOLED (c) { /* without a branch on what cannot be foreseen */
        if (row_ == 0 && column_ == 0) a->first[channel_] = count;
        const int64_t lane = f * part->samples + part->first_sample + s;
        const int64_t corner = (row_ * columns + column_) * c->step;
        a->picks[count] = (pick){f, (int32_t)((corner + offsets.of[winner[lane]]) * L)};
        count += by_adjoint ? !is_zero(load(pooled + f * L)) : !kept || kept[lane] > 0;
    }
    a->first[c->out_channels] = count;
}

/* sums[K][K] += Σ of adjoint times input over the picks of a channel; R rows of taps at once. */
INLINE void add_taps(const int K, const int R, const pick *p, const pick *end,
                     const gr_real *pooled, const gr_real *image, int64_t row_step, gr_real *sums) {
    vector sum[5][5]; /* R and K at most */
    FOR_EACH (r, R)
        FOR_EACH (k, K) sum[r][k] = load(sums + (r * K + k) * L);
    for (; p < end; p++) {
        const vector d = load_once(pooled + p->feature * L);
        const gr_real *t = image + p->offset;
        FOR_EACH (r, R)
            FOR_EACH (k, K) sum[r][k] += d * load(t + r * row_step + k * L);
    }
    FOR_EACH (r, R)
        FOR_EACH (k, K) store(sums + (r * K + k) * L, sum[r][k]);
}

#if defined(GR_KERNEL_SET_avx512)
enum { ROWS_OF_5 = 5, ROWS_OF_3 = 3 }; /* as many sums as there are registers for */
#else
enum { ROWS_OF_5 = 1, ROWS_OF_3 = 3 };
#endif

static void accumulate_sample(const gr_convolution_shape *c, const areas *a, int64_t s) {
    const int64_t columns = c->in_columns + 2 * c->padding, rows = c->in_rows + 2 * c->padding;
    const gr_real *pooled = a->pooled + s * a->pooled_stride;
    const gr_real *image = a->image + s * a->image_stride;
    gr_real *sums = a->tile;
    for (int64_t k = 0; k < c->in_channels; k++, image += rows * columns * L)
        for (int64_t f = 0; f < c->out_channels; f++) {
            const pick *p = a->picks + a->first[f], *end = a->picks + a->first[f + 1];
            if (c->kernel == 5)
                for (int64_t y = 0; y < 5; y += ROWS_OF_5, sums += ROWS_OF_5 * 5 * L)
                    add_taps(5, ROWS_OF_5, p, end, pooled, image + y * columns * L, columns * L,
                             sums);
            else
                for (int64_t y = 0; y < 3; y += ROWS_OF_3, sums += ROWS_OF_3 * 3 * L)
                    add_taps(3, ROWS_OF_3, p, end, pooled, image + y * columns * L, columns * L,
                             sums);
        }
}

/* OUTPUTS picks of one channel at once. */
INLINE void push_picks(const int K, const gr_convolution_shape *c, const gr_real *weights,
                       const pick *p, int64_t count, const gr_real *image, gr_real *pooled) {
    const int64_t columns = c->in_columns + 2 * c->padding, rows = c->in_rows + 2 * c->padding;
    const gr_real *from[OUTPUTS];
    vector sum[OUTPUTS];
    FOR_EACH (i, OUTPUTS) {
        from[i] = image + p[i < count ? i : 0].offset;
        sum[i] = (vector){0};
    }
    for (int64_t k = 0; k < c->in_channels; k++)
        for (int64_t y = 0; y < K; y++) {
            const int64_t offset = (k * rows + y) * columns * L;
            FOR_EACH (x, K) {
                const vector w = broadcast(*weights++);
                FOR_EACH (i, OUTPUTS) sum[i] += w * load(from[i] + offset + x * L);
            }
        }
    FOR_EACH (i, OUTPUTS)
        if (i < count) store(pooled + p[i].feature * L, sum[i]);
}

static void push_sample(const gr_convolution_shape *c, const gr_real *weights, const areas *a,
                        int64_t s) {
    const gr_real *image = a->image + s * a->image_stride;
    gr_real *pooled = a->pooled + s * a->pooled_stride;
    memset(pooled, 0, (size_t)a->pooled_stride * sizeof *pooled);
    for (int64_t f = 0; f < c->out_channels; f++) {
        const gr_real *w = weights + f * c->in_channels * c->kernel * c->kernel;
        for (int64_t i = a->first[f]; i < a->first[f + 1]; i += OUTPUTS)
            if (c->kernel == 5)
                push_picks(5, c, w, a->picks + i, a->first[f + 1] - i, image, pooled);
            else
                push_picks(3, c, w, a->picks + i, a->first[f + 1] - i, image, pooled);
    }
}

static void accumulate_by_probes(const gr_convolution_shape *c, const gr_real *weights,
                                 int64_t probes, int64_t samples, const int32_t *winner,
                                 const gr_real *kept, const gr_real *d_pooled, const gr_real *t_in,
                                 gr_real *t_pooled, gr_real *d_weights, gr_real *scratch) {
    const areas a = areas_of(c, scratch);
    const int64_t taps = c->kernel * c->kernel;
    memset(a.tile, 0, (size_t)(c->in_channels * c->out_channels * taps * L) * sizeof *a.tile);
    FOR_EACH_CHUNK (part, probes, samples) {
        read_pooled(c, &part, d_pooled, &a);
        read_image(c, &part, t_in, &a);
        for (int64_t s = 0; s < part.sample_count; s++) {
            list_picks(c, &part, s, winner, true, NULL, &a);
            accumulate_sample(c, &a, s);
            if (!t_pooled) continue;
            list_picks(c, &part, s, winner, false, kept, &a);
            push_sample(c, weights, &a, s); /* over the sample's adjoints */
        }
        if (t_pooled) write_pooled(c, &part, &a, t_pooled);
    }
    const gr_real *sums = a.tile;
    for (int64_t k = 0; k < c->in_channels; k++)
        for (int64_t f = 0; f < c->out_channels; f++)
            for (int64_t t = 0; t < taps; t++, sums += L)
                d_weights[(f * c->in_channels + k) * taps + t] += sum_of(load(sums));
}

static void tangent_by_probes(const gr_convolution_shape *c, const gr_real *weights, int64_t probes,
                              int64_t samples, const int32_t *winner, const gr_real *kept,
                              const gr_real *t_in, gr_real *t_pooled, gr_real *scratch) {
    const areas a = areas_of(c, scratch);
    FOR_EACH_CHUNK (part, probes, samples) {
        read_image(c, &part, t_in, &a);
        for (int64_t s = 0; s < part.sample_count; s++) {
            list_picks(c, &part, s, winner, false, kept, &a);
            push_sample(c, weights, &a, s);
        }
        write_pooled(c, &part, &a, t_pooled);
    }
}

/* -- any way
 * --------------------------------------------------------------------------------------------- */

void KERNEL(pooled_backward)(const gr_convolution_shape *c, const gr_real *weights, int64_t probes,
                             int64_t samples, const int32_t *winner, const gr_real *d_pooled,
                             gr_real *d_in, gr_real *scratch) {
    static void (*const ways[])(const gr_convolution_shape *, const gr_real *, int64_t, int64_t,
                                const int32_t *, const gr_real *, gr_real *, gr_real *) = {
        [GR_POOLED_BY_PROBES] = backward_by_probes,
        [GR_POOLED_BY_ROWS] = KERNEL(pooled_backward_by_rows),
        [GR_POOLED_BY_CHANNELS] = KERNEL(pooled_backward_by_channels)};
    ways[gr_pooled_way_of(L, c, probes)](c, weights, probes, samples, winner, d_pooled, d_in,
                                         scratch);
}

void KERNEL(pooled_accumulate)(const gr_convolution_shape *c, const gr_real *weights,
                               int64_t probes, int64_t samples, const int32_t *winner,
                               const gr_real *kept, const gr_real *d_pooled, const gr_real *t_in,
                               gr_real *t_pooled, gr_real *d_weights, gr_real *scratch) {
    static void (*const ways[])(const gr_convolution_shape *, const gr_real *, int64_t, int64_t,
                                const int32_t *, const gr_real *, const gr_real *, const gr_real *,
                                gr_real *, gr_real *, gr_real *) = {
        [GR_POOLED_BY_PROBES] = accumulate_by_probes,
        [GR_POOLED_BY_ROWS] = KERNEL(pooled_accumulate_by_rows),
        [GR_POOLED_BY_CHANNELS] = KERNEL(pooled_accumulate_by_channels)};
    ways[gr_pooled_way_of(L, c, probes)](c, weights, probes, samples, winner, kept, d_pooled, t_in,
                                         t_pooled, d_weights, scratch);
}

void KERNEL(pooled_tangent)(const gr_convolution_shape *c, const gr_real *weights, int64_t probes,
                            int64_t samples, const int32_t *winner, const gr_real *kept,
                            const gr_real *t_in, gr_real *t_pooled, gr_real *scratch) {
    static void (*const ways[])(const gr_convolution_shape *, const gr_real *, int64_t, int64_t,
                                const int32_t *, const gr_real *, const gr_real *, gr_real *,
                                gr_real *) = {[GR_POOLED_BY_PROBES] = tangent_by_probes,
                                              [GR_POOLED_BY_ROWS] = KERNEL(pooled_tangent_by_rows),
                                              [GR_POOLED_BY_CHANNELS] =
                                                  KERNEL(pooled_tangent_by_channels)};
    ways[gr_pooled_way_of(L, c, probes)](c, weights, probes, samples, winner, kept, t_in, t_pooled,
                                         scratch);
}
