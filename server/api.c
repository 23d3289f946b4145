/* The list of route tables, and what all handlers use. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server/api.h"
#include "server/server_log.h"

const http_route *const api_routes[] = {experiments_routes, actions_routes,
                                        copies_routes,      metrics_routes,
                                        predictions_routes, events_routes,
                                        presets_routes,     server_routes,
                                        session_routes,     monitoring_routes,
                                        sweeps_routes,      openapi_routes,
                                        web_routes,         NULL};

gr_status api_id(const http_request *request, int64_t *id, gr_error *error) {
    const char *text = request->parameters[0];
    char shown[32];
    size_t length = strlen(text);
    bool whole = length <= 18 && strspn(text, "0123456789") == length && *text != '0';
    if (!whole)
        return gr_fail(error, GR_NOT_FOUND,
                       "there is no experiment \"%s\": an id is a positive integer",
                       http_printable(text, shown, sizeof shown));
    *id = strtoll(text, NULL, 10);
    return GR_OK;
}

void api_answer_experiment(http_response *response, int status, const experiment *stored) {
    http_answer_json(response, status, experiment_json(stored));
    if (response->status == status)
        http_answer_header(response, "ETag", "\"%lld\"", (long long)stored->revision);
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

int64_t api_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}
