/* What the generated data sets of points have in common: their sizes, their options and their
 * random numbers. A point is a function of (data_seed, kind, part, its number) alone, so a larger n
 * begins with the points of a smaller one. */
#ifndef CORE_DATA_GENERATED_H
#define CORE_DATA_GENERATED_H

#include "core/data/dataset_content.h"
#include "core/data/dataset_options.h"
#include "core/random.h"

enum {
    GR_GENERATED_HOLDOUT = 1000,
    GR_GENERATED_TEST = 1000, /* of those without a grid */
    GR_GENERATED_MAXIMUM = 1000000
};

/* The own options that all of them begin with. */
enum {
    GR_GENERATED_N = GR_DATASET_OPTION_COUNT,
    GR_GENERATED_SEED,
    GR_GENERATED_OWN /* a kind's further options begin here */
};

#define GR_GENERATED_OPTIONS(n)                                                                    \
    [GR_GENERATED_N] = {.name = "n",                                                               \
                        .help = "number of generated points in the training pool",                 \
                        .accepts = GR_ACCEPT(GR_INTEGER),                                          \
                        .minimum = 1,                                                              \
                        .maximum = GR_GENERATED_MAXIMUM,                                           \
                        .default_json = n},                                                        \
    [GR_GENERATED_SEED] = {.name = "data_seed",                                                    \
                           .help = "decides the generated points; the experiment's seed does not", \
                           .accepts = GR_ACCEPT(GR_INTEGER),                                       \
                           .minimum = 0,                                                           \
                           .maximum = GR_LARGEST_INTEGER,                                          \
                           .default_json = "1"}

/* Part of the random numbers' key. Append only: a changed value is another data set. */
typedef enum gr_generated_stream {
    GR_STREAM_TOY = 16, /* each takes four: training and test points, their noise */
    GR_STREAM_MOONS = 20,
    GR_STREAM_SPIRALS = 24,
    GR_STREAM_GAUSSIANS = 28
} gr_generated_stream;

/* `number` is 0 … 3 within the kind's stream. */
gr_random gr_generated_random(const gr_settings *settings, gr_generated_stream stream,
                              uint32_t number);

/* Arrays of `count` samples with `features` numbers each, and labels or `targets` (where not 0)
 * numbers with their derivatives. GR_OUT_OF_MEMORY leaves what there is to the caller. */
gr_status gr_generated_allocate(gr_samples *samples, int64_t count, int64_t features,
                                int64_t targets, gr_error *error);

/* Writes one point of the class `label`: its `features` numbers, from the random numbers of
 * `sample`. */
typedef void gr_generated_point(const gr_settings *settings, const gr_random *random,
                                uint32_t sample, int label, double *values);

/* Makes the whole classification: n + holdout training points and the test points, the classes in
 * turn. */
gr_status gr_generated_classes(const gr_settings *settings, gr_generated_stream stream,
                               int64_t features, int64_t classes, gr_generated_point *point,
                               gr_dataset *dataset, gr_error *error);

#endif
