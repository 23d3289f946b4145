/* Experiments: submit, list, look at, edit, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/actions.h"
#include "server/edit.h"
#include "server/experiment_export.h"
#include "server/list_request.h"
#include "server/submit.h"

static gr_status post_experiment(void *context, const http_request *request,
                                 http_response *response, gr_error *error) {
    return submit_spec(context, request, request->body, request->body_length, NULL, response,
                       error);
}

/* -- lists
 * ------------------------------------------------------------------------------------------- */
/* *document is NULL without memory. */
static void list_json(const list_request *wanted, const experiment *items, size_t count,
                      const list_place *next, cJSON **document) {
    *document = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(*document, "experiments");
    for (size_t i = 0; list && i < count; i++)
        json_append(list, wanted->has_fields
                              ? experiment_json_picked(&items[i], wanted->picks, wanted->pick_count)
                              : experiment_json(&items[i]));
    char *cursor = next->id ? list_cursor(wanted, next) : NULL;
    if (!list || (next->id && !cursor) ||
        !json_put(*document, "next_cursor",
                  cursor ? cJSON_CreateString(cursor) : cJSON_CreateNull())) {
        cJSON_Delete(*document);
        *document = NULL;
    }
    free(cursor);
}

static gr_status answer_page(struct api *api, const list_request *wanted, http_response *response,
                             gr_error *error) {
    experiment *items;
    list_place next;
    size_t count;
    cJSON *document;
    GR_TRY(store_list(api->store, &wanted->list, &items, &count, &next, error));
    list_json(wanted, items, count, &next, &document);
    experiments_free(items, count);
    list_place_clear(&next);
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status get_experiments(void *context, const http_request *request,
                                 http_response *response, gr_error *error) {
    struct api *api = context;
    problems found = {0};
    list_request wanted;
    bool wrong;
    gr_status status = list_request_read(api, request, &wanted, &wrong, &found, error);
    if (wrong) {
        const problem *first = found.items;
        if (found.kept)
            http_answer_problem(response, 400, &found, "%s, column %zu: %s", first->parameter,
                                first->column, first->detail);
        status = found.kept ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    } else if (status == GR_OK) {
        if (wanted.format == LIST_AS_JSON)
            status = answer_page(api, &wanted, response, error);
        else
            status = experiment_export_answer(api, &wanted, response, error);
        list_request_clear(&wanted);
    }
    problems_clear(&found);
    return status;
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
