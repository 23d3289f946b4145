/* Predictions as CSV, a block of samples at a time. A header; then for each sample of the part its
 * `index` in its file and, for a classification, `label`, `predicted`, `correct` (1 or 0),
 * where classes have names `label_name` and `predicted_name`, where the loss knows them
 * `probability.<class>`, and `logit.<class>`; for a regression `target` and `prediction` (numbered
 * from 0 where there are several). Numbers come back to the same 32 bits; what is not finite is
 * NaN, Infinity or -Infinity. */
#ifndef SERVER_PREDICTIONS_H
#define SERVER_PREDICTIONS_H

#include "gradreg/prediction.h"

typedef struct predictions predictions;

/* "train", "validation" or "test"; NULL stands for "test". GR_INVALID names what there is. */
gr_status predictions_part(const char *name, gr_part *part, gr_error *error);
const char *predictions_part_name(gr_part part);

/* As gr_predictor_create. Nothing can fail afterwards: all memory is taken here. */
gr_status predictions_create(const gr_plan *plan, const gr_dataset *dataset, const gr_arrays *model,
                             gr_part part, predictions **result, gr_error *error);
void predictions_free(predictions *of);

/* The next lines of the CSV, at least one; borrowed, valid until the next call. False at the end.
 */
bool predictions_next(predictions *of, const char **text, size_t *length);

#endif
