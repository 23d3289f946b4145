/* Data sets: loaded once, immutable, shared by all trainings; and the split, a training's own draw
 * from one (docs/methods.md: permuted by the seed, first N taken, standardised by the drawn
 * samples). */
#ifndef GRADREG_DATASET_H
#define GRADREG_DATASET_H

#include "gradreg/arrays.h"
#include "gradreg/settings.h"

typedef struct gr_dataset gr_dataset;
typedef struct gr_split gr_split;

typedef struct gr_dataset_information {
    const char *name;
    gr_shape input_shape; /* (channels, rows, columns) or (features) */
    int64_t classes;      /* 0 for regression */
    int64_t targets;      /* width of a regression target; 0 for classification */
    int64_t training_samples, test_samples;
    int64_t default_validation_size;
    bool knows_derivatives;         /* gr_split_fill_derivatives can be used (toy1, toy2) */
    const char *const *class_names; /* [classes], UTF-8; NULL where they have none */
    char description[256];          /* one line for people: what was found or generated */
} gr_dataset_information;

/* Loads or generates the data set that `settings` (of gr_dataset_family) name. `directory` holds
 * one folder per downloaded data set ("<directory>/mnist/train-images-idx3-ubyte", ".gz" allowed).
 * GR_NOT_FOUND (the message tells the command that fetches it), GR_CORRUPT, GR_IO,
 * GR_OUT_OF_MEMORY. */
gr_status gr_dataset_load(const gr_settings *settings, const char *directory, gr_dataset **dataset,
                          gr_error *error);
void gr_dataset_free(gr_dataset *dataset);
const gr_dataset_information *gr_dataset_describe(const gr_dataset *dataset); /* borrowed */

/* A text that is equal for settings that mean the same loaded data ("mnist", "toy1 n=100 …"): the
 * key under which a loaded data set may be shared. Written into key. */
enum { GR_DATASET_KEY_SIZE = 1024 };
void gr_dataset_key(const gr_settings *settings, char key[GR_DATASET_KEY_SIZE]);

/* Where a training or test sample stands, from 0, among those of the file that it comes from: its
 * index, unless the data set is a user's file, whose samples are put into another order. */
int64_t gr_dataset_place(const gr_dataset *dataset, bool test_sample, int64_t index);

/* `count` training or test samples from `first` on, as they are: values [count][features],
 * pixel/255 or the numbers of the file; labels [count] of a classification, targets
 * [count][targets] of a regression (the other pointer is not used). Any pointer may be NULL. first
 * + count is at most the number of samples. */
void gr_dataset_samples(const gr_dataset *dataset, bool test_samples, int64_t first, int64_t count,
                        double *values, int32_t *labels, double *targets);

/* Calls `consume` with all content (samples, labels, shapes) in a fixed order, for hashing. */
void gr_dataset_content(const gr_dataset *dataset,
                        void (*consume)(void *context, const void *bytes, size_t count),
                        void *context);

typedef enum gr_part { GR_PART_TRAINING, GR_PART_VALIDATION, GR_PART_TEST } gr_part;

/* Draws a training's samples from `dataset` (which must outlive the split). `seed` is the
 * experiment's; the settings' split_seed, where not null, replaces it. GR_INVALID with a place such
 * as "/train_size" where the data set has too few samples. */
gr_status gr_split_create(const gr_dataset *dataset, const gr_settings *settings, uint64_t seed,
                          gr_split **split, gr_error *error);
void gr_split_free(gr_split *split);
int64_t gr_split_size(const gr_split *split, gr_part part);

/* Standardised inputs of `count` samples, x: [features][count] (features outermost, lanes
 * innermost) or `turned`, [count][features], and their labels [count] (classification) or targets
 * [targets][count] (regression; the other pointer may be NULL). `positions` are indices within the
 * part, each in 0 … gr_split_size - 1. */
void gr_split_fill(const gr_split *split, gr_part part, const int64_t *positions, int64_t count,
                   bool turned, gr_real *x, int32_t *labels, gr_real *targets);

/* As gr_split_fill for training samples, each changed at random as the settings' "augment" says: a
 * function of (the experiment's seed, iteration, position) alone. The same as gr_split_fill where
 * nothing is to be changed, so a training fills its batches with this one, and what it evaluates
 * with the other. */
void gr_split_fill_augmented(const gr_split *split, int64_t iteration, const int64_t *positions,
                             int64_t count, bool turned, gr_real *x, int32_t *labels,
                             gr_real *targets);

/* The derivatives of the data set's truth (without noise) with respect to the standardised inputs,
 * [targets][features][count], of samples that gr_split_fill would give. Only where the data set
 * knows_derivatives. */
void gr_split_fill_derivatives(const gr_split *split, gr_part part, const int64_t *positions,
                               int64_t count, gr_real *derivatives);

/* What standardisation uses, in units of pixels/255 (of the numbers, where inputs are no bytes):
 * the mean that is subtracted and the deviation that is then divided by (1e-7 or what else keeps it
 * from being zero included), `*count` of each (1 for "global" and "none", else one for each channel
 * or feature); borrowed. */
void gr_split_standardization(const gr_split *split, const double **mean, const double **deviation,
                              int64_t *count);

/* Whether a part is taken from the data set's test samples; else from its training samples. */
bool gr_split_from_test_samples(const gr_split *split, gr_part part);
/* Indices of a part's samples within the data set's training or test samples, in order; borrowed.
 */
const int64_t *gr_split_indices(const gr_split *split, gr_part part);

#endif
