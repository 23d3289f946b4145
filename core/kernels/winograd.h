/* How Winograd's convolution divides its work and its scratch memory: the same for every set. */
#ifndef CORE_KERNELS_WINOGRAD_H
#define CORE_KERNELS_WINOGRAD_H

#include "core/kernels.h"

enum {
    WINOGRAD_SIZE = 4, /* outputs of a tile, along each axis */
    WINOGRAD_MOST_POINTS = 8,
    WINOGRAD_MOST_AREAS = WINOGRAD_MOST_POINTS * WINOGRAD_MOST_POINTS,
    WINOGRAD_ALIGNMENT = 16,  /* reals: whole vectors of every set */
    WINOGRAD_TILES = 32,      /* of a block at most */
    WINOGRAD_CHUNK = 16,      /* target channels whose products are kept at once */
    WINOGRAD_REALS = 3 << 15, /* of a block's transformed source, about: three eighths of a second
                                 cache of 1 MiB */
    WINOGRAD_LEAST = 48,      /* positions of a block: three of the widest vectors */
    WINOGRAD_MOST = 384,
};

/* Of evaluation: along each axis, and in a tile. */
static inline int64_t winograd_points(int64_t kernel) {
    return WINOGRAD_SIZE + kernel - 1;
}
static inline int64_t winograd_areas(int64_t kernel) {
    return winograd_points(kernel) * winograd_points(kernel);
}

/* Tiles along an axis of so many outputs, which are shared out evenly, and the outputs of one of
 * them; the first one has the most. */
static inline int64_t winograd_tiles(int64_t outputs) {
    return (outputs + WINOGRAD_SIZE - 1) / WINOGRAD_SIZE;
}
typedef struct winograd_span {
    int64_t first, count;
} winograd_span;
static inline winograd_span winograd_span_of(int64_t outputs, int64_t tiles, int64_t tile) {
    const int64_t fewer = outputs / tiles, larger = outputs % tiles; /* tiles with one more */
    return (winograd_span){.first = tile * fewer + (tile < larger ? tile : larger),
                           .count = fewer + (tile < larger)};
}
/* Points of all tiles along an axis: one with fewer outputs than it could have needs one less. */
static inline int64_t winograd_axis_points(int64_t kernel, int64_t outputs) {
    const int64_t tiles = winograd_tiles(outputs);
    int64_t points = 0;
    for (int64_t tile = 0; tile < tiles; tile++)
        points += winograd_points(kernel) -
                  (winograd_span_of(outputs, tiles, tile).count < WINOGRAD_SIZE);
    return points;
}

static inline int64_t winograd_rounded(int64_t reals) {
    return (reals + WINOGRAD_ALIGNMENT - 1) / WINOGRAD_ALIGNMENT * WINOGRAD_ALIGNMENT;
}

/* Reals from the matrix of one point to that of the next: an odd number of cache lines, so that a
 * tile's points do not all fall into one set of the cache. */
static inline int64_t winograd_area(int64_t reals) {
    const int64_t lines = winograd_rounded(reals) / WINOGRAD_ALIGNMENT;
    return (lines | 1) * WINOGRAD_ALIGNMENT;
}

/* Positions (pairs of tile and lane) that a block has at most, given the channels that are
 * transformed. */
static inline int64_t winograd_positions(int64_t kernel, int64_t channels) {
    const int64_t most = WINOGRAD_REALS / (winograd_areas(kernel) * channels);
    const int64_t positions = most / WINOGRAD_ALIGNMENT * WINOGRAD_ALIGNMENT;
    return positions < WINOGRAD_LEAST  ? WINOGRAD_LEAST
           : positions > WINOGRAD_MOST ? WINOGRAD_MOST
                                       : positions;
}

/* Where the arrays of a pass lie in the scratch memory; offsets in reals. */
typedef struct winograd_places {
    int64_t positions;
    int64_t zeros, sink;      /* read where there are no pixels, written where none are wanted */
    int64_t taps;             /* [kernel²][pairs of channels] */
    int64_t weights;          /* [area][pairs] */
    int64_t source, products; /* [area][channel][position] */
    int64_t pairs, total;
} winograd_places;

/* Of a pass, whose products are [target channel][position]; with target_channels those of the
 * output, rounded, and `gradient`, of the weights' gradient, whose `products` are [position][output
 * channel]. */
static inline winograd_places winograd_places_of(int64_t kernel, int64_t source_channels,
                                                 int64_t target_channels, bool gradient) {
    winograd_places a = {.pairs = winograd_area(source_channels * target_channels)};
    const int64_t areas = winograd_areas(kernel);
    a.positions = winograd_positions(kernel, source_channels + (gradient ? target_channels : 0));
    const int64_t stride = a.positions + WINOGRAD_ALIGNMENT;
    const int64_t chunk = target_channels < WINOGRAD_CHUNK ? target_channels : WINOGRAD_CHUNK;
    a.sink = a.zeros + stride;
    a.taps = a.sink + stride;
    a.weights = a.taps + kernel * kernel * a.pairs;
    a.source = a.weights + areas * winograd_area(a.pairs);
    a.products = a.source + areas * winograd_area(source_channels * stride);
    a.total = a.products + areas * winograd_area((gradient ? target_channels : chunk) * stride) +
              WINOGRAD_ALIGNMENT;
    return a;
}

#endif
