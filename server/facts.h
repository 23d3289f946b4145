/* What an experiment can be filtered and sorted by, beside its own members: a name with a value for
 * each leaf of its canonical spec and for each tag. Lists are numbered from 0
 * ("params.model.layers.0.units"); a regulariser is named by its kind and by each alias that it is
 * a case of ("params.regularizers.datagrad.weight"), a second one of the same name has ".2" behind
 * it. What is null has no fact. */
#ifndef SERVER_FACTS_H
#define SERVER_FACTS_H

#include <stdbool.h>

#include "gradreg/status.h"

enum { FACT_NAME_SIZE = 256 }; /* longest name, with its NUL */

typedef struct fact {
    const char *name; /* borrowed */
    const char *text; /* borrowed; NULL: a number */
    double number;    /* booleans are 1 and 0; of a metric also NaN and infinite */
    bool is_boolean;
    bool is_metric;
} fact;

typedef gr_status (*fact_sink)(void *context, const fact *fact, gr_error *error);

/* Of a canonical spec (JSON text): "params.…". What is no JSON object has none. */
gr_status facts_of_spec(const char *spec, fact_sink sink, void *context, gr_error *error);
/* Of tags (JSON object text): "tags.…". */
gr_status facts_of_tags(const char *tags, fact_sink sink, void *context, gr_error *error);

/* Of metrics (JSON object text: name → value): "metrics.…", or "metrics.best.…". */
gr_status facts_of_metrics(const char *metrics, bool best, fact_sink sink, void *context,
                           gr_error *error);

#endif
