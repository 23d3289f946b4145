#include "core/data/dataset_options.h"

const char *const gr_dataset_test_choices[] = {"official", "holdout", NULL};
const char *const gr_dataset_standardize_choices[] = {"global", "none", "per_channel",
                                                      "per_feature", NULL};

static const gr_option augment_options[GR_AUGMENT_OPTION_COUNT] = {
    [GR_AUGMENT_SHIFT] = {.name = "shift",
                          .help = "largest random shift of a training image along each axis, as a "
                                  "fraction of its size; the border is repeated",
                          .accepts = GR_ACCEPT(GR_NUMBER),
                          .minimum = 0,
                          .maximum = 0.5,
                          .default_json = "0.0"},
    [GR_AUGMENT_FLIP] = {.name = "flip",
                         .help = "mirror half of the training images, left to right",
                         .accepts = GR_ACCEPT(GR_BOOLEAN),
                         .default_json = "false"},
};
static const gr_kind augment_kind = {.name = "augment",
                                     .help = "random changes of each drawn training image",
                                     .options = augment_options,
                                     .option_count = GR_AUGMENT_OPTION_COUNT};
static const gr_kind *const augment_kinds[] = {&augment_kind, NULL};
const gr_family gr_augment_family = {
    .name = "augmentation", .kinds = augment_kinds, .unnamed = &augment_kind};
