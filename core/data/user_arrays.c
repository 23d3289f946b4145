/* Users' arrays: inputs [n, …] and labels [n], as NumPy's .npy or as IDX files. Inputs are
 * [n, features] or images [n, rows, columns] or [n, channels, rows, columns]; bytes stand for
 * pixel/255, as everywhere. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_options.h"
#include "core/data/file_content.h"
#include "core/data/idx.h"
#include "core/data/npy.h"
#include "core/data/user_files.h"

enum {
    ARRAYS_INPUTS = GR_DATASET_OPTION_COUNT,
    ARRAYS_LABELS,
    ARRAYS_TEST_INPUTS,
    ARRAYS_TEST_LABELS,
    ARRAYS_TEST_SHARE,
    ARRAYS_OPTION_COUNT,
    NPY_TASK = ARRAYS_OPTION_COUNT,
    NPY_OPTION_COUNT
};
enum { TASK_CLASSIFICATION, TASK_REGRESSION };

static const char *const places[] = {[ARRAYS_INPUTS] = "/inputs",
                                     [ARRAYS_LABELS] = "/labels",
                                     [ARRAYS_TEST_INPUTS] = "/test_inputs",
                                     [ARRAYS_TEST_LABELS] = "/test_labels"};

/* A file of either format. `npy` is what both are looked at as. */
struct array {
    const char *place;
    char *path;
    uint8_t *content;
    gr_idx idx; /* what an IDX file was unpacked to */
    gr_npy npy;
};

static void array_clear(struct array *array) {
    free(array->path);
    free(array->content);
    gr_idx_clear(&array->idx);
    *array = (struct array){0};
}

static gr_status read_array(const gr_settings *settings, int option, const char *directory,
                            bool is_idx, struct array *array, gr_error *error) {
    static const int64_t maximum_bytes = (int64_t)1 << 30; /* an IDX file may be gzipped */
    size_t count;
    array->place = places[option];
    GR_TRY(gr_user_read(directory, gr_string(settings, option), array->place, &array->path,
                        &array->content, &count, error));
    if (!is_idx)
        return gr_user_status(gr_npy_parse(array->path, array->content, count, &array->npy, error),
                              array->place, error);
    GR_TRY(gr_user_status(
        gr_idx_parse(array->path, array->content, count, maximum_bytes, &array->idx, error),
        array->place, error));
    array->npy = (gr_npy){array->idx.shape, GR_NPY_U1, array->idx.bytes};
    return GR_OK;
}

/* The shape of one sample: features, or an image. */
static gr_status input_shape(const struct array *inputs, gr_shape *shape, gr_error *error) {
    const gr_shape *is = &inputs->npy.shape;
    char text[128];
    switch (is->rank) {
    case 1:
        *shape = (gr_shape){.rank = 1, .size = {1}};
        return GR_OK;
    case 2:
        *shape = (gr_shape){.rank = 1, .size = {is->size[1]}};
        return GR_OK;
    case 3:
        *shape = (gr_shape){.rank = 3, .size = {1, is->size[1], is->size[2]}};
        return GR_OK;
    case 4:
        *shape = (gr_shape){.rank = 3, .size = {is->size[1], is->size[2], is->size[3]}};
        return GR_OK;
    default:
        return gr_fail_at(error, GR_INVALID, inputs->place,
                          "%s has the shape %s where [n, features], [n, rows, columns] or [n, "
                          "channels, rows, columns] is needed",
                          gr_path_shown(inputs->path), gr_shape_text(is, text));
    }
}

static gr_status bad_number(const struct array *array, int64_t sample, double number,
                            gr_error *error) {
    return gr_fail_at(error, GR_INVALID, array->place,
                      "%s: sample %lld (from 0) holds %g, which is no number that float32 can hold",
                      gr_path_shown(array->path), (long long)sample, number);
}

static gr_status copy_numbers(const struct array *array, int64_t count, double **numbers,
                              gr_error *error) {
    const int64_t width = count / array->npy.shape.size[0];
    *numbers = malloc((size_t)count * sizeof **numbers);
    if (!*numbers)
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %lld numbers",
                       gr_path_shown(array->path), (long long)count);
    for (int64_t i = 0; i < count; i++) {
        double number = gr_npy_number(&array->npy, i);
        if (!(fabs(number) <= FLT_MAX)) return bad_number(array, i / width, number, error);
        (*numbers)[i] = number;
    }
    return GR_OK;
}

static gr_status copy_inputs(const struct array *inputs, gr_samples *samples, gr_error *error) {
    const int64_t count = gr_shape_elements(&inputs->npy.shape);
    samples->count = inputs->npy.shape.size[0];
    if (inputs->npy.type != GR_NPY_U1) return copy_numbers(inputs, count, &samples->values, error);
    samples->pixels = malloc((size_t)count);
    if (!samples->pixels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "%s: no memory for %lld bytes",
                       gr_path_shown(inputs->path), (long long)count);
    memcpy(samples->pixels, inputs->npy.elements, (size_t)count);
    return GR_OK;
}

