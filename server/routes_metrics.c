/* Results of one experiment: its series, and the model's file. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/api.h"
#include "server/downsample.h"
#include "server/metric_names.h"

/* [[iteration, value], …] of the kept rows as one text: a node of a document for each of thousands
 * of numbers would take most of the time. */
static cJSON *points_json(const metric_row *rows, const size_t *kept, size_t count) {
    char *text = malloc(count * (2 * JSON_NUMBER_SIZE + 8) + 3), *at = text;
    if (text == NULL) return NULL;
    *at++ = '[';
    for (size_t i = 0; i < count; i++) {
        const metric_row *row = &rows[kept[i]];
        char iteration[JSON_NUMBER_SIZE], value[JSON_NUMBER_SIZE];
        at = stpcpy(at, i ? ",[" : "[");
        at = stpcpy(at, json_integer_text(row->iteration, iteration));
        at = stpcpy(at, isfinite(row->value) ? "," : ",\"");
        at = stpcpy(at, isfinite(row->value) ? json_number_text(row->value, value)
                                             : json_not_finite(row->value));
        at = stpcpy(at, isfinite(row->value) ? "]" : "\"]");
    }
    stpcpy(at, "]");
    cJSON *list = cJSON_CreateRaw(text);
    free(text);
    return list;
}

/* {"train_loss": [[iteration, value], …], …} from rows in order (name, iteration); NULL without
 * memory. */
static cJSON *series_json(const metric_row *rows, size_t count, size_t maximum) {
    cJSON *series = cJSON_CreateObject();
    size_t *kept = malloc((count + 1) * sizeof *kept);
    bool complete = series && kept;
    for (size_t begin = 0, end; complete && begin < count; begin = end) {
        end = begin + 1;
        while (end < count && strcmp(rows[end].name, rows[begin].name) == 0) end++;
        size_t points = downsample(rows + begin, end - begin, maximum, kept);
        complete = json_put(series, rows[begin].name, points_json(rows + begin, kept, points));
    }
    free(kept);
    if (complete) return series;
    cJSON_Delete(series);
    return NULL;
}

static gr_status get_metrics(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    struct api *api = context;
    experiment found;
    int64_t id, after, maximum;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(http_query_integer(request, "after", -1, INT64_MAX, -1, &after, error));
    GR_TRY(http_query_integer(request, "max_points", 2, 1000000, 1000000, &maximum, error));
    GR_TRY(metric_check("name", http_query(request, "name"), error));
    GR_TRY(store_get(api->store, id, &found, error));
    experiment_clear(&found);
    metric_row *rows = NULL;
    size_t count = 0;
    GR_TRY(store_series(api->store, id, http_query(request, "name"), after, &rows, &count, error));
    cJSON *document = cJSON_CreateObject(), *series = series_json(rows, count, (size_t)maximum);
    free(rows);
    if (document == NULL || series == NULL) {
        cJSON_Delete(document);
        cJSON_Delete(series);
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    }
    json_put(document, "experiment", json_integer(id));
    json_put(document, "series", series);
    http_answer_json(response, 200, document);
    return GR_OK;
}

/* Opens a file of the artifacts folder; its name comes from the store, never from a client. */
static gr_status open_artifact(const struct api *api, const char *name, int *file, uint64_t *length,
                               gr_error *error) {
    char path[4096];
    struct stat status;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", store_artifacts(api->store), name) >=
        sizeof path)
        return gr_fail(error, GR_INTERNAL, "the path of the file is too long");
    *file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (*file < 0)
        return gr_fail(error, GR_IO, "the model's file cannot be opened: %s", strerror(errno));
    if (fstat(*file, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(*file);
        return gr_fail(error, GR_IO, "the model's file cannot be read");
    }
    *length = (uint64_t)status.st_size;
    return GR_OK;
}

static gr_status get_model(void *context, const http_request *request, http_response *response,
                           gr_error *error) {
    struct api *api = context;
    experiment found;
    int64_t id;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(store_get(api->store, id, &found, error));
    gr_status status = GR_OK;
    if (found.model_file == NULL)
        status = gr_fail(error, GR_NOT_FOUND,
                         "experiment %lld is %s: a model is there once it has succeeded",
                         (long long)id, state_name(found.state));
    else
        status = open_artifact(api, found.model_file, &response->file, &response->length, error);
    experiment_clear(&found);
    if (status != GR_OK) return status;
    response->has_file = true;
    response->content_type = "application/octet-stream";
    http_answer_header(response, "Content-Disposition",
                       "attachment; filename=\"experiment-%lld.safetensors\"", (long long)id);
    return GR_OK;
}

static const http_parameter metrics_query[] = {
    {"name", "only the series of this name"},
    {"after", "only points after this iteration"},
    {"max_points", "at most so many points per series: the first, the last, and the least and the "
                   "greatest of each of equal parts"},
    {0}};

const http_route metrics_routes[] = {
    {"GET", API_BASE "/experiments/{id}/metrics", get_metrics,
     "the series of an experiment's metrics", metrics_query, false},
    {"GET", API_BASE "/experiments/{id}/model.safetensors", get_model,
     "the trained parameters under PyTorch's names", NULL, false},
    {0}};
