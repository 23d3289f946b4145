/* Spirals wound into each other, a class each. */
#include <math.h>

#include "core/data/generated.h"

enum { SPIRALS_ARMS = GR_GENERATED_OWN, SPIRALS_TURNS, SPIRALS_NOISE, OPTION_COUNT };

static void point(const gr_settings *settings, const gr_random *random, uint32_t sample, int label,
                  double *values) {
    const double circle = 6.283185307179586476925, noise = gr_number(settings, SPIRALS_NOISE);
    double arm = (double)label / (double)gr_integer(settings, SPIRALS_ARMS);
    /* All arms meet in the centre: the innermost twentieth is left out. */
    double radius = 0.05 + 0.95 * gr_random_uniform(random, sample, 0);
    double angle = circle * (arm + gr_number(settings, SPIRALS_TURNS) * radius);
    values[0] = radius * cos(angle) + noise * gr_random_normal(random, sample, 1);
    values[1] = radius * sin(angle) + noise * gr_random_normal(random, sample, 2);
}

gr_status gr_spirals_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                          gr_error *error) {
    (void)directory;
    return gr_generated_classes(settings, GR_STREAM_SPIRALS, 2, gr_integer(settings, SPIRALS_ARMS),
                                point, dataset, error);
}

static const gr_option options[OPTION_COUNT] = {
    GR_DATASET_SHARED_OPTIONS("global", "1,000"),
    GR_GENERATED_OPTIONS("300"),
    [SPIRALS_ARMS] = {.name = "arms",
                      .help = "number of arms, a class each",
                      .accepts = GR_ACCEPT(GR_INTEGER),
                      .minimum = 2,
                      .maximum = 100,
                      .default_json = "3"},
    [SPIRALS_TURNS] = {.name = "turns",
                       .help = "turns of an arm from the centre to radius 1",
                       .accepts = GR_ACCEPT(GR_NUMBER),
                       .minimum = 0,
                       .maximum = 100,
                       .default_json = "1.0"},
    [SPIRALS_NOISE] = {.name = "noise",
                       .help = "standard deviation of each coordinate around its arm",
                       .accepts = GR_ACCEPT(GR_NUMBER),
                       .minimum = 0,
                       .maximum = 1000,
                       .default_json = "0.03"},
};

const gr_kind gr_spirals_kind = {
    .name = "spirals",
    .help = "classification: spirals wound into each other, a class each, in the plane",
    .options = options,
    .option_count = OPTION_COUNT,
};