/* Numbers of classes, 0 … classes - 1, where `classes` grows to what occurs if `grow`. */
static gr_status copy_labels(const struct array *labels, bool grow, int64_t *classes,
                             gr_samples *samples, gr_error *error) {
    if (!gr_npy_is_integer(&labels->npy))
        return gr_fail_at(error, GR_INVALID, labels->place,
                          "%s holds floats where numbers of classes are needed: save "
                          "array.astype('<i8'), or use \"task\": \"regression\"",
                          gr_path_shown(labels->path));
    samples->labels = malloc((size_t)samples->count);
    if (!samples->labels)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld labels",
                       (long long)samples->count);
    const int64_t end = grow ? GR_MAXIMUM_CLASSES : *classes;
    for (int64_t i = 0; i < samples->count; i++) {
        const int64_t label = gr_npy_integer(&labels->npy, i);
        if (label < 0 || label >= end)
            return gr_fail_at(error, GR_INVALID, labels->place,
                              "%s: label %lld (from 0) is %lld where 0 to %lld are possible%s",
                              gr_path_shown(labels->path), (long long)i, (long long)label,
                              (long long)end - 1,
                              grow ? "" : " (the training labels have no larger one)");
        samples->labels[i] = (uint8_t)label;
        if (label >= *classes) *classes = label + 1;
    }
    return GR_OK;
}

static gr_status check_label_shape(const struct array *inputs, const struct array *labels,
                                   bool regression, gr_error *error) {
    const gr_shape *is = &labels->npy.shape;
    char text[128];
    if (is->rank != 1 && !(is->rank == 2 && (regression || is->size[1] == 1)))
        return gr_fail_at(error, GR_INVALID, labels->place,
                          "%s has the shape %s where [n]%s is needed", gr_path_shown(labels->path),
                          gr_shape_text(is, text), regression ? " or [n, targets]" : "");
    if (is->size[0] != inputs->npy.shape.size[0])
        return gr_fail_at(error, GR_INVALID, labels->place,
                          "%s has %lld labels for the %lld samples of %s",
                          gr_path_shown(labels->path), (long long)is->size[0],
                          (long long)inputs->npy.shape.size[0], gr_path_shown(inputs->path));
    return GR_OK;
}

/* One part: inputs and labels. The first part decides on shape, classes and targets. */
static gr_status read_part(const gr_settings *settings, int inputs_option, const char *directory,
                           bool is_idx, bool regression, gr_dataset *dataset, gr_samples *samples,
                           gr_error *error) {
    struct array inputs = {0}, labels = {0};
    gr_dataset_information *information = &dataset->information;
    const bool first = inputs_option == ARRAYS_INPUTS;
    char is[128], wanted[128];
    gr_shape shape;
    gr_status status;
    GR_TRY_OR(cleanup, read_array(settings, inputs_option, directory, is_idx, &inputs, error));
    GR_TRY_OR(cleanup, read_array(settings, inputs_option + ARRAYS_LABELS - ARRAYS_INPUTS,
                                  directory, is_idx, &labels, error));
    GR_TRY_OR(cleanup, input_shape(&inputs, &shape, error));
    GR_TRY_OR(cleanup, check_label_shape(&inputs, &labels, regression, error));
    const int64_t targets = !regression                  ? 0
                            : labels.npy.shape.rank == 2 ? labels.npy.shape.size[1]
                                                         : 1;
    if (first) {
        information->input_shape = shape;
        information->targets = targets;
    } else if (!gr_shape_equal(&shape, &information->input_shape)) {
        status = gr_fail_at(error, GR_INVALID, inputs.place,
                            "%s has samples of %s where those for training are %s",
                            gr_path_shown(inputs.path), gr_shape_text(&shape, is),
                            gr_shape_text(&information->input_shape, wanted));
        goto cleanup;
    } else if (targets != information->targets) {
        status = gr_fail_at(error, GR_INVALID, labels.place,
                            "%s has %lld targets where those for training have %lld",
                            gr_path_shown(labels.path), (long long)targets,
                            (long long)information->targets);
        goto cleanup;
    }
    GR_TRY_OR(cleanup, copy_inputs(&inputs, samples, error));
    GR_TRY_OR(cleanup,
              regression ? copy_numbers(&labels, samples->count * targets, &samples->targets, error)
                         : copy_labels(&labels, first, &information->classes, samples, error));
cleanup:
    array_clear(&inputs);
    array_clear(&labels);
    return status;
}

