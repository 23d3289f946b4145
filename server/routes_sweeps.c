/* Sweeps: submit, list, look at, tables, and what is done to all of a sweep's experiments. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/metric_names.h"
#include "server/submit.h"
#include "server/sweep_json.h"
#include "server/sweep_submit.h"
#include "server/sweep_table.h"

enum { DEFAULT_PAGE = 50, MAXIMUM_PAGE = 500 };

/* Where the rungs of a sweep by successive halving are. */
static gr_status read_ladder(const sweep_row *row, const sweep_arm_row *arm, sweep_ladder *ladder,
                             gr_error *error) {
    sweep_plan plan;
    problems found = {0};
    bool malformed;
    gr_status status = sweep_plan_parse(row->spec, strlen(row->spec), &plan, &malformed, &found);
    if (status != GR_OK)
        gr_fail(error, status, "the spec of sweep %lld cannot be read", (long long)row->id);
    else
        status = sweep_ladder_of(&plan, arm, ladder, error);
    problems_clear(&found);
    sweep_plan_clear(&plan);
    return status;
}

static gr_status sweep_document(struct api *api, int64_t id, cJSON **document, gr_error *error) {
    sweep_row row;
    sweep_arm_row *arms = NULL;
    sweep_result *results = NULL;
    sweep_rung_row *rungs = NULL;
    size_t arm_count = 0, result_count = 0, rung_count = 0;
    *document = NULL;
    GR_TRY(store_sweep_get(api->store, id, &row, error));
    gr_status status = store_sweep_arms(api->store, id, &arms, &arm_count, error);
    if (status == GR_OK)
        status =
            store_sweep_results(api->store, id, "elapsed_seconds", &results, &result_count, error);
    if (status == GR_OK) status = store_sweep_rungs(api->store, id, &rungs, &rung_count, error);
    sweep_ladder ladder = {0};
    if (status == GR_OK && rung_count > 0) status = read_ladder(&row, &arms[0], &ladder, error);
    if (status == GR_OK) {
        const sweep_view view = {.row = &row,
                                 .arms = arms,
                                 .arm_count = arm_count,
                                 .results = results,
                                 .result_count = result_count,
                                 .rungs = rungs,
                                 .rung_count = rung_count,
                                 .ladder = ladder,
                                 .workers = workers_status(api->workers, NULL, 0)};
        *document = sweep_json(&view);
        if (*document == NULL) status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    free(rungs);
    free(results);
    sweep_arm_rows_free(arms, arm_count);
    sweep_row_clear(&row);
    return status;
}

/* Everybody who listens hears of each. Experiments of one sweep have ids in a row only when they
 * were made together, so they are asked for. */
static void publish_all(struct api *api, int64_t sweep, event_type type) {
    sweep_result *results;
    size_t count;
    gr_error ignored;
    if (store_sweep_results(api->store, sweep, "elapsed_seconds", &results, &count, &ignored) !=
        GR_OK)
        return;
    for (size_t i = 0; i < count; i++) api_publish(api, type, results[i].experiment);
    free(results);
}

static gr_status answer_sweep(struct api *api, int64_t id, int status, http_response *response,
                              gr_error *error) {
    cJSON *document;
    GR_TRY(sweep_document(api, id, &document, error));
    http_answer_json(response, status, document);
    return GR_OK;
}

static gr_status post_sweep(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    struct api *api = context;
    int64_t id;
    bool answered;
    GR_TRY(sweep_submit(api, request, &id, &answered, response, error));
    if (id) publish_all(api, id, EVENT_EXPERIMENT);
    if (answered) return GR_OK;
    GR_TRY(answer_sweep(api, id, 201, response, error));
    http_answer_header(response, "Location", API_BASE "/sweeps/%lld", (long long)id);
    return GR_OK;
}

/* -- lists and one sweep
 * ------------------------------------------------------------------------------- */

static gr_status sweep_id(const http_request *request, int64_t *id, gr_error *error) {
    if (api_id(request, id, NULL) == GR_OK) return GR_OK;
    char shown[32];
    return gr_fail(error, GR_NOT_FOUND, "there is no sweep \"%s\": an id is a positive integer",
                   http_printable(request->parameters[0], shown, sizeof shown));
}

static gr_status get_sweeps(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    struct api *api = context;
    int64_t limit, before = 0;
    const char *cursor = http_query(request, "cursor");
    GR_TRY(http_query_integer(request, "limit", 1, MAXIMUM_PAGE, DEFAULT_PAGE, &limit, error));
    if (cursor) {
        const size_t length = strlen(cursor);
        if (length < 2 || length > 19 || *cursor != 's' || cursor[1] == '0' ||
            strspn(cursor + 1, "0123456789") != length - 1)
            return gr_fail(error, GR_INVALID,
                           "the query parameter \"cursor\" is none that this server gave: take "
                           "\"next_cursor\" of the page before");
        before = strtoll(cursor + 1, NULL, 10);
    }
    sweep_row *rows;
    size_t count;
    GR_TRY(store_sweep_list(api->store, before, limit + 1, &rows, &count, error));
    cJSON *document = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(document, "sweeps");
    const size_t shown = count < (size_t)limit ? count : (size_t)limit;
    for (size_t i = 0; i < shown; i++) json_append(list, sweep_row_json(&rows[i]));
    char next[24];
    snprintf(next, sizeof next, "s%lld", shown ? (long long)rows[shown - 1].id : 0);
    json_put(document, "next_cursor",
             count > shown ? cJSON_CreateString(next) : cJSON_CreateNull());
    sweep_rows_free(rows, count);
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status get_sweep(void *context, const http_request *request, http_response *response,
                           gr_error *error) {
    int64_t id;
    GR_TRY(sweep_id(request, &id, error));
    return answer_sweep(context, id, 200, response, error);
}

/* -- tables
 * ---------------------------------------------------------------------------------------------- */

typedef enum table_format { FORMAT_JSON, FORMAT_CSV, FORMAT_MARKDOWN, FORMAT_LATEX } table_format;

static gr_status read_format(const http_request *request, table_format *format, gr_error *error) {
    static const char *const names[] = {"json", "csv", "markdown", "latex"};
    static const char *const types[] = {"application/json", "text/csv", "text/markdown",
                                        "application/x-latex"};
    const char *wanted = http_query(request, "format");
    *format = (table_format)http_preferred(request, types, 4);
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, names[i]) == 0) {
            *format = (table_format)i;
            return GR_OK;
        }
    if (wanted)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"format\" is json, csv, markdown or latex");
    return GR_OK;
}

