/* What optimisers and learning-rate schedules are: one file each in core/optimizers/ and
 * core/schedules/, and one row of the tables in core/optimizer.c. */
#ifndef CORE_OPTIMIZER_H
#define CORE_OPTIMIZER_H

#include "core/kernels.h"
#include "gradreg/settings.h"

enum { GR_MAXIMUM_MOMENTS = 2 };

typedef struct gr_optimizer_kind {
    gr_kind kind;
    int moments; /* blocks of state, each as large as the parameters */
    /* Step number `step` (from 1) over contiguous blocks of `count` numbers. */
    void (*step)(const gr_settings *settings, const gr_kernels *kernels, int64_t count,
                 int64_t step, double learning_rate, gr_real *parameters, const gr_real *gradients,
                 gr_real *const moments[GR_MAXIMUM_MOMENTS]);
} gr_optimizer_kind;

typedef struct gr_schedule_kind {
    gr_kind kind;
    gr_status (*check)(const gr_settings *settings, gr_error *error); /* may be NULL */
    /* The factor of the learning rate at `iteration` (from 0) of `iterations`. */
    double (*factor)(const gr_settings *settings, int64_t iteration, int64_t iterations);
} gr_schedule_kind;

static inline const gr_optimizer_kind *gr_optimizer_kind_of(const gr_settings *settings) {
    return (const gr_optimizer_kind *)(const void *)settings->kind;
}
static inline const gr_schedule_kind *gr_schedule_kind_of(const gr_settings *settings) {
    return (const gr_schedule_kind *)(const void *)settings->kind;
}

/* The option "learning_rate", which every optimiser has. */
double gr_learning_rate(const gr_settings *optimizer);

extern const gr_optimizer_kind gr_optimizer_adam;
extern const gr_schedule_kind gr_schedule_constant, gr_schedule_piecewise;

#endif
