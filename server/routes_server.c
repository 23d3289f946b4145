/* The server itself: what it is, what it does now, and whether it is well. */
#include <stdlib.h>

#include "gradreg/processor.h"
#include "server/api.h"
#include "server/clock.h"
#include "server/environment.h"

enum { MAXIMUM_WORKERS_SHOWN = 256 };

static bool add_counts(cJSON *document, struct api *api, gr_status *status, gr_error *error) {
    int64_t counts[STATE_COUNT];
    *status = store_counts(api->store, counts, error);
    if (*status != GR_OK) return false;
    cJSON *object = cJSON_AddObjectToObject(document, "experiments");
    for (int state = 0; object && state < STATE_COUNT; state++)
        json_put(object, state_name((experiment_state)state), json_integer(counts[state]));
    return object != NULL;
}

static gr_status get_server(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    struct api *api = context;
    (void)request;
    worker_status rows[MAXIMUM_WORKERS_SHOWN];
    int count = workers_status(api->workers, rows, MAXIMUM_WORKERS_SHOWN), busy = 0;
    for (int i = 0; i < count && i < MAXIMUM_WORKERS_SHOWN; i++) busy += rows[i].experiment != 0;
    const char *blas = gr_blas_kernel(), *best = gr_blas_best_kernel();
    char started[32];
    json_time(api->started_at, started);
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "version", GRADREG_VERSION);
    cJSON_AddStringToObject(document, "engine_version", gr_engine_version());
    cJSON_AddStringToObject(document, "kernels", gr_kernels_name());
    cJSON_AddStringToObject(document, "blas_kernel", blas);
    cJSON_AddBoolToObject(document, "blas_kernel_is_slow", gr_blas_kernel_is_worse(blas, best));
    cJSON_AddStringToObject(document, "blas_configuration", environment_blas());
    cJSON_AddStringToObject(document, "started_at", started);
    json_put(document, "uptime_seconds",
             json_number((double)(clock_now() - api->started_at) / 1000));
    json_put(document, "workers", json_integer(count));
    json_put(document, "workers_busy", json_integer(busy));
    json_put(document, "event_streams", json_integer(event_streams_count(api->streams)));
    cJSON_AddStringToObject(document, "data_dir", api->data_directory);
    gr_status status = GR_OK;
    if (!add_counts(document, api, &status, error)) {
        cJSON_Delete(document);
        return status != GR_OK ? status : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status get_workers(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    struct api *api = context;
    (void)request, (void)error;
    worker_status rows[MAXIMUM_WORKERS_SHOWN];
    int count = workers_status(api->workers, rows, MAXIMUM_WORKERS_SHOWN);
    cJSON *document = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(document, "workers");
    for (int i = 0; list && i < count && i < MAXIMUM_WORKERS_SHOWN; i++) {
        bool idle = rows[i].experiment == 0;
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "name", rows[i].name);
        json_put(row, "experiment", idle ? cJSON_CreateNull() : json_integer(rows[i].experiment));
        json_put(row, "iteration", idle ? cJSON_CreateNull() : json_integer(rows[i].iteration));
        json_put(row, "iterations", idle ? cJSON_CreateNull() : json_integer(rows[i].iterations));
        json_put(row, "iterations_per_second",
                 idle ? cJSON_CreateNull() : json_number(rows[i].iterations_per_second));
        json_append(list, row);
    }
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status get_health(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    (void)context, (void)request, (void)error;
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "status", "ok");
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status get_ready(void *context, const http_request *request, http_response *response,
                           gr_error *error) {
    struct api *api = context;
    int64_t counts[STATE_COUNT];
    if (!atomic_load(&api->ready)) {
        http_answer_problem(response, 503, NULL, "the server is starting or stopping");
        return GR_OK;
    }
    if (store_counts(api->store, counts, error) != GR_OK) {
        http_answer_problem(response, 503, NULL, "the store does not answer: %s", error->message);
        return GR_OK;
    }
    if (store_check_space(api->store, error) != GR_OK) {
        http_answer_problem(response, 503, NULL, "nothing can be stored: %s", error->message);
        return GR_OK;
    }
    return get_health(context, request, response, error);
}

const http_route server_routes[] = {
    {"GET", API_BASE "/server", get_server, "version, processor kernels, workers, counts", NULL,
     false},
    {"GET", API_BASE "/workers", get_workers, "what each worker does now", NULL, false},
    {"GET", "/healthz", get_health, "200 while the process answers", NULL, HTTP_NEEDS_NOTHING},
    {"GET", "/readyz", get_ready, "200 while submissions are taken", NULL, HTTP_NEEDS_NOTHING},
    {0}};
