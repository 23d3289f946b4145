/* What a trained model answers for the samples of a part, in evaluation mode: a block at a time, in
 * memory that does not grow with the data. */
#ifndef GRADREG_PREDICTION_H
#define GRADREG_PREDICTION_H

#include "gradreg/training.h"

typedef struct gr_predictor gr_predictor;

/* Loads `model` (as gr_training_model gives it; not needed afterwards) into the plan's network. The
 * blocks, and with them the bits, are those of the training's own evaluation: the share of right
 * classes among the test samples is the "test_accuracy" of the training that the model came from.
 * What the plan borrows, and the data set, must outlive the predictor. GR_INVALID where the plan
 * does not fit the data, or the model the plan. */
gr_status gr_predictor_create(const gr_plan *plan, const gr_dataset *dataset,
                              const gr_arrays *model, gr_part part, gr_predictor **predictor,
                              gr_error *error);
void gr_predictor_free(gr_predictor *predictor);

int64_t gr_predictor_samples(const gr_predictor *predictor); /* of the part, in all */
int64_t gr_predictor_block(const gr_predictor *predictor);   /* at most so many at a time */
int64_t gr_predictor_outputs(const gr_predictor *predictor);
/* Whether there are probabilities: the loss is one of class probabilities. */
bool gr_predictor_has_probabilities(const gr_predictor *predictor);

/* One block; all pointers are borrowed, valid until the next call. */
typedef struct gr_predictions {
    int64_t count;          /* samples */
    const int64_t *places;  /* [count]: where they stand in their file (gr_dataset_place) */
    const gr_real *outputs; /* [outputs][count]: logits, or a regression's predictions */
    const int32_t *labels;  /* [count]; NULL for a regression */
    const int32_t *classes; /* [count]: the predicted ones; NULL for a regression */
    const gr_real *p;       /* [outputs][count]: probabilities; NULL where there are none */
    const gr_real *targets; /* [outputs][count]; NULL for a classification */
} gr_predictions;

/* The next samples of the part; false where none are left. */
bool gr_predictor_next(gr_predictor *predictor, gr_predictions *predictions);

/* The same for inputs of one's own, outside of that order: values [count][features] are what
 * gr_dataset_samples gives, and are standardised as the training's were; count is 1 …
 * gr_predictor_block. places, labels and targets are NULL. */
void gr_predictor_answer(gr_predictor *predictor, const double *values, int64_t count,
                         gr_predictions *predictions);

#endif
