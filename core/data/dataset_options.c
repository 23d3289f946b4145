#include "core/data/dataset_options.h"

static const double largest_integer = 9007199254740991.0; /* 2^53 - 1 */

static const char *const test_choices[] = {"official", "holdout", NULL};
static const char *const standardize_choices[] = {"global", "none", "per_channel", "per_feature",
                                                  NULL};

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
static const gr_family augment_family = {
    .name = "augmentation", .kinds = augment_kinds, .unnamed = &augment_kind};

const gr_option gr_dataset_options[GR_DATASET_OPTION_COUNT] = {
    [GR_DATASET_TRAIN_SIZE] = {.name = "train_size",
                               .help = "number of training samples drawn from the pool; null: all",
                               .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),
                               .minimum = 1,
                               .maximum = largest_integer,
                               .default_json = "null"},
    [GR_DATASET_STRATIFIED] = {.name = "stratified",
                               .help = "draw the same number of training samples from each class",
                               .accepts = GR_ACCEPT(GR_BOOLEAN),
                               .default_json = "false"},
    [GR_DATASET_VALIDATION_SIZE] = {.name = "validation_size",
                                    .help = "number of validation samples; null: the data set's "
                                            "default (10,000 for mnist and digits)",
                                    .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),
                                    .minimum = 1,
                                    .maximum = largest_integer,
                                    .default_json = "null"},
    [GR_DATASET_TEST] = {.name = "test",
                         .help = "official: the official test set is for testing and the end of "
                                 "the training set for validation; holdout: the other way round",
                         .accepts = GR_ACCEPT(GR_CHOICE),
                         .choices = test_choices,
                         .default_json = "\"official\""},
    [GR_DATASET_SPLIT_SEED] = {.name = "split_seed",
                               .help = "seed of the draw; null: the experiment's seed",
                               .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),
                               .minimum = 0,
                               .maximum = largest_integer,
                               .default_json = "null"},
    [GR_DATASET_STANDARDIZE] = {.name = "standardize",
                                .help = "over what the mean and standard deviation of the drawn "
                                        "training samples are taken; none: pixels/255 only",
                                .accepts = GR_ACCEPT(GR_CHOICE),
                                .choices = standardize_choices,
                                .default_json = "\"global\""},
    [GR_DATASET_AUGMENT] = {.name = "augment",
                            .help = "random changes of each drawn training image",
                            .accepts = GR_ACCEPT(GR_SETTINGS),
                            .family = &augment_family,
                            .default_json = "{}"},
    [GR_DATASET_LABEL_NOISE] = {.name = "label_noise",
                                .help = "fraction of the training labels that are replaced by "
                                        "another class, drawn at random",
                                .accepts = GR_ACCEPT(GR_NUMBER),
                                .minimum = 0,
                                .maximum = 1,
                                .default_json = "0.0"},
};