static gr_status read_statistic(const http_request *request, table_statistic *statistic,
                                gr_error *error) {
    static const char *const names[] = {"mean", "mean_sd", "median", "interquartile_mean"};
    const char *wanted = http_query(request, "statistic");
    *statistic = TABLE_MEAN;
    for (int i = 0; wanted && i < 4; i++)
        if (strcmp(wanted, names[i]) == 0) {
            *statistic = (table_statistic)i;
            return GR_OK;
        }
    if (wanted)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"statistic\" is mean, mean_sd, median or "
                       "interquartile_mean");
    return GR_OK;
}

static gr_status read_confidence(const http_request *request, double *confidence, gr_error *error) {
    const char *text = http_query(request, "confidence");
    char *end;
    *confidence = 0;
    if (!text) return GR_OK;
    *confidence = strtod(text, &end);
    if (end == text || *end || !(*confidence >= 0.5 && *confidence < 1))
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"confidence\" is a number from 0.5 to below 1");
    return GR_OK;
}

static gr_status answer_json_table(struct api *api, const sweep_table *table, int64_t id,
                                   http_response *response, gr_error *error) {
    sweep_arm_row *arms;
    size_t count;
    GR_TRY(store_sweep_arms(api->store, id, &arms, &count, error));
    http_answer_json(response, 200,
                     sweep_table_json(table, id, count == table->cell_count ? arms : NULL));
    sweep_arm_rows_free(arms, count);
    return GR_OK;
}

