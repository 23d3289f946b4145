/* The options that every data set has: how a training draws its samples from it. A data set's table
 * begins with these rows; what follows them decides what is loaded or generated (and so belongs to
 * gr_dataset_key). */
#ifndef CORE_DATA_DATASET_OPTIONS_H
#define CORE_DATA_DATASET_OPTIONS_H

#include "gradreg/settings.h"

/* In the order of GR_DATASET_SHARED_OPTIONS. */
enum {
    GR_DATASET_TRAIN_SIZE,
    GR_DATASET_STRATIFIED,
    GR_DATASET_VALIDATION_SIZE,
    GR_DATASET_TEST,
    GR_DATASET_SPLIT_SEED,
    GR_DATASET_STANDARDIZE,
    GR_DATASET_AUGMENT,
    GR_DATASET_LABEL_NOISE,
    GR_DATASET_OPTION_COUNT /* a data set's own options begin here */
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

#define GR_LARGEST_INTEGER 9007199254740991.0 /* 2^53 - 1 */

extern const char *const gr_dataset_test_choices[];
extern const char *const gr_dataset_standardize_choices[];
extern const gr_family gr_augment_family;

/* The first rows of a data set's table. `standardize` is that option's default (a string literal of
 * a choice), `validation` says in words what a validation_size of null is. */
#define GR_DATASET_SHARED_OPTIONS(standardize, validation)                                         \
    [GR_DATASET_TRAIN_SIZE] = {.name = "train_size",                                               \
                               .help =                                                             \
                                   "number of training samples drawn from the pool; null: all",    \
                               .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),              \
                               .minimum = 1,                                                       \
                               .maximum = GR_LARGEST_INTEGER,                                      \
                               .default_json = "null"},                                            \
    [GR_DATASET_STRATIFIED] = {.name = "stratified",                                               \
                               .help = "draw the same number of training samples from each class", \
                               .accepts = GR_ACCEPT(GR_BOOLEAN),                                   \
                               .default_json = "false"},                                           \
    [GR_DATASET_VALIDATION_SIZE] = {.name = "validation_size",                                     \
                                    .help = "number of validation samples; null: " validation,     \
                                    .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),         \
                                    .minimum = 1,                                                  \
                                    .maximum = GR_LARGEST_INTEGER,                                 \
                                    .default_json = "null"},                                       \
    [GR_DATASET_TEST] = {.name = "test",                                                           \
                         .help = "official: the official test set is for testing and the end of "  \
                                 "the training set for validation; holdout: the other way round",  \
                         .accepts = GR_ACCEPT(GR_CHOICE),                                          \
                         .choices = gr_dataset_test_choices,                                       \
                         .default_json = "\"official\""},                                          \
    [GR_DATASET_SPLIT_SEED] = {.name = "split_seed",                                               \
                               .help = "seed of the draw; null: the experiment's seed",            \
                               .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),              \
                               .minimum = 0,                                                       \
                               .maximum = GR_LARGEST_INTEGER,                                      \
                               .default_json = "null"},                                            \
    [GR_DATASET_STANDARDIZE] = {.name = "standardize",                                             \
                                .help =                                                            \
                                    "over what the mean and standard deviation of the drawn "      \
                                    "training samples are taken; none: bytes/255 or the numbers "  \
                                    "as they are",                                                 \
                                .accepts = GR_ACCEPT(GR_CHOICE),                                   \
                                .choices = gr_dataset_standardize_choices,                         \
                                .default_json = "\"" standardize "\""},                            \
    [GR_DATASET_AUGMENT] = {.name = "augment",                                                     \
                            .help = "random changes of each drawn training image",                 \
                            .accepts = GR_ACCEPT(GR_SETTINGS),                                     \
                            .family = &gr_augment_family,                                          \
                            .default_json = "{}"},                                                 \
    [GR_DATASET_LABEL_NOISE] = {.name = "label_noise",                                             \
                                .help = "fraction of the training labels that are replaced by "    \
                                        "another class, drawn at random",                          \
                                .accepts = GR_ACCEPT(GR_NUMBER),                                   \
                                .minimum = 0,                                                      \
                                .maximum = 1,                                                      \
                                .default_json = "0.0"}

#endif
