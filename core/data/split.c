/* A training's own draw from a data set (docs/methods.md): which samples are for training,
 * validation and test, and the mean and deviation of what was drawn. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/data/dataset_content.h"
#include "core/data/dataset_options.h"
#include "core/data/split_content.h"
#include "core/random.h"

enum { PARTS = 3, LEVELS = 256 };

/* -- which samples
 * ---------------------------------------------------------------------------------------- */

/* `count` consecutive indices from `first`, as many as the part has. */
static gr_status take_range(gr_split *split, gr_part part, int64_t first, gr_error *error) {
    const int64_t count = split->size[part];
    int64_t *indices = malloc((size_t)count * sizeof *indices);
    if (!indices) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a split");
    for (int64_t i = 0; i < count; i++) indices[i] = first + i;
    split->indices[part] = indices;
    return GR_OK;
}

/* Whether the pool has as many samples of each class as a stratified draw of `count` takes. */
static gr_status check_balanced(const gr_dataset *dataset, int64_t count, gr_error *error) {
    const int64_t classes = dataset->information.classes;
    const int64_t needed = count / classes + (count % classes != 0);
    int64_t *available = calloc((size_t)classes, sizeof *available);
    if (!available) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a split");
    for (int64_t i = 0; i < dataset->training_pool; i++) available[dataset->training.labels[i]]++;
    int64_t rarest = 0;
    for (int64_t i = 1; i < classes; i++)
        if (available[i] < available[rarest]) rarest = i;
    const int64_t fewest = available[rarest];
    free(available);
    if (fewest >= needed) return GR_OK;
    return gr_fail_at(error, GR_INVALID, "/train_size",
                      "a stratified draw of %lld needs %lld samples of each class, but the "
                      "pool of %s has %lld of class %lld: train_size can be %lld at most",
                      (long long)count, (long long)needed, dataset->information.name,
                      (long long)fewest, (long long)rarest, (long long)(fewest * classes));
}

/* Keeps `count` of the pool's samples in `order`, the same number (or one more, where it doesn't
 * divide) of each class, in their order. The first `count` entries of `order` are the result. */
static gr_status keep_balanced(const gr_dataset *dataset, int64_t *order, int64_t count,
                               gr_error *error) {
    int64_t classes = dataset->information.classes, pool = dataset->training_pool;
    int64_t share = count / classes, taken = 0;
    int64_t *seen = calloc((size_t)classes, sizeof *seen); /* of each class, in a round */
    bool *kept = calloc((size_t)pool, sizeof *kept);
    gr_status status = GR_OK;
    if (!seen || !kept) {
        status = gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a split");
        goto cleanup;
    }
    /* First every class's share, then the remainder from the classes that come next. */
    for (int round = 0; round < 2; round++) {
        memset(seen, 0, (size_t)classes * sizeof *seen);
        for (int64_t i = 0; i < pool && taken < count; i++) {
            int64_t *of_class = &seen[dataset->training.labels[order[i]]];
            if (*of_class < share + round) {
                (*of_class)++;
                taken += !kept[i];
                kept[i] = true;
            }
        }
    }
    int64_t end = 0;
    for (int64_t i = 0; i < pool; i++)
        if (kept[i]) order[end++] = order[i];
cleanup:
    free(seen);
    free(kept);
    return status;
}

static gr_status size_training(const gr_dataset *dataset, const gr_settings *settings,
                               gr_split *split, gr_error *error) {
    bool stratified = gr_boolean(settings, GR_DATASET_STRATIFIED);
    if (stratified && dataset->information.classes == 0)
        return gr_fail_at(error, GR_INVALID, "/stratified",
                          "%s is a regression and has no classes to balance: leave stratified out",
                          dataset->information.name);
    int64_t pool = dataset->training_pool;
    int64_t count = gr_is_null(settings, GR_DATASET_TRAIN_SIZE)
                        ? pool
                        : gr_integer(settings, GR_DATASET_TRAIN_SIZE);
    if (count < 1 || count > pool)
        return gr_fail_at(error, GR_INVALID, "/train_size",
                          "train_size is %lld, but the training pool of %s has %lld samples",
                          (long long)count, dataset->information.name, (long long)pool);
    split->size[GR_PART_TRAINING] = count;
    return stratified ? check_balanced(dataset, count, error) : GR_OK;
}

/* Validation and test: the holdout at the end of the training samples, and the official test
 * samples. */
