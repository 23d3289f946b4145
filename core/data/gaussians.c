/* Classes that are normal distributions with random centres. */
#include <math.h>

#include "core/data/generated.h"

enum {
    GAUSSIANS_CLASSES = GR_GENERATED_OWN,
    GAUSSIANS_FEATURES,
    GAUSSIANS_SEPARATION,
    OPTION_COUNT
};
enum { CENTRES = 2 /* within the stream */, MAXIMUM_NUMBERS = 100000000 };

static void point(const gr_settings *settings, const gr_random *random, uint32_t sample, int label,
                  double *values) {
    const gr_random centres = gr_generated_random(settings, GR_STREAM_GAUSSIANS, CENTRES);
    const int64_t features = gr_integer(settings, GAUSSIANS_FEATURES);
    /* Two centres are then `separation` apart in the root mean square. */
    const double scale = gr_number(settings, GAUSSIANS_SEPARATION) / sqrt(2 * (double)features);
    for (int64_t i = 0; i < features; i++)
        values[i] = scale * gr_random_normal(&centres, (uint32_t)label, (uint32_t)i) +
                    gr_random_normal(random, sample, (uint32_t)i);
}

gr_status gr_gaussians_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                            gr_error *error) {
    (void)directory;
    int64_t n = gr_integer(settings, GR_GENERATED_N);
    int64_t features = gr_integer(settings, GAUSSIANS_FEATURES);
    if (n * features > MAXIMUM_NUMBERS)
        return gr_fail_at(error, GR_TOO_LARGE, "/n",
                          "%lld points of %lld features are more than %d numbers: lower n or "
                          "features",
                          (long long)n, (long long)features, MAXIMUM_NUMBERS);
    return gr_generated_classes(settings, GR_STREAM_GAUSSIANS, features,
                                gr_integer(settings, GAUSSIANS_CLASSES), point, dataset, error);
}

static const gr_option options[OPTION_COUNT] = {
    GR_DATASET_SHARED_OPTIONS("global", "1,000"),
    GR_GENERATED_OPTIONS("300"),
    [GAUSSIANS_CLASSES] = {.name = "classes",
                           .help = "number of classes",
                           .accepts = GR_ACCEPT(GR_INTEGER),
                           .minimum = 2,
                           .maximum = GR_MAXIMUM_CLASSES,
                           .default_json = "3"},
    [GAUSSIANS_FEATURES] = {.name = "features",
                            .help = "number of input features",
                            .accepts = GR_ACCEPT(GR_INTEGER),
                            .minimum = 1,
                            .maximum = 10000,
                            .default_json = "2"},
    [GAUSSIANS_SEPARATION] = {.name = "separation",
                              .help = "distance of two class centres (root mean square), in "
                                      "standard deviations of a class along each feature",
                              .accepts = GR_ACCEPT(GR_NUMBER),
                              .minimum = 0,
                              .maximum = 1000,
                              .default_json = "4.0"},
};

const gr_kind gr_gaussians_kind = {
    .name = "gaussians",
    .help = "classification: classes that are normal distributions around random centres",
    .options = options,
    .option_count = OPTION_COUNT,
};
