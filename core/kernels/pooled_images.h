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

#endif
