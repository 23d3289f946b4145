/* The generated data set, and loading in general. The sanitizers' builds leave its drawing alone,
 * for it takes seconds of every process that asks for it and has no input; here it is compiled with
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/data/digits.c"
#include "tests/settings_builder.h"

static int set_up(void **state) {
    gr_settings settings = settings_build(&gr_dataset_family, "{name: digits}");
    gr_dataset *dataset;
    gr_error error = {0};
    assert_int_equal(gr_dataset_load(&settings, "/nowhere", &dataset, &error), GR_OK);
    gr_settings_clear(&settings);
    *state = dataset;
    return 0;
}

static int tear_down(void **state) {
    gr_dataset_free(*state);
    return 0;
}

static void test_shape_and_balance(void **state) {
    const gr_dataset *dataset = *state;
    const gr_dataset_information *information = gr_dataset_describe(dataset);
    char text[128];
    assert_string_equal(information->name, "digits");
    assert_string_equal(gr_shape_text(&information->input_shape, text), "1x28x28");
    assert_int_equal(information->training_samples, 60000);
    assert_int_equal(information->test_samples, 10000);
    assert_int_equal(information->classes, 10);
    int64_t counts[10] = {0};
    for (int64_t i = 0; i < 60000; i++) {
        assert_in_range(dataset->training.labels[i], 0, 9);
        counts[dataset->training.labels[i]]++;
    }
    /* 6000 expected with a deviation of 73. */
    for (int i = 0; i < 10; i++) assert_in_range(counts[i], 5600, 6400);
}

/* The whole content as one number (FNV-1a). */
static void hash(void *context, const void *bytes, size_t count) {
    uint64_t *value = context;
    for (size_t i = 0; i < count; i++)
        *value = (*value ^ ((const uint8_t *)bytes)[i]) * 1099511628211u;
}

static void test_determinism(void **state) {
    void *again;
    set_up(&again);
    uint64_t first = 14695981039346656037u, second = first;
    gr_dataset_content(*state, hash, &first);
    gr_dataset_content(again, hash, &second);
    assert_true(first == second);
    /* What was trained on it can be trained again: these are the same pictures ever since. */
    assert_true(first == 0x728dbf9030cfd6fu);
    gr_dataset *changed = again;
    changed->test.labels[9999] ^= 1;
    second = 14695981039346656037u;
    gr_dataset_content(changed, hash, &second);
    assert_false(first == second); /* the content is all of it */
    tear_down(&again);
}

/* No image stands twice, within or across the sets, as far as a hash of each tells. */
static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void test_distinct_images(void **state) {
    const gr_dataset *dataset = *state;
    uint64_t *hashes = malloc(70000 * sizeof *hashes);
    for (int i = 0; i < 70000; i++) {
        const uint8_t *image = i < 60000 ? dataset->training.pixels + (size_t)i * PIXELS
                                         : dataset->test.pixels + (size_t)(i - 60000) * PIXELS;
        hashes[i] = 14695981039346656037u;
        hash(&hashes[i], image, PIXELS);
    }
    qsort(hashes, 70000, sizeof *hashes, compare);
    for (int i = 1; i < 70000; i++) assert_false(hashes[i] == hashes[i - 1]);
    free(hashes);
}

/* Learnable, but not by everything: the nearest class mean is right clearly more often than one
 * time in ten, and clearly not always. */
