/* Data sets: which there are, what one holds, its samples as numbers and as a sheet of pictures. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/data_fetch.h"
#include "server/paths.h"
#include "server/png.h"
#include "server/settings_parse.h"
#include "server/spec.h"
#include "server/user_files.h"

enum {
    DEFAULT_SAMPLES = 50,
    MAXIMUM_SAMPLES = 500,
    MAXIMUM_NUMBERS = 2000000, /* of one answer */
    MAXIMUM_COLUMNS = 50,
    GAP = 2 /* pixels between pictures */
};

/* The address of one, its name escaped (RFC 3986). */
static void write_link(const char *name, char *link, size_t size) {
    size_t used = (size_t)snprintf(link, size, API_BASE "/datasets/");
    for (const char *c = name; *c && used + 4 < size; c++)
        used += (size_t)snprintf(link + used, size - used,
                                 isalnum((unsigned char)*c) || strchr("-._~", *c) ? "%c" : "%%%02X",
                                 (unsigned char)*c);
}

/* What no file can be called, none is. */
static gr_status check_shown(const char *name, gr_error *error) {
    char shown[64];
    if (user_file_check_name(name, NULL) == GR_OK) return GR_OK;
    return gr_fail(error, GR_NOT_FOUND,
                   "there is no data set and no data file \"%s\": GET " API_BASE
                   "/datasets lists them",
                   http_printable(name, shown, sizeof shown));
}

/* -- all
 * --------------------------------------------------------------------------------------------- */

/* "ready", "not fetched", "generated", or "your files": its options name files of the user's. */
static const char *state_of(const struct api *api, const gr_kind *kind) {
    if (data_fetch_possible(kind->name))
        return data_fetch_present(kind->name, api->data_directory) ? "ready" : "not fetched";
    return user_file_kind(kind) ? "your files" : "generated";
}

static cJSON *file_json(const user_file *file) {
    cJSON *object = cJSON_CreateObject();
    char text[2 * sizeof(API_BASE) + 400], modified[32];
    json_time(file->modified_at, modified);
    cJSON_AddStringToObject(object, "name", file->name);
    json_put(object, "bytes", json_integer(file->bytes));
    cJSON_AddStringToObject(object, "modified_at", modified);
    write_link(file->name, text, sizeof text);
    cJSON_AddStringToObject(object, "link", text);
    return object;
}

static gr_status get_datasets(void *context, const http_request *request, http_response *response,
                              gr_error *error) {
    const struct api *api = context;
    user_file *files;
    size_t count;
    (void)request;
    GR_TRY(user_files_list(api->data_directory, &files, &count, error));
    cJSON *document = cJSON_CreateObject(), *list = cJSON_AddArrayToObject(document, "datasets");
    for (size_t i = 0; gr_dataset_family.kinds[i]; i++) {
        const gr_kind *kind = gr_dataset_family.kinds[i];
        cJSON *one = cJSON_CreateObject();
        char link[128];
        cJSON_AddStringToObject(one, "name", kind->name);
        cJSON_AddStringToObject(one, "help", kind->help);
        cJSON_AddStringToObject(one, "state", state_of(api, kind));
        write_link(kind->name, link, sizeof link);
        cJSON_AddStringToObject(one, "link", link);
        json_append(list, one);
    }
    list = cJSON_AddArrayToObject(document, "files");
    for (size_t i = 0; i < count; i++) json_append(list, file_json(&files[i]));
    user_files_free(files, count);
    http_answer_json(response, 200, document);
    return GR_OK;
}

/* -- the user's files
 * ------------------------------------------------------------------------------------------- */

static gr_status answer_file(const struct api *api, const char *name, int status,
                             http_response *response, gr_error *error) {
    user_file found;
    char hash[65];
    GR_TRY(user_file_find(api->data_directory, name, &found, error));
    const gr_status result = user_file_hash(api->data_directory, name, hash, error);
    if (result == GR_OK) {
        cJSON *document = file_json(&found);
        cJSON_AddStringToObject(document, "sha256", hash);
        http_answer_json(response, status, document);
    }
    user_file_clear(&found);
    return result;
}

