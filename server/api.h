/* The REST API: what its handlers share, its route tables, and the experiment as JSON. */
#ifndef SERVER_API_H
#define SERVER_API_H

#include <stdatomic.h>

#include "server/access.h"
#include "server/data_cache.h"
#include "server/events.h"
#include "server/facts.h"
#include "server/http.h"
#include "server/statistics.h"
#include "server/store.h"
#include "server/webhooks.h"
#include "server/workers.h"

typedef struct event_streams event_streams;

/* Everything a handler may use: the `context` of each. All borrowed. */
struct api {
    store *store;
    data_cache *data;
    events *events;
    workers *workers;
    event_streams *streams;
    webhooks *webhooks; /* NULL: none are allowed */
    access_control access;
    statistics statistics;
    const char *data_directory;
    int64_t memory_limit;   /* bytes of one training; 0: what experiment_setup_check allows */
    int64_t started_at;     /* milliseconds since 1970 */
    atomic_int predictions; /* being computed now */
    atomic_int exports;     /* lists on their way to clients now */
    atomic_bool ready;      /* false until the address is announced and while stopping */
};

extern const http_route experiments_routes[];
extern const http_route actions_routes[];
extern const http_route bulk_routes[];
extern const http_route copies_routes[];
extern const http_route metrics_routes[];
extern const http_route predictions_routes[];
extern const http_route analysis_routes[];
extern const http_route events_routes[];
extern const http_route presets_routes[];
extern const http_route datasets_routes[];
extern const http_route server_routes[];
extern const http_route session_routes[];
extern const http_route sweeps_routes[];
extern const http_route monitoring_routes[];
extern const http_route openapi_routes[];
extern const http_route web_routes[]; /* has the catch-all: stands last */
/* All of them, as http_options.tables wants them. */
extern const http_route *const api_routes[];

#define API_BASE "/api/v1"

/* What a spec may say, as GET /presets answers it: family → kinds with their options. NULL without
 * memory. */
cJSON *api_presets_json(void);
/* The experiment object of the API. NULL without memory. */
cJSON *experiment_json(const experiment *experiment);
/* The names of its members, ended by NULL. */
extern const char *const experiment_members[];
/* Only what is picked, in its order: members, and parts of spec, tags, metrics and best within
 * objects {"params": {…}, "tags": {…}, "metrics": {…}, "best": {…}}. NULL without memory. */
cJSON *experiment_json_picked(const experiment *experiment, const field_pick *picks, size_t count);
/* All that it can be filtered by, beside its members. */
gr_status experiment_facts(const experiment *experiment, fact_sink sink, void *context,
                           gr_error *error);
/* A stored JSON text as part of a document; `otherwise` stands for NULL and the empty text. */
cJSON *api_raw_json(const char *text, const char *otherwise);
/* Seconds left at this rate, or NaN where nobody knows. */
double experiment_eta_seconds(int64_t iteration, int64_t iterations, double iterations_per_second);

/* The id in the path. GR_NOT_FOUND where it is no positive integer. */
gr_status api_id(const http_request *request, int64_t *id, gr_error *error);
/* "17", quotes included. */
enum { API_ETAG_SIZE = 32 };
void api_etag(int64_t revision, char etag[API_ETAG_SIZE]);
/* What the request's If-Match and If-None-Match want, asked within a change's transaction. */
typedef struct api_condition {
    const http_request *request;
    int status; /* out: as http_condition's */
    char etag[API_ETAG_SIZE];
} api_condition;
/* GR_CONFLICT where it does not hold. */
gr_status api_condition_check(api_condition *condition, const experiment *record, gr_error *error);
/* True where `status` came of the condition: the request has been answered with 412 (or 304). */
bool api_condition_answer(const api_condition *condition, gr_status status, http_response *response,
                          const gr_error *error);
/* Answers with the experiment and its ETag. */
void api_answer_experiment(http_response *response, int status, const experiment *stored);
/* Tells everybody who listens that the experiment changed. */
void api_publish(const struct api *api, event_type type, int64_t id);
/* Who asks: http_options.identify. */
gr_status api_identify(void *context, const http_request *request, http_identity *identity,
                       gr_error *error);
/* Logs and counts a request: http_options.on_record. */
void api_record(void *context, const http_record *record);

/* The event streams (routes_events.c): one listener on the hub for all of them. NULL without
 * memory. */
event_streams *event_streams_create(struct api *api);
/* After the HTTP server has stopped: no stream is open any more. */
void event_streams_free(event_streams *streams);
int event_streams_count(event_streams *streams);

#endif
