#include "server/submit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gradreg/processor.h"
#include "server/digest.h"
#include "server/environment.h"
#include "server/experiment_setup.h"
#include "server/idempotency.h"
#include "server/initial_model.h"

/* A submission under way. */
typedef struct submitting {
    struct api *api;
    const submit_origin *origin;
    experiment_setup setup;
    char *environment, *tags;
    char result_key[DIGEST_SIZE];
    speed speed;
    const char *webhook;
    const idempotency_claim *claim;
    int64_t submitted_by; /* the token; 0: none */
} submitting;

gr_status submit_refuse(http_response *response, gr_status status, bool malformed,
                        const problems *found) {
    if (found->count == 0) return status;
    if (malformed)
        http_answer_problem(response, 400, found, "the body is not JSON: %s",
                            found->items[0].detail);
    else /* A data set that is not there is a mistake in the spec: the route exists. */
        http_answer_problem(response, 422, found, "the spec has %zu problem%s", found->count,
                            found->count == 1 ? "" : "s");
    return GR_OK;
}

/* The model to start from must be there, and fit, before the spec is accepted. */
static gr_status check_initial_model(struct api *api, const experiment_setup *setup,
                                     problems *found, gr_error *error) {
    gr_arrays model = {0};
    const gr_status status = initial_model_load(setup, api->store, &model, error);
    if (status == GR_INVALID || status == GR_CORRUPT)
        problems_add(found, error->place, "%s", error->message);
    gr_arrays_clear(&model);
    return status;
}

static gr_status check_memory(const struct api *api, const experiment_setup *setup, problems *found,
                              gr_error *error) {
    const int64_t needed = setup->estimate.memory_bytes, limit = api->memory_limit;
    if (limit == 0 || needed <= limit) return GR_OK;
    gr_fail_at(error, GR_TOO_LARGE, "/training/batch_size",
               "this training would take %lld MiB of memory, and this server allows %lld MiB "
               "(memory_limit): make the batch, the model or the number of probes smaller",
               (long long)(needed >> 20), (long long)(limit >> 20));
    problems_add(found, error->place, "%s", error->message);
    return GR_TOO_LARGE;
}

/* -- what follows from a spec
 * ---------------------------------------------------------------------------------- */
/* All that the result follows from, but for the environment. Names and tags are for people. */
static gr_status make_result_key(const experiment_setup *setup, char key[DIGEST_SIZE],
                                 gr_error *error) {
    cJSON *document = spec_document(setup->spec);
    cJSON_DeleteItemFromObjectCaseSensitive(document, "name");
    cJSON_DeleteItemFromObjectCaseSensitive(document, "tags");
    char *text = json_text(document);
    cJSON_Delete(document);
    if (!text) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    const char *engine = gr_engine_version();
    digest_parts((const digest_part[]){{text, strlen(text)},
                                       {setup->data_hash, strlen(setup->data_hash)},
                                       {engine, strlen(engine)}},
                 3, key);
    free(text);
    return GR_OK;
}

static double all_operations(const experiment_setup *setup) {
    return setup->estimate.iteration_operations * (double)setup->iterations;
}

/* NaN where no experiment on this machine tells. */
static double estimated_seconds(const submitting *self) {
    return self->speed.operations_per_second > 0
               ? all_operations(&self->setup) / self->speed.operations_per_second
               : NAN;
}

static gr_status work_out(submitting *self, gr_error *error) {
    const experiment_setup *setup = &self->setup;
    self->environment = environment_text();
    self->tags = self->origin->tags ? strdup(self->origin->tags) : json_text(setup->spec->tags);
    if (!self->environment || !self->tags) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    GR_TRY(make_result_key(setup, self->result_key, error));
    return store_speed(self->api->store, self->environment, setup->estimate.iteration_operations,
                       &self->speed, error);
}

/* -- answers
 * -------------------------------------------------------------------------------------------------
 */
static cJSON *validation_json(const submitting *self) {
    const gr_estimate *from = &self->setup.estimate;
    const double seconds = estimated_seconds(self);
    cJSON *document = cJSON_CreateObject();
    cJSON_AddTrueToObject(document, "valid");
    json_put(document, "spec", spec_document(self->setup.spec));
    cJSON *estimate = cJSON_AddObjectToObject(document, "estimate");
    json_put(estimate, "parameters", json_integer(from->parameters));
    json_put(estimate, "memory_bytes", json_integer(from->memory_bytes));
    json_put(estimate, "forward_operations", json_number(from->forward_operations));
    json_put(estimate, "iteration_operations", json_number(from->iteration_operations));
    json_put(estimate, "iterations", json_integer(self->setup.iterations));
    json_put(estimate, "operations", json_number(all_operations(&self->setup)));
    json_put(estimate, "seconds", isnan(seconds) ? cJSON_CreateNull() : json_number(seconds));
    cJSON *from_what = isnan(seconds) ? cJSON_CreateNull() : cJSON_CreateObject();
    if (cJSON_IsObject(from_what)) {
        json_put(from_what, "experiments", json_integer(self->speed.experiments));
        cJSON_AddBoolToObject(from_what, "same_cost", self->speed.alike);
        json_put(from_what, "operations_per_second",
                 json_number(self->speed.operations_per_second));
    }
    json_put(estimate, "seconds_from", from_what);
    return document;
}

