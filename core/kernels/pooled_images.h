/* What the pooled kernels share whose vectors hold neighbours of one lane's image: channels
 * (pooled_channels.c) or rows of pixels (pooled_rows.c). Each lane, a sample of a probe, has its
 * own image [row][column][channel], with the padding. */
#ifndef CORE_KERNELS_POOLED_IMAGES_H
#define CORE_KERNELS_POOLED_IMAGES_H

#include "core/kernels/pooled.h"

/* Some samples of a probe, of the lanes [feature][probe][sample]. */
typedef struct chunk {
    int64_t lanes, samples; /* of all */
    int64_t probe, first_sample, count;
    int64_t first; /* lane */
} chunk;

/* At most `most` samples at a time. */
#define FOR_EACH_CHUNK(part, most, probes_, samples_)                           \
    for (chunk part = {.lanes = (probes_) * (samples_), .samples = (samples_)}; \
         next_chunk(&part, most, probes_); part.first_sample += (most))

INLINE bool next_chunk(chunk *part, int64_t most, int64_t probes) {
    if (part->first_sample >= part->samples) part->first_sample = 0, part->probe++;
    const int64_t left = part->samples - part->first_sample;
    part->count = left < most ? left : most;
    part->first = part->probe * part->samples + part->first_sample;
    return part->probe < probes;
}

/* How far each pixel of a window lies from its first, where there are `pixel` reals between columns
 * and `row` between rows. */
typedef struct window_steps {
    int64_t window, pixel, row;
    integers pixels; /* of them all, where a vector has room */
} window_steps;

INLINE window_steps steps_of(int64_t window, int64_t pixel, int64_t row) {
    window_steps steps = {window, pixel, row, {0}};
    for (int64_t i = 0; i < L && i < window * window; i++)
        steps.pixels[i] = (int32_t)(i % window * pixel + i / window * row);
    return steps;
}

/* How far `count` lanes' winners of one feature, L at most, lie from the first pixel of their
 * windows; 0 in the other lanes. */
INLINE integers distance(const window_steps *steps, const int32_t *winner, int64_t count) {
    int32_t part[L] = {0};
    if (count < L) memcpy(part, winner, (size_t)count * sizeof *part), winner = part;
    const integers w = load_indices(winner);
    const int64_t window = steps->window;
    if (window * window <= L) return look_up(steps->pixels, w);
    const integers rows = -((w >= same_index((int32_t)window)) +
                            (w >= same_index((int32_t)(2 * window)))); /* window 3 at most */
    return w * same_index((int32_t)steps->pixel) +
           rows * same_index((int32_t)(steps->row - window * steps->pixel));
}

/* Where the windows' first pixels are: corner[window], in images with `pixel` reals between columns
 * and `row` between rows. */
INLINE void find_corners(const gr_convolution_shape *c, int64_t pixel, int64_t row,
                         int32_t *corner) {
    for (int64_t y = 0; y < c->pooled_rows; y++)
        for (int64_t x = 0; x < c->pooled_columns; x++)
            corner[y * c->pooled_columns + x] = (int32_t)((y * row + x * pixel) * c->step);
}

/* Filters of an adjoint at once: whole vectors; their weights for the rows that are summed take two
 * thirds of the first cache. */
enum { FILTERS = 1024 / VECTOR_BYTES };

INLINE int64_t blocks_of(const gr_convolution_shape *c) {
    return (c->out_channels + FILTERS - 1) / FILTERS;
}

/* For each window of L lanes the filters whose adjoint is not 0. */
typedef struct window_lists {
    int64_t filters; /* room for whole vectors of them */
    gr_real *delta;  /* [lane][window][filter]: those that are not 0 of each block of FILTERS, from
                        the block's first on */
    int32_t *offset; /* the same: where the square's first pixel has its weights in the block's */
    int32_t *found;  /* [lane][window][block of filters]: how many */
} window_lists;

/* Places them from `from` on, which is room for L·windows·(2 filters + blocks) reals. */
INLINE window_lists lists_of(const gr_convolution_shape *c, gr_real *from) {
    const int64_t windows = c->pooled_rows * c->pooled_columns;
    window_lists lists = {.filters = (c->out_channels + L - 1) / L * L, .delta = from};
    lists.offset = (int32_t *)(void *)(lists.delta + L * windows * lists.filters);
    lists.found = lists.offset + L * windows * lists.filters;
    return lists;
}

/* The lanes of `delta` that are not 0 and their offsets; returns how many there are. Behind them
 * stands what has no meaning, L of each in all. */
INLINE int64_t append(vector delta, integers offset, gr_real *deltas, int32_t *offsets) {
#if defined(GR_KERNEL_SET_avx512) && !defined(GR_DOUBLE)
    const __mmask16 bits = (__mmask16)not_zero(delta);
    store(deltas, (vector)_mm512_maskz_compress_ps(bits, (__m512)delta));
    _mm512_storeu_si512(offsets, _mm512_maskz_compress_epi32(bits, (__m512i)offset));
    return __builtin_popcount(bits);
#else
    gr_real d[L];
    int32_t o[L];
    store(d, delta);
    store_indices(o, L, offset);
    int64_t n = 0;
    for (int64_t i = 0; i < L; i++) { /* no branch on what cannot be foreseen */
        deltas[n] = d[i];
        offsets[n] = o[i];
        n += d[i] != 0;
    }
    return n;
#endif
}

/* Of the chunk's lanes, L at most. filter: reals of a filter's weights; origin: where the first
 * pixel of the window has those of the square's first. */
INLINE void list_windows(const gr_convolution_shape *c, const chunk *part, const int32_t *winner,
                         const gr_real *d_pooled, const window_steps *steps, int64_t filter,
                         int64_t origin, const window_lists *lists) {
    const int64_t windows = c->pooled_rows * c->pooled_columns, blocks = blocks_of(c);
    for (int64_t w = 0; w < windows; w++)
        for (int64_t f = 0; f < c->out_channels; f += L) {
            vector delta[L], offset[L];
            FOR_EACH (i, L) {
                delta[i] = offset[i] = (vector){0};
                if (f + i >= c->out_channels) continue;
                const int64_t at = (f + i) * windows + w;
                const int32_t *won = winner + at * part->samples + part->first_sample;
                const integers first = same_index((int32_t)(origin + (f % FILTERS + i) * filter));
                delta[i] = load(d_pooled + at * part->lanes + part->first);
                offset[i] = (vector)(first + distance(steps, won, part->count));
            }
            transpose(delta);
            transpose(offset);
            for (int64_t j = 0; j < part->count; j++) {
                const int64_t list = j * windows + w;
                int32_t *found = lists->found + list * blocks + f / FILTERS;
                if (f % FILTERS == 0) *found = 0;
                const int64_t to = list * lists->filters + f / FILTERS * FILTERS + *found;
                *found += (int32_t)append(delta[j], (integers)offset[j], lists->delta + to,
                                          lists->offset + to);
            }
        }
}

#endif
