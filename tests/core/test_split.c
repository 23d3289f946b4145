/* The draw of docs/methods.md, on a small data set of random bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/data/dataset_content.h"
#include "core/data/split_content.h"
#include "tests/settings_builder.h"

enum {
    CHANNELS = 2,
    HEIGHT = 4,
    WIDTH = 6,
    FEATURES = CHANNELS * HEIGHT * WIDTH,
    CLASSES = 3,
    TRAINING = 700,
    POOL = 500,
    TEST = 150
};

static uint8_t next_byte(void) {
    static uint32_t number = 12345;
    number = number * 1664525u + 1013904223u;
    return (uint8_t)(number >> 24);
}

static gr_samples random_samples(int64_t count) {
    gr_samples samples = {.count = count};
    samples.pixels = malloc((size_t)count * FEATURES);
    samples.labels = malloc((size_t)count);
    for (int64_t i = 0; i < count * FEATURES; i++)
        /* The second channel is darker; the first feature never changes. */
        samples.pixels[i] = (uint8_t)(i % FEATURES == 0             ? 9
                                      : i % FEATURES < FEATURES / 2 ? next_byte()
                                                                    : next_byte() / 4);
    /* Class 2 is rare. */
    for (int64_t i = 0; i < count; i++) samples.labels[i] = (uint8_t)(i % 10 == 0 ? 2 : i % 2);
    return samples;
}

static int set_up(void **state) {
    gr_dataset *dataset = calloc(1, sizeof *dataset);
    dataset->information.name = "small";
    dataset->information.input_shape = (gr_shape){.rank = 3, .size = {CHANNELS, HEIGHT, WIDTH}};
    dataset->information.classes = CLASSES;
    dataset->information.default_validation_size = 100;
    dataset->features = FEATURES;
    dataset->training_pool = POOL;
    dataset->training = random_samples(TRAINING);
    dataset->test = random_samples(TEST);
    *state = dataset;
    return 0;
}

static int tear_down(void **state) {
    gr_dataset_free(*state);
    return 0;
}

static gr_split *draw(const gr_dataset *dataset, const char *options, uint64_t seed) {
    gr_settings settings = settings_build_kind(&gr_digits_kind, options);
    gr_split *split, *outline;
    gr_error error = {0};
    if (gr_split_create(dataset, &settings, seed, &split, &error) != GR_OK ||
        gr_split_outline(dataset, &settings, &outline, &error) != GR_OK)
        fail_msg("%s: %s", options, error.message);
    for (gr_part part = 0; part < 3; part++)
        assert_int_equal(gr_split_size(outline, part), gr_split_size(split, part));
    gr_split_free(outline);
    gr_settings_clear(&settings);
    return split;
}

static void expect_invalid(const gr_dataset *dataset, const char *options, const char *place) {
    gr_settings settings = settings_build_kind(&gr_digits_kind, options);
    gr_split *split;
    gr_error error = {0};
    assert_int_equal(gr_split_create(dataset, &settings, 1, &split, &error), GR_INVALID);
    assert_null(split);
    assert_string_equal(error.place, place);
    gr_error outlined = {0};
    assert_int_equal(gr_split_outline(dataset, &settings, &split, &outlined), GR_INVALID);
    assert_null(split);
    assert_string_equal(outlined.place, place);
    gr_settings_clear(&settings);
}

static void expect_range(const gr_split *split, gr_part part, bool test, int64_t first,
                         int64_t count) {
    assert_int_equal(gr_split_from_test_samples(split, part), test);
    assert_int_equal(gr_split_size(split, part), count);
    for (int64_t i = 0; i < count; i++)
        assert_int_equal(gr_split_indices(split, part)[i], first + i);
}

static void test_parts(void **state) {
    gr_split *split = draw(*state, "train_size=200", 1);
    bool seen[POOL] = {false};
    assert_int_equal(gr_split_size(split, GR_PART_TRAINING), 200);
    assert_false(gr_split_from_test_samples(split, GR_PART_TRAINING));
    for (int i = 0; i < 200; i++) {
        int64_t index = gr_split_indices(split, GR_PART_TRAINING)[i];
        assert_in_range(index, 0, POOL - 1);
        assert_false(seen[index]);
        seen[index] = true;
    }
    expect_range(split, GR_PART_VALIDATION, false, POOL, 100);
    expect_range(split, GR_PART_TEST, true, 0, TEST);
    gr_split_free(split);

    split = draw(*state, "test=holdout, validation_size=120", 1);
    assert_int_equal(gr_split_size(split, GR_PART_TRAINING), POOL);
    expect_range(split, GR_PART_VALIDATION, true, 0, 120);
    expect_range(split, GR_PART_TEST, false, POOL, TRAINING - POOL);
    gr_split_free(split);
}

