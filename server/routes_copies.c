/* An experiment made of another: /experiments/{id}/clone and /experiments/{id}/replay. */
#include <stdlib.h>
#include <string.h>

#include "server/merge_patch.h"
#include "server/spec.h"
#include "server/submit.h"

static gr_status document_of(const experiment *record, cJSON **document, gr_error *error) {
    const gr_status status = json_parse(record->spec, strlen(record->spec), document, error);
    if (status != GR_OK && status != GR_OUT_OF_MEMORY)
        return gr_fail(error, GR_CORRUPT, "the stored spec of experiment %lld cannot be read",
                       (long long)record->id);
    return status;
}

/* True where nobody gave the name: it was made of the spec, and is to be made anew of the patched
 * one. */
static bool name_was_made(const experiment *record) {
    char *made = spec_made_name(record->spec);
    const bool same = made && strcmp(made, record->name) == 0;
    free(made);
    return same;
}

/* The record's spec with the name and the tags that the record has now. */
static gr_status current_spec(const experiment *record, cJSON **document, gr_error *error) {
    GR_TRY(document_of(record, document, error));
    cJSON *tags = cJSON_Parse(record->tags);
    bool complete = json_set(*document, "tags", tags);
    cJSON_DeleteItemFromObjectCaseSensitive(*document, "name");
    if (complete && !name_was_made(record))
        complete = cJSON_AddStringToObject(*document, "name", record->name) != NULL;
    if (complete) return GR_OK;
    cJSON_Delete(*document);
    *document = NULL;
    return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
}

/* *text: the spec of `record` with the request's patch; NULL where the request was answered. */
static gr_status patched_spec(const experiment *record, const http_request *request,
                              http_response *response, char **text, gr_error *error) {
    cJSON *document = NULL, *patch = NULL;
    problems found = {0};
    bool malformed = false;
    *text = NULL;
    GR_TRY(current_spec(record, &document, error));
    gr_status status =
        request->body_length
            ? json_parse(request->body, request->body_length, &patch, error)
            : ((patch = cJSON_CreateObject()) ? GR_OK
                                              : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory"));
    if (status == GR_INVALID) {
        malformed = true;
        problems_add(&found, "", "%s", error->message);
    }
    if (status == GR_OK) status = merge_patch(&spec_family, document, patch, &found);
    if (status == GR_OK) {
        *text = json_text(document);
        if (!*text) status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    } else {
        if (status == GR_OUT_OF_MEMORY) gr_fail(error, status, "out of memory");
        status = submit_refuse(response, status, malformed, &found);
    }
    problems_clear(&found);
    cJSON_Delete(document);
    cJSON_Delete(patch);
    return status;
}

static gr_status post_clone(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    struct api *api = context;
    experiment record;
    int64_t id;
    char *text;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(store_get(api->store, id, &record, error));
    gr_status status = patched_spec(&record, request, response, &text, error);
    if (status == GR_OK && text)
        status = submit_spec(api, request, text, strlen(text), &(submit_origin){.cloned_from = id},
                             response, error);
    free(text);
    experiment_clear(&record);
    return status;
}

static gr_status post_replay(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    struct api *api = context;
    experiment record;
    int64_t id;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(store_get(api->store, id, &record, error));
    gr_status status;
    if (record.state != STATE_SUCCEEDED && record.state != STATE_DIVERGED)
        status = gr_fail(error, GR_CONFLICT,
                         "experiment %lld is %s: only one that has succeeded or diverged has a "
                         "result to compare a replay with",
                         (long long)id, state_name(record.state));
    else /* without its tags: what is grouped by tags must not count it twice */
        status = submit_spec(api, request, record.spec, strlen(record.spec),
                             &(submit_origin){.replay_of = id, .tags = "{}"}, response, error);
    experiment_clear(&record);
    return status;
}

static const http_parameter clone_query[] = {
    {"validate_only", "true: check the patched spec and estimate its cost, but store nothing"},
    {"reuse", "true: answer with an experiment that has this result already, if there is one"},
    {"webhook", "URL to be told of the end, on a host that the operator allows"},
    {0}};
static const http_parameter replay_query[] = {
    {"webhook", "URL to be told of the end, on a host that the operator allows"}, {0}};

const http_route copies_routes[] = {
    {"POST", API_BASE "/experiments/{id}/clone", post_clone,
     "submit its spec again, changed by the merge patch in the body", clone_query, HTTP_TAKES_JSON},
    {"POST", API_BASE "/experiments/{id}/replay", post_replay,
     "run it again and compare the results bit for bit", replay_query, 0},
    {0}};