static void answer_with(http_response *response, int status, const experiment *stored) {
    api_answer_experiment(response, status, stored);
    if (response->status == status)
        http_answer_header(response, "Location", API_BASE "/experiments/%lld",
                           (long long)stored->id);
}

/* The body of the first answer, and of every repeated one. */
static char *answer_text(const void *made, void *context) {
    (void)context;
    cJSON *document = experiment_json(made);
    char *text = document ? json_text(document) : NULL;
    cJSON_Delete(document);
    return text;
}

/* -- the three ends of a good spec
 * ------------------------------------------------------------------------------ */
/* GR_NOT_FOUND where there is no such result. */
static gr_status answer_from_store(const submitting *self, http_response *response,
                                   gr_error *error) {
    int64_t id;
    experiment found;
    GR_TRY(store_find_result(self->api->store, self->result_key, self->environment, &id, error));
    GR_TRY(store_get(self->api->store, id, &found, error));
    answer_with(response, 200, &found);
    experiment_clear(&found);
    return GR_OK;
}

static gr_status store_it(const submitting *self, http_response *response, gr_error *error) {
    struct api *api = self->api;
    const experiment_setup *setup = &self->setup;
    const bool claimed = self->claim->held;
    const double seconds = estimated_seconds(self);
    const idempotency keyed = {
        .key = self->claim->key, .fingerprint = self->claim->fingerprint, .answer = answer_text};
    const submission form = {.name = setup->spec->name,
                             .tags = self->tags,
                             .spec = setup->canonical,
                             .data_hash = setup->data_hash,
                             .engine_version = gr_engine_version(),
                             .iterations = setup->iterations,
                             .cloned_from = self->origin->cloned_from,
                             .replay_of = self->origin->replay_of,
                             .result_key = self->result_key,
                             .memory_bytes = setup->estimate.memory_bytes,
                             .operations = all_operations(setup),
                             .estimated_seconds = isnan(seconds) ? 0 : seconds,
                             .webhook = self->webhook,
                             .submitted_by = self->submitted_by,
                             .idempotency = claimed ? &keyed : NULL};
    int64_t id;
    experiment stored;
    GR_TRY(store_submit(api->store, &form, &id, error));
    workers_wake(api->workers);
    api_publish(api, EVENT_EXPERIMENT, id);
    if (claimed) return idempotency_answer(api, self->claim, false, response, error);
    GR_TRY(store_get(api->store, id, &stored, error));
    answer_with(response, 201, &stored);
    experiment_clear(&stored);
    return GR_OK;
}

static gr_status submit_claimed(submitting *self, const http_request *request, const char *text,
                                size_t length, http_response *response, gr_error *error) {
    struct api *api = self->api;
    bool only_validate, reuse, malformed = false;
    GR_TRY(http_query_boolean(request, "validate_only", &only_validate, error));
    GR_TRY(http_query_boolean(request, "reuse", &reuse, error));
    self->webhook = http_query(request, "webhook");
    if (self->webhook) GR_TRY(webhooks_check(api->webhooks, self->webhook, error));
    problems found = {0};
    gr_status status =
        experiment_setup_check(text, length, api->data, &self->setup, &malformed, &found, error);
    if (status == GR_OK) status = check_memory(api, &self->setup, &found, error);
    if (status == GR_OK) status = check_initial_model(api, &self->setup, &found, error);
    if (status != GR_OK) {
        status = submit_refuse(response, status, malformed, &found);
        problems_clear(&found);
        return status;
    }
    problems_clear(&found);
    GR_TRY(work_out(self, error));
    if (only_validate) {
        http_answer_json(response, 200, validation_json(self));
        return GR_OK;
    }
    if (reuse) {
        status = answer_from_store(self, response, error);
        if (status != GR_NOT_FOUND) return status;
    }
    return store_it(self, response, error);
}

gr_status submit_spec(struct api *api, const http_request *request, const char *text, size_t length,
                      const submit_origin *origin, http_response *response, gr_error *error) {
    static const submit_origin none = {0};
    idempotency_claim claim;
    bool answered;
    submitting self = {.api = api,
                       .origin = origin ? origin : &none,
                       .claim = &claim,
                       .submitted_by = request->identity.token};
    gr_status status = idempotency_take(api, request, &claim, response, &answered, error);
    if (status == GR_OK && !answered)
        status = submit_claimed(&self, request, text, length, response, error);
    idempotency_drop(&claim);
    experiment_setup_clear(&self.setup);
    free(self.environment);
    free(self.tags);
    return status;
}
