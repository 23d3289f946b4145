/* Users' own files as data sets: what is read from them, how it is divided, and what is refused. */
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

#include "core/data/dataset_content.h"
#include "tests/settings_builder.h"

static char folder[] = "/tmp/gradreg-user-XXXXXX";

static const char *in_folder(const char *name) {
    static char paths[4][400];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static int set_up(void **state) {
    (void)state;
    return mkdtemp(folder) ? mkdir(in_folder("user"), 0700) : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[100];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void write_file(const char *name, const void *bytes, size_t count) {
    char path[300];
    snprintf(path, sizeof path, "user/%s", name);
    FILE *file = fopen(in_folder(path), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static gr_status load_status(const char *text, gr_dataset **dataset, gr_error *error) {
    gr_settings settings = settings_build(&gr_dataset_family, text);
    gr_status status = gr_dataset_load(&settings, folder, dataset, error);
    gr_settings_clear(&settings);
    return status;
}

static gr_dataset *load(const char *text) {
    gr_dataset *dataset;
    gr_error error = {0};
    if (load_status(text, &dataset, &error) != GR_OK)
        fail_msg("%s: %s %s", text, error.place, error.message);
    return dataset;
}

static void expect(const char *text, gr_status status, const char *place, const char *part) {
    gr_dataset *dataset;
    gr_error error = {0};
    assert_int_equal(load_status(text, &dataset, &error), status);
    assert_null(dataset);
    assert_int_equal(error.status, status);
    assert_string_equal(error.place, place);
    if (!strstr(error.message, part)) fail_msg("\"%s\" lacks \"%s\"", error.message, part);
}

/* -- CSV
 * -------------------------------------------------------------------------------------------------
 */

enum { ROWS = 60 };

/* 60 rows: a = row, b = -row / 2, class by row, target = 10 row. */
static void write_table(const char *name, const char *const classes[3], const char *line_end) {
    char text[8000], *at = text;
    at += sprintf(at, "a,\"the class\",b,id,y%s", line_end);
    for (int i = 0; i < ROWS; i++)
        at += sprintf(at, "%d,%s,%.1f,#%d,%d%s", i, classes[i % 3], -i / 2.0, i, 10 * i, line_end);
    write_text(name, text);
}

static const char *const words[3] = {"red", "\"blue, light\"", "green"};
static const char *const numbers[3] = {"10", "9", "2.0"};

static void test_csv_classification(void **state) {
    (void)state;
    for (int variant = 0; variant < 2; variant++) {
        write_table("table.csv", variant ? numbers : words, variant ? "\r\n" : "\n");
        gr_dataset *dataset =
            load("{name: csv, file: table.csv, label: 'the class', ignore: 'id,y'}");
        const gr_dataset_information *about = gr_dataset_describe(dataset);
        assert_int_equal(about->classes, 3);
        assert_int_equal(about->targets, 0);
        assert_int_equal(about->input_shape.rank, 1);
        assert_int_equal(about->input_shape.size[0], 2);
        assert_int_equal(about->training_samples, 48);
        assert_int_equal(about->test_samples, 12);
        assert_int_equal(dataset->training_pool, 39);
        assert_int_equal(about->default_validation_size, 9);
        /* Sorted as numbers where all are numbers, else as bytes. */
        const char *const sorted[2][3] = {{"blue, light", "green", "red"}, {"2.0", "9", "10"}};
        const int label_of[2][3] = {{2, 0, 1}, {2, 1, 0}};
        for (int i = 0; i < 3; i++) assert_string_equal(about->class_names[i], sorted[variant][i]);
        bool seen[ROWS] = {false};
        int in_order = 0;
        for (int i = 0; i < ROWS; i++) {
            const gr_samples *samples = i < 48 ? &dataset->training : &dataset->test;
            const double *x = samples->values + 2 * (i < 48 ? i : i - 48);
            int row = (int)x[0];
            assert_false(seen[row]);
            seen[row] = true;
            in_order += row == i;
            assert_int_equal(gr_dataset_place(dataset, i >= 48, i < 48 ? i : i - 48), row);
            assert_true(x[0] == row && x[1] == -row / 2.0);
            assert_int_equal(samples->labels[i < 48 ? i : i - 48], label_of[variant][row % 3]);
        }
        assert_true(in_order < ROWS / 4);
        gr_dataset_free(dataset);
    }
}

static void test_csv_regression(void **state) {
    (void)state;
    write_table("table.csv", numbers, "\n");
    gr_dataset *dataset = load("{name: csv, file: table.csv, label: y, task: regression, "
                               "ignore: id, test_share: 0.5}");
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    assert_int_equal(about->classes, 0);
    assert_int_equal(about->targets, 1);
    assert_false(about->knows_derivatives);
    assert_int_equal(about->input_shape.size[0], 3);
    assert_int_equal(about->test_samples, 30);
    gr_settings settings = settings_build(
        &gr_dataset_family, "{name: csv, file: table.csv, label: y, task: regression}");
    gr_split *split;
    gr_error error = {0};
    assert_int_equal(gr_split_create(dataset, &settings, 3, &split, &error), GR_OK);
    gr_real x[3 * 24], y[24];
    int64_t positions[24], count;
    const double *mean, *deviation;
    gr_split_standardization(split, &mean, &deviation, &count);
    assert_int_equal(count, 3); /* per feature */
    for (int i = 0; i < 24; i++) positions[i] = i;
    gr_split_fill(split, GR_PART_TRAINING, positions, 24, false, x, NULL, y);
    for (int i = 0; i < 24; i++) {
        double row = (double)x[i] * deviation[0] + mean[0], b = (double)x[48 + i] * deviation[2];
        assert_true(row * 10 > (double)y[i] - 1e-3 && row * 10 < (double)y[i] + 1e-3);
        assert_true(b + mean[2] > -row / 2 - 1e-4 && b + mean[2] < -row / 2 + 1e-4);
    }
    gr_split_free(split);
    gr_settings_clear(&settings);
    gr_dataset_free(dataset);
}

static void test_csv_test_file(void **state) {
    (void)state;
    const char *spec = "{name: csv, file: table.csv, test_file: test.csv, label: 'the class', "
                       "ignore: 'id,y'}";
    write_table("table.csv", words, "\n");
    write_text("test.csv", "a,the class,b,id,y\n7,green,8,-,-\n9,red,10,-,-\n");
    gr_dataset *dataset = load(spec);
    assert_int_equal(dataset->training.count, ROWS);
    assert_int_equal(dataset->test.count, 2);
    assert_true(dataset->test.values[1] == 8 && dataset->test.values[2] == 9);
    assert_true(dataset->test.labels[0] == 1 && dataset->test.labels[1] == 2);
    assert_int_equal(gr_dataset_describe(dataset)->default_validation_size, 2);
    gr_dataset_free(dataset);
    write_text("test.csv", "a,the class,b,id,y\n7,green,8,-,-\n9,pink,10,-,-\n");
    expect(spec, GR_INVALID, "/test_file", "test.csv, line 3: the label \"pink\"");
    write_text("test.csv", "a,the class,c,id,y\n7,green,8,-,-\n");
    expect(spec, GR_INVALID, "/test_file", "column 3: is \"c\"");
    write_text("test.csv", "a,the class,id,y\n7,green,-,-\n");
    expect(spec, GR_INVALID, "/test_file", "4 columns");
    write_text("test.csv", "a,the class,b,id,y\n");
    expect(spec, GR_INVALID, "/test_file", "no rows");
    unlink(in_folder("user/test.csv"));
    expect(spec, GR_NOT_FOUND, "/test_file", "test.csv");
}

static void test_csv_refusals(void **state) {
    (void)state;
    static const struct {
        const char *content, *options, *place, *message;
    } cases[] = {
        {"", "", "/file", "is empty"},
        {"a,y\n1,2\n3\n", "", "/file", "line 3: 1 cells where the header has 2"},
        {"a,y\n1,2\n3,4,5\n", "", "/file", "line 3: 3 cells"},
        {"a,y\n1,u\n,v\n", "", "/file", "line 3, column 1 (\"a\"): the cell is missing"},
        {"a,y\n1,u\nNA,v\n", "", "/file", "line 3, column 1 (\"a\"): \"NA\" is no number"},
        {"a,y\n1,u\n\"\n\",v\n", "", "/file", "line 3, column 1 (\"a\"): unprintable"},
        {"a,y\n\n1,u\n", "", "/file", "line 2: is empty"},
        {"a,y\n1,\n", "", "/file", "line 2, column 2 (\"y\"): the cell is missing"},
        {"a,y\n1,\xff\n", "", "/file", "line 2, column 2"},
        {"a,y\n1,u\n", ", task: regression", "/file", "\"u\" is no number"},
        {"a,y\n1,nan\n", ", task: regression", "/file", "\"nan\" is no number"},
        {"a,y\n1,1e39\n", ", task: regression", "/file", "\"1e39\" is no number"},
        {"a,z\n1,2\n", "", "/label", "no column \"y\"; its columns are \"a\", \"z\""},
        {"a;y\n1;2\n", "", "/label", "delimiter"},
        {"y\n1\n", "", "/file", "beside the label"},
        {"a,y\n1,2\n", ", ignore: a", "/file", "beside the label"},
        {"a,y\n1,2\n", ", ignore: b", "/ignore", "no column \"b\""},
        {"a,y\n1,2\n", ", ignore: y", "/ignore", "\"y\""},
        {"a,a,y\n1,2,3\n", "", "/file", "two columns are called \"a\""},
        {"a,,y\n1,2,3\n", "", "/file", "column 2"},
        {"a,\"\n\",y\n1,2,3\n", "", "/file", "column 2"},
        {"a,y\n1,u\n2,u\n", "", "/label", "one value only"},
        {"a,y\n", "", "/label", "no values"},
        {"a,y\n", ", task: regression", "/file", "at least 10"},
        {"a,y\n1,u\n2,v\n", "", "/file", "at least 10"},
        {"a,y\n\"1,u\n2,v\n", "", "/file", "line 2: a quoted cell"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[200];
        print_message("%s\n", cases[i].message);
        write_text("bad.csv", cases[i].content);
        snprintf(text, sizeof text, "{name: csv, file: bad.csv, label: y%s}", cases[i].options);
        expect(text, GR_INVALID, cases[i].place, cases[i].message);
    }
}

static void test_csv_too_many_classes(void **state) {
    (void)state;
    for (int classes = 256; classes <= 257; classes++) {
        char *text = malloc(100000), *at = text;
        at += sprintf(at, "a,y\n");
        for (int i = 0; i < 600; i++) at += sprintf(at, "1,%d\n", (i * 7) % classes);
        write_text("many.csv", text);
        free(text);
        if (classes == 256)
            gr_dataset_free(load("{name: csv, file: many.csv, label: y}"));
        else
            expect("{name: csv, file: many.csv, label: y}", GR_INVALID, "/label", "regression");
    }
}

/* A long cell is cut between characters. */
static void test_csv_long_cell(void **state) {
    (void)state;
    char text[1000] = "a,y\n", *at = text + 4;
    for (int i = 0; i < 100; i++) at = stpcpy(at, "ää€");
    stpcpy(at, ",1\n");
    write_text("bad.csv", text);
    expect("{name: csv, file: bad.csv, label: y}", GR_INVALID, "/file", "…\" is no number");
}

/* -- what a name may reach
 * ------------------------------------------------------------------------------- */

static void test_names(void **state) {
    (void)state;
    static const char *const names[] = {
        "../secret.csv", "/etc/passwd",           "..",       ".",        ".hidden",
        "a/b.csv",       "user/../../secret.csv", "a\nb.csv", "a\xff.csv"};
    FILE *file = fopen(in_folder("secret.csv"), "wb");
    fputs("a,y\n1,2\n", file);
    fclose(file);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "{name: csv, file: '%s', label: y}", names[i]);
        expect(text, GR_INVALID, "/file", "plain name");
        snprintf(text, sizeof text, "{name: npy, inputs: '%s', labels: y}", names[i]);
        expect(text, GR_INVALID, "/inputs", "plain name");
    }
    expect("{name: csv, file: nothing.csv, label: y}", GR_NOT_FOUND, "/file", "nothing.csv");
    assert_int_equal(symlink(in_folder("secret.csv"), in_folder("user/link.csv")), 0);
    expect("{name: csv, file: link.csv, label: y}", GR_INVALID, "/file", "symbolic link");
    assert_int_equal(mkdir(in_folder("user/folder.csv"), 0700), 0);
    expect("{name: csv, file: folder.csv, label: y}", GR_INVALID, "/file", "regular file");
    assert_int_equal(mkfifo(in_folder("user/fifo.csv"), 0600), 0); /* must not hang */
    expect("{name: csv, file: fifo.csv, label: y}", GR_INVALID, "/file", "regular file");
    write_text("huge.csv", "a");
    assert_int_equal(truncate(in_folder("user/huge.csv"), (off_t)1 << 40), 0);
    expect("{name: csv, file: huge.csv, label: y}", GR_INVALID, "/file", "larger than");
}

/* -- arrays
 * ---------------------------------------------------------------------------------------------- */

static void write_npy(const char *name, const char *descr, const char *shape, const void *elements,
                      size_t bytes) {
    uint8_t *file = malloc(bytes + 300);
    int length = snprintf((char *)file + 10, 290,
                          "{'descr': '%s', 'fortran_order': False, 'shape': %s, }\n", descr, shape);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (uint8_t)length, file[9] = (uint8_t)(length >> 8);
    memcpy(file + 10 + length, elements, bytes);
    write_file(name, file, 10 + (size_t)length + bytes);
    free(file);
}

static void test_npy(void **state) {
    (void)state;
    enum { N = 40 };
    float x[N][6];
    double y[N][2];
    int64_t labels[N];
    uint8_t bytes[N][6];
    for (int i = 0; i < N; i++) {
        labels[i] = i % 4;
        for (int j = 0; j < 6; j++) {
            x[i][j] = (float)(i + 100 * j);
            bytes[i][j] = (uint8_t)(i + 40 * j);
        }
        y[i][0] = i, y[i][1] = -i;
    }
    write_npy("x.npy", "<f4", "(40, 6)", x, sizeof x);
    write_npy("bytes.npy", "|u1", "(40, 2, 3)", bytes, sizeof bytes);
    write_npy("labels.npy", "<i8", "(40,)", labels, sizeof labels);
    write_npy("y.npy", "<f8", "(40, 2)", y, sizeof y);

    gr_dataset *dataset = load("{name: npy, inputs: x.npy, labels: labels.npy}");
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    assert_int_equal(about->classes, 4);
    assert_int_equal(about->input_shape.size[0], 6);
    assert_int_equal(about->training_samples, 32);
    for (int i = 0; i < 32; i++) {
        int row = (int)dataset->training.values[6 * i];
        assert_true(dataset->training.values[6 * i + 5] == row + 500);
        assert_int_equal(dataset->training.labels[i], row % 4);
    }
    gr_dataset_free(dataset);

    dataset = load("{name: npy, inputs: bytes.npy, labels: y.npy, task: regression}");
    about = gr_dataset_describe(dataset);
    assert_int_equal(about->targets, 2);
    assert_int_equal(about->input_shape.rank, 3);
    assert_int_equal(about->input_shape.size[0], 1);
    assert_int_equal(about->input_shape.size[2], 3);
    for (int i = 0; i < 32; i++) {
        int row = dataset->training.pixels[6 * i];
        assert_true(dataset->training.targets[2 * i + 1] == -row);
        assert_int_equal(dataset->training.pixels[6 * i + 5], (uint8_t)(row + 200));
    }
    gr_dataset_free(dataset);

    dataset = load("{name: npy, inputs: x.npy, labels: labels.npy, test_inputs: x.npy, "
                   "test_labels: labels.npy}");
    assert_int_equal(gr_dataset_describe(dataset)->training_samples, N);
    assert_true(dataset->test.values[6 * 7] == 7 && dataset->test.labels[7] == 3);
    gr_dataset_free(dataset);

    expect("{name: npy, inputs: x.npy, labels: y.npy}", GR_INVALID, "/labels", "40x2");
    expect("{name: npy, inputs: x.npy, labels: x.npy}", GR_INVALID, "/labels", "40x6");
    expect("{name: npy, inputs: x.npy, labels: labels.npy, test_inputs: x.npy}", GR_INVALID,
           "/test_labels", "belong together");
    expect("{name: npy, inputs: x.npy, labels: labels.npy, test_inputs: bytes.npy, test_labels: "
           "labels.npy}",
           GR_INVALID, "/test_inputs", "1x2x3 where those for training are 6");
    write_npy("short.npy", "<i8", "(39,)", labels, 39 * 8);
    expect("{name: npy, inputs: x.npy, labels: short.npy}", GR_INVALID, "/labels", "39 labels");
    labels[5] = -1;
    write_npy("bad.npy", "<i8", "(40,)", labels, sizeof labels);
    expect("{name: npy, inputs: x.npy, labels: bad.npy}", GR_INVALID, "/labels",
           "label 5 (from 0) is -1");
    labels[5] = (int64_t)1 << 40;
    write_npy("bad.npy", "<i8", "(40,)", labels, sizeof labels);
    expect("{name: npy, inputs: x.npy, labels: bad.npy}", GR_INVALID, "/labels", "0 to 255");
    labels[5] = 4;
    write_npy("bad.npy", "<i8", "(40,)", labels, sizeof labels);
    expect("{name: npy, inputs: x.npy, labels: labels.npy, test_inputs: x.npy, test_labels: "
           "bad.npy}",
           GR_INVALID, "/test_labels", "0 to 3");
    memset(labels, 0, sizeof labels);
    write_npy("bad.npy", "<i8", "(40,)", labels, sizeof labels);
    expect("{name: npy, inputs: x.npy, labels: bad.npy}", GR_INVALID, "/labels", "two classes");
    x[3][2] = (float)(1 / 0.0);
    write_npy("bad.npy", "<f4", "(40, 6)", x, sizeof x);
    expect("{name: npy, inputs: bad.npy, labels: labels.npy}", GR_INVALID, "/inputs",
           "sample 3 (from 0) holds inf");
    write_npy("bad.npy", "<f4", "(1, 1, 40, 3, 2)", x, sizeof x);
    expect("{name: npy, inputs: bad.npy, labels: labels.npy}", GR_INVALID, "/inputs", "[n, ");
    write_text("bad.npy", "no array");
    expect("{name: npy, inputs: bad.npy, labels: labels.npy}", GR_INVALID, "/inputs",
           "no .npy file");
}

static void test_idx(void **state) {
    (void)state;
    enum { N = 20 };
    uint8_t images[16 + N * 6] = {0, 0, 8, 3, 0, 0, 0, N, 0, 0, 0, 2, 0, 0, 0, 3};
    uint8_t labels[8 + N] = {0, 0, 8, 1, 0, 0, 0, N};
    for (int i = 0; i < N; i++) {
        labels[8 + i] = (uint8_t)(i % 3);
        for (int j = 0; j < 6; j++) images[16 + 6 * i + j] = (uint8_t)(i * 6 + j);
    }
    write_file("images", images, sizeof images);
    write_file("labels", labels, sizeof labels);
    gr_dataset *dataset = load("{name: idx, inputs: images, labels: labels}");
    const gr_dataset_information *about = gr_dataset_describe(dataset);
    assert_int_equal(about->classes, 3);
    assert_int_equal(about->input_shape.rank, 3);
    assert_int_equal(about->input_shape.size[1], 2);
    assert_int_equal(about->training_samples, 16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(dataset->training.labels[i], dataset->training.pixels[6 * i] / 6 % 3);
    gr_dataset_free(dataset);
    expect("{name: idx, inputs: labels, labels: images}", GR_INVALID, "/labels", "20x2x3");
    write_file("images", images, sizeof images - 1);
    expect("{name: idx, inputs: images, labels: labels}", GR_INVALID, "/inputs", "truncated");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_csv_classification),
        cmocka_unit_test(test_csv_regression),
        cmocka_unit_test(test_csv_test_file),
        cmocka_unit_test(test_csv_refusals),
        cmocka_unit_test(test_csv_too_many_classes),
        cmocka_unit_test(test_csv_long_cell),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_npy),
        cmocka_unit_test(test_idx),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
