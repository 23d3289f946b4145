/* Batches: from rows of bytes or numbers, a sample each, to standardised numbers, mostly with the
 * samples innermost. This runs in every training iteration, so samples go in tiles: each tile reads
 * its rows once and writes whole cache lines. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "core/data/dataset_content.h"
#include "core/data/split_content.h"
#include "core/random.h"

enum { TILE = 16 };

/* Reals from one to the next in a batch. */
typedef struct distances {
    int64_t feature, lane;
} distances;

static distances distances_of(const gr_split *split, int64_t count, bool turned) {
    return turned ? (distances){1, split->dataset->features} : (distances){count, 1};
}

static const gr_samples *samples_of(const gr_split *split, gr_part part) {
    return split->from_test_samples[part] ? &split->dataset->test : &split->dataset->training;
}

/* x: [feature][stride], of which `width` lanes are written; rows: [width] pointers to bytes. Eight
 * features are read at once: the lookups are then what it costs. */
static inline void look_up(const gr_real *level, const uint8_t *const *rows, int width,
                           int64_t features, int64_t stride, gr_real *x) {
    int64_t feature = 0;
    for (; feature + 8 <= features; feature += 8) {
        gr_real *to = x + feature * stride;
        for (int lane = 0; lane < width; lane++) {
            uint8_t pixels[8];
            memcpy(pixels, rows[lane] + feature, sizeof pixels);
            for (int i = 0; i < 8; i++) to[i * stride + lane] = level[pixels[i]];
        }
    }
    for (; feature < features; feature++)
        for (int lane = 0; lane < width; lane++)
            x[feature * stride + lane] = level[rows[lane][feature]];
}

/* The same for the kernel's number of lanes, by the kernel as far as it goes. */
static void standardize(const gr_split *split, int64_t group, const uint8_t *const *rows,
                        int64_t features, int64_t stride, gr_real *x) {
    const int width = (int)split->linear->vector_lanes;
    int64_t feature = split->linear->standardize(rows, features, split->factor[group],
                                                 split->term[group], stride, x);
    for (; feature < features; feature++)
        for (int lane = 0; lane < width; lane++)
            x[feature * stride + lane] = split->level[group][rows[lane][feature]];
}

/* All features from rows of numbers. */
static void fill_tile_values(const gr_split *split, const double *const *rows, int width,
                             distances at, gr_real *x) {
    int64_t members = split->dataset->features / split->groups, feature = 0;
    for (int64_t group = 0; group < split->groups; group++) {
        const double mean = split->mean[group], deviation = split->deviation[group];
        for (int64_t end = feature + members; feature < end; feature++)
            for (int lane = 0; lane < width; lane++)
                x[feature * at.feature + lane * at.lane] =
                    (gr_real)((rows[lane][feature] - mean) / deviation);
    }
}

static void fill_labels(const gr_split *split, gr_part part, const int64_t *positions,
                        int64_t count, int32_t *labels) {
    const uint8_t *all = samples_of(split, part)->labels;
    if (!labels || !all) return;
    for (int64_t i = 0; i < count; i++)
        labels[i] = part == GR_PART_TRAINING ? split->training_labels[positions[i]]
                                             : all[split->indices[part][positions[i]]];
}

static void fill_targets(const gr_split *split, gr_part part, const int64_t *positions,
                         int64_t count, gr_real *targets) {
    const double *all = samples_of(split, part)->targets;
    const int64_t width = split->dataset->information.targets;
    if (!targets || !all) return;
    for (int64_t i = 0; i < count; i++) {
        const double *row = all + split->indices[part][positions[i]] * width;
        for (int64_t target = 0; target < width; target++)
            targets[target * count + i] = (gr_real)row[target];
    }
}

/* A batch's samples are anywhere in memory. */
static void fetch_pixels(const uint8_t *pixels, int64_t size) {
    enum { CACHE_LINE = 64, SECOND_LEVEL = 2 };
    for (int64_t at = 0; at < size; at += CACHE_LINE)
        __builtin_prefetch(pixels + at, 0, SECOND_LEVEL);
}

/* So many features at a time that their numbers stay in the first-level cache for all tiles, whose
 * rows share its lines; the pixels of the next ones come meanwhile. */
static void fill_pixels(const gr_split *split, gr_part part, const int64_t *positions,
                        int64_t count, gr_real *x) {
    enum { REALS = 6144 };
    if (count == 0) return;
    const int64_t size = split->dataset->features, members = size / split->groups;
    const int64_t fitting = REALS / count / TILE * TILE, most = fitting > TILE ? fitting : TILE;
    const int64_t lanes = split->linear ? split->linear->vector_lanes : TILE;
    for (int64_t from = 0, some; from < size; from += some) {
        const int64_t group = from / members, left = (group + 1) * members - from;
        some = left < most ? left : most;
        for (int64_t first = 0; first < count; first += lanes) {
            const int width = (int)(count - first < lanes ? count - first : lanes);
            const uint8_t *rows[TILE];
            for (int lane = 0; lane < width; lane++) {
                rows[lane] = samples_of(split, part)->pixels + from +
                             split->indices[part][positions[first + lane]] * size;
                if (from + some < size) fetch_pixels(rows[lane] + some, most);
            }
            gr_real *to = x + from * count + first;
            if (split->linear && width == lanes)
                standardize(split, group, rows, some, count, to);
            else if (width == TILE) /* a constant: unrolled */
                look_up(split->level[group], rows, TILE, some, count, to);
            else
                look_up(split->level[group], rows, width, some, count, to);
        }
    }
}

