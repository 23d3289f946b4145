/* The list of route tables, and what all handlers use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/server_log.h"

/* "/experiments/actions" stands before "/experiments/{id}". */
const http_route *const api_routes[] = {bulk_routes,
                                        experiments_routes,
                                        actions_routes,
                                        copies_routes,
                                        metrics_routes,
                                        predictions_routes,
                                        analysis_routes,
                                        events_routes,
                                        presets_routes,
                                        server_routes,
                                        session_routes,
                                        monitoring_routes,
                                        sweeps_routes,
                                        datasets_routes,
                                        openapi_routes,
                                        web_routes,
                                        NULL};

gr_status api_id(const http_request *request, int64_t *id, gr_error *error) {
    const char *text = request->parameters[0];
    char shown[32];
    size_t length = strlen(text);
    bool positive = length > 0 && strspn(text, "0123456789") == length && *text != '0';
    if (positive && length > 18) /* no id is that long */
        return gr_fail(error, GR_NOT_FOUND, "there is no experiment %s",
                       http_printable(text, shown, sizeof shown));
    if (!positive)
        return gr_fail(error, GR_NOT_FOUND,
                       "there is no experiment \"%s\": an id is a positive integer",
                       http_printable(text, shown, sizeof shown));
    *id = strtoll(text, NULL, 10);
    return GR_OK;
}

void api_etag(int64_t revision, char etag[API_ETAG_SIZE]) {
    snprintf(etag, API_ETAG_SIZE, "\"%lld\"", (long long)revision);
}

gr_status api_condition_check(api_condition *condition, const experiment *record, gr_error *error) {
    api_etag(record->revision, condition->etag);
    condition->status = 0;
    GR_TRY(http_condition(condition->request, condition->etag, &condition->status, error));
    if (condition->status == 0) return GR_OK;
    return gr_fail(error, GR_CONFLICT,
                   "experiment %lld is not as the request's %s wants it: its ETag is %s by now; "
                   "look at it again before changing it",
                   (long long)record->id,
                   http_header(condition->request, "If-Match") ? "If-Match" : "If-None-Match",
                   condition->etag);
}

bool api_condition_answer(const api_condition *condition, gr_status status, http_response *response,
                          const gr_error *error) {
    if (status != GR_CONFLICT || condition->status == 0) return false;
    if (condition->status == 412)
        http_answer_problem(response, 412, NULL, "%s", error->message);
    else
        response->status = condition->status;
    http_answer_header(response, "ETag", "%s", condition->etag);
    return true;
}

void api_answer_experiment(http_response *response, int status, const experiment *stored) {
    char etag[API_ETAG_SIZE];
    api_etag(stored->revision, etag);
    http_answer_json(response, status, experiment_json(stored));
    if (response->status == status) http_answer_header(response, "ETag", "%s", etag);
}

gr_status api_identify(void *context, const http_request *request, http_identity *identity,
                       gr_error *error) {
    struct api *api = context;
    return access_identify(&api->access, request, identity, error);
}

void api_record(void *context, const http_record *record) {
    struct api *api = context;
    statistics_add(&api->statistics, record);
    log_request(record);
}

void api_publish(const struct api *api, event_type type, int64_t id) {
    events_publish(api->events, &(event){.type = type, .id = id});
}
