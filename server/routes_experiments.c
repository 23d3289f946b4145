/* Experiments: submit, list, look at, edit, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/actions.h"
#include "server/edit.h"
#include "server/submit.h"

enum { DEFAULT_PAGE = 50, MAXIMUM_PAGE = 500 };

static gr_status post_experiment(void *context, const http_request *request,
                                 http_response *response, gr_error *error) {
    return submit_spec(context, request, request->body, request->body_length, NULL, response,
                       error);
}

/* -- lists
 * ------------------------------------------------------------------------------------------- */
/* A cursor is "e" and the id that the next page begins below. Clients must not know. */
static gr_status cursor_read(const char *cursor, int64_t *before_id, gr_error *error) {
    *before_id = 0;
    if (cursor == NULL) return GR_OK;
    size_t length = strlen(cursor);
    if (length < 2 || length > 19 || cursor[0] != 'e' || cursor[1] == '0' ||
        strspn(cursor + 1, "0123456789") != length - 1)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"cursor\" is none that this server gave: take "
                       "\"next_cursor\" of the page before");
    *before_id = strtoll(cursor + 1, NULL, 10);
    return GR_OK;
}

static gr_status state_read(const char *name, int *state, gr_error *error) {
    experiment_state found;
    *state = -1;
    if (name == NULL) return GR_OK;
    if (state_from_name(name, &found)) {
        *state = (int)found;
        return GR_OK;
    }
    return gr_fail(error, GR_INVALID,
                   "the query parameter \"state\" must be queued, running, paused, succeeded, "
                   "failed, diverged or cancelled");
}

static gr_status list_json(const experiment *items, size_t count, const char *fields,
                           int64_t next_before, cJSON **document, gr_error *error) {
    *document = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(*document, "experiments");
    gr_status status = list ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count && status == GR_OK; i++) {
        cJSON *item;
        status = experiment_json_fields(&items[i], fields, &item, error);
        if (status == GR_OK) json_append(list, item);
    }
    if (status != GR_OK) {
        cJSON_Delete(*document);
        return status;
    }
    char cursor[24];
    snprintf(cursor, sizeof cursor, "e%lld", (long long)next_before);
    json_put(*document, "next_cursor",
             next_before ? cJSON_CreateString(cursor) : cJSON_CreateNull());
    return GR_OK;
}

static gr_status get_experiments(void *context, const http_request *request,
                                 http_response *response, gr_error *error) {
    struct api *api = context;
    listing page = {0};
    int64_t limit;
    GR_TRY(state_read(http_query(request, "state"), &page.state, error));
    GR_TRY(http_query_integer(request, "limit", 1, MAXIMUM_PAGE, DEFAULT_PAGE, &limit, error));
    GR_TRY(cursor_read(http_query(request, "cursor"), &page.before_id, error));
    const char *fields = http_query(request, "fields");
    static const experiment nothing = {0};
    cJSON *document = NULL;
    if (fields) { /* a wrong name is an error on an empty page too */
        GR_TRY(experiment_json_fields(&nothing, fields, &document, error));
        cJSON_Delete(document);
    }
    GR_TRY(http_query_integer(request, "sweep", 1, INT64_MAX, 0, &page.sweep, error));
    GR_TRY(http_query_boolean(request, "trashed", &page.trashed, error));
    page.limit = limit + 1; /* one more tells whether there is another page */
    experiment *items = NULL;
    size_t count = 0;
    GR_TRY(store_list(api->store, &page, &items, &count, error));
    size_t shown = count < (size_t)limit ? count : (size_t)limit;
    gr_status status =
        list_json(items, shown, fields, count > shown ? items[shown - 1].id : 0, &document, error);
    experiments_free(items, count);
    GR_TRY(status);
    http_answer_json(response, 200, document);
    return GR_OK;
}

/* -- one experiment
 * ---------------------------------------------------------------------------------- */
static gr_status get_experiment(void *context, const http_request *request, http_response *response,
                                gr_error *error) {
    struct api *api = context;
    api_condition condition = {.request = request};
    experiment found;
    bool trashed;
    int64_t id;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(http_query_boolean(request, "trashed", &trashed, error));
    GR_TRY(trashed ? store_get_trashed(api->store, id, &found, error)
                   : store_get(api->store, id, &found, error));
    gr_status status = api_condition_check(&condition, &found, error);
    if (api_condition_answer(&condition, status, response, error))
        status = GR_OK;
    else if (status == GR_OK)
        api_answer_experiment(response, 200, &found);
    experiment_clear(&found);
    return status;
}

static gr_status delete_experiment(void *context, const http_request *request,
                                   http_response *response, gr_error *error) {
    return experiment_action_answer(context, experiment_action_named("delete"),
                                    &(change_options){0}, request, response, error);
}

static const http_parameter submit_query[] = {
    {"validate_only", "true: check the spec and estimate its cost, but store nothing"},
    {"reuse", "true: answer with an experiment that has this result already, if there is one"},
    {"webhook", "URL to be told of the end, on a host that the operator allows"},
    {0}};
static const http_parameter list_query[] = {
    {"state", "only experiments in this state"},
    {"sweep", "only experiments of this sweep"},
    {"trashed", "true: those in the trash instead of all others"},
    {"limit", "at most so many, 1 to 500; 50 where it is not given"},
    {"cursor", "next_cursor of the page before"},
    {"fields", "only these members of each experiment, separated by commas"},
    {0}};

static const http_parameter one_query[] = {{"trashed", "true: look for it in the trash"}, {0}};

const http_route experiments_routes[] = {
    {"GET", API_BASE "/experiments", get_experiments, "a page of experiments, newest first",
     list_query, false},
    {"POST", API_BASE "/experiments", post_experiment, "submit an experiment", submit_query,
     HTTP_TAKES_JSON},
    {"GET", API_BASE "/experiments/{id}", get_experiment, "one experiment", one_query, 0},
    {"PATCH", API_BASE "/experiments/{id}", patch_experiment,
     "change its name, tags, notes and priority by a merge patch", NULL, HTTP_TAKES_JSON},
    {"DELETE", API_BASE "/experiments/{id}", delete_experiment,
     "move an experiment that has ended to the trash", NULL, false},
    {0}};