static gr_status post_file(void *context, const http_request *request, http_response *response,
                           gr_error *error) {
    const struct api *api = context;
    const char *name = http_query(request, "name");
    char link[HTTP_HEADER_VALUE_SIZE * 2];
    bool made;
    if (!name)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"name\" is missing: what specs will call the file");
    GR_TRY(user_file_check_name(name, error));
    if (!request->file) return gr_fail(error, GR_INTERNAL, "the file was not received");
    if (request->file_length == 0)
        return gr_fail(error, GR_INVALID, "the body is empty: it should be the file's bytes");
    GR_TRY(user_file_keep(api->data_directory, name, request->file, &made, error));
    GR_TRY(answer_file(api, name, made ? 201 : 200, response, error));
    write_link(name, link, sizeof link);
    if (made && strlen(link) < HTTP_HEADER_VALUE_SIZE)
        http_answer_header(response, "Location", "%s", link);
    return GR_OK;
}

/* Trainings that have not ended, and will read this file. */
static gr_status find_users(const struct api *api, const char *name, int64_t **ids, size_t *count,
                            gr_error *error) {
    char *text = NULL;
    size_t length;
    filter *tree = NULL;
    filter_problem wrong;
    FILE *out = open_memstream(&text, &length);
    if (!out) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    fputs("state IN ('queued', 'running', 'paused') AND (", out);
    for (size_t i = 0; user_file_options[i]; i++) {
        fprintf(out, "%sparams.dataset.%s = '", i ? " OR " : "", user_file_options[i]);
        for (const char *c = name; *c; c++) fprintf(out, "%s%c", *c == '\'' ? "'" : "", *c);
        fputc('\'', out);
    }
    fputc(')', out);
    gr_status status = GR_OUT_OF_MEMORY;
    if (fclose(out) == 0) status = filter_parse(text, NULL, &tree, &wrong);
    free(text);
    if (status != GR_OK) return gr_fail(error, GR_INTERNAL, "who uses the file cannot be told");
    status = store_list_ids(api->store, &(listing){.state = -1, .limit = 1000, .filter = tree}, ids,
                            count, error);
    filter_free(tree);
    return status;
}

/* What was loaded of it stays with those that have loaded it. */
static gr_status delete_file(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    const struct api *api = context;
    const char *name = request->parameters[0];
    user_file found;
    int64_t *ids, first;
    size_t count;
    if (gr_family_kind(&gr_dataset_family, name))
        return gr_fail(error, GR_CONFLICT,
                       "the data set \"%s\" is none of your files: it stays where it is", name);
    GR_TRY(check_shown(name, error));
    GR_TRY(user_file_find(api->data_directory, name, &found, error));
    user_file_clear(&found);
    GR_TRY(find_users(api, name, &ids, &count, error));
    first = count ? ids[count - 1] : 0;
    free(ids);
    if (count)
        return gr_fail(error, GR_CONFLICT,
                       "%s%zu experiment%s not ended and need%s the data file \"%.128s\": cancel "
                       "them first (the oldest is %lld)",
                       count == 1000 ? "at least " : "", count, count == 1 ? " has" : "s have",
                       count == 1 ? "s" : "", name, (long long)first);
    GR_TRY(user_file_remove(api->data_directory, name, error));
    response->status = 204;
    return GR_OK;
}

/* -- one
 * --------------------------------------------------------------------------------------------- */

/* The settings that the path and the query's "options" name. Where the request has been answered
 * (with a problem), *answered. */
static gr_status read_settings(const http_request *request, gr_settings *settings, bool *answered,
                               http_response *response, gr_error *error) {
    const char *name = request->parameters[0], *options = http_query(request, "options");
    char shown[64];
    *answered = false;
    if (!gr_family_kind(&gr_dataset_family, name))
        return gr_fail(error, GR_NOT_FOUND,
                       "there is no data set \"%s\": GET " API_BASE "/datasets lists them",
                       http_printable(name, shown, sizeof shown));
    cJSON *document = NULL;
    if (options)
        GR_TRY(json_parse(options, strlen(options), &document, error));
    else
        document = cJSON_CreateObject();
    problems found = {0};
    if (!cJSON_IsObject(document))
        problems_add(&found, "", "the query parameter \"options\" is a JSON object");
    else
        json_set(document, "name", cJSON_CreateString(name));
    gr_status status = GR_INVALID;
    if (!found.count) status = settings_parse(&gr_dataset_family, document, NULL, settings, &found);
    cJSON_Delete(document);
    if (found.count) {
        http_answer_problem(
            response, 422, &found,
            "the options of the data set \"%s\" (the query parameter \"options\", a "
            "JSON object) have %zu problem%s",
            name, found.count, found.count == 1 ? "" : "s");
        *answered = true;
        status = GR_OK;
    }
    problems_clear(&found);
    return status;
}

