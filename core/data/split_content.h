/* A split, as the files of core/data see it. */
#ifndef CORE_DATA_SPLIT_CONTENT_H
#define CORE_DATA_SPLIT_CONTENT_H

#include "core/kernels.h"
#include "gradreg/dataset.h"

struct gr_split {
    const gr_dataset *dataset; /* borrowed */
    uint64_t seed;             /* the experiment's */
    int64_t size[3];           /* by gr_part */
    int64_t *indices[3];       /* [size], owned */
    bool from_test_samples[3];
    uint8_t *training_labels; /* [size of the training part], label noise applied; owned; NULL for
                                 regression */
    /* Features are standardised in `groups` groups of equal size that follow each other: all,
     * channels, features. */
    int64_t groups;
    double *mean, *deviation; /* [groups], owned */
    gr_real (*level)[256];    /* [groups]: the standardised value of each pixel value; owned; NULL
                                 where the data set has numbers instead of pixels */
    /* The kernels whose `standardize` gives the same values to the bit, with these factors and
     * terms ([groups], owned); NULL: none do, or groups are too small for them. */
    const gr_kernels *linear;
    double *factor, *term;
    double shift; /* augmentation */
    bool flip;
};

/* A split whose sizes are known and nothing else, no sample drawn: what the checks of a plan need,
 * thousands of them for a sweep. Fails as gr_split_create does. */
gr_status gr_split_outline(const gr_dataset *dataset, const gr_settings *settings, gr_split **split,
                           gr_error *error);

#endif
