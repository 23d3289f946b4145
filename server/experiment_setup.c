#include "server/experiment_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gradreg/processor.h"
#include "server/safetensors.h"

void experiment_setup_clear(experiment_setup *setup) {
    spec_free(setup->spec);
    free(setup->canonical);
    memset(setup, 0, sizeof *setup);
}

/* The first problem as the error of a caller that wants only one. */
static gr_status first_problem(const problems *found, gr_status status, gr_error *error) {
    if (found->kept > 0)
        return gr_fail_at(error, status, found->items[0].pointer, "%s", found->items[0].detail);
    return gr_fail(error, status, "no memory for a spec");
}

/* What one training may take: three quarters of the machine's memory. */
static int64_t memory_limit(void) {
    return (int64_t)sysconf(_SC_PHYS_PAGES) / 4 * 3 * (int64_t)sysconf(_SC_PAGESIZE);
}

/* A gr_report whose context is the problems. */
static void add_problem(void *found, const gr_error *error) {
    problems_add(found, error->place, "%s", error->message);
}

static gr_status check(const char *text, size_t length, data_cache *data, experiment_setup *setup,
                       bool *malformed, problems *found, gr_error *error) {
    gr_status status = spec_parse(text, length, &setup->spec, malformed, found);
    if (status != GR_OK) return first_problem(found, status, error);
    setup->canonical = spec_canonical(setup->spec);
    if (!setup->canonical) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a spec");
    setup->plan = spec_plan(setup->spec);
    const gr_settings *training = setup->plan.training;
    setup->iterations = gr_integer(training, gr_kind_option(training->kind, "iterations"));
    status = data_cache_get(data, setup->plan.dataset, &setup->dataset, setup->data_hash, error);
    if (status != GR_OK) {
        gr_error_prefix_place(error, "/dataset");
        if (status == GR_INVALID || status == GR_TOO_LARGE || status == GR_NOT_FOUND)
            add_problem(found, error);
        return status;
    }
    GR_TRY(gr_plan_check_all(&setup->plan, setup->dataset, &setup->estimate, add_problem, found,
                             error));
    const int64_t limit = memory_limit();
    if (setup->estimate.memory_bytes <= limit) return GR_OK;
    gr_fail_at(error, GR_TOO_LARGE, "/training/batch_size",
               "this training would take %lld MiB of memory, and at most %lld MiB are allowed "
               "here: make the batch, the model or the number of probes smaller",
               (long long)(setup->estimate.memory_bytes >> 20), (long long)(limit >> 20));
    add_problem(found, error);
    return GR_TOO_LARGE;
}

gr_status experiment_setup_check(const char *text, size_t length, data_cache *data,
                                 experiment_setup *setup, bool *malformed, problems *found,
                                 gr_error *error) {
    bool own_malformed;
    problems own_found = {0};
    gr_error own_error = {0};
    *setup = (experiment_setup){0};
    const gr_status status =
        check(text, length, data, setup, malformed ? malformed : &own_malformed,
              found ? found : &own_found, error ? error : &own_error);
    problems_clear(&own_found);
    if (status != GR_OK) experiment_setup_clear(setup);
    return status;
}

/* -- the trained model
 * ------------------------------------------------------------------------------- */

/* `count` numbers as a JSON list's text; NULL without memory. */
static char *numbers_text(const double *numbers, int64_t count) {
    cJSON *list = cJSON_CreateArray();
    bool complete = list != NULL;
    for (int64_t i = 0; complete && i < count; i++)
        complete = cJSON_AddItemToArray(list, json_number(numbers[i]));
    char *text = complete ? json_text(list) : NULL;
    cJSON_Delete(list);
    return text;
}

/* Adds a text that is freed; false without memory. */
static bool add_text(cJSON *object, const char *name, char *text) {
    const bool good = text && cJSON_AddStringToObject(object, name, text);
    free(text);
    return good;
}

gr_status experiment_model_metadata(const experiment_setup *setup, const gr_training *training,
                                    char **metadata, gr_error *error) {
    const double *mean, *deviation;
    int64_t count;
    gr_split_standardization(gr_training_split(training), &mean, &deviation, &count);
    const int64_t classes = gr_dataset_describe(setup->dataset)->classes;
    char number[32];
    cJSON *object = cJSON_CreateObject();
    bool good = object && cJSON_AddStringToObject(object, "format", "pt") &&
                add_text(object, "mean", numbers_text(mean, count)) &&
                add_text(object, "standard_deviation", numbers_text(deviation, count));
    snprintf(number, sizeof number, "%lld", (long long)classes);
    if (good && classes > 0) good = cJSON_AddStringToObject(object, "classes", number);
    snprintf(number, sizeof number, "%lld", (long long)gr_training_iteration(training));
    good = good && cJSON_AddStringToObject(object, "iteration", number) &&
           cJSON_AddStringToObject(object, "data_sha256", setup->data_hash) &&
           cJSON_AddStringToObject(object, "engine", gr_engine_version()) &&
           cJSON_AddStringToObject(object, "spec", setup->canonical);
    *metadata = good ? json_text(object) : NULL;
    cJSON_Delete(object);
    if (!*metadata) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a model's metadata");
    return GR_OK;
}

gr_status experiment_write_model(const experiment_setup *setup, const gr_training *training,
                                 const char *path, gr_error *error) {
    char *metadata;
    gr_arrays model = {0};
    GR_TRY(experiment_model_metadata(setup, training, &metadata, error));
    gr_status status = gr_training_model(training, &model, error);
    if (status == GR_OK) status = safetensors_write_file(path, &model, metadata, error);
    gr_arrays_clear(&model);
    free(metadata);
    return status;
}