static void test_too_few_samples(void **state) {
    expect_invalid(*state, "train_size=501", "/train_size");
    expect_invalid(*state, "train_size=0", "/train_size");
    expect_invalid(*state, "validation_size=201", "/validation_size");
    expect_invalid(*state, "validation_size=151, test=holdout", "/validation_size");
    expect_invalid(*state, "validation_size=0", "/validation_size");
    expect_invalid(*state, "stratified=true", "/train_size");
    expect_invalid(*state, "stratified=true, train_size=151", "/train_size");
    expect_invalid(*state, "label_noise=1.5", "/label_noise");
    expect_invalid(*state, "augment={shift: 0.6}", "/augment/shift");
}

static bool same_draw(const gr_split *a, const gr_split *b) {
    int64_t count = gr_split_size(a, GR_PART_TRAINING);
    return count == gr_split_size(b, GR_PART_TRAINING) &&
           memcmp(gr_split_indices(a, GR_PART_TRAINING), gr_split_indices(b, GR_PART_TRAINING),
                  (size_t)count * sizeof(int64_t)) == 0;
}

static void test_seeds(void **state) {
    gr_split *one = draw(*state, "train_size=100", 1), *again = draw(*state, "train_size=100", 1);
    gr_split *two = draw(*state, "train_size=100", 2);
    gr_split *fixed = draw(*state, "train_size=100, split_seed=1", 2);
    gr_split *larger = draw(*state, "train_size=300", 1);
    assert_true(same_draw(one, again));
    assert_false(same_draw(one, two));
    assert_true(same_draw(one, fixed));
    /* A smaller draw is the beginning of a larger one. */
    assert_memory_equal(gr_split_indices(one, GR_PART_TRAINING),
                        gr_split_indices(larger, GR_PART_TRAINING), 100 * sizeof(int64_t));
    gr_split_free(one);
    gr_split_free(again);
    gr_split_free(two);
    gr_split_free(fixed);
    gr_split_free(larger);
}

static void test_stratified(void **state) {
    const gr_dataset *dataset = *state;
    const int sizes[] = {1, 2, 90, 91, 92, 150};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char options[64];
        int64_t counts[CLASSES] = {0};
        bool seen[POOL] = {false};
        snprintf(options, sizeof options, "stratified=true, train_size=%d", sizes[i]);
        gr_split *split = draw(dataset, options, 3);
        for (int j = 0; j < sizes[i]; j++) {
            int64_t index = gr_split_indices(split, GR_PART_TRAINING)[j];
            assert_in_range(index, 0, POOL - 1);
            assert_false(seen[index]);
            seen[index] = true;
            counts[dataset->training.labels[index]]++;
        }
        for (int class = 0; class < CLASSES; class ++)
            assert_in_range(counts[class], sizes[i] / CLASSES, (sizes[i] + CLASSES - 1) / CLASSES);
        gr_split_free(split);
    }
}

static void labels_of(const gr_split *split, int64_t count, int32_t *labels) {
    gr_real *x = malloc((size_t)count * FEATURES * sizeof *x);
    int64_t *positions = malloc((size_t)count * sizeof *positions);
    for (int64_t i = 0; i < count; i++) positions[i] = i;
    gr_split_fill(split, GR_PART_TRAINING, positions, count, false, x, labels, NULL);
    gr_split_fill(split, GR_PART_TRAINING, positions, 0, false, x, labels, NULL); /* nothing */
    free(x);
    free(positions);
}