static gr_status size_evaluation(const gr_dataset *dataset, const gr_settings *settings,
                                 gr_split *split, gr_error *error) {
    bool holdout_tests = gr_choice(settings, GR_DATASET_TEST) == GR_TEST_HOLDOUT;
    int64_t holdout = dataset->training.count - dataset->training_pool;
    int64_t official = dataset->test.count;
    int64_t available = holdout_tests ? official : holdout;
    int64_t count = gr_is_null(settings, GR_DATASET_VALIDATION_SIZE)
                        ? dataset->information.default_validation_size
                        : gr_integer(settings, GR_DATASET_VALIDATION_SIZE);
    if (count < 1 || count > available)
        return gr_fail_at(error, GR_INVALID, "/validation_size",
                          "validation_size is %lld, but %s has %lld samples for validation",
                          (long long)count, dataset->information.name, (long long)available);
    split->from_test_samples[GR_PART_VALIDATION] = holdout_tests;
    split->from_test_samples[GR_PART_TEST] = !holdout_tests;
    split->size[GR_PART_VALIDATION] = count;
    split->size[GR_PART_TEST] = holdout_tests ? holdout : official;
    return GR_OK;
}

static gr_status draw_training(const gr_dataset *dataset, const gr_settings *settings,
                               gr_split *split, uint64_t seed, gr_error *error) {
    int64_t pool = dataset->training_pool;
    int64_t *order = malloc((size_t)pool * sizeof *order);
    if (!order) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a split");
    split->indices[GR_PART_TRAINING] = order; /* freed with the split */
    const gr_random random = gr_random_source(seed, GR_PURPOSE_SPLIT, 0, 0);
    gr_random_permutation(&random, 0, pool, order);
    if (!gr_boolean(settings, GR_DATASET_STRATIFIED)) return GR_OK;
    return keep_balanced(dataset, order, split->size[GR_PART_TRAINING], error);
}

/* The parts that are evaluated begin where the holdout does, or with the first test sample. */
static gr_status assign_evaluation(const gr_dataset *dataset, gr_split *split, gr_error *error) {
    static const gr_part evaluated[] = {GR_PART_VALIDATION, GR_PART_TEST};
    for (size_t i = 0; i < sizeof evaluated / sizeof *evaluated; i++) {
        const gr_part part = evaluated[i];
        const int64_t first = split->from_test_samples[part] ? 0 : dataset->training_pool;
        GR_TRY(take_range(split, part, first, error));
    }
    return GR_OK;
}

/* -- labels
 * ------------------------------------------------------------------------------------------------
 */

static gr_status check_label_noise(const gr_dataset *dataset, const gr_settings *settings,
                                   gr_error *error) {
    double fraction = gr_number(settings, GR_DATASET_LABEL_NOISE);
    if (!(fraction >= 0 && fraction <= 1))
        return gr_fail_at(error, GR_INVALID, "/label_noise", "label_noise must lie in 0 to 1");
    if (dataset->information.classes > 0 || fraction == 0) return GR_OK;
    return gr_fail_at(error, GR_INVALID, "/label_noise",
                      "%s is a regression and has no labels to replace: leave label_noise out",
                      dataset->information.name);
}

/* The training part's labels, a fraction of them replaced by another class. */
static gr_status draw_labels(const gr_dataset *dataset, const gr_settings *settings,
                             gr_split *split, uint64_t seed, gr_error *error) {
    int64_t count = split->size[GR_PART_TRAINING], classes = dataset->information.classes;
    const int64_t *indices = split->indices[GR_PART_TRAINING];
    if (classes == 0) return GR_OK;
    split->training_labels = malloc((size_t)count);
    if (!split->training_labels) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for labels");
    for (int64_t i = 0; i < count; i++)
        split->training_labels[i] = dataset->training.labels[indices[i]];
    double fraction = gr_number(settings, GR_DATASET_LABEL_NOISE);
    int64_t replaced = (int64_t)floor(fraction * (double)count + 0.5);
    if (replaced == 0) return GR_OK;
    int64_t *order = malloc((size_t)count * sizeof *order);
    if (!order) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for labels");
    const gr_random which = gr_random_source(seed, GR_PURPOSE_LABEL_NOISE, 0, 0);
    const gr_random what = gr_random_source(seed, GR_PURPOSE_LABEL_NOISE, 1, 0);
    gr_random_permutation(&which, 0, count, order);
    for (int64_t i = 0; i < replaced; i++) {
        uint8_t *label = &split->training_labels[order[i]];
        int64_t other = gr_random_below(&what, (uint32_t)order[i], 0, classes - 1);
        *label = (uint8_t)(other + (other >= *label)); /* skips the label itself */
    }
    free(order);
    return GR_OK;
}

/* -- standardisation
 * --------------------------------------------------------------------------------------- */

/* Mean and divisor of each group of features, exactly: from how often each of the 256 levels
 * occurs. */
