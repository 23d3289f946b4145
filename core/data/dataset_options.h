/* The options that every data set has: how a training draws its samples from it. */
#ifndef CORE_DATA_DATASET_OPTIONS_H
#define CORE_DATA_DATASET_OPTIONS_H

#include "gradreg/settings.h"

/* In the order of gr_dataset_options. */
enum {
    GR_DATASET_TRAIN_SIZE,
    GR_DATASET_STRATIFIED,
    GR_DATASET_VALIDATION_SIZE,
    GR_DATASET_TEST,
    GR_DATASET_SPLIT_SEED,
    GR_DATASET_STANDARDIZE,
    GR_DATASET_AUGMENT,
    GR_DATASET_LABEL_NOISE,
    GR_DATASET_OPTION_COUNT
};

/* Choices of "test". */
enum { GR_TEST_OFFICIAL, GR_TEST_HOLDOUT };
/* Choices of "standardize". */
enum {
    GR_STANDARDIZE_GLOBAL,
    GR_STANDARDIZE_NONE,
    GR_STANDARDIZE_PER_CHANNEL,
    GR_STANDARDIZE_PER_FEATURE
};
/* Options of "augment". */
enum { GR_AUGMENT_SHIFT, GR_AUGMENT_FLIP, GR_AUGMENT_OPTION_COUNT };

extern const gr_option gr_dataset_options[GR_DATASET_OPTION_COUNT];

#endif