static void test_nearest_mean_is_neither_useless_nor_enough(void **state) {
    const gr_dataset *dataset = *state;
    static double means[10][PIXELS];
    double counts[10] = {0};
    memset(means, 0, sizeof means);
    for (int i = 0; i < 10000; i++) {
        int label = dataset->training.labels[i];
        counts[label]++;
        for (int j = 0; j < PIXELS; j++)
            means[label][j] += dataset->training.pixels[(size_t)i * PIXELS + (size_t)j];
    }
    for (int label = 0; label < 10; label++)
        for (int j = 0; j < PIXELS; j++) means[label][j] /= counts[label];
    int right = 0;
    for (int i = 0; i < 1000; i++) {
        int best = -1;
        double least = 0;
        for (int label = 0; label < 10; label++) {
            double distance = 0;
            for (int j = 0; j < PIXELS; j++) {
                double difference =
                    dataset->test.pixels[(size_t)i * PIXELS + (size_t)j] - means[label][j];
                distance += difference * difference;
            }
            if (best < 0 || distance < least) best = label, least = distance;
        }
        right += best == dataset->test.labels[i];
    }
    print_message("nearest mean: %d of 1000\n", right);
    assert_in_range(right, 400, 900);
}

/* -- mnist, where its files are missing or wrong
 * ------------------------------------------------------------ */

static gr_status load_mnist(const char *directory, gr_error *error) {
    gr_settings settings = settings_build(&gr_dataset_family, "{name: mnist}");
    gr_dataset *dataset;
    gr_status status = gr_dataset_load(&settings, directory, &dataset, error);
    gr_settings_clear(&settings);
    gr_dataset_free(dataset);
    return status;
}

/* A file of zeros (a hole) behind an IDX header; `label` at the end. */
static void write_file(const char *directory, const char *name, int64_t count, int rank,
                       uint8_t label) {
    char path[128];
    snprintf(path, sizeof path, "%s/mnist/%s", directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    const uint8_t header[16] = {
        0, 0, 8, (uint8_t)rank, 0, 0, (uint8_t)(count >> 8), (uint8_t)count, 0, 0, 0, 28, 0,
        0, 0, 28};
    size_t size = rank == 3 ? 16 : 8;
    fwrite(header, 1, size, file);
    fseeko(file, (off_t)((rank == 3 ? count * PIXELS : count) - 1), SEEK_CUR);
    fputc(label, file);
    fclose(file);
}

static void test_mnist_files(void **state) {
    (void)state;
    char directory[] = "/tmp/gradreg-mnist-XXXXXX", path[128];
    gr_error error = {0};
    assert_non_null(mkdtemp(directory));
    assert_int_equal(load_mnist(directory, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, "gradreg data fetch mnist"));
    snprintf(path, sizeof path, "%s/mnist", directory);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(directory, "t10k-images-idx3-ubyte", 10000, 3, 1);
    write_file(directory, "t10k-labels-idx1-ubyte", 10000, 1, 9);
    write_file(directory, "train-images-idx3-ubyte", 60000, 3, 1);
    assert_int_equal(load_mnist(directory, &error), GR_NOT_FOUND);
    assert_non_null(strstr(error.message, "train-labels-idx1-ubyte"));
    write_file(directory, "train-labels-idx1-ubyte", 60000, 1, 9);
    assert_int_equal(load_mnist(directory, &error), GR_OK);
    write_file(directory, "train-labels-idx1-ubyte", 60000, 1, 10);
    assert_int_equal(load_mnist(directory, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "label 59999 is 10"));
    write_file(directory, "train-labels-idx1-ubyte", 59999, 1, 9);
    assert_int_equal(load_mnist(directory, &error), GR_CORRUPT);
    assert_non_null(strstr(error.message, "59999"));
    write_file(directory, "t10k-images-idx3-ubyte", 9000, 3, 1);
    assert_int_equal(load_mnist(directory, &error), GR_CORRUPT);
    const char *const names[] = {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
                                 "train-images-idx3-ubyte", "train-labels-idx1-ubyte"};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/mnist/%s", directory, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/mnist", directory);
    rmdir(path);
    rmdir(directory);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shape_and_balance),
        cmocka_unit_test(test_determinism),
        cmocka_unit_test(test_distinct_images),
        cmocka_unit_test(test_nearest_mean_is_neither_useless_nor_enough),
        cmocka_unit_test(test_mnist_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
