#include "core/data/generated.h"

#include <stdio.h>
#include <stdlib.h>

gr_random gr_generated_random(const gr_settings *settings, gr_generated_stream stream,
                              uint32_t number) {
    return gr_random_source((uint64_t)gr_integer(settings, GR_GENERATED_SEED),
                            GR_PURPOSE_GENERATED_DATA, (uint32_t)stream + number, 0);
}

gr_status gr_generated_allocate(gr_samples *samples, int64_t count, int64_t features,
                                int64_t targets, gr_error *error) {
    size_t size = (size_t)count;
    samples->count = count;
    samples->values = calloc(size * (size_t)features, sizeof *samples->values);
    if (targets) {
        samples->targets = calloc(size * (size_t)targets, sizeof *samples->targets);
        samples->derivatives =
            calloc(size * (size_t)(targets * features), sizeof *samples->derivatives);
    } else {
        samples->labels = calloc(size, sizeof *samples->labels);
    }
    if (!samples->values ||
        (targets ? !samples->targets || !samples->derivatives : !samples->labels))
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for %lld generated points",
                       (long long)count);
    return GR_OK;
}

gr_status gr_generated_classes(const gr_settings *settings, gr_generated_stream stream,
                               int64_t features, int64_t classes, gr_generated_point *point,
                               gr_dataset *dataset, gr_error *error) {
    int64_t n = gr_integer(settings, GR_GENERATED_N);
    dataset->information.input_shape = (gr_shape){.rank = 1, .size = {features}};
    dataset->information.classes = classes;
    dataset->information.default_validation_size = GR_GENERATED_HOLDOUT;
    dataset->training_pool = n;
    snprintf(dataset->information.description, sizeof dataset->information.description,
             "%lld generated points (and %d each for validation and test), %lld classes",
             (long long)n, GR_GENERATED_HOLDOUT, (long long)classes);
    const int64_t counts[] = {n + GR_GENERATED_HOLDOUT, GR_GENERATED_TEST};
    gr_samples *parts[] = {&dataset->training, &dataset->test};
    for (uint32_t part = 0; part < 2; part++) {
        GR_TRY(gr_generated_allocate(parts[part], counts[part], features, 0, error));
        const gr_random random = gr_generated_random(settings, stream, part);
        for (int64_t i = 0; i < counts[part]; i++) {
            int label = (int)(i % classes);
            parts[part]->labels[i] = (uint8_t)label;
            point(settings, &random, (uint32_t)i, label, parts[part]->values + i * features);
        }
    }
    return GR_OK;
}