static void test_label_noise(void **state) {
    const gr_dataset *dataset = *state;
    const double fractions[] = {0, 0.25, 1};
    for (int i = 0; i < 3; i++) {
        char options[64];
        int32_t labels[400], again[400];
        int changed = 0, to[CLASSES] = {0};
        snprintf(options, sizeof options, "train_size=400, label_noise=%g", fractions[i]);
        gr_split *split = draw(dataset, options, 5), *second = draw(dataset, options, 5);
        labels_of(split, 400, labels);
        labels_of(second, 400, again);
        assert_memory_equal(labels, again, sizeof labels);
        for (int j = 0; j < 400; j++) {
            int64_t index = gr_split_indices(split, GR_PART_TRAINING)[j];
            assert_in_range(labels[j], 0, CLASSES - 1);
            if (labels[j] == dataset->training.labels[index]) continue;
            changed++;
            to[labels[j]]++;
        }
        assert_int_equal(changed, (int)(fractions[i] * 400));
        for (int class = 0; changed && class < CLASSES; class ++)
            assert_true(to[class] > changed / 6); /* of the two other classes, each often */
        gr_split_free(split);
        gr_split_free(second);
    }
}

/* The rules of docs/methods.md, in double, from the drawn samples. */
static double reference(const gr_dataset *dataset, const gr_split *split, const char *how,
                        int64_t feature, uint8_t pixel) {
    int64_t first = 0, end = FEATURES, count = gr_split_size(split, GR_PART_TRAINING);
    if (strcmp(how, "none") == 0) return pixel / 255.0;
    if (strcmp(how, "per_channel") == 0) {
        first = feature / (FEATURES / 2) * (FEATURES / 2);
        end = first + FEATURES / 2;
    } else if (strcmp(how, "per_feature") == 0) {
        first = feature;
        end = feature + 1;
    }
    double mean = 0, square = 0, total = (double)(count * (end - first));
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < count; i++)
            for (int64_t j = first; j < end; j++) {
                int64_t index = gr_split_indices(split, GR_PART_TRAINING)[i];
                double value = dataset->training.pixels[index * FEATURES + j] / 255.0;
                if (pass == 0)
                    mean += value / total;
                else
                    square += (value - mean) * (value - mean) / total;
            }
    if (end - first == 1 && sqrt(square) < 1e-12) return pixel / 255.0 - mean;
    return (pixel / 255.0 - mean) / (sqrt(square) + 1e-7);
}

static void test_fill_against_reference(void **state) {
    const gr_dataset *dataset = *state;
    const char *const how[] = {"global", "none", "per_channel", "per_feature"};
    const int counts[] = {1, 15, 16, 17, 50};
    for (int i = 0; i < 4; i++) {
        char options[64];
        snprintf(options, sizeof options, "train_size=30, standardize=%s", how[i]);
        gr_split *split = draw(dataset, options, 7);
        for (int part = 0; part < 3; part++)
            for (int j = 0; j < 5; j++) {
                int64_t positions[50];
                gr_real x[50 * FEATURES + 1];
                int32_t labels[51];
                int count = counts[j];
                for (int k = 0; k < count; k++)
                    positions[k] = (k * 7 + 3) % gr_split_size(split, (gr_part)part);
                x[count * FEATURES] = -77; /* nothing is written beyond */
                labels[count] = -77;
                gr_split_fill(split, (gr_part)part, positions, count, false, x, labels, NULL);
                assert_true(x[count * FEATURES] == (gr_real)-77);
                assert_int_equal(labels[count], -77);
                gr_real turned[50 * FEATURES + 1];
                turned[count * FEATURES] = -77;
                gr_split_fill(split, (gr_part)part, positions, count, true, turned, labels, NULL);
                assert_true(turned[count * FEATURES] == (gr_real)-77);
                for (int64_t f = 0; f < FEATURES; f++)
                    for (int k = 0; k < count; k++)
                        assert_true(turned[k * FEATURES + f] == x[f * count + k]);
                const gr_samples *samples =
                    part == GR_PART_TEST ? &dataset->test : &dataset->training;
                for (int k = 0; k < count; k += 5) {
                    int64_t index = gr_split_indices(split, (gr_part)part)[positions[k]];
                    assert_int_equal(labels[k], samples->labels[index]);
                    for (int64_t f = 0; f < FEATURES; f += 3) {
                        double wanted = reference(dataset, split, how[i], f,
                                                  samples->pixels[index * FEATURES + f]);
                        /* float has 24 bits */
                        assert_true(fabs((double)x[f * count + k] - wanted) <
                                    1e-6 * (1 + fabs(wanted)));
                        /* Whichever way a lane is filled. */
                        const int64_t group = f / (FEATURES / split->groups);
                        assert_true(x[f * count + k] ==
                                    split->level[group][samples->pixels[index * FEATURES + f]]);
                    }
                }
            }
        if (i < 2) assert_non_null(split->linear);
        gr_split_free(split);
    }
}

