/* From a plan to its parts. */
#ifndef CORE_PLAN_H
#define CORE_PLAN_H

#include "core/model.h"
#include "core/regularizer.h"
#include "gradreg/training.h"

/* The network of the plan for this data set. */
gr_status gr_plan_network(const gr_plan *plan, const gr_dataset *dataset, gr_network **network,
                          gr_error *error);

/* What its regularisers have to fit. */
gr_fit gr_plan_fit(const gr_plan *plan, const gr_dataset *dataset, const gr_network *network);

/* Numbers of an array of a training's block that holds one for each parameter: whole lines of the
 * cache, so that all such arrays begin with one. */
int64_t gr_training_array_reals(const gr_network *network);
/* Numbers in a training's block: parameters, gradients, moments, buffers, and the parameters and
 * buffers that it keeps beside them. */
int64_t gr_training_block_reals(const gr_plan *plan, const gr_network *network);

#endif
