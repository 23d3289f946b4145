/* A spec's analysis, done on a trained model: the same document and the same metrics wherever it is
 * done. */
#ifndef SERVER_ANALYSIS_H
#define SERVER_ANALYSIS_H

#include "gradreg/analysis.h"
#include "server/experiment_setup.h"

/* Zeroed, it is empty and may be cleared. */
typedef struct analysis_result {
    char *text;      /* owned: a JSON object */
    gr_metric *rows; /* owned; their names are those of `found` */
    size_t count;
    gr_analysis found;
} analysis_result;

/* Whether the spec asks for any. */
static inline bool analysis_is_wanted(const experiment_setup *setup) {
    return setup->plan.analysis != NULL;
}

/* As gr_analyse; the rows are of `iteration`, the one that the model is of. */
gr_status analysis_make(const experiment_setup *setup, const gr_arrays *model, int64_t iteration,
                        bool (*stop)(void *context), void *context, analysis_result *result,
                        gr_error *error);
/* The same for the model that a finished training has. */
gr_status analysis_of_training(const experiment_setup *setup, const gr_training *training,
                               bool (*stop)(void *context), void *context, analysis_result *result,
                               gr_error *error);
void analysis_clear(analysis_result *result);

#endif
