#include "server/replay.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/environment.h"
#include "server/json.h"
#include "server/safetensors.h"

typedef struct comparison {
    cJSON *differences;
    bool identical;    /* model, metrics and end */
    bool known;        /* there was something to compare with */
    int64_t iteration; /* the first that differs; 0: none */
    bool complete;     /* false: out of memory */
} comparison;

/* Adds {what, original, replay}; texts may be NULL. */
static void differ(comparison *with, const char *what, const char *original, const char *replay) {
    cJSON *item = cJSON_CreateObject();
    if (item && cJSON_AddStringToObject(item, "what", what) &&
        json_put(item, "original", original ? cJSON_CreateString(original) : cJSON_CreateNull()) &&
        json_put(item, "replay", replay ? cJSON_CreateString(replay) : cJSON_CreateNull()) &&
        cJSON_AddItemToArray(with->differences, item))
        return;
    cJSON_Delete(item);
    with->complete = false;
}

static void compare_texts(comparison *with, const char *what, const char *original,
                          const char *replay) {
    if (strcmp(original ? original : "", replay ? replay : "") != 0)
        differ(with, what, original, replay);
}

/* -- where it was computed
 * ------------------------------------------------------------------------------------ */
static void compare_environments(comparison *with, const char *original_text) {
    char *text = environment_text();
    cJSON *replay = text ? cJSON_Parse(text) : NULL;
    cJSON *original = cJSON_Parse(original_text ? original_text : "{}");
    free(text);
    if (!replay || !original) with->complete = false;
    for (const cJSON *item = replay ? replay->child : NULL; item && original; item = item->next) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(original, item->string);
        compare_texts(with, strcmp(item->string, "engine") == 0 ? "engine_version" : item->string,
                      cJSON_GetStringValue(other), cJSON_GetStringValue(item));
    }
    cJSON_Delete(original);
    cJSON_Delete(replay);
}

/* -- metric rows
 * ---------------------------------------------------------------------------------------------- */
static int by_name(const metric_row *a, const metric_row *b) {
    const int names = strcmp(a->name, b->name);
    if (names) return names;
    return (a->iteration > b->iteration) - (a->iteration < b->iteration);
}

