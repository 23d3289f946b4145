#include "server/sweep_json.h"

#include <math.h>
#include <stdio.h>

#include "server/api.h"

/* "running" while something may still happen by itself. */
static const char *state_of(const sweep_row *row) {
    const int64_t open = row->counts[STATE_QUEUED] + row->counts[STATE_RUNNING];
    if (row->cancelled_at) return open ? "cancelling" : "cancelled";
    if (row->paused) return open ? "pausing" : "paused";
    if (open == 0 && !row->active) return row->counts[STATE_PAUSED] ? "paused" : "finished";
    return row->counts[STATE_QUEUED] == row->experiment_count ? "queued" : "running";
}

static cJSON *time_or_null(int64_t milliseconds) {
    char text[32];
    if (milliseconds == 0) return cJSON_CreateNull();
    json_time(milliseconds, text);
    return cJSON_CreateString(text);
}

cJSON *sweep_row_json(const sweep_row *row) {
    cJSON *object = cJSON_CreateObject();
    if (!object) return NULL;
    json_put(object, "id", json_integer(row->id));
    cJSON_AddStringToObject(object, "name", row->name);
    json_put(object, "tags", api_raw_json(row->tags, "{}"));
    cJSON_AddStringToObject(object, "state", state_of(row));
    cJSON_AddStringToObject(object, "strategy", row->strategy);
    json_put(object, "arms", json_integer(row->arm_count));
    json_put(object, "experiments", json_integer(row->experiment_count));
    cJSON *states = cJSON_AddObjectToObject(object, "states");
    int64_t ended = 0;
    for (int i = 0; i < STATE_COUNT; i++) {
        json_put(states, state_name((experiment_state)i), json_integer(row->counts[i]));
        if (state_is_final((experiment_state)i)) ended += row->counts[i];
    }
    json_put(object, "ended", json_integer(ended));
    json_put(object, "note", row->note ? cJSON_CreateString(row->note) : cJSON_CreateNull());
    json_put(object, "created_at", time_or_null(row->created_at));
    json_put(object, "cancelled_at", time_or_null(row->cancelled_at));
    char text[64];
    cJSON *links = cJSON_AddObjectToObject(object, "links");
    snprintf(text, sizeof text, API_BASE "/sweeps/%lld", (long long)row->id);
    cJSON_AddStringToObject(links, "self", text);
    snprintf(text, sizeof text, API_BASE "/sweeps/%lld/table", (long long)row->id);
    cJSON_AddStringToObject(links, "table", text);
    snprintf(text, sizeof text, API_BASE "/experiments?sweep=%lld", (long long)row->id);
    cJSON_AddStringToObject(links, "experiments", text);
    snprintf(text, sizeof text, "/#/sweeps/%lld", (long long)row->id);
    cJSON_AddStringToObject(links, "dashboard", text);
    return object;
}

/* Time left: the multiply-accumulates that are left, at the pace of those that were made, by as
 * many workers as have something to do. NaN where nobody knows. */
static cJSON *progress_json(const sweep_view *of) {
    double done = 0, left = 0, seconds = 0, iterations = 0, all_iterations = 0;
    const int64_t open = of->row->counts[STATE_QUEUED] + of->row->counts[STATE_RUNNING];
    for (size_t i = 0; i < of->result_count; i++) {
        const sweep_result *one = &of->results[i];
        const double cost =
            (size_t)one->arm < of->arm_count ? of->arms[one->arm].iteration_operations : 0;
        done += cost * (double)one->iteration;
        seconds += one->elapsed_seconds;
        iterations += (double)one->iteration;
        if (one->state == STATE_QUEUED || one->state == STATE_RUNNING)
            left += cost * (double)(one->iterations - one->iteration);
        const bool ended = state_is_final(one->state);
        all_iterations += (double)(ended ? one->iteration : one->iterations);
    }
    const double at_once = (double)(open < of->workers ? open : of->workers);
    double eta = NAN;
    if (open == 0)
        eta = 0;
    else if (seconds > 0 && done > 0 && at_once > 0 && !of->row->paused)
        eta = left / (done / seconds) / at_once;
    cJSON *object = cJSON_CreateObject();
    json_put(object, "iterations_done", json_number(iterations));
    json_put(object, "fraction", json_number(all_iterations > 0 ? iterations / all_iterations : 0));
    json_put(object, "elapsed_seconds", json_number(seconds));
    json_put(object, "eta_seconds", isnan(eta) ? cJSON_CreateNull() : json_number(eta));
    return object;
}

static cJSON *rungs_json(const sweep_view *view) {
    const sweep_rung_row *rungs = view->rungs;
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < view->rung_count; i++) {
        const bool last = rungs[i].rung >= (int64_t)view->ladder.count;
        cJSON *one = cJSON_CreateObject();
        json_put(one, "rung", json_integer(rungs[i].rung));
        json_put(one, "iterations",
                 json_integer(last ? view->arms[0].iterations : view->ladder.stops[rungs[i].rung]));
        cJSON_AddBoolToObject(one, "last", last);
        json_put(one, "sequence", json_integer(rungs[i].sequence));
        json_put(one, "arm", json_integer(rungs[i].arm));
        json_put(one, "value",
                 isnan(rungs[i].value) ? cJSON_CreateNull() : json_number(rungs[i].value));
        cJSON_AddBoolToObject(one, "promoted", rungs[i].promoted);
        json_append(list, one);
    }
    return list;
}

cJSON *sweep_arms_json(const sweep_arm_row *arms, size_t count) {
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        cJSON *one = cJSON_CreateObject();
        json_put(one, "arm", json_integer(arms[i].arm));
        cJSON_AddStringToObject(one, "label", arms[i].label);
        json_put(one, "levels", api_raw_json(arms[i].levels, "{}"));
        json_append(list, one);
    }
    return list;
}

cJSON *sweep_json(const sweep_view *view) {
    cJSON *document = sweep_row_json(view->row);
    if (!document) return NULL;
    json_put(document, "spec", api_raw_json(view->row->spec, "{}"));
    json_put(document, "progress", progress_json(view));
    json_put(document, "arm_list", sweep_arms_json(view->arms, view->arm_count));
    json_put(document, "rungs", rungs_json(view));
    return document;
}
