#include "core/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "core/kernels/winograd.h"
#include "gradreg/processor.h"

const gr_kernels *gr_kernels_choose(void) {
    const gr_kernels *const sets[] = {&gr_kernels_avx512, &gr_kernels_avx2, &gr_kernels_baseline};
    /* What suits OpenBLAS's kernel of the same instructions suits ours. */
    const char *best = gr_blas_best_kernel();
    int first = !best ? 2 : strcmp(best, "SkylakeX") == 0 ? 0 : 1;
    const char *wanted = getenv("GRADREG_KERNELS");
    for (int i = first; wanted && i < 3; i++)
        if (strcmp(wanted, sets[i]->name) == 0) return sets[i];
    return sets[first];
}

/* The direct sums make a window's products for each of its pixels, in full vectors; by rows they
 * are made once, in vectors with room for more taps. Half of the products must go. */
static bool rows_pay(int64_t lanes, const gr_convolution_shape *c) {
    const int64_t vectors = gr_pooled_row_vectors(lanes, c, 0);
    const int64_t image =
        c->in_channels * (c->in_rows + 2 * c->padding) * (c->in_columns + 2 * c->padding);
    enum { LARGEST_IMAGE = 1 << 20 }; /* what it takes in the caches, and offsets of 32 bits */
    return image <= LARGEST_IMAGE && vectors <= GR_POOLED_ROW_VECTORS &&
           c->window == GR_POOLED_ROW_WINDOW &&
           gr_pooled_row_vectors(lanes, c, c->window - 1) <= GR_POOLED_ROW_VECTORS + 1 &&
           2 * vectors * lanes <= c->window * c->window * c->kernel * c->in_channels;
}

gr_pooled_way gr_pooled_way_of(int64_t lanes, const gr_convolution_shape *c, int64_t probes) {
    const int64_t whole = (probes + lanes - 1) / lanes * lanes;
    if (5 * probes >= 3 * whole) return GR_POOLED_BY_PROBES;
    return rows_pay(lanes, c) ? GR_POOLED_BY_ROWS : GR_POOLED_BY_CHANNELS;
}

bool gr_pooled_pays(const gr_kernels *kernels, const gr_convolution_shape *c, int64_t probes,
                    int64_t samples) {
    const int64_t lanes = kernels->vector_lanes;
    if (gr_pooled_way_of(lanes, c, probes) != GR_POOLED_BY_CHANNELS) return true;
    /* Only with the zeros that a relu behind makes is it less work than Winograd's algorithm. */
    if (!c->rectified && gr_winograd_pays(c, probes * samples)) return false;
    /* As by rows, with room for more channels; and the second-level cache holds the gradient. */
    enum { MOST_SUMS = 1 << 16 };
    const int64_t room = (c->in_channels + lanes - 1) / lanes * lanes;
    return c->window <= GR_POOLED_NARROW_WINDOW &&
           2 * room <= c->window * c->window * c->in_channels &&
           (c->in_channels <= lanes || c->out_channels * c->kernel * c->kernel * room <= MOST_SUMS);
}

int64_t gr_pooled_scratch(const gr_kernels *kernels, const gr_convolution_shape *c,
                          int64_t probes) {
    /* core/kernels/pooled.c, pooled_rows.c and pooled_channels.c: areas_of. */
    enum { WIDEST_TILE = 6 };
    const int64_t lanes = kernels->vector_lanes;
    const int64_t rows = c->in_rows + 2 * c->padding, columns = c->in_columns + 2 * c->padding;
    const int64_t features = c->out_channels * c->pooled_rows * c->pooled_columns;
    const int64_t image = c->in_channels * rows * (columns + WIDEST_TILE) | 1;
    const int64_t taps = c->kernel * (c->kernel + 2 * WIDEST_TILE);
    const int64_t lists = 3 * (features + 1) + c->out_rows * c->out_columns + c->out_channels + 8;
    const int64_t by_probes = lanes * lanes * (image + (features | 1)) +
                              c->out_channels * c->in_channels * taps * lanes + lists;
    const int64_t pixel = (c->in_channels + lanes - 1) / lanes * lanes;
    const int64_t wide = c->kernel + 2 * (c->window - 1);
    const int64_t windows = c->pooled_rows * c->pooled_columns;
    const int64_t filters = (c->out_channels + lanes - 1) / lanes * lanes;
    const int64_t by_channels =
        lanes * (rows * columns * pixel + 4 * (features + lanes) + 3 * windows * filters + filters +
                 1) +
        c->out_channels * (2 * c->kernel * c->kernel + wide * wide) * pixel + windows;
    const int64_t square = gr_pooled_row_vectors(lanes, c, c->window - 1) * lanes;
    const int64_t by_rows =
        4 * lanes * ((rows + c->window) * columns * c->in_channels + square + 2 * lanes) +
        c->out_channels * (c->window * wide + 2 * c->kernel) * square + 4 * 64 +
        lanes * 3 * windows * filters + windows;
    const gr_pooled_way way = gr_pooled_way_of(lanes, c, probes);
    return way == GR_POOLED_BY_PROBES ? by_probes
           : way == GR_POOLED_BY_ROWS ? by_rows
                                      : by_channels;
}

bool gr_winograd_suits(const gr_convolution_shape *c) {
    if (c->kernel != 3 && c->kernel != 5) return false;
    /* What the transforms make must be used often enough (LeNet's 6 channels by 16 are not enough),
     * and less than half of the products must be left. With few channels the transforms count for
     * as much, which gain little by a tile's missing outputs. */
    enum { FEWEST_CHANNELS = 16, FEW_CHANNELS = 32, MOST_CHANNELS = 512 };
    const bool few = c->in_channels < FEW_CHANNELS || c->out_channels < FEW_CHANNELS;
    const int64_t whole =
        winograd_areas(c->kernel) * winograd_tiles(c->out_rows) * winograd_tiles(c->out_columns);
    const int64_t cut = winograd_axis_points(c->kernel, c->out_rows) *
                        winograd_axis_points(c->kernel, c->out_columns);
    return c->padding < c->kernel && c->in_channels >= FEWEST_CHANNELS &&
           c->out_channels >= FEWEST_CHANNELS && c->in_channels <= MOST_CHANNELS &&
           c->out_channels <= MOST_CHANNELS &&
           2 * (few ? whole : cut) <= c->out_rows * c->out_columns * c->kernel * c->kernel;
}

bool gr_winograd_pays(const gr_convolution_shape *c, int64_t lanes) {
    /* Few lanes gain little, as the weights are transformed in each pass; and small batches are
     * where every digit counts. */
    return lanes >= 16 && lanes * c->out_rows * c->out_columns >= 512 && gr_winograd_suits(c);
}

int64_t gr_winograd_scratch(const gr_convolution_shape *c) {
    const winograd_places passes[] = {
        winograd_places_of(c->kernel, c->in_channels, c->out_channels, false),
        winograd_places_of(c->kernel, c->out_channels, c->in_channels, false),
        winograd_places_of(c->kernel, c->in_channels, winograd_rounded(c->out_channels), true)};
    int64_t reals = 0;
    for (int i = 0; i < 3; i++)
        if (passes[i].total > reals) reals = passes[i].total;
    return reals;
}
