/* Predictions of a stored model as CSV. A thread of its own computes them, so that the threads that
 * answer others do not wait for a network; it is at most one block ahead of the client. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/api.h"
#include "server/experiment_setup.h"
#include "server/paths.h"
#include "server/predictions.h"
#include "server/safetensors.h"

/* They take the processor from the trainings. */
enum { MAXIMUM_AT_ONCE = 2 };

/* One response. */
typedef struct answer {
    struct api *api;
    experiment_setup setup;
    predictions *predictions;
    http_stream *output;
    pthread_t thread;
    bool started;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t taken;
    const char *text; /* of the block that is on its way to the client; NULL: none is ready */
    size_t rest;      /* bytes of it that the client has not got */
    bool ended, abandoned;
} answer;

/* -- the thread that computes
 * ------------------------------------------------------------------------- */

static void *compute(void *context) {
    answer *self = context;
    const char *text;
    size_t length;
    bool more = true;
    while (more) {
        more = predictions_next(self->predictions, &text, &length);
        pthread_mutex_lock(&self->lock);
        if (more) {
            self->text = text;
            self->rest = length;
        } else {
            self->ended = true;
        }
        pthread_mutex_unlock(&self->lock);
        http_stream_wake(self->output);
        /* The text's memory is the next block's. */
        pthread_mutex_lock(&self->lock);
        while (self->rest && !self->abandoned) pthread_cond_wait(&self->taken, &self->lock);
        more = more && !self->abandoned;
        pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

/* -- the stream
 * --------------------------------------------------------------------------------------- */

static void open_answer(void *context, http_stream *output) {
    answer *self = context;
    self->output = output;
    self->started = pthread_create(&self->thread, NULL, compute, self) == 0;
}

static ssize_t read_answer(void *context, char *buffer, size_t size) {
    answer *self = context;
    if (!self->started) return HTTP_STREAM_FAILED;
    pthread_mutex_lock(&self->lock);
    const size_t count = self->rest < size ? self->rest : size;
    const bool ended = self->ended && self->rest == 0;
    if (count) {
        memcpy(buffer, self->text, count);
        self->text += count;
        self->rest -= count;
        if (self->rest == 0) pthread_cond_signal(&self->taken);
    }
    pthread_mutex_unlock(&self->lock);
    return ended ? HTTP_STREAM_END : (ssize_t)count;
}

/* Waits for the block that is being computed, where the client has left in the middle. */
static void close_answer(void *context) {
    answer *self = context;
    if (self->started) {
        pthread_mutex_lock(&self->lock);
        self->abandoned = true;
        pthread_cond_signal(&self->taken);
        pthread_mutex_unlock(&self->lock);
        pthread_join(self->thread, NULL);
    }
    atomic_fetch_sub(&self->api->predictions, 1);
    predictions_free(self->predictions);
    experiment_setup_clear(&self->setup);
    pthread_cond_destroy(&self->taken);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const http_stream_source source = {open_answer, read_answer, close_answer, true};

static void answer_busy(http_response *response) {
    http_answer_problem(response, 503, NULL,
                        "the predictions of %d models are being computed, which is the limit; "
                        "try again when they are done",
                        MAXIMUM_AT_ONCE);
    http_answer_header(response, "Retry-After", "10");
}

/* -- the route
 * ---------------------------------------------------------------------------------------- */

/* The data that the experiment was trained with must be there, and the same. */
static gr_status load_data(struct api *api, const experiment *record, experiment_setup *setup,
                           gr_error *error) {
    const gr_status status = experiment_setup_check(record->spec, strlen(record->spec), api->data,
                                                    setup, NULL, NULL, error);
    if (status == GR_NOT_FOUND) error->status = GR_CONFLICT; /* the experiment itself is there */
    if (status != GR_OK) return error->status;
    if (record->data_hash && *record->data_hash && strcmp(record->data_hash, setup->data_hash) != 0)
        return gr_fail_at(error, GR_CONFLICT, "/dataset",
                          "the data set is not the one that experiment %lld was trained with: its "
                          "SHA-256 was %.64s and is %.64s; put the files of that time back",
                          (long long)record->id, record->data_hash, setup->data_hash);
    return GR_OK;
}

static gr_status load_model(struct api *api, const experiment *record, gr_arrays *model,
                            gr_error *error) {
    char *path = paths_join(store_artifacts(api->store), record->model_file);
    if (!path) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    gr_status status = safetensors_read_file(path, model, NULL, error);
    free(path);
    if (status == GR_NOT_FOUND)
        status = gr_fail(error, GR_IO, "the file of experiment %lld's model is gone",
                         (long long)record->id);
    return status;
}

static gr_status prepare(struct api *api, const experiment *record, gr_part part, answer *self,
                         gr_error *error) {
    gr_arrays model = {0};
    GR_TRY(load_data(api, record, &self->setup, error));
    gr_status status = load_model(api, record, &model, error);
    if (status == GR_OK)
        status = predictions_create(&self->setup.plan, self->setup.dataset, &model, part,
                                    &self->predictions, error);
    gr_arrays_clear(&model);
    return status;
}

/* *result stays NULL where enough are being computed already. */
static gr_status begin(struct api *api, const experiment *record, gr_part part, answer **result,
                       gr_error *error) {
    *result = NULL;
    answer *self = calloc(1, sizeof *self);
    if (!self) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    if (atomic_fetch_add(&api->predictions, 1) >= MAXIMUM_AT_ONCE) {
        atomic_fetch_sub(&api->predictions, 1);
        free(self);
        return GR_OK;
    }
    self->api = api;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->taken, NULL);
    const gr_status status = prepare(api, record, part, self, error);
    if (status != GR_OK)
        close_answer(self);
    else
        *result = self;
    return status;
}

static gr_status get_predictions(void *context, const http_request *request,
                                 http_response *response, gr_error *error) {
    struct api *api = context;
    experiment record;
    int64_t id;
    gr_part part;
    GR_TRY(api_id(request, &id, error));
    GR_TRY(predictions_part(http_query(request, "split"), &part, error));
    GR_TRY(store_get(api->store, id, &record, error));
    gr_status status = GR_OK;
    answer *self = NULL;
    if (record.model_file == NULL)
        status =
            gr_fail(error, GR_CONFLICT, "experiment %lld is %s: it predicts once it has succeeded",
                    (long long)id, state_name(record.state));
    else
        status = begin(api, &record, part, &self, error);
    experiment_clear(&record);
    GR_TRY(status);
    if (!self) {
        answer_busy(response);
        return GR_OK;
    }
    response->stream = &source;
    response->stream_context = self;
    response->content_type = "text/csv; charset=utf-8; header=present";
    http_answer_header(response, "Content-Disposition",
                       "attachment; filename=\"experiment-%lld-%s.csv\"", (long long)id,
                       predictions_part_name(part));
    return GR_OK;
}

/* -- inputs of the client's own
 * ------------------------------------------------------------------------- */

enum { MAXIMUM_INPUTS = 1000 };

/* The numbers of one input, nested in any way, in their order; *count goes on. False: something is
 * no number, or there are more than `features`. */
static bool read_numbers(const cJSON *item, int64_t features, double *values, int64_t *count) {
    if (cJSON_IsNumber(item)) {
        if (*count == features) return false;
        values[(*count)++] = item->valuedouble;
        return true;
    }
    if (!cJSON_IsArray(item)) return false;
    const cJSON *part;
    cJSON_ArrayForEach(part, item) {
        if (!read_numbers(part, features, values, count)) return false;
    }
    return true;
}

/* values: [*count][features], owned by the caller. What is wrong becomes problems. */
static gr_status read_inputs(const cJSON *document, const gr_dataset_information *about,
                             double **values, int64_t *count, problems *found, gr_error *error) {
    const int64_t features = gr_shape_elements(&about->input_shape);
    const cJSON *member, *input;
    cJSON_ArrayForEach(member, document) {
        if (strcmp(member->string, "inputs") != 0) {
            char pointer[64], shown[32];
            snprintf(pointer, sizeof pointer, "/%s",
                     http_printable(member->string, shown, sizeof shown));
            problems_add(found, pointer, "there is no member of this name: only \"inputs\"");
        }
    }
    const cJSON *inputs = cJSON_GetObjectItemCaseSensitive(document, "inputs");
    *count = cJSON_IsArray(inputs) ? cJSON_GetArraySize(inputs) : 0;
    if (*count < 1 || *count > MAXIMUM_INPUTS)
        problems_add(found, "/inputs", "a list of 1 to %d inputs is wanted: {\"inputs\": [[…], …]}",
                     MAXIMUM_INPUTS);
    if (found->count) return GR_INVALID;
    *values = calloc((size_t)(*count * features), sizeof **values);
    if (!*values) return gr_fail(error, GR_OUT_OF_MEMORY, "out of memory");
    int64_t index = 0;
    cJSON_ArrayForEach(input, inputs) {
        int64_t numbers = 0;
        char pointer[32];
        snprintf(pointer, sizeof pointer, "/inputs/%lld", (long long)index);
        if (!cJSON_IsArray(input) ||
            !read_numbers(input, features, *values + index * features, &numbers) ||
            numbers != features)
            problems_add(found, pointer,
                         "an input of the data set \"%s\" is a list of %lld numbers (nested lists "
                         "will do), in the data's own units",
                         about->name, (long long)features);
        index++;
    }
    return found->count ? GR_INVALID : GR_OK;
}

/* row: [outputs][count] */
static cJSON *reals_json(const gr_real *of, int64_t outputs, int64_t count, int64_t sample) {
    cJSON *list = cJSON_CreateArray();
    for (int64_t k = 0; k < outputs; k++)
        json_append(list, json_number((double)of[k * count + sample]));
    return list;
}

static void append_block(cJSON *list, const gr_predictor *predictor,
                         const gr_dataset_information *about, const gr_predictions *block) {
    const int64_t outputs = gr_predictor_outputs(predictor);
    for (int64_t i = 0; i < block->count; i++) {
        cJSON *one = cJSON_CreateObject();
        if (block->classes) {
            json_put(one, "class", json_integer(block->classes[i]));
            if (about->class_names)
                json_put(one, "class_name",
                         cJSON_CreateString(about->class_names[block->classes[i]]));
        }
        if (block->p)
            json_put(one, "probabilities", reals_json(block->p, outputs, block->count, i));
        json_put(one, "outputs", reals_json(block->outputs, outputs, block->count, i));
        json_append(list, one);
    }
}

/* Of an input whose numbers are too large for float32 nothing can be said. */
static void check_finite(const gr_predictor *predictor, const gr_predictions *block, int64_t first,
                         problems *found) {
    const int64_t outputs = gr_predictor_outputs(predictor);
    for (int64_t i = 0; i < block->count; i++) {
        char pointer[32];
        bool finite = true;
        for (int64_t k = 0; k < outputs; k++)
            finite = finite && isfinite((double)block->outputs[k * block->count + i]);
        snprintf(pointer, sizeof pointer, "/inputs/%lld", (long long)(first + i));
        if (!finite)
            problems_add(found, pointer,
                         "the model's outputs for this input are not finite: its numbers are too "
                         "large");
    }
}

static gr_status answer_inputs(struct api *api, const experiment *record, const cJSON *document,
                               problems *found, cJSON **result, gr_error *error) {
    experiment_setup setup = {0};
    gr_arrays model = {0};
    gr_predictor *predictor = NULL;
    double *values = NULL;
    int64_t count;
    gr_status status = load_data(api, record, &setup, error);
    const gr_dataset_information *about =
        status == GR_OK ? gr_dataset_describe(setup.dataset) : NULL;
    if (status == GR_OK) status = read_inputs(document, about, &values, &count, found, error);
    if (status == GR_OK) status = load_model(api, record, &model, error);
    if (status == GR_OK)
        status = gr_predictor_create(&setup.plan, setup.dataset, &model, GR_PART_TEST, &predictor,
                                     error);
    if (status == GR_OK && !(*result = cJSON_CreateObject()))
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the answer");
    if (status == GR_OK) {
        json_put(*result, "experiment", json_integer(record->id));
        cJSON *list = cJSON_AddArrayToObject(*result, "predictions");
        const int64_t block = gr_predictor_block(predictor);
        for (int64_t first = 0; first < count; first += block) {
            gr_predictions answers;
            gr_predictor_answer(predictor, values + first * gr_shape_elements(&about->input_shape),
                                count - first < block ? count - first : block, &answers);
            append_block(list, predictor, about, &answers);
            check_finite(predictor, &answers, first, found);
        }
        if (found->count) status = GR_INVALID;
    }
    gr_predictor_free(predictor);
    free(values);
    gr_arrays_clear(&model);
    experiment_setup_clear(&setup);
    return status;
}

static gr_status post_predict(void *context, const http_request *request, http_response *response,
                              gr_error *error) {
    struct api *api = context;
    int64_t id;
    experiment record;
    cJSON *document = NULL, *result = NULL;
    problems found = {0};
    GR_TRY(api_id(request, &id, error));
    GR_TRY(json_parse(request->body, request->body_length, &document, error));
    gr_status status = store_get(api->store, id, &record, error);
    if (status == GR_OK) {
        if (record.model_file == NULL)
            status = gr_fail(error, GR_CONFLICT,
                             "experiment %lld is %s: it predicts once it has succeeded",
                             (long long)id, state_name(record.state));
        else if (atomic_fetch_add(&api->predictions, 1) >= MAXIMUM_AT_ONCE)
            answer_busy(response);
        else
            status = answer_inputs(api, &record, document, &found, &result, error);
        if (record.model_file != NULL) atomic_fetch_sub(&api->predictions, 1);
        experiment_clear(&record);
    }
    cJSON_Delete(document);
    if (found.count) {
        cJSON_Delete(result);
        http_answer_problem(response, 422, &found, "these inputs cannot be answered for");
        status = GR_OK;
    } else if (result) {
        http_answer_json(response, 200, result);
    }
    problems_clear(&found);
    return status;
}

static const http_parameter predictions_query[] = {
    {"split", "the samples: train, validation or test; test where it is not given"}, {0}};

const http_route predictions_routes[] = {
    {"GET", API_BASE "/experiments/{id}/predictions.csv", get_predictions,
     "what the trained model answers for each sample", predictions_query, false},
    {"POST", API_BASE "/experiments/{id}/predict", post_predict,
     "what the trained model answers for inputs of one's own", NULL,
     HTTP_TAKES_JSON | HTTP_NEEDS_READ},
    {0}};