static gr_status get_table(void *context, const http_request *request, http_response *response,
                           gr_error *error) {
    struct api *api = context;
    int64_t id;
    table_format format;
    table_statistic statistic;
    sweep_table table;
    table_request wanted = {.rows = http_query(request, "rows"),
                            .columns = http_query(request, "columns"),
                            .metric = http_query(request, "metric"),
                            .baseline = http_query(request, "baseline"),
                            .direction = http_query(request, "direction")};
    GR_TRY(sweep_id(request, &id, error));
    GR_TRY(read_format(request, &format, error));
    GR_TRY(read_statistic(request, &statistic, error));
    GR_TRY(read_confidence(request, &wanted.confidence, error));
    GR_TRY(metric_check("metric", wanted.metric, error));
    GR_TRY(sweep_table_make(api->store, id, &wanted, &table, error));
    gr_status status = GR_OK;
    static const struct {
        const char *type, *extension;
    } forms[] = {{NULL, NULL},
                 {"text/csv; charset=utf-8", "csv"},
                 {"text/markdown; charset=utf-8", "md"},
                 {"application/x-latex; charset=utf-8", "tex"}};
    if (format == FORMAT_JSON) {
        status = answer_json_table(api, &table, id, response, error);
    } else {
        response->body = format == FORMAT_CSV        ? sweep_table_csv(&table)
                         : format == FORMAT_MARKDOWN ? sweep_table_markdown(&table, statistic)
                                                     : sweep_table_latex(&table, statistic);
        response->content_type = forms[format].type;
        if (response->body)
            response->length = strlen(response->body);
        else
            status = gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
        if (status == GR_OK)
            http_answer_header(response, "Content-Disposition",
                               "inline; filename=\"sweep-%lld.%s\"", (long long)id,
                               forms[format].extension);
    }
    sweep_table_clear(&table);
    return status;
}

/* -- actions
 * ---------------------------------------------------------------------------------------- */

static gr_status act(struct api *api, const http_request *request, sweep_action action,
                     unsigned states, http_response *response, gr_error *error) {
    int64_t id, *ids;
    size_t count;
    GR_TRY(sweep_id(request, &id, error));
    GR_TRY(store_sweep_act(api->store, id, action, states, &ids, &count, error));
    for (size_t i = 0; i < count; i++) {
        if (action == SWEEP_CANCEL || action == SWEEP_PAUSE || action == SWEEP_RESUME)
            workers_interrupt(api->workers, ids[i]);
        api_publish(api, EVENT_EXPERIMENT, ids[i]);
    }
    free(ids);
    workers_wake(api->workers);
    return answer_sweep(api, id, 200, response, error);
}

static gr_status post_cancel(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    return act(context, request, SWEEP_CANCEL, 0, response, error);
}

static gr_status post_pause(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    return act(context, request, SWEEP_PAUSE, 0, response, error);
}

static gr_status post_resume(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    return act(context, request, SWEEP_RESUME, 0, response, error);
}

static gr_status post_retry(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    unsigned states = 0;
    const char *text = http_query(request, "states");
    for (text = text ? text : "failed"; *text;) {
        const size_t length = strcspn(text, ",");
        char name[16];
        experiment_state state;
        snprintf(name, sizeof name, "%.*s", (int)(length < sizeof name ? length : 0), text);
        if (!state_from_name(name, &state) ||
            (state != STATE_FAILED && state != STATE_DIVERGED && state != STATE_CANCELLED))
            return gr_fail(error, GR_INVALID,
                           "the query parameter \"states\" is a list of failed, diverged and "
                           "cancelled, separated by commas");
        states |= 1u << state;
        text += length;
        if (*text == ',') text++;
    }
    return act(context, request, SWEEP_RETRY, states, response, error);
}

static gr_status delete_sweep(void *context, const http_request *request, http_response *response,
                              gr_error *error) {
    struct api *api = context;
    int64_t id, *ids;
    size_t count;
    GR_TRY(sweep_id(request, &id, error));
    GR_TRY(store_sweep_delete(api->store, id, &ids, &count, error));
    for (size_t i = 0; i < count; i++) api_publish(api, EVENT_DELETED, ids[i]);
    free(ids);
    response->status = 204;
    return GR_OK;
}

/* -- more seeds
 * ------------------------------------------------------------------------------------- */

