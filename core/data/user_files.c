#include "core/data/user_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/file_content.h"
#include "core/data/text.h"
#include "core/random.h"

static const size_t maximum_bytes = (size_t)512 << 20;

enum { ORDER_SEED = 1, ORDER_STREAM = 64 }; /* changed values divide every data set differently */

gr_status gr_user_status(gr_status status, const char *place, gr_error *error) {
    if (status == GR_CORRUPT || status == GR_TOO_LARGE) status = GR_INVALID;
    if (status != GR_OK && error) {
        error->status = status;
        snprintf(error->place, sizeof error->place, "%s", place);
    }
    return status;
}

gr_status gr_user_read(const char *directory, const char *name, const char *place, char **path,
                       uint8_t **bytes, size_t *count, gr_error *error) {
    *path = NULL;
    *bytes = NULL;
    *count = 0;
    if (name[0] == 0 || name[0] == '.' || strchr(name, '/') ||
        !gr_text_printable(name, strlen(name)))
        return gr_fail_at(error, GR_INVALID, place,
                          "has to be the plain name of a file in the folder datasets/user of the "
                          "data directory: without slashes and without a dot in front");
    if (asprintf(path, "%s/user/%s", directory, name) < 0) {
        *path = NULL;
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a path");
    }
    gr_status status = gr_file_content(*path, false, maximum_bytes, bytes, count, error);
    if (status == GR_NOT_FOUND)
        return gr_fail_at(
            error, GR_NOT_FOUND, place,
            "there is no %s; \"gradreg data add\" or POST /datasets puts a file there",
            gr_path_shown(*path));
    if (status != GR_OK) return gr_user_status(status, place, error);
    /* From here on the name says enough, and a client need not learn where our folders are. */
    memmove(*path, *path + strlen(*path) - strlen(name), strlen(name) + 1);
    return GR_OK;
}

/* Rows of `size` bytes in the order of `order`; NULL without memory. */
static void *gather(const void *rows, size_t size, const int64_t *order, int64_t count) {
    uint8_t *to = malloc(size * (size_t)count);
    for (int64_t i = 0; to && i < count; i++)
        memcpy(to + (size_t)i * size, (const uint8_t *)rows + (size_t)order[i] * size, size);
    return to;
}

static bool take(const gr_dataset *dataset, const gr_samples *all, const int64_t *order,
                 int64_t count, gr_samples *samples) {
    const size_t features = (size_t)gr_shape_elements(&dataset->information.input_shape);
    const size_t targets = (size_t)dataset->information.targets;
    samples->count = count;
    if (all->pixels) samples->pixels = gather(all->pixels, features, order, count);
    if (all->values) samples->values = gather(all->values, features * sizeof(double), order, count);
    if (all->labels) samples->labels = gather(all->labels, 1, order, count);
    if (all->targets)
        samples->targets = gather(all->targets, targets * sizeof(double), order, count);
    samples->places = malloc(sizeof *order * (size_t)count);
    if (samples->places) memcpy(samples->places, order, sizeof *order * (size_t)count);
    return !all->pixels == !samples->pixels && !all->values == !samples->values &&
           !all->labels == !samples->labels && !all->targets == !samples->targets &&
           samples->places;
}

gr_status gr_user_divide(gr_dataset *dataset, gr_samples *all, gr_samples *test, double test_share,
                         const char *place, gr_error *error) {
    gr_status status = GR_OK;
    int64_t tests = test->count ? 0 : (int64_t)floor(test_share * (double)all->count + 0.5);
    if (tests < 1 && !test->count) tests = 1;
    const int64_t trainings = all->count - tests;
    if (trainings < GR_USER_LEAST_SAMPLES) {
        status = gr_fail_at(error, GR_INVALID, place,
                            "holds %lld samples, of which %lld are left for training: at least %d "
                            "are needed",
                            (long long)all->count, (long long)trainings, GR_USER_LEAST_SAMPLES);
        goto cleanup;
    }
    int64_t *order = malloc((size_t)all->count * sizeof *order);
    const gr_random random =
        gr_random_source(ORDER_SEED, GR_PURPOSE_GENERATED_DATA, ORDER_STREAM, 0);
    if (order) gr_random_permutation(&random, 0, all->count, order);
    if (!order || !take(dataset, all, order, trainings, &dataset->training) ||
        (tests && !take(dataset, all, order + trainings, tests, &dataset->test)))
        status =
            gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld samples", (long long)all->count);
    free(order);
    if (tests == 0) {
        dataset->test = *test;
        *test = (gr_samples){0};
    }
    const int64_t holdout = gr_dataset_holdout(trainings);
    dataset->training_pool = trainings - holdout;
    dataset->information.default_validation_size =
        holdout < dataset->test.count ? holdout : dataset->test.count;
cleanup:
    gr_samples_clear(all);
    gr_samples_clear(test);
    return status;
}
