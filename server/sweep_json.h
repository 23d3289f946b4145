/* A sweep as the API shows it. Each of these is NULL without memory, and the caller's. */
#ifndef SERVER_SWEEP_JSON_H
#define SERVER_SWEEP_JSON_H

#include "server/json.h"
#include "server/sweep_store.h"

/* What is shown of one sweep; all borrowed. */
typedef struct sweep_view {
    const sweep_row *row;
    const sweep_arm_row *arms;
    size_t arm_count;
    const sweep_result *results; /* of its experiments, as far as they have begun */
    size_t result_count;
    const sweep_rung_row *rungs;
    size_t rung_count;
    sweep_ladder ladder; /* where the rungs are; without rungs: anything */
    int workers;         /* of this server: what the time left depends on */
} sweep_view;

/* As in lists. */
cJSON *sweep_row_json(const sweep_row *row);
/* In full: with its spec, progress, arms and rungs. */
cJSON *sweep_json(const sweep_view *view);
cJSON *sweep_arms_json(const sweep_arm_row *arms, size_t count);

#endif
