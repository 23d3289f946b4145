/* The names of metrics: what every training reports, and what an analysis adds. */
#ifndef SERVER_METRIC_NAMES_H
#define SERVER_METRIC_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "gradreg/status.h"

/* What every training reports (core/training.c), before there is any. */
extern const char *const usual_metrics[];
extern const size_t usual_metric_count;

/* Whether experiments may have a metric of this name, "best." before it or not: a usual one, a time
 * of the training, or (with a "." in it) a penalty's or an analysis' own. If not, *nearest is what
 * was probably meant, or NULL. */
bool metric_is_possible(const char *name, const char **nearest);
/* GR_INVALID where the query parameter's value (NULL: not given) can be no metric's name. */
gr_status metric_check(const char *parameter, const char *name, gr_error *error);
/* Whether the metric is known at every evaluation, and not only at the end. */
bool metric_is_evaluated(const char *name);

#endif