/* A sample after the other, while the pixels of the next one come. */
static void fill_pixels_turned(const gr_split *split, gr_part part, const int64_t *positions,
                               int64_t count, gr_real *x) {
    const int64_t size = split->dataset->features, members = size / split->groups;
    const uint8_t *all = samples_of(split, part)->pixels;
    for (int64_t i = 0; i < count; i++) {
        const uint8_t *row = all + split->indices[part][positions[i]] * size;
        if (i + 1 < count) fetch_pixels(all + split->indices[part][positions[i + 1]] * size, size);
        for (int64_t group = 0; group < split->groups; group++, row += members, x += members) {
            int64_t done = 0;
            if (split->linear)
                done = split->linear->standardize_row(row, members, split->factor[group],
                                                      split->term[group], x);
            for (; done < members; done++) x[done] = split->level[group][row[done]];
        }
    }
}

static void fill_values(const gr_split *split, gr_part part, const int64_t *positions,
                        int64_t count, distances at, gr_real *x) {
    const double *values = samples_of(split, part)->values;
    for (int64_t first = 0; first < count; first += TILE) {
        const double *rows[TILE];
        int width = count - first < TILE ? (int)(count - first) : TILE;
        for (int lane = 0; lane < width; lane++)
            rows[lane] =
                values + split->indices[part][positions[first + lane]] * split->dataset->features;
        fill_tile_values(split, rows, width, at, x + first * at.lane);
    }
}

void gr_split_fill(const gr_split *split, gr_part part, const int64_t *positions, int64_t count,
                   bool turned, gr_real *x, int32_t *labels, gr_real *targets) {
    if (!samples_of(split, part)->pixels)
        fill_values(split, part, positions, count, distances_of(split, count, turned), x);
    else if (turned)
        fill_pixels_turned(split, part, positions, count, x);
    else
        fill_pixels(split, part, positions, count, x);
    fill_labels(split, part, positions, count, labels);
    fill_targets(split, part, positions, count, targets);
}

/* With x = mean + deviation·x̂, ∂f/∂x̂ = deviation·∂f/∂x. */
void gr_split_fill_derivatives(const gr_split *split, gr_part part, const int64_t *positions,
                               int64_t count, gr_real *derivatives) {
    const double *all = samples_of(split, part)->derivatives;
    const int64_t features = split->dataset->features, members = features / split->groups;
    const int64_t width = split->dataset->information.targets * features;
    assert(all);
    for (int64_t i = 0; i < count; i++) {
        const double *row = all + split->indices[part][positions[i]] * width;
        for (int64_t j = 0; j < width; j++)
            derivatives[j * count + i] =
                (gr_real)(split->deviation[j % features / members] * row[j]);
    }
}

/* Uniform among the whole shifts from -fraction·size to fraction·size. */
static int64_t draw_shift(const gr_random *random, uint32_t sample, uint32_t element,
                          double fraction, int64_t size) {
    int64_t most = (int64_t)floor(fraction * (double)size);
    return gr_random_below(random, sample, element, 2 * most + 1) - most;
}

static int64_t clamp(int64_t value, int64_t size) {
    return value < 0 ? 0 : value >= size ? size - 1 : value;
}

/* One training number: `at` is its place among all features of all samples. */
static inline gr_real standardized(const gr_split *split, int64_t group, int64_t at) {
    const gr_samples *samples = &split->dataset->training;
    if (samples->pixels) return split->level[group][samples->pixels[at]];
    return (gr_real)((samples->values[at] - split->mean[group]) / split->deviation[group]);
}

void gr_split_fill_augmented(const gr_split *split, int64_t iteration, const int64_t *positions,
                             int64_t count, bool turned, gr_real *x, int32_t *labels,
                             gr_real *targets) {
    if (split->shift <= 0 && !split->flip) {
        gr_split_fill(split, GR_PART_TRAINING, positions, count, turned, x, labels, targets);
        return;
    }
    const distances to = distances_of(split, count, turned);
    const int64_t *shape = split->dataset->information.input_shape.size;
    int64_t channels = shape[0], height = shape[1], width = shape[2];
    int64_t members = split->dataset->features / split->groups;
    const gr_random random =
        gr_random_source(split->seed, GR_PURPOSE_AUGMENTATION, 0, (uint32_t)iteration);
    for (int64_t lane = 0; lane < count; lane++) {
        uint32_t position = (uint32_t)positions[lane];
        int64_t down = draw_shift(&random, position, 0, split->shift, height);
        int64_t right = draw_shift(&random, position, 1, split->shift, width);
        bool mirrored = split->flip && gr_random_below(&random, position, 2, 2) == 1;
        const int64_t sample =
            split->indices[GR_PART_TRAINING][positions[lane]] * split->dataset->features;
        for (int64_t channel = 0; channel < channels; channel++)
            for (int64_t row = 0; row < height; row++) {
                const int64_t from =
                    sample + (channel * height + clamp(row - down, height)) * width;
                int64_t feature = (channel * height + row) * width;
                for (int64_t column = 0; column < width; column++, feature++) {
                    int64_t at = clamp(column - right, width);
                    x[feature * to.feature + lane * to.lane] = standardized(
                        split, feature / members, from + (mirrored ? width - 1 - at : at));
                }
            }
    }
    fill_labels(split, GR_PART_TRAINING, positions, count, labels);
    fill_targets(split, GR_PART_TRAINING, positions, count, targets);
}
