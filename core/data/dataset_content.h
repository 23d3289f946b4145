/* A loaded data set, as the files of core/data see it. */
#ifndef CORE_DATA_DATASET_CONTENT_H
#define CORE_DATA_DATASET_CONTENT_H

#include "gradreg/dataset.h"

enum { GR_MAXIMUM_CLASSES = 256 }; /* a label is a byte */

/* Samples: features as bytes or as numbers; classes or targets. All arrays are owned. */
typedef struct gr_samples {
    int64_t count;
    uint8_t *pixels;     /* [sample][feature], each standing for pixel/255; or NULL: */
    double *values;      /* [sample][feature] */
    uint8_t *labels;     /* classification: [sample], each below the number of classes */
    double *targets;     /* regression: [sample][target] */
    double *derivatives; /* [sample][target][feature], of the truth without noise; NULL: unknown */
    int64_t *places;     /* [sample]: where it stands in its file; NULL: samples are in its order */
} gr_samples;

void gr_samples_clear(gr_samples *samples);

struct gr_dataset {
    gr_dataset_information information;
    int64_t features;      /* elements of the input shape */
    int64_t training_pool; /* trainings draw from this many first training samples; the rest is the
                              holdout */
    gr_samples training, test;
    char **class_names; /* [classes], owned; NULL where information.class_names is not owned */
};

/* How many of `count` training samples are the holdout where no better rule is known: the last
 * fifth, at most 10,000. */
int64_t gr_dataset_holdout(int64_t count);

/* Fills a zeroed data set with what `settings` say. On failure the caller frees what is there. */
typedef gr_status gr_dataset_load_function(const gr_settings *settings, const char *directory,
                                           gr_dataset *dataset, gr_error *error);

/* The kinds: each has a table row in dataset.c. */
extern const gr_kind gr_mnist_kind, gr_fashion_mnist_kind, gr_digits_kind;
gr_dataset_load_function gr_mnist_load, gr_fashion_mnist_load, gr_digits_load;
extern const gr_kind gr_cifar10_kind, gr_cifar100_kind;
gr_dataset_load_function gr_cifar10_load, gr_cifar100_load;
extern const gr_kind gr_csv_kind, gr_npy_kind, gr_idx_kind;
gr_dataset_load_function gr_csv_load, gr_npy_load, gr_idx_load;
extern const gr_kind gr_toy1_kind, gr_toy2_kind;
gr_dataset_load_function gr_toy1_load, gr_toy2_load;
extern const gr_kind gr_moons_kind, gr_spirals_kind, gr_gaussians_kind;
gr_dataset_load_function gr_moons_load, gr_spirals_load, gr_gaussians_load;

#endif
