/* From a sweep's text to all that the store needs of it: every arm checked as an experiment would
 * be. */
#ifndef SERVER_SWEEP_CHECK_H
#define SERVER_SWEEP_CHECK_H

#include "server/api.h"
#include "server/sweep_plan.h"
#include "server/sweep_store.h"

typedef struct sweep_setup {
    sweep_plan plan;
    sweep_arm_row *arms; /* owned */
    size_t arm_count;
    double operations;   /* multiply-accumulates of all experiments, each to its end */
    sweep_ladder ladder; /* successive halving; count 0: none */
} sweep_setup;

/* GR_INVALID and others with at least one problem, whose pointer leads into the sweep: what an axis
 * has set is found at its value, the rest in "/base". *malformed: not even JSON. A failure without
 * a problem is none of the sweep's (*error). */
gr_status sweep_check(struct api *api, const char *text, size_t length, sweep_setup *setup,
                      bool *malformed, problems *found, gr_error *error);
void sweep_setup_clear(sweep_setup *setup);

/* The rungs of a plan whose arms are trained for `iterations` and measured every `every`. */
void sweep_make_ladder(const sweep_plan *plan, int64_t iterations, int64_t every,
                       sweep_ladder *ladder);
/* The same of a stored arm (its canonical spec). */
gr_status sweep_ladder_of(const sweep_plan *plan, const sweep_arm_row *arm, sweep_ladder *ladder,
                          gr_error *error);

typedef enum sweep_direction { SWEEP_UNKNOWN, SWEEP_HIGHER, SWEEP_LOWER } sweep_direction;
/* Whether more of a metric is better, by its name: accuracies are, losses, errors and times are
 * not. */
sweep_direction sweep_metric_direction(const char *metric);

#endif
