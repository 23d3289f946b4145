/* POST /experiments/actions: one action on many experiments, each on its own. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/actions.h"
#include "server/list_request.h"
#include "server/nearest.h"
#include "server/settings_parse.h"
#include "server/submit.h"

enum { MAXIMUM_AT_ONCE = GR_MAXIMUM_LIST, MAXIMUM_ACTIONS = 16 };

/* The body, as a kind like any other. */
enum { BULK_ACTION, BULK_IDS, BULK_FILTER, BULK_FROM, BULK_DRY_RUN };
static const char *const starts[] = {"checkpoint", "start", NULL};
static const gr_option options[] = {
    [BULK_ACTION] = {.name = "action",
                     .help = "what to do: an action's name",
                     .accepts = GR_ACCEPT(GR_STRING),
                     .required = true},
    [BULK_IDS] = {.name = "ids",
                  .help = "of the experiments, 1 to 1024 of them",
                  .accepts = GR_ACCEPT(GR_NUMBERS) | GR_ACCEPT(GR_NULL),
                  .minimum = 1,
                  .maximum = 9007199254740991,
                  .default_json = "null"},
    [BULK_FILTER] = {.name = "filter",
                     .help = "instead of ids: all of which this holds, at most 1024",
                     .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),
                     .minimum = 1,
                     .maximum = FILTER_MAXIMUM_BYTES,
                     .default_json = "null"},
    [BULK_FROM] = {.name = "from",
                   .help = "retry: from the last checkpoint, or from the start",
                   .accepts = GR_ACCEPT(GR_CHOICE),
                   .choices = starts,
                   .default_json = "\"checkpoint\""},
    [BULK_DRY_RUN] = {.name = "dry_run",
                      .help = "true: only say what would be done",
                      .accepts = GR_ACCEPT(GR_BOOLEAN),
                      .default_json = "false"}};
static const gr_kind bulk = {.name = "a bulk action",
                             .help = "one action on many experiments",
                             .options = options,
                             .option_count = sizeof options / sizeof *options};
static const gr_kind *const kinds[] = {&bulk, NULL};
static const gr_family bulk_family = {.name = "bulk action", .kinds = kinds, .unnamed = &bulk};

/* -- the body
 * ----------------------------------------------------------------------------------------- */

typedef struct bulk_order {
    const experiment_action *action;
    change_options how;
    change_outcome *outcomes;
    size_t count;
} bulk_order;

static const experiment_action *find_action(const char *name, problems *found) {
    const experiment_action *action = experiment_action_named(name);
    const char *names[MAXIMUM_ACTIONS];
    char list[256] = "";
    size_t count = 0;
    if (action) return action;
    for (action = experiment_actions; action->name; action++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", action->name);
        names[count++] = action->name;
    }
    const char *nearest = nearest_name(name, names, count);
    if (nearest)
        problems_add(found, "/action", "there is no action \"%.100s\"; did you mean \"%s\"?", name,
                     nearest);
    else
        problems_add(found, "/action", "there is no action \"%.100s\": there are %s", name, list);
    return NULL;
}

static int by_id(const void *a, const void *b) {
    const int64_t one = ((const change_outcome *)a)->id, other = ((const change_outcome *)b)->id;
    return (one > other) - (one < other);
}

/* In ascending order, which is also the order in which they are done: that of their submission. */
static gr_status read_ids(const double *ids, size_t count, bulk_order *order, problems *found) {
    char pointer[32];
    if (count == 0 || count > MAXIMUM_AT_ONCE)
        problems_add(found, "/ids", "%zu ids; 1 to %d are allowed at once", count, MAXIMUM_AT_ONCE);
    if (found->count) return GR_INVALID;
    order->outcomes = calloc(count, sizeof *order->outcomes);
    if (!order->outcomes) return GR_OUT_OF_MEMORY;
    order->count = count;
    for (size_t i = 0; i < count; i++) {
        snprintf(pointer, sizeof pointer, "/ids/%zu", i);
        if (ids[i] != floor(ids[i]))
            problems_add(found, pointer, "%.16g is not a whole number", ids[i]);
        order->outcomes[i].id = (int64_t)ids[i];
    }
    qsort(order->outcomes, count, sizeof *order->outcomes, by_id);
    for (size_t i = 1; i < count && found->count == 0; i++)
        if (order->outcomes[i].id == order->outcomes[i - 1].id)
            problems_add(found, "/ids", "%lld is given twice", (long long)order->outcomes[i].id);
    return found->count ? GR_INVALID : GR_OK;
}

/* Those that the filter finds now, of the trash for what is done to the trash. */
static gr_status find_ids(struct api *api, const char *text, bulk_order *order, problems *found,
                          gr_error *error) {
    filter_vocabulary vocabulary;
    filter_problem wrong;
    filter *tree;
    int64_t *ids;
    size_t count;
    GR_TRY(vocabulary_read(api->store, &vocabulary, error));
    gr_status status = filter_parse(text, &vocabulary, &tree, &wrong);
    vocabulary_clear(&vocabulary);
    if (status == GR_INVALID) {
        problems_add(found, "/filter", "column %zu: %s", wrong.column, wrong.detail);
        problems_locate(found, NULL, wrong.column);
    }
    GR_TRY(status);
    const experiment_change change = order->action->change;
    const sort_key oldest_first = {.field = {.member = MEMBER_ID}};
    const listing list = {.state = -1,
                          .limit = MAXIMUM_AT_ONCE + 1,
                          .trashed = change == CHANGE_UNDELETE || change == CHANGE_PURGE,
                          .filter = tree,
                          .keys = &oldest_first,
                          .key_count = 1};
    status = store_list_ids(api->store, &list, &ids, &count, error);
    filter_free(tree);
    GR_TRY(status);
    if (count > MAXIMUM_AT_ONCE) {
        const int64_t above = ids[MAXIMUM_AT_ONCE];
        free(ids);
        problems_add(found, "/filter",
                     "it holds for more than %d experiments, which is the most at once: narrow it, "
                     "for example by AND id < %lld",
                     MAXIMUM_AT_ONCE, (long long)above);
        return GR_INVALID;
    }
    order->outcomes = calloc(count + 1, sizeof *order->outcomes);
    order->count = order->outcomes ? count : 0;
    for (size_t i = 0; i < order->count; i++) order->outcomes[i].id = ids[i];
    free(ids);
    return order->outcomes ? GR_OK : GR_OUT_OF_MEMORY;
}

