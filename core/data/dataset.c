/* The table of data sets, and what they have in common. */
#include "gradreg/dataset.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_content.h"
#include "core/data/dataset_options.h"

/* clang-format off */
/* A kind and what loads it: one row each. */
#define ROWS(row)                                                                                  \
    row(gr_mnist_kind, gr_mnist_load)                                                              \
    row(gr_fashion_mnist_kind, gr_fashion_mnist_load)                                              \
    row(gr_cifar10_kind, gr_cifar10_load)                                                          \
    row(gr_cifar100_kind, gr_cifar100_load)                                                        \
    row(gr_digits_kind, gr_digits_load)                                                            \
    row(gr_toy1_kind, gr_toy1_load)                                                                \
    row(gr_toy2_kind, gr_toy2_load)                                                                \
    row(gr_moons_kind, gr_moons_load)                                                              \
    row(gr_spirals_kind, gr_spirals_load)                                                          \
    row(gr_gaussians_kind, gr_gaussians_load)                                                      \
    row(gr_csv_kind, gr_csv_load)                                                                  \
    row(gr_npy_kind, gr_npy_load)                                                                  \
    row(gr_idx_kind, gr_idx_load)
#define KIND(kind, load) &kind,
#define LOAD(kind, load) load,

static const gr_kind *const kinds[] = {ROWS(KIND) NULL};
static gr_dataset_load_function *const load_functions[] = {ROWS(LOAD)}; /* in the same order */
/* clang-format on */

const gr_family gr_dataset_family = {.name = "dataset", .discriminator = "name", .kinds = kinds};

gr_status gr_dataset_load(const gr_settings *settings, const char *directory, gr_dataset **dataset,
                          gr_error *error) {
    *dataset = NULL;
    size_t row = 0;
    while (kinds[row] && kinds[row] != settings->kind) row++;
    if (!kinds[row]) return gr_fail(error, GR_INTERNAL, "the settings name no data set");
    gr_dataset *loaded = calloc(1, sizeof *loaded);
    if (!loaded) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a data set");
    gr_status status = load_functions[row](settings, directory, loaded, error);
    if (status != GR_OK) {
        gr_dataset_free(loaded);
        return status;
    }
    gr_dataset_information *information = &loaded->information;
    information->name = settings->kind->name;
    if (loaded->class_names) information->class_names = (const char *const *)loaded->class_names;
    information->training_samples = loaded->training.count;
    information->test_samples = loaded->test.count;
    loaded->features = gr_shape_elements(&information->input_shape);
    *dataset = loaded;
    return GR_OK;
}

void gr_samples_clear(gr_samples *samples) {
    free(samples->pixels);
    free(samples->values);
    free(samples->labels);
    free(samples->targets);
    free(samples->derivatives);
    free(samples->places);
    *samples = (gr_samples){0};
}

void gr_dataset_free(gr_dataset *dataset) {
    if (!dataset) return;
    gr_samples_clear(&dataset->training);
    gr_samples_clear(&dataset->test);
    for (int64_t i = 0; dataset->class_names && i < dataset->information.classes; i++)
        free(dataset->class_names[i]);
    free(dataset->class_names);
    free(dataset);
}

int64_t gr_dataset_holdout(int64_t count) {
    return count / 5 < 10000 ? count / 5 : 10000;
}

int64_t gr_dataset_place(const gr_dataset *dataset, bool test_sample, int64_t index) {
    const int64_t *places = test_sample ? dataset->test.places : dataset->training.places;
    return places ? places[index] : index;
}

void gr_dataset_samples(const gr_dataset *dataset, bool test_samples, int64_t first, int64_t count,
                        double *values, int32_t *labels, double *targets) {
    const gr_samples *from = test_samples ? &dataset->test : &dataset->training;
    const int64_t features = dataset->features, width = dataset->information.targets;
    assert(first >= 0 && count >= 0 && count <= from->count - first);
    for (int64_t i = 0; values && i < count * features; i++)
        values[i] = from->pixels ? from->pixels[first * features + i] / 255.0
                                 : from->values[first * features + i];
    for (int64_t i = 0; labels && from->labels && i < count; i++)
        labels[i] = from->labels[first + i];
    for (int64_t i = 0; targets && from->targets && i < count * width; i++)
        targets[i] = from->targets[first * width + i];
}

const gr_dataset_information *gr_dataset_describe(const gr_dataset *dataset) {
    return &dataset->information;
}

/* The shared options are about the draw, a kind's own ones about what is loaded. Texts stand with
 * their length, so that no text can look like another option. */
void gr_dataset_key(const gr_settings *settings, char key[GR_DATASET_KEY_SIZE]) {
    const gr_kind *kind = settings->kind;
    size_t used = (size_t)snprintf(key, GR_DATASET_KEY_SIZE, "%s", kind->name);
    for (size_t i = GR_DATASET_OPTION_COUNT; i < kind->option_count; i++) {
        const gr_value *value = &settings->values[i];
        char *to = key + used;
        size_t room = GR_DATASET_KEY_SIZE - used;
        int length = snprintf(to, room, " %s=", kind->options[i].name);
        assert(length > 0 && (size_t)length < room);
        to += length;
        room -= (size_t)length;
        used += (size_t)length;
        switch (value->type) {
        case GR_BOOLEAN:
            length = snprintf(to, room, "%d", value->boolean);
            break;
        case GR_INTEGER:
            length = snprintf(to, room, "%lld", (long long)value->integer);
            break;
        case GR_NUMBER: /* 17 digits: different numbers have different texts */
            length = snprintf(to, room, "%.17g", value->number);
            break;
        case GR_CHOICE:
            length = snprintf(to, room, "%s", kind->options[i].choices[value->choice]);
            break;
        case GR_STRING:
            length = snprintf(to, room, "%zu:%s", strlen(value->string), value->string);
            break;
        default:
            length = snprintf(to, room, "null");
            break;
        }
        /* The tables bound their texts so that all of them fit. */
        assert(length > 0 && (size_t)length < room);
        used += (size_t)length;
    }
}

void gr_dataset_content(const gr_dataset *dataset,
                        void (*consume)(void *context, const void *bytes, size_t count),
                        void *context) {
    const gr_shape *shape = &dataset->information.input_shape;
    int64_t head[GR_MAXIMUM_RANK + 3] = {shape->rank};
    int used = 1;
    for (int i = 0; i < shape->rank; i++) head[used++] = shape->size[i];
    head[used++] = dataset->information.classes;
    head[used++] = dataset->training_pool;
    for (int i = 0; i < used; i++) {
        /* Sizes as little-endian bytes: the same hash on every machine. */
        uint8_t bytes[8];
        for (int byte = 0; byte < 8; byte++) bytes[byte] = (uint8_t)((uint64_t)head[i] >> 8 * byte);
        consume(context, bytes, sizeof bytes);
    }
    const gr_samples *parts[] = {&dataset->training, &dataset->test};
    size_t features = (size_t)dataset->features, targets = (size_t)dataset->information.targets;
    for (int i = 0; i < 2; i++) {
        size_t count = (size_t)parts[i]->count;
        if (parts[i]->pixels) consume(context, parts[i]->pixels, count * features);
        if (parts[i]->values) consume(context, parts[i]->values, count * features * sizeof(double));
        if (parts[i]->labels) consume(context, parts[i]->labels, count);
        if (parts[i]->targets)
            consume(context, parts[i]->targets, count * targets * sizeof(double));
    }
}
