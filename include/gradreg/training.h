/* A training run: a network, its objective, its optimiser and its data, advanced a step at a time
 * by whoever holds it. One thread at a time may use one gr_training; several trainings share
 * nothing but the (read-only) data set. */
#ifndef GRADREG_TRAINING_H
#define GRADREG_TRAINING_H

#include "gradreg/arrays.h"
#include "gradreg/dataset.h"
#include "gradreg/settings.h"

/* Everything of a spec that the numbers depend on. Borrowed pointers: the settings must outlive the
 * use. */
typedef struct gr_plan {
    uint64_t seed;
    const gr_settings *dataset, *model, *loss, *optimizer, *schedule, *training;
    const gr_settings *regularizers;
    size_t regularizer_count;
    const gr_settings *analysis; /* what is measured of the trained model; NULL: nothing */
} gr_plan;

typedef struct gr_estimate {
    int64_t parameters;          /* trainable numbers of the network */
    int64_t memory_bytes;        /* what a training allocates beside the data set */
    double forward_operations;   /* multiply-accumulates of one forward pass of one sample */
    double iteration_operations; /* multiply-accumulates of one training iteration, convolutions
                                    counted without padding */
} gr_estimate;

/* Checks that the parts of the plan fit each other and the data set: shapes, batch size,
 * regularisers. Allocates nothing that grows with the data. error->place is relative to the spec
 * ("/model/layers/3/kernel"). `estimate` may be NULL. */
gr_status gr_plan_check(const gr_plan *plan, const gr_dataset *dataset, gr_estimate *estimate,
                        gr_error *error);

/* Takes one thing that is wrong with a plan, its place relative to the spec. */
typedef void gr_report(void *context, const gr_error *failure);
/* The same, but goes on after what is wrong (GR_INVALID, GR_TOO_LARGE) and reports each of it; the
 * first is the result. */
gr_status gr_plan_check_all(const gr_plan *plan, const gr_dataset *dataset, gr_estimate *estimate,
                            gr_report *report, void *context, gr_error *error);

/* Whether `model` (as gr_training_model gives it) has exactly the parameters of the plan's network,
 * and they are finite: GR_INVALID names what is missing, foreign, of another shape or not finite.
 */
gr_status gr_plan_check_model(const gr_plan *plan, const gr_dataset *dataset,
                              const gr_arrays *model, gr_error *error);

typedef struct gr_training gr_training;

gr_status gr_training_create(const gr_plan *plan, const gr_dataset *dataset, gr_training **training,
                             gr_error *error);
void gr_training_free(gr_training *training);

/* Starts from a trained model's parameters and running statistics instead of fresh ones; only
 * before the first advance. */
gr_status gr_training_set_model(gr_training *training, const gr_arrays *model, gr_error *error);

typedef enum gr_progress {
    GR_PROGRESS_ITERATION,  /* one optimiser step was made */
    GR_PROGRESS_EVALUATION, /* a part of an evaluation was made: a bounded piece of work */
    GR_PROGRESS_METRICS,    /* an evaluation ended: gr_training_metrics has new rows */
    GR_PROGRESS_FINISHED    /* nothing is left to do; the last rows were already reported */
} gr_progress;

/* Does one bounded piece of work. GR_DIVERGED where the loss is not finite: the message names the
 * first bad iteration, and the training is over (gr_training_iteration gives that iteration). */
gr_status gr_training_advance(gr_training *training, gr_progress *progress, gr_error *error);

int64_t gr_training_iteration(const gr_training *training); /* steps made so far */
/* Steps in all, as planned: a run that stops early (the metric "stopped_early" is then 1) is
 * finished before. */
int64_t gr_training_iterations(const gr_training *training);

typedef struct gr_metric {
    const char *name; /* "train_loss", "penalty.0", "train_accuracy", "validation_accuracy",
                         "test_accuracy", "best_iteration", …; borrowed */
    int64_t iteration;
    double value; /* may be NaN or infinite */
} gr_metric;

/* The rows of the evaluation that ended last; borrowed, valid until the next advance. */
const gr_metric *gr_training_metrics(const gr_training *training, size_t *count);

/* The whole state, so that a training created from the same plan and restored from it goes on bit
 * for bit (and reports the same metric rows) as if it had not been stopped. May be called between
 * any two advances. */
gr_status gr_training_save(const gr_training *training, gr_arrays *state, gr_error *error);
/* GR_INVALID or GR_CORRUPT where the arrays are not a state of this plan; the training is then
 * unusable. */
gr_status gr_training_restore(gr_training *training, const gr_arrays *state, gr_error *error);

/* The parameters that are kept so far (the last, or by the option "keep" those of the best
 * evaluation, once there was one) under PyTorch's names and layouts ("0.weight"
 * [out][in][rows][columns]). */
gr_status gr_training_model(const gr_training *training, gr_arrays *model, gr_error *error);
/* The split in use, for the model's metadata; borrowed. */
const gr_split *gr_training_split(const gr_training *training);

/* The gradient of the regularised loss at given weights and batch, in training mode.
 * `weights` names parameters as nn.Sequential does. `batch` holds x [n, …] F32; y [n] I64 or F32
 * targets [n, targets]; for the random probe optionally probe [K] F32 instead of a drawn one.
 * `gradients` gets grad.<parameter>, and rank-0 loss, regularizers.<i> (unweighted), total, in F32
 * (F64 in the double build). `model` must be settings with explicit layers and an input_shape. */
gr_status gr_gradients(const gr_settings *model, const gr_settings *loss,
                       const gr_settings *regularizers, size_t regularizer_count,
                       const gr_arrays *weights, const gr_arrays *batch, gr_arrays *gradients,
                       gr_error *error);

#endif
