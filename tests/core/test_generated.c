/* The generated data sets of points: toy1 and toy2 by docs/datasets.md, moons, spirals, gaussians.
 */
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
#include "tests/settings_builder.h"

static gr_dataset *load(const char *text) {
    gr_settings settings = settings_build(&gr_dataset_family, text);
    gr_dataset *dataset;
    gr_error error = {0};
    if (gr_dataset_load(&settings, "/nowhere", &dataset, &error) != GR_OK)
        fail_msg("%s: %s", text, error.message);
    gr_settings_clear(&settings);
    return dataset;
}

static gr_split *draw(const gr_dataset *dataset, const char *text) {
    gr_settings settings = settings_build(&gr_dataset_family, text);
    gr_split *split;
    gr_error error = {0};
    if (gr_split_create(dataset, &settings, 1, &split, &error) != GR_OK)
        fail_msg("%s: %s", text, error.message);
    gr_settings_clear(&settings);
    return split;
}

static double truth(int features, const double *x) {
    return features == 1 ? sin(5 * x[0]) : x[0] * x[0] + x[1] * x[1];
}

static void test_toys(void **state) {
    (void)state;
    for (int features = 1; features <= 2; features++) {
        gr_dataset *dataset =
            load(features == 1 ? "{name: toy1, n: 20000}" : "{name: toy2, n: 20000}");
        const gr_dataset_information *about = gr_dataset_describe(dataset);
        assert_int_equal(about->classes, 0);
        assert_int_equal(about->targets, 1);
        assert_true(about->knows_derivatives);
        assert_int_equal(about->input_shape.rank, 1);
        assert_int_equal(about->input_shape.size[0], features);
        assert_int_equal(about->training_samples, 21000);
        assert_int_equal(about->test_samples, 900);

        /* Noise of deviation 0.1 on the n training targets, and on nothing else. */
        double sum = 0, squares = 0, x_sum = 0, x_squares = 0;
        for (int i = 0; i < 21000; i++) {
            const double *x = dataset->training.values + i * features;
            double noise = dataset->training.targets[i] - truth(features, x);
            for (int j = 0; j < features; j++) {
                assert_true(x[j] >= -1 && x[j] < 1);
                x_sum += x[j] / (21000 * features);
                x_squares += x[j] * x[j] / (21000 * features);
            }
            if (i >= 20000) {
                assert_true(noise == 0);
                continue;
            }
            sum += noise / 20000;
            squares += noise * noise / 20000;
        }
        /* Five standard errors of each estimate. */
        assert_true(fabs(sum) < 5 * 0.1 / sqrt(20000));
        assert_true(fabs(sqrt(squares) - 0.1) < 5 * 0.1 / sqrt(40000));
        assert_true(fabs(x_sum) < 5 * sqrt(1 / 3.0 / 21000));
        assert_true(fabs(x_squares - 1 / 3.0) < 5 * sqrt(4 / 45.0 / 21000));

        const double *grid = dataset->test.values;
        for (int j = 0; j < features; j++) {
            assert_true(grid[j] == -1);
            assert_true(grid[899 * features + j] == 1);
        }
        if (features == 2) {
            assert_true(grid[2 * 29] == 1 && grid[2 * 29 + 1] == -1);
            assert_true(grid[2 * 30] == -1 && grid[2 * 30 + 1] > -1);
        }
        for (int i = 0; i < 900; i++)
            assert_true(dataset->test.targets[i] == truth(features, grid + i * features));
        gr_dataset_free(dataset);
    }
}

static void test_defaults(void **state) {
    (void)state;
    gr_dataset *dataset = load("{name: toy1}");
    gr_split *split = draw(dataset, "{name: toy1}");
    const double *mean, *deviation;
    int64_t count;
    assert_int_equal(gr_split_size(split, GR_PART_TRAINING), 100);
    assert_int_equal(gr_split_size(split, GR_PART_VALIDATION), 1000);
    assert_int_equal(gr_split_size(split, GR_PART_TEST), 900);
    gr_split_standardization(split, &mean, &deviation, &count);
    assert_true(count == 1 && mean[0] == 0 && deviation[0] == 1);
    gr_split_free(split);
    gr_dataset_free(dataset);
}

/* Targets and derivatives of each part, with respect to the standardised input, against central
 * differences of the truth along it. */