static gr_status measure_pixels(const gr_dataset *dataset, gr_split *split, bool feature_wise,
                                gr_error *error) {
    int64_t groups = split->groups, members = dataset->features / groups;
    int64_t samples = split->size[GR_PART_TRAINING];
    int64_t(*histogram)[LEVELS] = calloc((size_t)groups, sizeof *histogram);
    if (!histogram) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the standardisation");
    for (int64_t i = 0; i < samples; i++) {
        const uint8_t *pixel =
            dataset->training.pixels + split->indices[GR_PART_TRAINING][i] * dataset->features;
        for (int64_t group = 0; group < groups; group++)
            for (int64_t j = 0; j < members; j++) histogram[group][*pixel++]++;
    }
    double total = (double)samples * (double)members;
    for (int64_t group = 0; group < groups; group++) {
        double sum = 0, squares = 0;
        for (int level = 0; level < LEVELS; level++) sum += (double)histogram[group][level] * level;
        double mean = sum / total;
        for (int level = 0; level < LEVELS; level++)
            squares += (double)histogram[group][level] * (level - mean) * (level - mean);
        double deviation = sqrt(squares / total) / 255;
        split->mean[group] = mean / 255;
        /* A pixel that never changes would turn any change in a test image into 10⁷. */
        split->deviation[group] = feature_wise && squares == 0 ? 1 : deviation + 1e-7;
    }
    free(histogram);
    return GR_OK;
}

/* The same for numbers, in two passes. There is no scale to measure a small deviation against as
 * there is for pixels, so it is taken as it is, and only numbers that never change are left alone.
 */
static void measure_values(const gr_dataset *dataset, gr_split *split) {
    int64_t groups = split->groups, members = dataset->features / groups;
    int64_t samples = split->size[GR_PART_TRAINING];
    const int64_t *indices = split->indices[GR_PART_TRAINING];
    double total = (double)samples * (double)members;
    for (int64_t group = 0; group < groups; group++) {
        const double *values = dataset->training.values + group * members;
        const double first = values[indices[0] * dataset->features];
        double sum = 0, squares = 0;
        bool constant = true;
        for (int64_t i = 0; i < samples; i++)
            for (int64_t j = 0; j < members; j++) {
                double value = values[indices[i] * dataset->features + j];
                sum += value / total; /* divided first: no sum of large numbers overflows */
                constant = constant && value == first;
            }
        double mean = constant ? first : sum;
        for (int64_t i = 0; !constant && i < samples; i++)
            for (int64_t j = 0; j < members; j++) {
                double difference = values[indices[i] * dataset->features + j] - mean;
                squares += difference * difference / total;
            }
        double deviation = sqrt(squares);
        split->mean[group] = mean;
        split->deviation[group] = deviation > 0 ? deviation : 1;
    }
}

/* Whether the kernel's results are the levels of each group. */
static bool is_linear(const gr_split *split, const gr_kernels *kernels) {
    enum { MOST_LANES = 64 };
    const int64_t lanes = kernels->vector_lanes;
    uint8_t levels[LEVELS];
    const uint8_t *rows[MOST_LANES];
    gr_real x[LEVELS * MOST_LANES];
    for (int level = 0; level < LEVELS; level++) levels[level] = (uint8_t)level;
    for (int64_t lane = 0; lane < lanes; lane++) rows[lane] = levels;
    for (int64_t group = 0; group < split->groups; group++) {
        if (kernels->standardize(rows, LEVELS, split->factor[group], split->term[group], lanes,
                                 x) != LEVELS)
            return false;
        for (int64_t i = 0; i < LEVELS * lanes; i++)
            if (x[i] != split->level[group][i / lanes]) return false;
    }
    return true;
}

/* Finds out how the levels can be had without looking them up one by one. */
static gr_status find_linear(const gr_dataset *dataset, gr_split *split, gr_error *error) {
    const gr_kernels *kernels = gr_kernels_choose();
    const size_t groups = (size_t)split->groups;
    if (dataset->features / split->groups < kernels->vector_lanes) return GR_OK;
    split->factor = calloc(groups, sizeof *split->factor);
    split->term = calloc(groups, sizeof *split->term);
    if (!split->factor || !split->term)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the standardisation");
    for (size_t group = 0; group < groups; group++) {
        split->factor[group] = 1 / (255 * split->deviation[group]);
        split->term[group] = -split->mean[group] / split->deviation[group];
    }
    if (is_linear(split, kernels)) split->linear = kernels;
    return GR_OK;
}

