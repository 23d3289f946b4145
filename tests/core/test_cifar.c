/* The CIFAR reader: made-up files, files that are not what they claim to be, and a part of the real
 * ones where it is at hand. */
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

#include "core/data/cifar_records.h"
#include "tests/settings_builder.h"

static char folder[] = "/tmp/gradreg-cifar-XXXXXX";

static const char *in_folder(const char *name) {
    static char paths[4][256];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    return mkdir(in_folder("cifar10"), 0700) || mkdir(in_folder("cifar100"), 0700);
}

static int tear_down(void **state) {
    (void)state;
    static const char *const names[] = {
        "cifar10/data_batch_1.bin", "cifar10/data_batch_3.bin",       "cifar10/test_batch.bin",
        "cifar10/batches.meta.txt", "cifar100/fine_label_names.txt",  "cifar100/train.bin",
        "cifar100/test.bin",        "cifar100/coarse_label_names.txt"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unlink(in_folder(names[i]));
    rmdir(in_folder("cifar10"));
    rmdir(in_folder("cifar100"));
    return rmdir(folder);
}

static uint8_t pixel(int record, int index) {
    return (uint8_t)(record * 31 + index * 7);
}

/* `count` records from number `first` on, with labels number % classes (coarse: number % 20). */
static uint8_t *make_records(int first, int count, int label_bytes, int classes, size_t *size) {
    size_t record = (size_t)label_bytes + GR_CIFAR_PIXELS;
    *size = (size_t)count * record;
    uint8_t *bytes = malloc(*size + (*size == 0)), *at = bytes;
    for (int i = first; i < first + count; i++) {
        if (label_bytes == 2) *at++ = (uint8_t)(i % 20);
        *at++ = (uint8_t)(i % classes);
        for (int j = 0; j < GR_CIFAR_PIXELS; j++) *at++ = pixel(i, j);
    }
    return bytes;
}

static void write_file(const char *name, const void *bytes, size_t count) {
    FILE *file = fopen(in_folder(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void write_records(const char *name, int first, int count, int label_bytes, int classes) {
    size_t size;
    uint8_t *bytes = make_records(first, count, label_bytes, classes, &size);
    write_file(name, bytes, size);
    free(bytes);
}

static gr_status load_from(const char *directory, const char *text, gr_dataset **dataset,
                           gr_error *error) {
    gr_settings settings = settings_build(&gr_dataset_family, text);
    gr_status status = gr_dataset_load(&settings, directory, dataset, error);
    gr_settings_clear(&settings);
    return status;
}

static gr_dataset *load(const char *text) {
    gr_dataset *dataset;
    gr_error error = {0};
    if (load_from(folder, text, &dataset, &error) != GR_OK) fail_msg("%s", error.message);
    return dataset;
}

static void expect_failure(const char *text, gr_status status, const char *part) {
    gr_dataset *dataset;
    gr_error error = {0};
    assert_int_equal(load_from(folder, text, &dataset, &error), status);
    assert_null(dataset);
    if (!strstr(error.message, part)) fail_msg("\"%s\" lacks \"%s\"", error.message, part);
}

/* -- the format
 * ------------------------------------------------------------------------------------------ */

static const gr_cifar_format ten = {.label_bytes = 1, .classes = {10}, .maximum_records = 3};
static const gr_cifar_format hundred = {
    .label_bytes = 2, .classes = {20, 100}, .used = 1, .maximum_records = 3};

static void expect_corrupt(const uint8_t *bytes, size_t count, const gr_cifar_format *format,
                           const char *part) {
    gr_samples samples = {0};
    gr_error error = {0};
    uint8_t *copy = malloc(count + (count == 0)); /* a sanitizer sees a read beyond */
    if (count) memcpy(copy, bytes, count);
    assert_int_equal(gr_cifar_append("some/file", copy, count, format, &samples, &error),
                     GR_CORRUPT);
    free(copy);
    assert_int_equal(samples.count, 0);
    if (!strstr(error.message, "some/file") || !strstr(error.message, part))
        fail_msg("\"%s\" lacks the file's name or \"%s\"", error.message, part);
    gr_samples_clear(&samples);
}

static void test_records(void **state) {
    (void)state;
    const gr_cifar_format *const formats[] = {&ten, &hundred};
    for (int k = 0; k < 2; k++) {
        gr_samples samples = {0};
        for (int part = 0; part < 2; part++) {
            size_t size;
            uint8_t *bytes = make_records(part * 3, 3, k + 1, formats[k]->classes[k], &size);
            assert_int_equal(gr_cifar_append("x", bytes, size, formats[k], &samples, NULL), GR_OK);
            free(bytes);
        }
        assert_int_equal(samples.count, 6);
        for (int i = 0; i < 6; i++) {
            assert_int_equal(samples.labels[i], i);
            for (int j = 0; j < GR_CIFAR_PIXELS; j += 101)
                assert_int_equal(samples.pixels[i * GR_CIFAR_PIXELS + j], pixel(i, j));
        }
        gr_samples_clear(&samples);
    }
}

static void test_every_truncation(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = make_records(0, 2, 1, 10, &size);
    for (size_t count = 0; count < size; count++)
        if (count != size / 2) expect_corrupt(bytes, count, &ten, count ? "truncated" : "is empty");
    free(bytes);
}

static void test_malformed(void **state) {
    (void)state;
    size_t size;
    uint8_t *bytes = make_records(0, 4, 1, 10, &size);
    expect_corrupt(bytes, size, &ten, "4 records where 3");
    bytes[size / 4] = 10;
    expect_corrupt(bytes, size / 2, &ten, "record 2 is 10 where 0 to 9");
    free(bytes);
    bytes = make_records(0, 3, 2, 100, &size);
    bytes[0] = 20;
    expect_corrupt(bytes, size, &hundred, "label 1 of record 1 is 20");
    bytes[0] = 0, bytes[1] = 100;
    expect_corrupt(bytes, size, &hundred, "label 2 of record 1 is 100");
    free(bytes);
}

/* -- the data sets
 * --------------------------------------------------------------------------------------- */

static void test_cifar10(void **state) {
    (void)state;
    expect_failure("{name: cifar10}", GR_NOT_FOUND, "data_batch_1.bin");
    write_records("cifar10/data_batch_3.bin", 100, 40, 1, 10);
    expect_failure("{name: cifar10}", GR_NOT_FOUND, "test_batch.bin");
    write_records("cifar10/test_batch.bin", 50, 3, 1, 10);
    write_records("cifar10/data_batch_1.bin", 0, 12, 1, 10);
    gr_dataset *dataset = load("{name: cifar10}");
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    assert_int_equal(about->classes, 10);
    assert_int_equal(about->training_samples, 52);
    assert_int_equal(about->test_samples, 3);
    assert_int_equal(about->default_validation_size, 3); /* no more than the test samples */
    assert_int_equal(dataset->training_pool, 42);
    assert_null(about->class_names);
    assert_non_null(strstr(about->description, "2 of 5"));
    assert_int_equal(dataset->training.labels[11], 1);
    assert_int_equal(dataset->training.pixels[12 * GR_CIFAR_PIXELS + 5], pixel(100, 5));
    assert_int_equal(dataset->test.pixels[GR_CIFAR_PIXELS + 9], pixel(51, 9));
    gr_dataset_free(dataset);

    write_file("cifar10/batches.meta.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n", 21);
    dataset = load("{name: cifar10}");
    assert_string_equal(gr_dataset_describe(dataset)->class_names[9], "j");
    gr_dataset_free(dataset);
    write_file("cifar10/batches.meta.txt", "a\nb\n", 4);
    expect_failure("{name: cifar10}", GR_CORRUPT, "2 names");
    write_file("cifar10/batches.meta.txt", "a\nb\xff\n", 5);
    expect_failure("{name: cifar10}", GR_CORRUPT, "line 2");
    unlink(in_folder("cifar10/batches.meta.txt"));

    assert_int_equal(truncate(in_folder("cifar10/data_batch_3.bin"), 100), 0);
    expect_failure("{name: cifar10}", GR_CORRUPT, "data_batch_3.bin: truncated");
    unlink(in_folder("cifar10/data_batch_3.bin"));
    write_records("cifar10/data_batch_1.bin", 0, 4, 1, 10);
    expect_failure("{name: cifar10}", GR_CORRUPT, "at least 5");
    /* Far too large a file is not read at all. */
    assert_int_equal(truncate(in_folder("cifar10/data_batch_1.bin"), (off_t)1 << 40), 0);
    expect_failure("{name: cifar10}", GR_CORRUPT, "10000 records");
    unlink(in_folder("cifar10/data_batch_1.bin"));
    assert_int_equal(mkfifo(in_folder("cifar10/data_batch_1.bin"), 0600), 0); /* must not hang */
    expect_failure("{name: cifar10}", GR_CORRUPT, "regular file");
}

static void test_cifar100(void **state) {
    (void)state;
    write_records("cifar100/train.bin", 0, 200, 2, 100);
    write_records("cifar100/test.bin", 0, 60, 2, 100);
    gr_dataset *dataset = load("{name: cifar100}");
    assert_int_equal(gr_dataset_describe(dataset)->classes, 100);
    assert_int_equal(gr_dataset_describe(dataset)->default_validation_size, 40);
    assert_int_equal(dataset->training.labels[150], 50);
    assert_int_equal(dataset->training.pixels[150 * GR_CIFAR_PIXELS], pixel(150, 0));
    gr_dataset_free(dataset);
    dataset = load("{name: cifar100, labels: coarse}");
    assert_int_equal(gr_dataset_describe(dataset)->classes, 20);
    assert_int_equal(dataset->training.labels[150], 10);
    gr_dataset_free(dataset);
}

/* 5,000 + 5,000 real pictures, 500 of each class, which some machines of developers have. */
static void test_real_files(void **state) {
    (void)state;
    char *source = getenv("GRADREG_SOURCE_DIR"), path[512], link[512];
    snprintf(path, sizeof path, "%s/../shared/data/cifar-10-subset", source ? source : ".");
    char *real = realpath(path, NULL);
    if (!real) {
        print_message("skipped: there is no ../shared/data/cifar-10-subset\n");
        skip();
    }
    char top[] = "/tmp/gradreg-cifar-real-XXXXXX";
    assert_non_null(mkdtemp(top));
    snprintf(link, sizeof link, "%s/cifar10", top);
    assert_int_equal(symlink(real, link), 0);
    gr_dataset *dataset;
    gr_error error = {0};
    if (load_from(top, "{name: cifar10}", &dataset, &error) != GR_OK) fail_msg("%s", error.message);
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    assert_int_equal(about->training_samples, 5000);
    assert_int_equal(about->test_samples, 5000);
    assert_int_equal(dataset->training_pool, 4000);
    assert_string_equal(about->class_names[3], "cat");
    int counts[10] = {0};
    for (int i = 0; i < 5000; i++) counts[dataset->training.labels[i]]++;
    for (int i = 0; i < 10; i++) assert_int_equal(counts[i], 500);
    gr_settings settings = settings_build(&gr_dataset_family, "{name: cifar10, train_size: 2000}");
    gr_split *split;
    assert_int_equal(gr_split_create(dataset, &settings, 1, &split, &error), GR_OK);
    const double *mean, *deviation;
    int64_t groups;
    gr_split_standardization(split, &mean, &deviation, &groups);
    assert_int_equal(groups, 3); /* per channel; near the well-known values of all of CIFAR-10 */
    const double known[] = {0.4914, 0.4822, 0.4465};
    for (int i = 0; i < 3; i++) {
        assert_true(mean[i] > known[i] - 0.02 && mean[i] < known[i] + 0.02);
        assert_true(deviation[i] > 0.22 && deviation[i] < 0.29);
    }
    gr_split_free(split);
    gr_settings_clear(&settings);
    gr_dataset_free(dataset);
    unlink(link);
    rmdir(top);
    free(real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),   cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_malformed), cmocka_unit_test(test_cifar10),
        cmocka_unit_test(test_cifar100),  cmocka_unit_test(test_real_files),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