static void test_fill(void **state) {
    (void)state;
    static const char *const how[] = {"none", "global", "per_feature", "per_channel"};
    enum { COUNT = 37 };
    gr_dataset *dataset = load("{name: toy2, n: 60, noise: 0.5}");
    for (int i = 0; i < 4; i++) {
        char text[100];
        snprintf(text, sizeof text, "{name: toy2, n: 60, noise: 0.5, standardize: %s}", how[i]);
        gr_split *split = draw(dataset, text);
        const double *mean, *deviation;
        int64_t groups;
        gr_split_standardization(split, &mean, &deviation, &groups);
        assert_int_equal(groups, i < 2 ? 1 : 2);
        double moment[2] = {0, 0};
        for (int part = 0; part < 3; part++) {
            gr_real x[2 * COUNT], y[COUNT + 1], z[2 * COUNT + 1];
            int64_t positions[COUNT];
            int32_t untouched = -77;
            for (int k = 0; k < COUNT; k++) positions[k] = part == 0 ? k : (k * 7 + 3) % 60;
            y[COUNT] = z[2 * COUNT] = -77;
            gr_split_fill(split, (gr_part)part, positions, COUNT, false, x, &untouched, y);
            gr_real turned[2 * COUNT];
            gr_split_fill(split, (gr_part)part, positions, COUNT, true, turned, NULL, y);
            for (int k = 0; k < COUNT; k++)
                for (int j = 0; j < 2; j++) assert_true(turned[k * 2 + j] == x[j * COUNT + k]);
            gr_split_fill_derivatives(split, (gr_part)part, positions, COUNT, z);
            assert_true(y[COUNT] == (gr_real)-77 && z[2 * COUNT] == (gr_real)-77);
            assert_int_equal(untouched, -77);
            const gr_samples *samples = part == GR_PART_TEST ? &dataset->test : &dataset->training;
            for (int k = 0; k < COUNT; k++) {
                int64_t index = gr_split_indices(split, (gr_part)part)[positions[k]];
                double raw[2], standard[2];
                assert_true(y[k] == (gr_real)samples->targets[index]);
                for (int j = 0; j < 2; j++) {
                    double m = mean[groups == 2 ? j : 0], d = deviation[groups == 2 ? j : 0];
                    raw[j] = samples->values[2 * index + j];
                    standard[j] = (raw[j] - m) / d;
                    assert_true(fabs((double)x[j * COUNT + k] - standard[j]) < 1e-6);
                }
                if (part == GR_PART_TRAINING) /* the last samples are not looked at: near enough */
                    for (int j = 0; j < 2; j++) moment[j] += standard[j] * standard[j] / COUNT;
                for (int j = 0; j < 2; j++) {
                    double ends[2], d = deviation[groups == 2 ? j : 0], step = 1e-4;
                    for (int side = 0; side < 2; side++) {
                        double moved[2] = {raw[0], raw[1]};
                        moved[j] += (side ? step : -step) * d;
                        ends[side] = truth(2, moved);
                    }
                    double difference = (ends[1] - ends[0]) / (2 * step);
                    assert_true(fabs((double)z[j * COUNT + k] - difference) < 1e-6);
                }
            }
            gr_real augmented[2 * COUNT], again[COUNT];
            if (part == GR_PART_TRAINING) {
                gr_split_fill_augmented(split, 4, positions, COUNT, false, augmented, NULL, again);
                assert_memory_equal(augmented, x, sizeof x);
                assert_memory_equal(again, y, sizeof again);
            }
        }
        if (i > 0)
            for (int j = 0; j < 2; j++) assert_true(fabs(moment[j] - 1) < 0.4);
        gr_split_free(split);
    }
    gr_dataset_free(dataset);
}

static void test_toy1_derivatives(void **state) {
    (void)state;
    gr_dataset *dataset = load("{name: toy1}");
    gr_split *split = draw(dataset, "{name: toy1, standardize: global}");
    const double *mean, *deviation;
    int64_t groups, positions[900];
    static gr_real derivatives[900];
    for (int i = 0; i < 900; i++) positions[i] = 899 - i;
    gr_split_standardization(split, &mean, &deviation, &groups);
    gr_split_fill_derivatives(split, GR_PART_TEST, positions, 900, derivatives);
    for (int i = 0; i < 900; i++) {
        double x = 2.0 * (899 - i) / 899 - 1;
        assert_true(fabs((double)derivatives[i] - deviation[0] * 5 * cos(5 * x)) < 1e-6);
    }
    gr_split_free(split);
    gr_dataset_free(dataset);
}

static void test_regression_has_no_labels(void **state) {
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {{"{name: toy1, stratified: true}", "/stratified"},
                 {"{name: toy1, label_noise: 0.1}", "/label_noise"},
                 {"{name: toy1, augment: {flip: true}}", "/augment"},
                 {"{name: toy1, train_size: 101}", "/train_size"}};
    gr_dataset *dataset = load("{name: toy1}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gr_settings settings = settings_build(&gr_dataset_family, cases[i].text);
        gr_split *split;
        gr_error error = {0};
        assert_int_equal(gr_split_create(dataset, &settings, 1, &split, &error), GR_INVALID);
        assert_string_equal(error.place, cases[i].place);
        gr_settings_clear(&settings);
    }
    gr_dataset_free(dataset);
}