static void test_standardized_moments(void **state) {
    enum { COUNT = 250 };
    gr_split *split = draw(*state, "train_size=250", 11);
    int64_t positions[COUNT];
    gr_real *x = malloc(COUNT * FEATURES * sizeof *x);
    double sum = 0, squares = 0;
    for (int i = 0; i < COUNT; i++) positions[i] = i;
    gr_split_fill(split, GR_PART_TRAINING, positions, COUNT, false, x, NULL, NULL);
    for (int i = 0; i < COUNT * FEATURES; i++) {
        sum += (double)x[i];
        squares += (double)x[i] * (double)x[i];
    }
    assert_true(fabs(sum / (COUNT * FEATURES)) < 1e-6);
    assert_true(fabs(squares / (COUNT * FEATURES) - 1) < 1e-5);
    const double *mean, *deviation;
    int64_t count;
    gr_split_standardization(split, &mean, &deviation, &count);
    assert_int_equal(count, 1);
    assert_in_range((int)(mean[0] * 1000), 200, 400);
    free(x);
    gr_split_free(split);
}

static void test_augmentation(void **state) {
    enum { COUNT = 40 };
    gr_split *plain = draw(*state, "train_size=40, standardize=none", 1);
    gr_split *split =
        draw(*state, "train_size=40, standardize=none, augment={shift: 0.25, flip: true}", 1);
    int64_t positions[COUNT], reversed[COUNT];
    static gr_real x[COUNT * FEATURES], y[COUNT * FEATURES], z[COUNT * FEATURES];
    int32_t labels[COUNT], plain_labels[COUNT];
    for (int i = 0; i < COUNT; i++) positions[i] = i, reversed[COUNT - 1 - i] = i;
    gr_split_fill(plain, GR_PART_TRAINING, positions, COUNT, false, x, plain_labels, NULL);
    gr_split_fill_augmented(plain, 3, positions, COUNT, false, y, labels, NULL);
    assert_memory_equal(x, y, sizeof x); /* nothing was asked for */

    /* Every sample is one of the possible changes of itself, and each of them occurs. */
    bool occurred[2][3][3] = {0};
    for (int64_t iteration = 0; iteration < 10; iteration++) {
        gr_split_fill_augmented(split, iteration, positions, COUNT, false, y, labels, NULL);
        assert_memory_equal(labels, plain_labels, sizeof labels);
        gr_split_fill_augmented(split, iteration, positions, COUNT, true, z, NULL, NULL);
        for (int f = 0; f < FEATURES; f++)
            for (int lane = 0; lane < COUNT; lane++)
                assert_true(z[lane * FEATURES + f] == y[f * COUNT + lane]);
        gr_split_fill_augmented(split, iteration, reversed, COUNT, false, z, NULL, NULL);
        for (int lane = 0; lane < COUNT; lane++) {
            int matches = 0;
            for (int change = 0; change < 18; change++) {
                int flip = change / 9, down = change / 3 % 3 - 1, right = change % 3 - 1;
                bool same = true;
                for (int f = 0; f < FEATURES; f++) {
                    int c = f / (HEIGHT * WIDTH), row = f / WIDTH % HEIGHT - down,
                        column = f % WIDTH - right;
                    row = row < 0 ? 0 : row >= HEIGHT ? HEIGHT - 1 : row;
                    column = column < 0 ? 0 : column >= WIDTH ? WIDTH - 1 : column;
                    if (flip) column = WIDTH - 1 - column;
                    same = same && y[f * COUNT + lane] ==
                                       x[((c * HEIGHT + row) * WIDTH + column) * COUNT + lane];
                }
                if (same) occurred[flip][down + 1][right + 1] = true;
                matches += same;
            }
            assert_int_equal(matches, 1);
            /* A function of the position, not of the place in the batch. */
            for (int f = 0; f < FEATURES; f++)
                assert_true(y[f * COUNT + lane] == z[f * COUNT + COUNT - 1 - lane]);
        }
    }
    for (int change = 0; change < 18; change++)
        assert_true(occurred[change / 9][change / 3 % 3][change % 3]);
    gr_split_free(plain);
    gr_split_free(split);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_too_few_samples),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_stratified),
        cmocka_unit_test(test_label_noise),
        cmocka_unit_test(test_fill_against_reference),
        cmocka_unit_test(test_standardized_moments),
        cmocka_unit_test(test_augmentation),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