/* A loaded data set with the settings that led to it. */
typedef struct chosen {
    gr_settings settings;
    const gr_dataset *dataset;
    gr_dataset *owned; /* NULL: the cache's */
    const gr_dataset_information *about;
    char hash[65];
} chosen;

static void chosen_clear(chosen *it) {
    gr_settings_clear(&it->settings);
    gr_dataset_free(it->owned);
}

/* The data set as it is without options is kept for trainings; there are few of these. Others are
 * kept only where a training has asked for them: nobody fills the memory by looking. */
static gr_status choose(struct api *api, const http_request *request, chosen *it, bool *answered,
                        http_response *response, gr_error *error) {
    *it = (chosen){0};
    GR_TRY(read_settings(request, &it->settings, answered, response, error));
    if (*answered) return GR_OK;
    const gr_status status =
        http_query(request, "options")
            ? data_cache_look(api->data, &it->settings, &it->dataset, &it->owned, it->hash, error)
            : data_cache_get(api->data, &it->settings, &it->dataset, it->hash, error);
    if (status == GR_OK)
        it->about = gr_dataset_describe(it->dataset);
    else
        chosen_clear(it);
    return status;
}

static cJSON *shape_json(const gr_shape *shape) {
    cJSON *list = cJSON_CreateArray();
    for (int i = 0; i < shape->rank; i++) json_append(list, json_integer(shape->size[i]));
    return list;
}

/* Answers by what was chosen, if it could be. */
static gr_status answer_chosen(struct api *api, const http_request *request,
                               gr_status (*answer)(const http_request *, const chosen *,
                                                   http_response *, gr_error *),
                               http_response *response, gr_error *error) {
    chosen it;
    bool answered;
    GR_TRY(choose(api, request, &it, &answered, response, error));
    if (answered) return GR_OK;
    const gr_status status = answer(request, &it, response, error);
    chosen_clear(&it);
    return status;
}

static gr_status answer_dataset(const http_request *request, const chosen *it,
                                http_response *response, gr_error *error) {
    (void)request, (void)error;
    const gr_dataset_information *about = it->about;
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "name", about->name);
    cJSON_AddStringToObject(document, "description", about->description);
    json_put(document, "options", spec_settings_document(&gr_dataset_family, &it->settings));
    cJSON_AddStringToObject(document, "sha256", it->hash);
    json_put(document, "input_shape", shape_json(&about->input_shape));
    json_put(document, "classes",
             about->classes ? json_integer(about->classes) : cJSON_CreateNull());
    json_put(document, "class_names",
             about->class_names ? cJSON_CreateStringArray(about->class_names, (int)about->classes)
                                : cJSON_CreateNull());
    json_put(document, "targets",
             about->targets ? json_integer(about->targets) : cJSON_CreateNull());
    json_put(document, "training_samples", json_integer(about->training_samples));
    json_put(document, "test_samples", json_integer(about->test_samples));
    json_put(document, "default_validation_size", json_integer(about->default_validation_size));
    cJSON_AddBoolToObject(document, "knows_derivatives", about->knows_derivatives);
    http_answer_json(response, 200, document);
    return GR_OK;
}

static gr_status get_dataset(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    struct api *api = context;
    const char *name = request->parameters[0];
    if (!gr_family_kind(&gr_dataset_family, name) && user_file_check_name(name, NULL) == GR_OK) {
        const gr_status status = answer_file(api, name, 200, response, error);
        if (status != GR_NOT_FOUND) return status;
    }
    return answer_chosen(api, request, answer_dataset, response, error);
}

