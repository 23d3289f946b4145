/* The experiment object of the API: one function makes it. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"

cJSON *api_raw_json(const char *text, const char *otherwise) {
    return cJSON_CreateRaw(text && *text ? text : otherwise);
}

double experiment_eta_seconds(int64_t iteration, int64_t iterations, double iterations_per_second) {
    if (iteration >= iterations) return 0;
    if (!(iterations_per_second > 0)) return NAN;
    return (double)(iterations - iteration) / iterations_per_second;
}

/* Adds `item` (taken over; NULL: out of memory) to an object under a literal, which is not copied.
 */
static bool add(cJSON *object, const char *name, cJSON *item) {
    if (item && cJSON_AddItemToObjectCS(object, name, item)) return true;
    cJSON_Delete(item);
    return false;
}

static cJSON *text_or_null(const char *text) {
    return text ? cJSON_CreateString(text) : cJSON_CreateNull();
}

static cJSON *time_or_null(int64_t milliseconds) {
    char text[32];
    if (milliseconds == 0) return cJSON_CreateNull();
    json_time(milliseconds, text);
    return cJSON_CreateString(text);
}

static cJSON *number_or_null(double value) {
    return isfinite(value) ? json_number(value) : cJSON_CreateNull();
}

static cJSON *progress_json(const experiment *from) {
    cJSON *object = cJSON_CreateObject();
    bool running = from->state == STATE_RUNNING;
    double rate = running && from->iterations_per_second > 0 ? from->iterations_per_second : NAN;
    double eta = running ? experiment_eta_seconds(from->iteration, from->iterations, rate) : NAN;
    double fraction = from->iterations > 0 ? (double)from->iteration / (double)from->iterations : 0;
    if (add(object, "iteration", json_integer(from->iteration)) &&
        add(object, "iterations", json_integer(from->iterations)) &&
        add(object, "fraction", json_number(fraction)) &&
        add(object, "iterations_per_second", number_or_null(rate)) &&
        add(object, "eta_seconds", number_or_null(eta)))
        return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *links_json(const experiment *from) {
    const struct {
        const char *name, *rest;
        bool is_there;
    } links[] = {{"self", "", true},
                 {"metrics", "/metrics", true},
                 {"log", "/log", true},
                 {"events", "/events", true},
                 {"model", "/model.safetensors", from->model_file != NULL},
                 {"predictions", "/predictions.csv", from->model_file != NULL},
                 {"analysis", "/analysis", from->has_analysis}};
    cJSON *object = cJSON_CreateObject();
    char text[96];
    bool complete = object != NULL;
    for (size_t i = 0; complete && i < sizeof links / sizeof *links; i++) {
        snprintf(text, sizeof text, API_BASE "/experiments/%lld%s", (long long)from->id,
                 links[i].rest);
        complete = add(object, links[i].name, text_or_null(links[i].is_there ? text : NULL));
    }
    snprintf(text, sizeof text, "/#/experiments/%lld", (long long)from->id);
    if (complete && add(object, "dashboard", cJSON_CreateString(text))) return object;
    cJSON_Delete(object);
    return NULL;
}

static cJSON *id_or_null(int64_t id) {
    return id ? json_integer(id) : cJSON_CreateNull();
}

/* What was thought at submission. */
static cJSON *estimate_json(const experiment *from) {
    if (from->memory_bytes == 0) return cJSON_CreateNull();
    cJSON *object = cJSON_CreateObject();
    if (add(object, "memory_bytes", json_integer(from->memory_bytes)) &&
        add(object, "operations", number_or_null(from->operations)) &&
        add(object, "seconds", number_or_null(from->estimated_seconds)))
        return object;
    cJSON_Delete(object);
    return NULL;
}

/* Whether it came out as the one that it repeats: {of, identical, differences, …}. */
static cJSON *replay_json(const experiment *from) {
    if (from->replay_of == 0) return cJSON_CreateNull();
    if (from->replay) return cJSON_CreateRaw(from->replay);
    cJSON *object = cJSON_CreateObject();
    if (add(object, "of", json_integer(from->replay_of)) &&
        add(object, "identical", cJSON_CreateNull()) &&
        add(object, "first_differing_iteration", cJSON_CreateNull()) &&
        add(object, "differences", cJSON_CreateArray()))
        return object;
    cJSON_Delete(object);
    return NULL;
}

/* The stored object, its times as text. */
static cJSON *webhook_json(const experiment *from) {
    if (from->webhook == NULL) return cJSON_CreateNull();
    cJSON *object = cJSON_Parse(from->webhook);
    static const char *const times[] = {"next_attempt_at", "delivered_at"};
    for (size_t i = 0; object && i < sizeof times / sizeof *times; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, times[i]);
        if (!cJSON_IsNumber(item)) continue;
        cJSON *text = time_or_null((int64_t)item->valuedouble);
        if (json_set(object, times[i], text)) continue;
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

/* Which part of which sweep it is; null for none. */
static cJSON *sweep_json(const experiment *from) {
    if (from->sweep == 0) return cJSON_CreateNull();
    cJSON *object = cJSON_CreateObject();
    if (add(object, "id", json_integer(from->sweep)) &&
        add(object, "arm", json_integer(from->arm)) &&
        add(object, "seed", json_integer(from->seed)))
        return object;
    cJSON_Delete(object);
    return NULL;
}

cJSON *experiment_json(const experiment *from) {
    cJSON *object = cJSON_CreateObject();
    if (add(object, "id", json_integer(from->id)) &&
        add(object, "name", cJSON_CreateString(from->name ? from->name : "")) &&
        add(object, "tags", api_raw_json(from->tags, "{}")) &&
        add(object, "notes", cJSON_CreateString(from->notes ? from->notes : "")) &&
        add(object, "priority", json_integer(from->priority)) &&
        add(object, "state", cJSON_CreateString(state_name(from->state))) &&
        add(object, "cancel_requested", cJSON_CreateBool(from->cancel_requested)) &&
        add(object, "pause_requested", cJSON_CreateBool(from->pause_requested)) &&
        add(object, "spec", api_raw_json(from->spec, "{}")) &&
        add(object, "progress", progress_json(from)) &&
        add(object, "metrics", api_raw_json(from->latest_metrics, "{}")) &&
        add(object, "best", api_raw_json(from->best_metrics, "{}")) &&
        add(object, "attempt", json_integer(from->attempt)) &&
        add(object, "resumed_from_iteration", json_integer(from->resumed_from_iteration)) &&
        add(object, "worker", text_or_null(from->worker)) &&
        add(object, "error", text_or_null(from->error)) &&
        add(object, "warning", text_or_null(from->warning)) &&
        add(object, "created_at", time_or_null(from->created_at)) &&
        add(object, "started_at", time_or_null(from->started_at)) &&
        add(object, "finished_at", time_or_null(from->finished_at)) &&
        add(object, "trashed_at", time_or_null(from->trashed_at)) &&
        add(object, "elapsed_seconds", number_or_null(from->elapsed_seconds)) &&
        add(object, "cpu_seconds", number_or_null(from->cpu_seconds)) &&
        add(object, "data_hash", text_or_null(from->data_hash)) &&
        add(object, "engine_version", text_or_null(from->engine_version)) &&
        add(object, "environment", api_raw_json(from->environment, "null")) &&
        add(object, "estimate", estimate_json(from)) &&
        add(object, "cloned_from", id_or_null(from->cloned_from)) &&
        add(object, "replay", replay_json(from)) && add(object, "webhook", webhook_json(from)) &&
        add(object, "sweep", sweep_json(from)) && add(object, "links", links_json(from)))
        return object;
    cJSON_Delete(object);
    return NULL;
}

const char *const experiment_members[] = {"id",
                                          "name",
                                          "tags",
                                          "notes",
                                          "priority",
                                          "state",
                                          "cancel_requested",
                                          "pause_requested",
                                          "spec",
                                          "progress",
                                          "metrics",
                                          "best",
                                          "attempt",
                                          "resumed_from_iteration",
                                          "worker",
                                          "error",
                                          "warning",
                                          "created_at",
                                          "started_at",
                                          "finished_at",
                                          "trashed_at",
                                          "elapsed_seconds",
                                          "cpu_seconds",
                                          "data_hash",
                                          "engine_version",
                                          "environment",
                                          "estimate",
                                          "cloned_from",
                                          "replay",
                                          "webhook",
                                          "sweep",
                                          "links",
                                          NULL};

/* -- what is picked
 * ------------------------------------------------------------------------------------------ */

/* "metrics.best.test_loss" is "test_loss" of "best". */
static const char *split_fact_name(const char *name, char group[16]) {
    const char *dot = strchr(name, '.');
    if (strncmp(name, "metrics.best.", 13) == 0) {
        strcpy(group, "best");
        return name + 13;
    }
    snprintf(group, 16, "%.*s", (int)(dot - name), name);
    return dot + 1;
}

/* The object of this group, made where it is not there; NULL where the whole group was picked, or
 * without memory. */
static cJSON *group_of(cJSON *part, const char *group) {
    cJSON *object = cJSON_GetObjectItemCaseSensitive(part, group);
    if (object == NULL) return cJSON_AddObjectToObject(part, group);
    return cJSON_IsObject(object) ? object : NULL;
}

static gr_status fill_in(void *context, const fact *value, gr_error *error) {
    char group[16];
    (void)error;
    const char *name = split_fact_name(value->name, group);
    cJSON *object = cJSON_GetObjectItemCaseSensitive(context, group);
    if (cJSON_IsObject(object) && cJSON_GetObjectItemCaseSensitive(object, name))
        json_set(object, name,
                 value->text         ? cJSON_CreateString(value->text)
                 : value->is_boolean ? cJSON_CreateBool(value->number != 0)
                                     : json_number(value->number));
    return GR_OK;
}

cJSON *experiment_json_picked(const experiment *from, const field_pick *picks, size_t count) {
    cJSON *whole = experiment_json(from), *part = cJSON_CreateObject();
    bool facts = false;
    for (size_t i = 0; whole && part && i < count; i++) {
        const char *name = picks[i].field.name;
        char group[16];
        if (picks[i].is_member) {
            cJSON *member = cJSON_DetachItemFromObjectCaseSensitive(whole, name);
            if (member) json_set(part, name, member);
            continue;
        }
        if (picks[i].field.member == MEMBER_ARM) { /* a list's name for a part of "sweep" */
            json_set(part, name, from->sweep ? json_integer(from->arm) : cJSON_CreateNull());
            continue;
        }
        const char *rest = split_fact_name(name, group);
        cJSON *object = group_of(part, group);
        if (object && !cJSON_GetObjectItemCaseSensitive(object, rest))
            facts |= json_put(object, rest, cJSON_CreateNull());
    }
    cJSON_Delete(whole);
    if (facts) experiment_facts(from, fill_in, part, NULL);
    return part;
}

gr_status experiment_facts(const experiment *from, fact_sink sink, void *context, gr_error *error) {
    GR_TRY(facts_of_spec(from->spec, sink, context, error));
    GR_TRY(facts_of_tags(from->tags, sink, context, error));
    GR_TRY(facts_of_metrics(from->latest_metrics, false, sink, context, error));
    return facts_of_metrics(from->best_metrics, true, sink, context, error);
}