/* The seeds that the body asks for: {"repeats": n} more for each arm, or {"seeds": […]}. */
static gr_status read_seeds(const http_request *request, int64_t *repeats, cJSON **list,
                            problems *found, gr_error *error) {
    cJSON *body;
    *repeats = 0;
    *list = NULL;
    GR_TRY(json_parse(request->body, request->body_length, &body, error));
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(body, "repeats");
    const cJSON *seeds = cJSON_GetObjectItemCaseSensitive(body, "seeds");
    const bool one = cJSON_IsObject(body) && cJSON_GetArraySize(body) == 1 && (number || seeds);
    if (!one)
        problems_add(found, "", "{\"repeats\": n} is needed, or {\"seeds\": […]}");
    else if (number && !(cJSON_IsNumber(number) && number->valuedouble >= 1 &&
                         number->valuedouble <= SWEEP_MAXIMUM_EXPERIMENTS &&
                         number->valuedouble == floor(number->valuedouble)))
        problems_add(found, "/repeats", "a whole number from 1 to %d is needed",
                     SWEEP_MAXIMUM_EXPERIMENTS);
    bool good = !seeds || (cJSON_IsArray(seeds) && seeds->child);
    for (const cJSON *seed = good && seeds ? seeds->child : NULL; seed; seed = seed->next)
        good = good && cJSON_IsNumber(seed) && seed->valuedouble >= 0 &&
               seed->valuedouble == floor(seed->valuedouble) &&
               seed->valuedouble <= 9007199254740991;
    for (const cJSON *seed = one && good && seeds ? seeds->child : NULL; seed; seed = seed->next)
        for (const cJSON *other = seeds->child; other != seed; other = other->next)
            if (other->valuedouble == seed->valuedouble && found->count == 0)
                problems_add(found, "/seeds", "the seed %.0f is there twice", seed->valuedouble);
    if (one && !good)
        problems_add(found, "/seeds", "a list of whole numbers from 0 to 2^53 - 1 is needed");
    if (found->count == 0 && number) *repeats = (int64_t)number->valuedouble;
    if (found->count == 0 && seeds) *list = cJSON_Duplicate(seeds, true);
    cJSON_Delete(body);
    return GR_OK;
}

static bool has_place(const sweep_result *results, size_t count, int64_t arm, int64_t seed) {
    for (size_t i = 0; i < count; i++)
        if (results[i].arm == arm && results[i].seed == seed) return true;
    return false;
}

typedef struct seeding {
    int64_t repeats;
    const cJSON *list;
    sweep_plan plan;
    sweep_result *results;
    size_t result_count;
    sweep_place *places;
    size_t place_count;
} seeding;

/* Every arm gets the same new seeds where it has none of them yet; "repeats" takes each arm's next
 * of the sweep's order. */
static gr_status choose_places(seeding *self, int64_t arm_count, gr_error *error) {
    const int64_t each = self->list ? cJSON_GetArraySize(self->list) : self->repeats;
    if (each * arm_count + (int64_t)self->result_count > SWEEP_MAXIMUM_EXPERIMENTS)
        return gr_fail(error, GR_TOO_LARGE, "a sweep has at most %d experiments",
                       SWEEP_MAXIMUM_EXPERIMENTS);
    self->places = calloc((size_t)(each * arm_count) + 1, sizeof *self->places);
    if (!self->places) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    for (int64_t arm = 0; arm < arm_count; arm++) {
        int64_t left = self->repeats;
        for (const cJSON *seed = self->list ? self->list->child : NULL; seed; seed = seed->next)
            self->places[self->place_count++] = (sweep_place){arm, (int64_t)seed->valuedouble};
        for (size_t index = 0; left > 0; index++) {
            const int64_t seed = sweep_plan_seed(&self->plan, index);
            if (has_place(self->results, self->result_count, arm, seed)) continue;
            self->places[self->place_count++] = (sweep_place){arm, seed};
            left--;
        }
    }
    return GR_OK;
}

