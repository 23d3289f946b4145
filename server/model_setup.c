#include "server/model_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/command_problems.h"
#include "server/files.h"
#include "server/safetensors.h"

enum { MAXIMUM_SPEC_FILE = 16 << 20 };

void model_setup_clear(model_setup *setup) {
    gr_arrays_clear(&setup->model);
    experiment_setup_clear(&setup->experiment);
    setup->iteration = 0;
}

/* A text of the model's metadata, which may be a stranger's; NULL where there is none. Borrowed. */
static const char *metadata_text(const cJSON *metadata, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(metadata, name));
}

/* The spec's text; owned by the caller. */
static gr_status find_spec(const char *model, const char *spec_file, const cJSON *metadata,
                           void **text, size_t *length, gr_error *error) {
    if (spec_file) return file_read(spec_file, MAXIMUM_SPEC_FILE, text, length, error);
    const char *stored = metadata_text(metadata, "spec");
    if (!stored)
        return gr_fail(error, GR_INVALID,
                       "%s: has no spec in its metadata: say with --spec which experiment it "
                       "belongs to",
                       model);
    *text = strdup(stored);
    *length = strlen(stored);
    return *text ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the spec");
}

/* Puts the file's document into the spec as its "analysis". */
static gr_status set_analysis(const char *path, void **text, size_t *length, gr_error *error) {
    void *given = NULL;
    size_t given_length;
    cJSON *document = NULL, *analysis = NULL;
    gr_error cause = {0};
    GR_TRY(file_read(path, MAXIMUM_SPEC_FILE, &given, &given_length, error));
    gr_status status = json_parse(given, given_length, &analysis, &cause);
    free(given);
    if (status != GR_OK) return gr_fail(error, status, "%s: %.400s", path, cause.message);
    /* A spec that is no JSON is reported by whoever parses it. */
    status = json_parse(*text, *length, &document, &cause);
    if (status == GR_OK && cJSON_IsObject(document)) {
        char *made = json_set(document, "analysis", analysis) ? json_text(document) : NULL;
        analysis = NULL;
        status = made ? GR_OK : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the spec");
        if (made) {
            free(*text);
            *text = made;
            *length = strlen(made);
        }
    } else if (status == GR_INVALID) {
        status = GR_OK;
    }
    cJSON_Delete(analysis);
    cJSON_Delete(document);
    return status;
}

/* With a spec of its own, a model is for the data that it was trained with: their split would be
 * another's. */
static gr_status check_data(const char *model, const char *spec_file, const cJSON *metadata,
                            const experiment_setup *setup, gr_error *error) {
    const char *hash = metadata_text(metadata, "data_sha256");
    if (spec_file || !hash || strcmp(hash, setup->data_hash) == 0) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "%s: was trained with other data: their SHA-256 was %.64s and is %.64s; put the "
                   "files of that time back, or give the spec to use with --spec",
                   model, hash, setup->data_hash);
}

gr_status model_setup_load(const char *model, const char *spec_file, const char *analysis,
                           data_cache *data, model_setup *setup, problems *found, gr_error *error) {
    char *metadata_json = NULL;
    cJSON *metadata = NULL;
    void *text = NULL;
    size_t length;
    gr_status status = GR_OK;
    *setup = (model_setup){0};
    GR_TRY_OR(done, safetensors_read_file(model, &setup->model, &metadata_json, error));
    metadata = metadata_json ? cJSON_Parse(metadata_json) : NULL;
    GR_TRY_OR(done, find_spec(model, spec_file, metadata, &text, &length, error));
    if (analysis) GR_TRY_OR(done, set_analysis(analysis, &text, &length, error));
    GR_TRY_OR(done,
              experiment_setup_check(text, length, data, &setup->experiment, NULL, found, error));
    const char *iteration = metadata_text(metadata, "iteration");
    setup->iteration = iteration ? strtoll(iteration, NULL, 10) : 0;
    status = check_data(model, spec_file, metadata, &setup->experiment, error);
done:
    free(text);
    cJSON_Delete(metadata);
    free(metadata_json);
    if (status != GR_OK) model_setup_clear(setup);
    return status;
}

void model_setup_name_file(const char *path, gr_error *error) {
    char message[GR_MESSAGE_SIZE];
    snprintf(message, sizeof message, "%s", error->message);
    gr_fail(error, error->status, "%s: %.400s", path, message);
}

void model_setup_print_failure(const char *command, const char *model, const char *spec_file,
                               const problems *found, gr_status status, const gr_error *error) {
    if (found->kept) {
        fprintf(stderr, "gradreg %s: the spec %s%s cannot be used:\n", command,
                spec_file ? "" : "in the metadata of ", spec_file ? spec_file : model);
        command_print_problems(command, found);
    } else if (status != GR_OK) {
        command_print_error(command, error);
    }
}
