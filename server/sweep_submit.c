#include "server/sweep_submit.h"

#include <math.h>
#include <stdlib.h>

#include "server/environment.h"
#include "server/idempotency.h"
#include "server/submit.h"
#include "server/sweep_check.h"
#include "server/sweep_json.h"

static gr_status add_seconds(struct api *api, const sweep_setup *setup, cJSON *estimate,
                             gr_error *error) {
    char *environment = environment_text();
    if (!environment) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    double seconds = 0;
    gr_status status = GR_OK;
    for (size_t i = 0; i < setup->arm_count && status == GR_OK; i++) {
        const sweep_arm_row *arm = &setup->arms[i];
        speed known;
        status = store_speed(api->store, environment, arm->iteration_operations, &known, error);
        if (status == GR_OK)
            seconds += known.operations_per_second > 0
                           ? arm->iteration_operations * (double)arm->iterations *
                                 (double)setup->plan.seed_count / known.operations_per_second
                           : NAN;
        if (isnan(seconds)) break;
    }
    free(environment);
    GR_TRY(status);
    const int worker_count = workers_status(api->workers, NULL, 0);
    json_put(estimate, "seconds_of_training",
             isnan(seconds) ? cJSON_CreateNull() : json_number(seconds));
    json_put(estimate, "seconds",
             isnan(seconds) || worker_count == 0 ? cJSON_CreateNull()
                                                 : json_number(seconds / (double)worker_count));
    return GR_OK;
}

static gr_status answer_valid(struct api *api, const sweep_setup *setup, http_response *response,
                              gr_error *error) {
    cJSON *document = cJSON_CreateObject();
    cJSON_AddTrueToObject(document, "valid");
    json_put(document, "spec", cJSON_Duplicate(setup->plan.document, true));
    cJSON *estimate = cJSON_AddObjectToObject(document, "estimate");
    const int64_t experiments = (int64_t)(setup->arm_count * setup->plan.seed_count);
    int64_t memory = 0;
    double iterations = 0;
    for (size_t i = 0; i < setup->arm_count; i++) {
        if (setup->arms[i].memory_bytes > memory) memory = setup->arms[i].memory_bytes;
        iterations += (double)setup->arms[i].iterations * (double)setup->plan.seed_count;
    }
    json_put(estimate, "arms", json_integer((int64_t)setup->arm_count));
    json_put(estimate, "experiments", json_integer(experiments));
    json_put(estimate, "iterations", json_number(iterations));
    json_put(estimate, "operations", json_number(setup->operations));
    json_put(estimate, "memory_bytes", json_integer(memory));
    const gr_status status = add_seconds(api, setup, estimate, error);
    cJSON *rungs = cJSON_AddArrayToObject(document, "rungs");
    for (size_t i = 0; i < setup->ladder.count; i++)
        json_append(rungs, json_integer(setup->ladder.stops[i]));
    json_put(document, "arm_list", sweep_arms_json(setup->arms, setup->arm_count));
    if (status != GR_OK) {
        cJSON_Delete(document);
        return status;
    }
    http_answer_json(response, 200, document);
    return GR_OK;
}

/* The answer to a new sweep, none of whose experiments has begun. */
static char *answer_text(const void *made, void *context) {
    const sweep_setup *setup = context;
    const sweep_view view = {.row = made, .arms = setup->arms, .arm_count = setup->arm_count};
    cJSON *document = sweep_json(&view);
    char *text = document ? json_text(document) : NULL;
    cJSON_Delete(document);
    return text;
}

static gr_status store_setup(struct api *api, sweep_setup *setup, const idempotency_claim *claim,
                             int64_t owner, int64_t *id, gr_error *error) {
    const sweep_plan *plan = &setup->plan;
    char *tags = json_text(plan->tags), *text = json_text(plan->document);
    gr_status status = GR_OUT_OF_MEMORY;
    const idempotency keyed = {.key = claim->key,
                               .fingerprint = claim->fingerprint,
                               .answer = answer_text,
                               .context = setup};
    if (tags && text) {
        const sweep_submission form = {
            .name = plan->name,
            .tags = tags,
            .spec = text,
            .strategy = sweep_strategy_name(plan->strategy),
            .active = plan->strategy == SWEEP_ASHA || plan->until_width > 0,
            .arms = setup->arms,
            .arm_count = setup->arm_count,
            .seeds = plan->seeds,
            .seed_count = plan->seed_count,
            .submitted_by = owner,
            .idempotency = claim->held ? &keyed : NULL,
            .stop_after_iteration = setup->ladder.count ? setup->ladder.stops[0] : 0};
        status = store_sweep_submit(api->store, &form, id, error);
    } else {
        gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    free(tags);
    free(text);
    return status;
}

static gr_status submit_claimed(struct api *api, const http_request *request,
                                const idempotency_claim *claim, int64_t *id,
                                http_response *response, gr_error *error) {
    bool only_validate, malformed = false;
    problems found = {0};
    sweep_setup setup;
    *id = 0;
    GR_TRY(http_query_boolean(request, "validate_only", &only_validate, error));
    gr_status status =
        sweep_check(api, request->body, request->body_length, &setup, &malformed, &found, error);
    if (status != GR_OK) {
        status = submit_refuse(response, status, malformed, &found);
        problems_clear(&found);
        return status;
    }
    problems_clear(&found);
    if (only_validate) {
        status = answer_valid(api, &setup, response, error);
    } else {
        status = store_setup(api, &setup, claim, request->identity.token, id, error);
        if (status == GR_OK) workers_wake(api->workers);
        if (status == GR_OK && claim->held)
            status = idempotency_answer(api, claim, false, response, error);
    }
    sweep_setup_clear(&setup);
    return status;
}

gr_status sweep_submit(struct api *api, const http_request *request, int64_t *id, bool *answered,
                       http_response *response, gr_error *error) {
    idempotency_claim claim;
    *id = 0;
    gr_status status = idempotency_take(api, request, &claim, response, answered, error);
    if (status == GR_OK && !*answered) {
        status = submit_claimed(api, request, &claim, id, response, error);
        *answered = status == GR_OK && (*id == 0 || claim.held);
    }
    idempotency_drop(&claim);
    return status;
}