static gr_status standardize(const gr_dataset *dataset, const gr_settings *settings,
                             gr_split *split, gr_error *error) {
    int choice = gr_choice(settings, GR_DATASET_STANDARDIZE);
    split->groups = choice == GR_STANDARDIZE_PER_CHANNEL ? dataset->information.input_shape.size[0]
                    : choice == GR_STANDARDIZE_PER_FEATURE ? dataset->features
                                                           : 1;
    size_t groups = (size_t)split->groups;
    split->mean = calloc(groups, sizeof *split->mean);
    split->deviation = calloc(groups, sizeof *split->deviation);
    bool pixels = dataset->training.pixels != NULL;
    if (pixels) split->level = malloc(groups * sizeof *split->level);
    if (!split->mean || !split->deviation || (pixels && !split->level))
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for the standardisation");
    if (choice == GR_STANDARDIZE_NONE)
        split->deviation[0] = 1;
    else if (pixels)
        GR_TRY(measure_pixels(dataset, split, choice == GR_STANDARDIZE_PER_FEATURE, error));
    else
        measure_values(dataset, split);
    for (size_t group = 0; pixels && group < groups; group++)
        for (int level = 0; level < LEVELS; level++)
            split->level[group][level] =
                (gr_real)((level / 255.0 - split->mean[group]) / split->deviation[group]);
    return pixels ? find_linear(dataset, split, error) : GR_OK;
}

/* -- the whole
 * --------------------------------------------------------------------------------------------- */

static gr_status read_augmentation(const gr_dataset *dataset, const gr_settings *settings,
                                   gr_split *split, gr_error *error) {
    const gr_settings *augment = gr_settings_of(settings, GR_DATASET_AUGMENT);
    split->shift = gr_number(augment, GR_AUGMENT_SHIFT);
    split->flip = gr_boolean(augment, GR_AUGMENT_FLIP);
    if (!(split->shift >= 0 && split->shift <= 0.5))
        return gr_fail_at(error, GR_INVALID, "/augment/shift", "shift must lie in 0 to 0.5");
    if (dataset->information.input_shape.rank != 3 && (split->shift > 0 || split->flip))
        return gr_fail_at(error, GR_INVALID, "/augment",
                          "%s has no images: nothing can be shifted or flipped",
                          dataset->information.name);
    return GR_OK;
}

gr_status gr_split_outline(const gr_dataset *dataset, const gr_settings *settings,
                           gr_split **result, gr_error *error) {
    *result = NULL;
    gr_split *split = calloc(1, sizeof *split);
    if (!split) return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a split");
    split->dataset = dataset;
    gr_status status;
    GR_TRY_OR(failed, read_augmentation(dataset, settings, split, error));
    GR_TRY_OR(failed, size_training(dataset, settings, split, error));
    GR_TRY_OR(failed, size_evaluation(dataset, settings, split, error));
    GR_TRY_OR(failed, check_label_noise(dataset, settings, error));
    *result = split;
    return GR_OK;
failed:
    gr_split_free(split);
    return status;
}

gr_status gr_split_create(const gr_dataset *dataset, const gr_settings *settings, uint64_t seed,
                          gr_split **result, gr_error *error) {
    GR_TRY(gr_split_outline(dataset, settings, result, error));
    gr_split *split = *result;
    *result = NULL;
    split->seed = seed;
    uint64_t draw_seed = gr_is_null(settings, GR_DATASET_SPLIT_SEED)
                             ? seed
                             : (uint64_t)gr_integer(settings, GR_DATASET_SPLIT_SEED);
    gr_status status;
    GR_TRY_OR(failed, draw_training(dataset, settings, split, draw_seed, error));
    GR_TRY_OR(failed, assign_evaluation(dataset, split, error));
    GR_TRY_OR(failed, draw_labels(dataset, settings, split, draw_seed, error));
    GR_TRY_OR(failed, standardize(dataset, settings, split, error));
    *result = split;
    return GR_OK;
failed:
    gr_split_free(split);
    return status;
}

void gr_split_free(gr_split *split) {
    if (!split) return;
    for (int part = 0; part < PARTS; part++) free(split->indices[part]);
    free(split->training_labels);
    free(split->mean);
    free(split->deviation);
    free(split->level);
    free(split->factor);
    free(split->term);
    free(split);
}

int64_t gr_split_size(const gr_split *split, gr_part part) {
    return split->size[part];
}

void gr_split_standardization(const gr_split *split, const double **mean, const double **deviation,
                              int64_t *count) {
    *mean = split->mean;
    *deviation = split->deviation;
    *count = split->groups;
}

bool gr_split_from_test_samples(const gr_split *split, gr_part part) {
    return split->from_test_samples[part];
}

const int64_t *gr_split_indices(const gr_split *split, gr_part part) {
    return split->indices[part];
}
