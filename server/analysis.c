#include "server/analysis.h"

#include <stdlib.h>
#include <string.h>

/* -- arrays by path, as a document
 * ---------------------------------------------------------------------------------- */

static cJSON *element(const gr_array *array, int64_t i) {
    switch (array->type) {
    case GR_F64:
        return json_number(((const double *)array->data)[i]);
    case GR_F32:
        return json_number((double)((const float *)array->data)[i]);
    case GR_I64:
        return json_integer(((const int64_t *)array->data)[i]);
    case GR_I32:
        return json_integer(((const int32_t *)array->data)[i]);
    case GR_U8:
        return json_integer(((const uint8_t *)array->data)[i]);
    case GR_U64:
        break;
    }
    return NULL;
}

/* The elements from *next on, nested from the dimension `axis` inwards. */
static cJSON *nested(const gr_array *array, int axis, int64_t *next) {
    if (axis == array->shape.rank) return element(array, (*next)++);
    cJSON *list = cJSON_CreateArray();
    for (int64_t i = 0; list && i < array->shape.size[axis]; i++) {
        if (json_append(list, nested(array, axis + 1, next))) continue;
        cJSON_Delete(list);
        list = NULL;
    }
    return list;
}

/* Adds the array at its path, making the objects on the way; false without memory. */
static bool put_array(cJSON *document, const gr_array *array) {
    char name[256];
    const char *rest = array->name;
    cJSON *object = document;
    for (const char *stroke; (stroke = strchr(rest, '/')); rest = stroke + 1) {
        const size_t length = (size_t)(stroke - rest);
        if (length >= sizeof name) return false;
        memcpy(name, rest, length);
        name[length] = '\0';
        cJSON *inner = cJSON_GetObjectItemCaseSensitive(object, name);
        if (!inner) inner = cJSON_AddObjectToObject(object, name);
        if (!inner) return false;
        object = inner;
    }
    int64_t next = 0;
    return json_put(object, rest, nested(array, 0, &next));
}

static char *document_text(const experiment_setup *setup, int64_t iteration,
                           const gr_analysis *found) {
    cJSON *document = cJSON_CreateObject();
    bool good = document && json_put(document, "iteration", json_integer(iteration)) &&
                json_put(document, "settings",
                         spec_settings_document(&gr_analysis_family, setup->plan.analysis));
    for (size_t i = 0; good && i < found->values.count; i++)
        good = put_array(document, &found->values.items[i]);
    char *text = good ? json_text(document) : NULL;
    cJSON_Delete(document);
    return text;
}

/* -- making
 * ------------------------------------------------------------------------------------------ */

void analysis_clear(analysis_result *result) {
    free(result->text);
    free(result->rows);
    gr_analysis_clear(&result->found);
    *result = (analysis_result){0};
}

gr_status analysis_make(const experiment_setup *setup, const gr_arrays *model, int64_t iteration,
                        bool (*stop)(void *context), void *context, analysis_result *result,
                        gr_error *error) {
    *result = (analysis_result){0};
    GR_TRY(gr_analyse(&setup->plan, setup->dataset, model, stop, context, &result->found, error));
    const gr_arrays *metrics = &result->found.metrics;
    result->text = document_text(setup, iteration, &result->found);
    result->rows = calloc(metrics->count + 1, sizeof *result->rows);
    if (!result->text || !result->rows) {
        analysis_clear(result);
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for an analysis");
    }
    result->count = metrics->count;
    for (size_t i = 0; i < metrics->count; i++)
        result->rows[i] = (gr_metric){.name = metrics->items[i].name,
                                      .iteration = iteration,
                                      .value = *(const double *)metrics->items[i].data};
    return GR_OK;
}

gr_status analysis_of_training(const experiment_setup *setup, const gr_training *training,
                               bool (*stop)(void *context), void *context, analysis_result *result,
                               gr_error *error) {
    gr_arrays model = {0};
    *result = (analysis_result){0};
    gr_status status = gr_training_model(training, &model, error);
    if (status == GR_OK)
        status = analysis_make(setup, &model, gr_training_iteration(training), stop, context,
                               result, error);
    gr_arrays_clear(&model);
    return status;
}