/* -- samples
 * ----------------------------------------------------------------------------------------- */

/* A part of the training or test samples, as gr_dataset_samples gives them. */
typedef struct range {
    bool test;
    int64_t first, count, features, width;
    double *values, *targets;
    int32_t *labels;
} range;

static void range_clear(range *of) {
    free(of->values);
    free(of->targets);
    free(of->labels);
}

static gr_status read_range(const http_request *request, const chosen *it, range *of,
                            gr_error *error) {
    const char *split = http_query(request, "split");
    *of = (range){.features = gr_shape_elements(&it->about->input_shape),
                  .width = it->about->targets};
    if (split && strcmp(split, "training") != 0 && strcmp(split, "test") != 0)
        return gr_fail(error, GR_INVALID, "the query parameter \"split\" is training or test");
    of->test = split && strcmp(split, "test") == 0;
    const int64_t samples = of->test ? it->about->test_samples : it->about->training_samples;
    GR_TRY(http_query_integer(request, "from", 0, INT64_C(1) << 53, 0, &of->first, error));
    GR_TRY(http_query_integer(request, "limit", 1, MAXIMUM_SAMPLES, DEFAULT_SAMPLES, &of->count,
                              error));
    if (of->first >= samples)
        return gr_fail(error, GR_INVALID,
                       "the query parameter \"from\" is %lld, and there are %lld %s samples: the "
                       "last one is %lld",
                       (long long)of->first, (long long)samples, of->test ? "test" : "training",
                       (long long)samples - 1);
    if (of->count > samples - of->first) of->count = samples - of->first;
    if (of->count * of->features > MAXIMUM_NUMBERS) of->count = MAXIMUM_NUMBERS / of->features + 1;
    of->values = calloc((size_t)(of->count * of->features), sizeof *of->values);
    of->targets = calloc((size_t)(of->count * of->width + 1), sizeof *of->targets);
    of->labels = calloc((size_t)of->count, sizeof *of->labels);
    if (!of->values || !of->targets || !of->labels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_dataset_samples(it->dataset, of->test, of->first, of->count, of->values, of->labels,
                       of->targets);
    return GR_OK;
}

static cJSON *numbers_json(const double *values, int64_t count) {
    cJSON *list = cJSON_CreateArray();
    for (int64_t i = 0; i < count; i++) json_append(list, json_number(values[i]));
    return list;
}

static cJSON *samples_json(const chosen *it, const range *of) {
    cJSON *document = cJSON_CreateObject();
    cJSON_AddStringToObject(document, "dataset", it->about->name);
    cJSON_AddStringToObject(document, "split", of->test ? "test" : "training");
    json_put(document, "input_shape", shape_json(&it->about->input_shape));
    cJSON *list = cJSON_AddArrayToObject(document, "samples");
    for (int64_t i = 0; i < of->count; i++) {
        cJSON *one = cJSON_CreateObject();
        json_put(one, "index", json_integer(of->first + i));
        json_put(one, "place",
                 json_integer(gr_dataset_place(it->dataset, of->test, of->first + i)));
        if (it->about->classes) {
            json_put(one, "label", json_integer(of->labels[i]));
            if (it->about->class_names)
                json_put(one, "label_name",
                         cJSON_CreateString(it->about->class_names[of->labels[i]]));
        } else {
            json_put(one, "target", numbers_json(of->targets + i * of->width, of->width));
        }
        json_put(one, "input", numbers_json(of->values + i * of->features, of->features));
        json_append(list, one);
    }
    return document;
}

/* The pictures side by side, `columns` in a row, on white. */
static gr_status draw_sheet(const range *of, const gr_shape *shape, int64_t columns,
                            http_response *response, gr_error *error) {
    const int64_t channels = shape->size[0], height = shape->size[1], width = shape->size[2];
    if (columns > of->count) columns = of->count;
    const int64_t rows = (of->count + columns - 1) / columns;
    const int64_t sheet_rows = rows * (height + GAP) - GAP;
    const int64_t sheet_columns = columns * (width + GAP) - GAP;
    uint8_t *sheet = malloc((size_t)(sheet_rows * sheet_columns * channels));
    if (!sheet) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    memset(sheet, 255, (size_t)(sheet_rows * sheet_columns * channels));
    for (int64_t i = 0; i < of->count; i++) {
        const double *picture = of->values + i * of->features;
        const int64_t top = i / columns * (height + GAP), left = i % columns * (width + GAP);
        for (int64_t channel = 0; channel < channels; channel++)
            for (int64_t y = 0; y < height; y++)
                for (int64_t x = 0; x < width; x++) {
                    const double value = fmin(1, fmax(0, *picture++));
                    sheet[((top + y) * sheet_columns + left + x) * channels + channel] =
                        (uint8_t)lround(255 * value);
                }
    }
    uint8_t *bytes;
    size_t count;
    const gr_status status = png_encode(sheet, (uint32_t)sheet_rows, (uint32_t)sheet_columns,
                                        (int)channels, &bytes, &count, error);
    free(sheet);
    GR_TRY(status);
    response->body = (char *)bytes;
    response->length = count;
    response->content_type = "image/png";
    return GR_OK;
}

static gr_status wants_png(const http_request *request, bool *png, gr_error *error) {
    const char *format = http_query(request, "format"), *accept = http_header(request, "Accept");
    if (format && strcmp(format, "json") != 0 && strcmp(format, "png") != 0)
        return gr_fail(error, GR_INVALID, "the query parameter \"format\" is json or png");
    *png = format ? strcmp(format, "png") == 0 : accept && strncmp(accept, "image/png", 9) == 0;
    return GR_OK;
}

static gr_status answer_samples(const http_request *request, const chosen *it,
                                http_response *response, gr_error *error) {
    const gr_shape *shape = &it->about->input_shape;
    range of = {0};
    bool png = false;
    int64_t columns;
    GR_TRY(wants_png(request, &png, error));
    GR_TRY(http_query_integer(request, "columns", 1, MAXIMUM_COLUMNS, 10, &columns, error));
    if (png && (shape->rank != 3 || (shape->size[0] != 1 && shape->size[0] != 3)))
        return gr_fail(error, GR_INVALID,
                       "the samples of \"%s\" are no pictures of one or three channels: ask for "
                       "format=json",
                       it->about->name);
    gr_status status = read_range(request, it, &of, error);
    if (status == GR_OK && png)
        status = draw_sheet(&of, shape, columns, response, error);
    else if (status == GR_OK)
        http_answer_json(response, 200, samples_json(it, &of));
    range_clear(&of);
    return status;
}

static gr_status get_samples(void *context, const http_request *request, http_response *response,
                             gr_error *error) {
    return answer_chosen(context, request, answer_samples, response, error);
}

/* -- routes
 * ------------------------------------------------------------------------------------------ */

#define OPTIONS_PARAMETER \
    { "options", "the data set's options as in a spec, a JSON object; defaults where not given" }
static const http_parameter dataset_query[] = {OPTIONS_PARAMETER, {0}};
static const http_parameter file_query[] = {{"name", "what specs will call the file; needed"}, {0}};
static const http_parameter samples_query[] = {
    OPTIONS_PARAMETER,
    {"split", "training or test; training where it is not given"},
    {"from", "the first sample, from 0"},
    {"limit", "at most so many, 1 to 500; 50 where it is not given"},
    {"format", "json or png, a sheet of pictures; else as the header Accept says"},
    {"columns", "pictures in a row of the sheet, 1 to 50; 10 where it is not given"},
    {0}};

const http_route datasets_routes[] = {
    {"GET", API_BASE "/datasets", get_datasets, "the data sets, and whether they are there", NULL,
     0},
    {"POST", API_BASE "/datasets", post_file,
     "bring a file of your own, which specs can then name: the body is its bytes", file_query,
     HTTP_TAKES_FILE},
    {"DELETE", API_BASE "/datasets/{name}", delete_file,
     "remove a file of your own that no training needs", NULL, HTTP_NEEDS_ADMIN},
    {"GET", API_BASE "/datasets/{name}", get_dataset, "what one data set holds", dataset_query, 0},
    {"GET", API_BASE "/datasets/{name}/samples", get_samples,
     "samples as they are, not standardised: numbers, or a sheet of pictures", samples_query, 0},
    {0}};