static bool same_value(double a, double b) {
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

static void row_text(const metric_row *row, char text[64]) {
    if (row)
        snprintf(text, 64, "%.17g", row->value);
    else
        snprintf(text, 64, "no row");
}

/* Both lists stand in order (name, iteration). */
static void compare_rows(comparison *with, const metric_row *original, size_t original_count,
                         const metric_row *replay, size_t replay_count) {
    size_t i = 0, j = 0, rows = 0;
    const metric_row *first_original = NULL, *first_replay = NULL;
    int64_t first = INT64_MAX;
    while (i < original_count || j < replay_count) {
        const int order = i == original_count ? 1
                          : j == replay_count ? -1
                                              : by_name(&original[i], &replay[j]);
        const metric_row *one = order <= 0 ? &original[i++] : NULL;
        const metric_row *other = order >= 0 ? &replay[j++] : NULL;
        if (one && other && same_value(one->value, other->value)) continue;
        rows++;
        const int64_t iteration = one ? one->iteration : other->iteration;
        if (iteration >= first) continue;
        first = iteration;
        first_original = one;
        first_replay = other;
    }
    if (rows == 0) return;
    with->identical = false;
    with->iteration = first;
    char what[160], texts[2][64];
    const metric_row *named = first_original ? first_original : first_replay;
    snprintf(what, sizeof what, "metrics: %zu rows, the first is %s at iteration %lld", rows,
             named->name, (long long)first);
    row_text(first_original, texts[0]);
    row_text(first_replay, texts[1]);
    differ(with, what, texts[0], texts[1]);
}

static gr_status compare_metrics(comparison *with, store *in, int64_t original, int64_t replay,
                                 gr_error *error) {
    metric_row *one = NULL, *other = NULL;
    size_t one_count = 0, other_count = 0;
    gr_status status = store_series(in, original, NULL, -1, &one, &one_count, error);
    if (status == GR_OK) status = store_series(in, replay, NULL, -1, &other, &other_count, error);
    if (status == GR_OK) compare_rows(with, one, one_count, other, other_count);
    free(one);
    free(other);
    return status;
}

/* -- models
 * ---------------------------------------------------------------------------------------------------
 */
static bool same_array(const gr_array *a, const gr_array *b) {
    return a->type == b->type && gr_shape_equal(&a->shape, &b->shape) &&
           memcmp(a->data, b->data,
                  (size_t)gr_shape_elements(&a->shape) * gr_element_size(a->type)) == 0;
}

/* The greatest difference of two arrays of the same shape, as text. */
static void distance_text(const gr_array *a, const gr_array *b, char text[64]) {
    if (a->type != GR_F32 || b->type != GR_F32 || !gr_shape_equal(&a->shape, &b->shape)) {
        snprintf(text, 64, "of another type or shape");
        return;
    }
    double greatest = 0;
    const float *x = a->data, *y = b->data;
    for (int64_t i = 0; i < gr_shape_elements(&a->shape); i++) {
        const double difference = fabs((double)x[i] - (double)y[i]);
        if (!(difference <= greatest)) greatest = difference;
    }
    snprintf(text, 64, "differs by up to %.3g", greatest);
}

static void compare_arrays(comparison *with, const gr_arrays *original, const gr_arrays *replay) {
    size_t different = 0;
    char what[160], text[64] = "";
    const char *first = NULL;
    for (size_t i = 0; i < original->count; i++) {
        const gr_array *one = &original->items[i], *other = gr_arrays_find(replay, one->name);
        if (other && same_array(one, other)) continue;
        different++;
        if (first) continue;
        first = one->name;
        if (other)
            distance_text(one, other, text);
        else
            snprintf(text, sizeof text, "is missing");
    }
    if (different == 0 && original->count == replay->count) return;
    with->identical = false;
    snprintf(what, sizeof what, "model: %zu of %zu arrays, the first is %.80s", different,
             original->count, first ? first : "one more");
    differ(with, what, "", text);
}

static gr_status compare_models(comparison *with, store *in, const experiment *original,
                                const char *model_path, gr_error *error) {
    if (!original->model_file && !model_path) return GR_OK;
    if (!original->model_file || !model_path) {
        with->identical = false;
        differ(with, "model", original->model_file ? "there is one" : NULL,
               model_path ? "there is one" : NULL);
        return GR_OK;
    }
    char path[4096];
    gr_arrays one = {0}, other = {0};
    gr_error cause = {0};
    if ((size_t)snprintf(path, sizeof path, "%s/%s", store_artifacts(in), original->model_file) >=
        sizeof path)
        return gr_fail(error, GR_INTERNAL, "the path of a model is too long");
    gr_status status = safetensors_read_file(path, &one, NULL, &cause);
    if (status == GR_OK) {
        status = safetensors_read_file(model_path, &other, NULL, error);
        if (status == GR_OK) compare_arrays(with, &one, &other);
    } else if (status != GR_OUT_OF_MEMORY) {
        with->known = false; /* the original's file has gone or is damaged */
        differ(with, "model", cause.message, "there is one");
        status = GR_OK;
    } else {
        gr_fail(error, status, "%s", cause.message);
    }
    gr_arrays_clear(&one);
    gr_arrays_clear(&other);
    return status;
}

/* -- the report
 * -----------------------------------------------------------------------------------------------
 */
static gr_status compare(comparison *with, store *in, const experiment *record,
                         experiment_state state, int64_t iteration, const char *reason,
                         const char *model_path, gr_error *error) {
    experiment original;
    gr_error cause = {0};
    gr_status status = store_get(in, record->replay_of, &original, &cause);
    if (status == GR_NOT_FOUND) {
        with->known = false;
        differ(with, "original", "it is no longer there", "");
        return GR_OK;
    }
    if (status != GR_OK) return gr_fail(error, status, "%s", cause.message);
    compare_texts(with, "data_hash", original.data_hash, record->data_hash);
    compare_environments(with, original.environment);
    if (!state_is_final(original.state)) { /* it has been retried meanwhile */
        with->known = false;
        differ(with, "state", state_name(original.state), state_name(state));
    } else {
        if (original.state != state) {
            with->identical = false;
            differ(with, "state", state_name(original.state), state_name(state));
        }
        if (original.iteration != iteration) {
            char texts[2][32];
            snprintf(texts[0], sizeof texts[0], "%lld", (long long)original.iteration);
            snprintf(texts[1], sizeof texts[1], "%lld", (long long)iteration);
            with->identical = false;
            differ(with, "last iteration", texts[0], texts[1]);
        }
        if (state == STATE_DIVERGED && original.state == state &&
            strcmp(original.error ? original.error : "", reason ? reason : "") != 0) {
            with->identical = false;
            differ(with, "error", original.error, reason);
        }
        status = compare_metrics(with, in, original.id, record->id, error);
        if (status == GR_OK) status = compare_models(with, in, &original, model_path, error);
    }
    experiment_clear(&original);
    return status;
}

static char *report_text(const experiment *record, comparison *with) {
    cJSON *document = cJSON_CreateObject();
    json_put(document, "of", json_integer(record->replay_of));
    json_put(document, "identical",
             with->known ? cJSON_CreateBool(with->identical) : cJSON_CreateNull());
    json_put(document, "first_differing_iteration",
             with->iteration ? json_integer(with->iteration) : cJSON_CreateNull());
    json_put(document, "differences", with->differences); /* taken over */
    with->differences = NULL;
    char *text = document && cJSON_GetArraySize(document) == 4 ? json_text(document) : NULL;
    cJSON_Delete(document);
    return text;
}

gr_status replay_report(store *in, const experiment *record, experiment_state state,
                        int64_t iteration, const char *reason, const char *model_path,
                        gr_error *error) {
    if (record->replay_of == 0) return GR_OK;
    comparison with = {
        .differences = cJSON_CreateArray(), .identical = true, .known = true, .complete = true};
    gr_status status = compare(&with, in, record, state, iteration, reason, model_path, error);
    if (status == GR_OK) {
        char *text = with.complete && with.differences ? report_text(record, &with) : NULL;
        status = text ? store_set_replay(in, record->id, record->attempt, text, error)
                      : gr_fail(error, GR_OUT_OF_MEMORY, "no memory to compare a replay");
        free(text);
    }
    cJSON_Delete(with.differences);
    return status;
}