static gr_status load(const gr_settings *settings, const char *directory, bool is_idx,
                      bool regression, gr_dataset *dataset, gr_error *error) {
    gr_samples all = {0}, test = {0};
    gr_dataset_information *information = &dataset->information;
    const bool with_test = !gr_is_null(settings, ARRAYS_TEST_INPUTS);
    gr_status status;
    if (with_test == gr_is_null(settings, ARRAYS_TEST_LABELS))
        return gr_fail_at(error, GR_INVALID, with_test ? "/test_labels" : "/test_inputs",
                          "test_inputs and test_labels belong together: give both or none");
    GR_TRY_OR(cleanup, read_part(settings, ARRAYS_INPUTS, directory, is_idx, regression, dataset,
                                 &all, error));
    if (!regression && information->classes < 2) {
        status = gr_fail_at(error, GR_INVALID, "/labels",
                            "all labels are 0: at least two classes are needed");
        goto cleanup;
    }
    if (with_test) {
        GR_TRY_OR(cleanup, read_part(settings, ARRAYS_TEST_INPUTS, directory, is_idx, regression,
                                     dataset, &test, error));
        if (!all.pixels != !test.pixels) {
            status =
                gr_fail_at(error, GR_INVALID, "/test_inputs",
                           "training inputs are %s and test inputs are %s: save both with one "
                           "type",
                           all.pixels ? "bytes" : "numbers", test.pixels ? "bytes" : "numbers");
            goto cleanup;
        }
    }
    char shape[128];
    snprintf(information->description, sizeof information->description,
             "%s: %lld samples of %.100s", gr_string(settings, ARRAYS_INPUTS), (long long)all.count,
             gr_shape_text(&information->input_shape, shape));
    GR_TRY_OR(cleanup, gr_user_divide(dataset, &all, &test, gr_number(settings, ARRAYS_TEST_SHARE),
                                      "/inputs", error));
cleanup:
    gr_samples_clear(&all);
    gr_samples_clear(&test);
    return status;
}

gr_status gr_npy_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                      gr_error *error) {
    return load(settings, directory, false, gr_choice(settings, NPY_TASK) == TASK_REGRESSION,
                dataset, error);
}

gr_status gr_idx_load(const gr_settings *settings, const char *directory, gr_dataset *dataset,
                      gr_error *error) {
    return load(settings, directory, true, false, dataset, error);
}

/* The rows of both kinds; `labels` is the help of that option. */
#define ARRAYS_OPTIONS(labels_help)                                                                \
    GR_DATASET_SHARED_OPTIONS("global", GR_USER_VALIDATION),                                       \
        [ARRAYS_INPUTS] = {.name = "inputs",                                                       \
                           .help = "name of a file in the folder datasets/user of the data "       \
                                   "directory: [n, features], [n, rows, columns] or [n, "          \
                                   "channels, rows, columns]; bytes stand for pixel/255",          \
                           .accepts = GR_ACCEPT(GR_STRING),                                        \
                           .minimum = 1,                                                           \
                           .maximum = GR_USER_NAME_BYTES,                                          \
                           .required = true},                                                      \
        [ARRAYS_LABELS] = {.name = "labels",                                                       \
                           .help = "name of a file there: " labels_help,                           \
                           .accepts = GR_ACCEPT(GR_STRING),                                        \
                           .minimum = 1,                                                           \
                           .maximum = GR_USER_NAME_BYTES,                                          \
                           .required = true},                                                      \
        [ARRAYS_TEST_INPUTS] = {.name = "test_inputs",                                             \
                                .help = "the inputs for testing; null: test_share of the samples " \
                                        "are for testing",                                         \
                                .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),              \
                                .minimum = 1,                                                      \
                                .maximum = GR_USER_NAME_BYTES,                                     \
                                .default_json = "null"},                                           \
        [ARRAYS_TEST_LABELS] = {.name = "test_labels",                                             \
                                .help = "the labels for testing",                                  \
                                .accepts = GR_ACCEPT(GR_STRING) | GR_ACCEPT(GR_NULL),              \
                                .minimum = 1,                                                      \
                                .maximum = GR_USER_NAME_BYTES,                                     \
                                .default_json = "null"},                                           \
        [ARRAYS_TEST_SHARE] = {.name = "test_share",                                               \
                               .help = "share of the samples that are for testing where there is " \
                                       "no test_inputs; always the same samples",                  \
                               .accepts = GR_ACCEPT(GR_NUMBER),                                    \
                               .minimum = 0,                                                       \
                               .maximum = 1,                                                       \
                               .minimum_excluded = true,                                           \
                               .maximum_excluded = true,                                           \
                               .default_json = "0.2"}

static const char *const task_choices[] = {"classification", "regression", NULL};
static const gr_option npy_options[NPY_OPTION_COUNT] = {
    ARRAYS_OPTIONS("classes 0, 1, … [n], or numbers to predict, [n] or [n, targets]"),
    [NPY_TASK] = {.name = "task",
                  .help = "classification: labels are classes; regression: labels are numbers",
                  .accepts = GR_ACCEPT(GR_CHOICE),
                  .choices = task_choices,
                  .default_json = "\"classification\""},
};
static const gr_option idx_options[ARRAYS_OPTION_COUNT] = {ARRAYS_OPTIONS("classes 0, 1, … [n]")};

const gr_kind gr_npy_kind = {
    .name = "npy",
    .help = "arrays of your own, saved by NumPy: inputs and labels as .npy files",
    .options = npy_options,
    .option_count = NPY_OPTION_COUNT,
};

const gr_kind gr_idx_kind = {
    .name = "idx",
    .help = "images of your own as IDX files, the format of mnist (gzipped, too)",
    .options = idx_options,
    .option_count = ARRAYS_OPTION_COUNT,
};
