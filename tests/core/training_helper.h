/* A small training on the generated digits, from short texts. Include after cmocka. */
#ifndef TESTS_CORE_TRAINING_HELPER_H
#define TESTS_CORE_TRAINING_HELPER_H

#include <stdlib.h>
#include <string.h>

#include "gradreg/training.h"
#include "tests/settings_builder.h"

/* Texts of the parts of a spec; NULL: the default below. */
typedef struct spec_texts {
    const char *dataset, *model, *loss, *regularizers, *optimizer, *schedule, *training;
    uint64_t seed;
} spec_texts;

/* The settings of a plan, owned. */
typedef struct spec {
    gr_settings dataset, model, loss, optimizer, schedule, training, *regularizers;
    size_t regularizer_count;
    gr_plan plan;
} spec;

/* Every kind of thing that has a state: dropout, max-pool, a smooth layer, several probes. */
#define SMALL_MODEL                                                                 \
    "{layers: [{type: conv2d, filters: 4, kernel: 5, stride: 2}, {type: relu}, "    \
    "{type: maxpool2d}, {type: flatten}, {type: linear, units: 12}, {type: tanh}, " \
    "{type: dropout}, {type: linear, units: 10}]}"
/* A batch normalisation keeps running statistics and couples the samples of a batch. */
#define NORMALISED_MODEL                                                              \
    "{layers: [{type: conv2d, filters: 4, kernel: 5, stride: 3}, {type: batchnorm}, " \
    "{type: relu}, {type: flatten}, {type: dropout}, {type: linear, units: 10}]}"
#define SMALL_REGULARIZERS                                                  \
    "[{type: weight_decay, weight: 0.001}, {type: datagrad, weight: 0.5}, " \
    "{type: spectreg, weight: 0.01}]"
/* 6 batches an epoch with some left over, evaluations off the epochs, a last interval that is
 * short; 600 validation samples are two pieces of work. */
#define SMALL_DATA "{name: digits, train_size: 130, validation_size: 600}"
#define SMALL_TRAINING "{iterations: 17, batch_size: 20, evaluate_every: 5}"

static inline const char *or_else(const char *text, const char *otherwise) {
    return text ? text : otherwise;
}

/* The plan points into *s, which has to stay where it is. */
static inline void spec_build(spec *s, const spec_texts *texts) {
    *s = (spec){0};
    s->dataset = settings_build(&gr_dataset_family, or_else(texts->dataset, SMALL_DATA));
    s->model = settings_build(&gr_model_family, or_else(texts->model, SMALL_MODEL));
    s->loss = settings_build(&gr_loss_family, or_else(texts->loss, "{type: cross_entropy}"));
    s->optimizer = settings_build(&gr_optimizer_family, or_else(texts->optimizer, "{type: adam}"));
    s->schedule =
        settings_build(&gr_schedule_family, or_else(texts->schedule, "{type: piecewise}"));
    s->training = settings_build(&gr_training_family, or_else(texts->training, SMALL_TRAINING));
    s->regularizers = settings_build_list(&gr_regularizer_family,
                                          or_else(texts->regularizers, SMALL_REGULARIZERS),
                                          &s->regularizer_count);
    s->plan = (gr_plan){.seed = texts->seed,
                        .dataset = &s->dataset,
                        .model = &s->model,
                        .loss = &s->loss,
                        .optimizer = &s->optimizer,
                        .schedule = &s->schedule,
                        .training = &s->training,
                        .regularizers = s->regularizers,
                        .regularizer_count = s->regularizer_count};
}

static inline void spec_clear(spec *s) {
    gr_settings *const all[] = {&s->dataset,   &s->model,    &s->loss,
                                &s->optimizer, &s->schedule, &s->training};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) gr_settings_clear(all[i]);
    gr_settings_array_free(s->regularizers, s->regularizer_count);
}

/* The generated digits, loaded once for the whole program. */
static gr_dataset *digits;

static inline int load_digits(void **state) {
    (void)state;
    gr_settings settings = settings_build(&gr_dataset_family, "{name: digits}");
    gr_error error = {0};
    const gr_status status = gr_dataset_load(&settings, NULL, &digits, &error);
    gr_settings_clear(&settings);
    return status == GR_OK ? 0 : -1;
}

static inline int free_digits(void **state) {
    (void)state;
    gr_dataset_free(digits);
    return 0;
}

#endif
