/* What is measured of a trained model, beyond its accuracy (docs/methods.md). A spec's "analysis"
 * names the kinds that it wants; each is one file in core/analyses/ and one row in core/analysis.c.
 */
#ifndef GRADREG_ANALYSIS_H
#define GRADREG_ANALYSIS_H

#include "gradreg/training.h"

/* Zero-initialise; gr_analysis_clear frees everything. */
typedef struct gr_analysis {
    /* By path, as "robustness/fgsm/accuracy": F64, I64, I32 or U8; rank 0 is a number, rank 1 a
     * list. A name between strokes may itself hold dots. */
    gr_arrays values;
    gr_arrays metrics; /* the summaries among them: F64, rank 0, by name: "robustness.fgsm.0.1" */
} gr_analysis;

void gr_analysis_clear(gr_analysis *analysis);

/* Does all that plan->analysis (not NULL) asks for with `model` (as gr_training_model gives it), in
 * evaluation mode: a function of the plan, the data and the model alone. `stop` is asked between
 * bounded pieces of work (NULL: never), and where it answers true this is GR_CONFLICT. Fills
 * *analysis, empty before; on failure it is left empty. GR_INVALID as gr_plan_check and where the
 * model does not fit. */
gr_status gr_analyse(const gr_plan *plan, const gr_dataset *dataset, const gr_arrays *model,
                     bool (*stop)(void *context), void *context, gr_analysis *analysis,
                     gr_error *error);

#endif