/* Classes in turn, their number, and a rule that nearly all points obey at little noise. */
static void test_classes(void **state) {
    (void)state;
    gr_dataset *moons = load("{name: moons, noise: 0.05, n: 1000}");
    assert_int_equal(gr_dataset_describe(moons)->classes, 2);
    assert_int_equal(moons->training_pool, 1000);
    int ups = 0;
    for (int i = 0; i < 1000; i++) {
        const double *x = moons->test.values + 2 * i;
        int label = moons->test.labels[i];
        assert_int_equal(label, i % 2);
        double dx = x[0] - label, dy = x[1] - 0.5 * label;
        assert_true(fabs(hypot(dx, dy) - 1) < 0.3); /* six deviations */
        ups += (dy > 0) != label;
    }
    assert_true(ups > 930); /* but for noise at the tips */
    gr_dataset_free(moons);

    gr_dataset *spirals = load("{name: spirals, arms: 5, turns: 2, noise: 0}");
    assert_int_equal(gr_dataset_describe(spirals)->classes, 5);
    for (int i = 0; i < 1000; i++) {
        const double *x = spirals->test.values + 2 * i;
        double radius = hypot(x[0], x[1]), angle = atan2(x[1], x[0]) / 6.283185307179586;
        double arm = 5 * (angle - 2 * radius);
        arm -= 5 * floor(arm / 5 + 0.05); /* in -0.25 … 4.75 */
        assert_true(radius >= 0.05 - 1e-9 && radius <= 1);
        assert_true(fabs(arm - spirals->test.labels[i]) < 1e-9);
    }
    gr_dataset_free(spirals);

    gr_dataset *gaussians =
        load("{name: gaussians, classes: 40, features: 50, separation: 8, n: 20000}");
    assert_int_equal(gr_dataset_describe(gaussians)->input_shape.size[0], 50);
    double centres[40][50] = {0}, within = 0, between = 0;
    for (int i = 0; i < 20000; i++)
        for (int j = 0; j < 50; j++)
            centres[i % 40][j] += gaussians->training.values[i * 50 + j] / 500;
    for (int i = 0; i < 20000; i++)
        for (int j = 0; j < 50; j++)
            within += pow(gaussians->training.values[i * 50 + j] - centres[i % 40][j], 2) / 1e6;
    for (int a = 0; a < 40; a++)
        for (int b = 0; b < 40; b++)
            for (int j = 0; j < 50; j++)
                between += pow(centres[a][j] - centres[b][j], 2) / (40 * 39);
    assert_true(fabs(within - 1) < 0.02);
    assert_true(fabs(sqrt(between) - 8) < 0.5);
    gr_dataset_free(gaussians);
}

static void consume(void *context, const void *bytes, size_t count) {
    uint64_t *hash = context;
    for (size_t i = 0; i < count; i++)
        *hash = (*hash ^ ((const uint8_t *)bytes)[i]) * 1099511628211u; /* FNV-1a */
}

static uint64_t content(const char *text, char key[GR_DATASET_KEY_SIZE]) {
    gr_settings settings = settings_build(&gr_dataset_family, text);
    gr_dataset_key(&settings, key);
    gr_settings_clear(&settings);
    gr_dataset *dataset = load(text);
    uint64_t hash = 14695981039346656037u;
    gr_dataset_content(dataset, consume, &hash);
    gr_dataset_free(dataset);
    return hash;
}

/* Equal keys are equal contents, and what changes the content changes the key. */
static void test_keys(void **state) {
    (void)state;
    static const char *const different[] = {
        "{name: toy1}",
        "{name: toy2}",
        "{name: toy1, n: 101}",
        "{name: toy1, noise: 0.2}",
        "{name: toy1, noise: 0.20000000000000004}",
        "{name: toy1, data_seed: 2}",
        "{name: moons}",
        "{name: spirals}",
        "{name: spirals, arms: 4}",
        "{name: gaussians}",
        "{name: gaussians, separation: 3}",
        "{name: gaussians, features: 3}",
    };
    enum { COUNT = sizeof different / sizeof different[0] };
    char keys[COUNT][GR_DATASET_KEY_SIZE], again[GR_DATASET_KEY_SIZE];
    uint64_t hashes[COUNT];
    for (int i = 0; i < COUNT; i++) {
        hashes[i] = content(different[i], keys[i]);
        assert_true(hashes[i] == content(different[i], again));
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(keys[i], keys[j]);
            assert_true(hashes[i] != hashes[j]);
        }
    }
    /* How a training draws from it is not part of it. */
    assert_true(hashes[0] == content("{name: toy1, train_size: 7, standardize: global}", again));
    assert_string_equal(keys[0], again);
}

/* A larger n begins with the points of a smaller one. */
static void test_growth(void **state) {
    (void)state;
    gr_dataset *small = load("{name: toy2, n: 50}"), *large = load("{name: toy2, n: 80}");
    assert_memory_equal(small->training.values, large->training.values, 50 * 2 * sizeof(double));
    assert_memory_equal(small->training.targets, large->training.targets, 50 * sizeof(double));
    gr_dataset_free(small);
    gr_dataset_free(large);
}

static void test_bounds(void **state) {
    (void)state;
    gr_settings settings =
        settings_build(&gr_dataset_family, "{name: gaussians, n: 1000000, features: 10000}");
    gr_dataset *dataset;
    gr_error error = {0};
    assert_int_equal(gr_dataset_load(&settings, "", &dataset, &error), GR_TOO_LARGE);
    assert_null(dataset);
    assert_string_equal(error.place, "/n");
    gr_settings_clear(&settings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_toys),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_fill),
        cmocka_unit_test(test_toy1_derivatives),
        cmocka_unit_test(test_regression_has_no_labels),
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
