/* What the files that read a sweep's spec share: sweep_plan.c and sweep_axes.c. */
#ifndef SERVER_SWEEP_PLAN_INTERNAL_H
#define SERVER_SWEEP_PLAN_INTERNAL_H

#include "server/sweep_plan.h"

typedef struct sweep_reader {
    sweep_plan *plan;
    problems *found;
    bool out_of_memory;
} sweep_reader;

/* Reports the members that are not in `names`, which a NULL ends, and doubled ones. */
void sweep_check_members(sweep_reader *self, const cJSON *object, const char *place,
                         const char *const *names);
/* NULL where it is missing, or null. */
const cJSON *sweep_member(const cJSON *object, const char *name);
/* A text of 1 to `maximum` bytes; NULL where it is missing or wrong. */
const char *sweep_read_text(sweep_reader *self, const cJSON *object, const char *place,
                            const char *name, size_t maximum);
/* Adds `item` (taken over) to the object of the canonical document in place of one of that name;
 * returns it, or NULL without memory. */
cJSON *sweep_put(sweep_reader *self, cJSON *object, const char *name, cJSON *item);

/* plan->axes and "axes" of the document, from the sweep's "axes"; after the strategy. */
void sweep_read_axes(sweep_reader *self, const cJSON *from);

#endif
