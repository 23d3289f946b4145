/* Which parameters of a run count at its end, and whether it ends early: both judged by the
 * validation part (Prechelt 1998, "Early Stopping - But When?"). */
#ifndef CORE_EARLY_STOPPING_H
#define CORE_EARLY_STOPPING_H

#include "gradreg/arrays.h"
#include "gradreg/settings.h"

typedef struct gr_early_stopping {
    /* What the settings say. */
    bool keeps_best;
    bool by_accuracy;      /* else by the loss */
    int64_t patience;      /* evaluations without progress after which it stops; 0: never */
    double minimum_change; /* what counts as progress must be better by more than this */
    /* How far it is. Scores are the larger the better (a loss is negated). */
    int64_t best_iteration; /* of the best score, the first of equals; 0: none yet */
    int64_t waited;         /* evaluations since the last progress */
    bool stopped;
    double best, reference; /* the best score; the one that made the last progress */
} gr_early_stopping;

/* Whether `training`'s members fit each other and the data; the place is relative to it ("/keep").
 */
gr_status gr_early_stopping_check(const gr_settings *training, bool classification,
                                  int64_t validation_samples, gr_error *error);
gr_early_stopping gr_early_stopping_create(const gr_settings *training, bool classification);

/* Whether evaluations are judged at all. */
static inline bool gr_early_stopping_judges(const gr_early_stopping *state) {
    return state->keeps_best || state->patience > 0;
}

/* The state after the evaluation at `iteration` of `iterations`: its best_iteration is `iteration`
 * where this one is the best. */
gr_early_stopping gr_early_stopping_after(const gr_early_stopping *state, int64_t iteration,
                                          int64_t iterations, double loss, double accuracy);

/* The state at rest; nothing where nothing is judged. */
gr_status gr_early_stopping_save(const gr_early_stopping *state, gr_arrays *arrays,
                                 gr_error *error);
/* GR_INVALID or GR_CORRUPT where the arrays are no state of a run that is at `iteration`. */
gr_status gr_early_stopping_restore(gr_early_stopping *state, const gr_arrays *arrays,
                                    int64_t iteration, gr_error *error);

#endif
