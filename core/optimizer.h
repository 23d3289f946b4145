/* What optimisers and learning-rate schedules are: one file each in core/optimizers/ and
 * core/schedules/, and one row of the tables in core/optimizer.c. */
#ifndef CORE_OPTIMIZER_H
#define CORE_OPTIMIZER_H

#include "core/kernels.h"
#include "core/network.h"
#include "gradreg/settings.h"

typedef struct gr_optimizer_kind {
    gr_kind kind;
    int moments; /* blocks of state, each as large as the parameters */
    gr_status (*check)(const gr_settings *settings, gr_error *error); /* may be NULL */
    /* The weight of a decay beside the gradient (Loshchilov & Hutter 2019): before each step the
     * weights of rank >= 2 lose this share of the learning rate. NULL: no such decay. */
    double (*decoupled_decay)(const gr_settings *settings);
    /* Step number `number` (from 1): what the kernel returns. */
    double (*step)(const gr_settings *settings, const gr_kernels *kernels, int64_t number,
                   double learning_rate, const gr_step *step);
} gr_optimizer_kind;

typedef struct gr_schedule_kind {
    gr_kind kind;
    gr_status (*check)(const gr_settings *settings, gr_error *error); /* may be NULL */
    /* The factor of the learning rate at `iteration` (from 0) of `iterations` (at least 1),
     * without a warm-up. */
    double (*factor)(const gr_settings *settings, int64_t iteration, int64_t iterations);
} gr_schedule_kind;

static inline const gr_optimizer_kind *gr_optimizer_kind_of(const gr_settings *settings) {
    return (const gr_optimizer_kind *)(const void *)settings->kind;
}
static inline const gr_schedule_kind *gr_schedule_kind_of(const gr_settings *settings) {
    return (const gr_schedule_kind *)(const void *)settings->kind;
}

/* What every optimiser's option "learning_rate" says but for its default. */
#define GR_LEARNING_RATE_OPTION(json)                                                            \
    {                                                                                            \
        .name = "learning_rate", .help = "step size, before the schedule's factor",              \
        .accepts = GR_ACCEPT(GR_NUMBER), .minimum = 0, .maximum = 1e6, .minimum_excluded = true, \
        .default_json = json                                                                     \
    }
double gr_learning_rate(const gr_settings *optimizer);

/* Whether the options fit each other; the place is an option's ("/momentum"). */
gr_status gr_optimizer_check(const gr_settings *optimizer, gr_error *error);

/* Step number `number` (from 1) with the schedule's rate: of the weights of rank >= 2 `decay` times
 * the weight joins the gradient, then comes the decoupled decay, then the kind's step. Arrays are
 * blocks of the network's parameters; the gradients are zero afterwards. Returns the sum of squares
 * of those weights before the step; 0 where `decay` is. */
double gr_optimizer_step(const gr_settings *optimizer, const gr_network *network,
                         const gr_kernels *kernels, int64_t number, double learning_rate,
                         double decay, gr_real *parameters, gr_real *gradients,
                         gr_real *const moments[GR_MAXIMUM_MOMENTS]);

/* Limits on a gradient before it is used. */
typedef struct gr_clipping {
    double norm;  /* of the whole gradient; 0: no limit */
    double value; /* of each component; 0: no limit */
} gr_clipping;

/* Scales the gradient down to the norm, with PyTorch's 1e-6 in the quotient, or cuts off each
 * component. What is not finite becomes NaN or stays as it is, so that the next loss shows it. */
void gr_clip(const gr_clipping *clipping, int64_t count, gr_real *gradients);

/* What every schedule's option "warmup" says. */
/* A share of the iterations falls on an iteration where it misses it by no more than this part:
 * 0.07 of 100 is 7, though not in binary. */
#define GR_SHARE_ROUNDING 1e-12

#define GR_WARMUP_OPTION                                                                           \
    {                                                                                              \
        .name = "warmup",                                                                          \
        .help = "share of the iterations in which the learning rate first rises linearly from 0; " \
                "the schedule's own time is what remains",                                         \
        .accepts = GR_ACCEPT(GR_NUMBER), .minimum = 0, .maximum = 1, .maximum_excluded = true,     \
        .default_json = "0"                                                                        \
    }

/* Whether the options fit each other; the place is an option's ("/boundaries"). */
gr_status gr_schedule_check(const gr_settings *schedule, gr_error *error);

/* The factor of the learning rate at `iteration` (from 0) of `iterations` (at least 1). Of a
 * warm-up of W iterations the i-th (from 0) has (i + 1)/W of the schedule's first factor; then the
 * schedule runs over the others. */
double gr_schedule_factor(const gr_settings *schedule, int64_t iteration, int64_t iterations);

extern const gr_optimizer_kind gr_optimizer_sgd, gr_optimizer_momentum, gr_optimizer_adam,
    gr_optimizer_adamw, gr_optimizer_rmsprop;
extern const gr_kind gr_optimizer_nesterov; /* an alias */
extern const gr_schedule_kind gr_schedule_constant, gr_schedule_piecewise, gr_schedule_exponential,
    gr_schedule_cosine, gr_schedule_linear, gr_schedule_one_cycle;

#endif