static gr_status choose(struct api *api, const gr_settings *settings, bulk_order *order,
                        problems *found, gr_error *error) {
    size_t count;
    const bool by_filter = !gr_is_null(settings, BULK_FILTER);
    if (by_filter == !gr_is_null(settings, BULK_IDS))
        problems_add(found, by_filter ? "/filter" : "", "either ids or a filter is needed%s",
                     by_filter ? ", not both" : "");
    if (found->count) return GR_INVALID;
    if (by_filter) return find_ids(api, gr_string(settings, BULK_FILTER), order, found, error);
    const double *ids = gr_numbers(settings, BULK_IDS, &count);
    return read_ids(ids, count, order, found);
}

static gr_status read_order(struct api *api, const http_request *request, bulk_order *order,
                            bool *malformed, problems *found, gr_error *error) {
    cJSON *body;
    gr_settings settings = {0};
    gr_status status = json_parse(request->body, request->body_length, &body, error);
    if (status == GR_INVALID) {
        *malformed = true;
        problems_add(found, "", "%s", error->message);
    }
    GR_TRY(status);
    status = settings_parse(&bulk_family, body, NULL, &settings, found);
    cJSON_Delete(body);
    if (status == GR_OK) {
        order->action = find_action(gr_string(&settings, BULK_ACTION), found);
        order->how = (change_options){.from_start = gr_choice(&settings, BULK_FROM) == 1,
                                      .dry_run = gr_boolean(&settings, BULK_DRY_RUN)};
        if (order->action && order->how.from_start && order->action->change != CHANGE_RETRY)
            problems_add(found, "/from", "only a retry begins somewhere");
        status = choose(api, &settings, order, found, error);
    }
    gr_settings_clear(&settings);
    if (status == GR_OUT_OF_MEMORY) gr_fail(error, status, "out of memory");
    return status;
}

/* -- the answer
 * ----------------------------------------------------------------------------------------- */

/* As the action's own route would have answered. */
static int status_of(const experiment_action *action, const change_outcome *outcome) {
    if (outcome->status == GR_OK) return (action->traits & ACTION_HIDES) ? 204 : 200;
    return http_status_of(outcome->status);
}

static cJSON *answer_json(const bulk_order *order) {
    cJSON *document = cJSON_CreateObject();
    int64_t done = 0;
    for (size_t i = 0; i < order->count; i++) done += order->outcomes[i].status == GR_OK;
    cJSON_AddStringToObject(document, "action", order->action->name);
    cJSON_AddBoolToObject(document, "dry_run", order->how.dry_run);
    json_put(document, "done", json_integer(done));
    json_put(document, "refused", json_integer((int64_t)order->count - done));
    cJSON *list = cJSON_AddArrayToObject(document, "results");
    for (size_t i = 0; i < order->count; i++) {
        const change_outcome *from = &order->outcomes[i];
        const bool gone =
            from->status == GR_OK && order->action->change == CHANGE_PURGE && !order->how.dry_run;
        cJSON *one = cJSON_CreateObject();
        json_put(one, "id", json_integer(from->id));
        json_put(one, "status", json_integer(status_of(order->action, from)));
        json_put(one, "state",
                 from->known && !gone ? cJSON_CreateString(state_name(from->state))
                                      : cJSON_CreateNull());
        json_put(one, "detail",
                 from->status == GR_OK ? cJSON_CreateNull() : cJSON_CreateString(from->reason));
        json_append(list, one);
    }
    return document;
}

static gr_status act(struct api *api, const http_request *request, bulk_order *order,
                     http_response *response) {
    const experiment_action *action = order->action;
    if (request->identity.scope < action->scope) {
        http_answer_problem(response, 403, NULL, "\"%s\" needs a token with the scope \"%s\"",
                            action->name, http_scope_name(action->scope));
        return GR_OK;
    }
    store_change_many(api->store, action->change, &order->how, order->outcomes, order->count);
    for (size_t i = 0; i < order->count && !order->how.dry_run; i++)
        if (order->outcomes[i].status == GR_OK)
            experiment_action_done(api, action, order->outcomes[i].id);
    http_answer_json(response, 200, answer_json(order));
    return GR_OK;
}

static gr_status post_actions(void *context, const http_request *request, http_response *response,
                              gr_error *error) {
    bulk_order order = {0};
    problems found = {0};
    bool malformed = false;
    gr_status status = read_order(context, request, &order, &malformed, &found, error);
    if (status == GR_OK) {
        status = act(context, request, &order, response);
    } else if (malformed) {
        status = submit_refuse(response, status, malformed, &found);
    } else if (status == GR_INVALID && found.count) {
        http_answer_problem(response, 422, &found, "the request has %zu problem%s", found.count,
                            found.count == 1 ? "" : "s");
        status = GR_OK;
    }
    problems_clear(&found);
    free(order.outcomes);
    return status;
}

const http_route bulk_routes[] = {{"POST", API_BASE "/experiments/actions", post_actions,
                                   "do one action to many experiments, each on its own", NULL,
                                   HTTP_TAKES_JSON},
                                  {0}};