static gr_status add_seeds(struct api *api, int64_t id, int64_t repeats, const cJSON *list,
                           gr_error *error) {
    sweep_row row;
    problems found = {0};
    bool malformed;
    seeding self = {.repeats = repeats, .list = list};
    GR_TRY(store_sweep_get(api->store, id, &row, error));
    gr_status status = sweep_plan_parse(row.spec, strlen(row.spec), &self.plan, &malformed, &found);
    if (status != GR_OK)
        gr_fail(error, status, "the spec of sweep %lld cannot be read", (long long)id);
    if (status == GR_OK && self.plan.strategy == SWEEP_ASHA)
        status = gr_fail(error, GR_CONFLICT,
                         "sweep %lld halves its arms: seeds cannot be added to it", (long long)id);
    if (status == GR_OK)
        status = store_sweep_results(api->store, id, "elapsed_seconds", &self.results,
                                     &self.result_count, error);
    if (status == GR_OK) status = choose_places(&self, row.arm_count, error);
    int64_t added;
    /* An "until" rule is looked at again with the new seeds. */
    if (status == GR_OK)
        status = store_sweep_add(api->store, id, self.places, self.place_count,
                                 self.plan.until_width > 0 ? 1 : -1, &added, error);
    problems_clear(&found);
    free(self.places);
    free(self.results);
    sweep_plan_clear(&self.plan);
    sweep_row_clear(&row);
    return status;
}

static gr_status post_seeds(void *context, const http_request *request, http_response *response,
                            gr_error *error) {
    struct api *api = context;
    int64_t id, repeats;
    cJSON *list;
    problems found = {0};
    GR_TRY(sweep_id(request, &id, error));
    GR_TRY(read_seeds(request, &repeats, &list, &found, error));
    gr_status status = GR_OK;
    if (found.count) {
        http_answer_problem(response, 422, &found, "%s", found.items[0].detail);
    } else {
        status = add_seeds(api, id, repeats, list, error);
        if (status == GR_OK) {
            workers_wake(api->workers);
            publish_all(api, id, EVENT_EXPERIMENT);
            status = answer_sweep(api, id, 200, response, error);
        }
    }
    problems_clear(&found);
    cJSON_Delete(list);
    return status;
}

/* -- routes
 * ---------------------------------------------------------------------------------------- */

static const http_parameter submit_query[] = {
    {"validate_only", "true: check every arm and estimate the cost, but store nothing"}, {0}};
static const http_parameter list_query[] = {
    {"limit", "at most so many, 1 to 500; 50 where it is not given"},
    {"cursor", "next_cursor of the page before"},
    {0}};
static const http_parameter table_query[] = {
    {"rows", "axes whose values are the rows, separated by commas; \"arm\": every combination"},
    {"columns", "axes whose values are the columns"},
    {"metric", "the metric, of the last evaluation; \"best.NAME\": the best; elapsed_seconds; "
               "cpu_seconds"},
    {"baseline", "axis:label,… or {\"axis\": \"label\", …}: what to compare with; empty: nothing"},
    {"direction", "higher or lower: what is better, where the metric's name does not say"},
    {"confidence", "of the intervals, 0.5 to below 1"},
    {"statistic", "what Markdown and LaTeX show: mean, mean_sd, median or interquartile_mean"},
    {"format", "json, csv, markdown or latex; else as the header Accept says"},
    {0}};
static const http_parameter retry_query[] = {
    {"states", "of failed, diverged, cancelled, separated by commas; failed where it is not given"},
    {0}};

const http_route sweeps_routes[] = {
    {"GET", API_BASE "/sweeps", get_sweeps, "a page of sweeps, newest first", list_query, 0},
    {"POST", API_BASE "/sweeps", post_sweep, "submit a sweep: many experiments at once",
     submit_query, HTTP_TAKES_JSON},
    {"GET", API_BASE "/sweeps/{id}", get_sweep, "one sweep, with its progress", NULL, 0},
    {"DELETE", API_BASE "/sweeps/{id}", delete_sweep,
     "move a sweep that has ended, and its experiments, to the trash", NULL, 0},
    {"GET", API_BASE "/sweeps/{id}/table", get_table,
     "means over seeds with intervals, compared to a baseline", table_query, 0},
    {"POST", API_BASE "/sweeps/{id}/cancel", post_cancel, "end its experiments early", NULL, 0},
    {"POST", API_BASE "/sweeps/{id}/pause", post_pause, "set its experiments aside", NULL, 0},
    {"POST", API_BASE "/sweeps/{id}/resume", post_resume, "let it go on", NULL, 0},
    {"POST", API_BASE "/sweeps/{id}/retry", post_retry, "queue its failed experiments again",
     retry_query, 0},
    {"POST", API_BASE "/sweeps/{id}/seeds", post_seeds, "add seeds to every arm", NULL,
     HTTP_TAKES_JSON},
    {0}};
