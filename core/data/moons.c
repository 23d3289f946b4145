/* Two half circles that reach into each other. */
#include <math.h>

#include "core/data/generated.h"

enum { MOONS_NOISE = GR_GENERATED_OWN, OPTION_COUNT };

static void point(const gr_settings *settings, const gr_random *random, uint32_t sample, int label,
                  double *values) {
    const double pi = 3.14159265358979323846, noise = gr_number(settings, MOONS_NOISE);
    double angle = pi * gr_random_uniform(random, sample, 0);
    values[0] = label ? 1 - cos(angle) : cos(angle);
    values[1] = label ? 0.5 - sin(angle) : sin(angle);
    /* The uniform number is of block 0; each normal one takes a block. */
    for (uint32_t i = 0; i < 2; i++) values[i] += noise * gr_random_normal(random, sample, 1 + i);
}

gr_status gr_moons_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                        gr_error *error) {
    (void)directory;
    return gr_generated_classes(settings, GR_STREAM_MOONS, 2, 2, point, dataset, error);
}

static const gr_option options[OPTION_COUNT] = {
    GR_DATASET_SHARED_OPTIONS("global", "1,000"),
    GR_GENERATED_OPTIONS("200"),
    [MOONS_NOISE] = {.name = "noise",
                     .help = "standard deviation of each coordinate around its moon (radius 1)",
                     .accepts = GR_ACCEPT(GR_NUMBER),
                     .minimum = 0,
                     .maximum = 1000,
                     .default_json = "0.2"},
};

const gr_kind gr_moons_kind = {
    .name = "moons",
    .help = "classification: two half circles that reach into each other, in the plane",
    .options = options,
    .option_count = OPTION_COUNT,
};
