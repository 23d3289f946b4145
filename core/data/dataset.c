/* The table of data sets, and what they have in common. */
#include "gradreg/dataset.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_content.h"

static const gr_kind *const kinds[] = {&gr_mnist_kind, &gr_digits_kind, NULL};

/* In the order of `kinds`. */
static gr_status (*const load_functions[])(const char *directory, gr_dataset *dataset,
                                           gr_error *error) = {gr_mnist_load, gr_digits_load};

const gr_family gr_dataset_family = {.name = "dataset", .discriminator = "name", .kinds = kinds};

gr_status gr_dataset_load(const gr_settings *settings, const char *directory, gr_dataset **dataset,
                          gr_error *error) {
    *dataset = NULL;
    size_t row = 0;
    while (kinds[row] && kinds[row] != settings->kind) row++;
    if (!kinds[row]) return gr_fail(error, GR_INTERNAL, "the settings name no data set");
    gr_dataset *loaded = calloc(1, sizeof *loaded);
    if (!loaded) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a data set");
    gr_status status = load_functions[row](directory, loaded, error);
    if (status != GR_OK) {
        gr_dataset_free(loaded);
        return status;
    }
    gr_dataset_information *information = &loaded->information;
    information->name = settings->kind->name;
    information->training_samples = loaded->training.count;
    information->test_samples = loaded->test.count;
    loaded->features = gr_shape_elements(&information->input_shape);
    *dataset = loaded;
    return GR_OK;
}

void gr_dataset_free(gr_dataset *dataset) {
    if (!dataset) return;
    free(dataset->training.pixels);
    free(dataset->training.labels);
    free(dataset->test.pixels);
    free(dataset->test.labels);
    free(dataset);
}

const gr_dataset_information *gr_dataset_describe(const gr_dataset *dataset) {
    return &dataset->information;
}

void gr_dataset_key(const gr_settings *settings, char key[256]) {
    /* So far every option is about the draw, none about what is loaded. */
    snprintf(key, 256, "%s", settings->kind->name);
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
    for (int i = 0; i < 2; i++) {
        consume(context, parts[i]->pixels, (size_t)(parts[i]->count * dataset->features));
        consume(context, parts[i]->labels, (size_t)parts[i]->count);
    }
}
