/* A loaded data set, as the files of core/data see it. */
#ifndef CORE_DATA_DATASET_CONTENT_H
#define CORE_DATA_DATASET_CONTENT_H

#include "gradreg/dataset.h"

/* Samples whose features are pixels, kept as the bytes that they are at rest. */
typedef struct gr_samples {
    int64_t count;
    uint8_t *pixels; /* [sample][feature], owned */
    uint8_t *labels; /* [sample], each below the number of classes; owned */
} gr_samples;

struct gr_dataset {
    gr_dataset_information information;
    int64_t features;      /* elements of the input shape */
    int64_t training_pool; /* trainings draw from this many first training samples; the rest is the
                              holdout */
    gr_samples training, test;
};

/* The kinds, a file each. A load function fills a zeroed data set; on failure its caller frees what
 * is there. */
extern const gr_kind gr_mnist_kind;
gr_status gr_mnist_load(const char *directory, gr_dataset *dataset, gr_error *error);
extern const gr_kind gr_digits_kind;
gr_status gr_digits_load(const char *directory, gr_dataset *dataset, gr_error *error);

#endif
