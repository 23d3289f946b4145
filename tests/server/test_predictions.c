/* Predictions as CSV: columns, quoting, numbers that come back, and what there is nothing of. */
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

#include "server/experiment_setup.h"
#include "server/files.h"
#include "server/paths.h"
#include "server/predictions.h"

static char folder[] = "/tmp/gradreg-predictions-XXXXXX";
static data_cache *data;

static void write_table(const char *text) {
    char path[128];
    gr_error error = {0};
    snprintf(path, sizeof path, "%s/datasets/user/t.csv", folder);
    if (file_replace(path, text, strlen(text), &error) != GR_OK) fail_msg("%s", error.message);
}

static int set_up(void **state) {
    (void)state;
    char path[128];
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/datasets/user", folder);
    if (paths_make_directories(path, NULL) != GR_OK) return -1;
    data = data_cache_create(folder);
    return data ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[128];
    data_cache_free(data);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void set_up_spec(const char *text, experiment_setup *setup) {
    gr_error error = {0};
    if (experiment_setup_check(text, strlen(text), data, setup, NULL, NULL, &error) != GR_OK)
        fail_msg("%s: %s", error.place, error.message);
}

/* A model of one linear layer. */
static gr_arrays linear(int64_t outputs, int64_t inputs, const float *weights,
                        const float *biases) {
    gr_arrays model = {0};
    const gr_shape matrix = {2, {outputs, inputs}}, vector = {1, {outputs}};
    gr_error error;
    void *values;
    assert_int_equal(gr_arrays_add(&model, "0.weight", GR_F32, &matrix, &values, &error), GR_OK);
    memcpy(values, weights, (size_t)(outputs * inputs) * sizeof *weights);
    assert_int_equal(gr_arrays_add(&model, "0.bias", GR_F32, &vector, &values, &error), GR_OK);
    memcpy(values, biases, (size_t)outputs * sizeof *biases);
    return model;
}

/* The whole CSV; owned by the caller. */
static char *csv_of(const experiment_setup *setup, const gr_arrays *model, gr_part part) {
    predictions *of = NULL;
    gr_error error = {0};
    const char *text;
    size_t length, used = 0;
    char *all = NULL;
    if (predictions_create(&setup->plan, setup->dataset, model, part, &of, &error) != GR_OK)
        fail_msg("%s: %s", error.place, error.message);
    while (predictions_next(of, &text, &length)) {
        assert_true(length > 0 && text[length - 1] == '\n');
        all = realloc(all, used + length + 1);
        assert_non_null(all);
        memcpy(all + used, text, length);
        used += length;
        all[used] = '\0';
    }
    assert_false(predictions_next(of, &text, &length));
    predictions_free(of);
    return all;
}

static const char table[] = "x,kind\n"
                            "1,plain\n2,\"with, comma\"\n3,\"a \"\"quote\"\"\"\n"
                            "4,plain\n5,\"with, comma\"\n6,\"a \"\"quote\"\"\"\n"
                            "7,plain\n8,\"with, comma\"\n9,\"a \"\"quote\"\"\"\n"
                            "10,plain\n11,\"with, comma\"\n12,\"a \"\"quote\"\"\"\n";
static const char table_spec[] =
    "{\"dataset\": {\"name\": \"csv\", \"file\": \"t.csv\", \"label\": \"kind\", "
    "\"train_size\": 4, \"validation_size\": 1, \"standardize\": \"none\"}, "
    "\"model\": {\"layers\": [{\"type\": \"linear\", \"units\": 3}]}, "
    "\"training\": {\"batch_size\": 4}}";

static void classes_with_names(void **state) {
    (void)state;
    write_table(table);
    experiment_setup setup;
    set_up_spec(table_spec, &setup);
    gr_arrays model = linear(3, 1, (const float[]){0, 0, 0}, (const float[]){0.1f, 0.3f, 1.0f / 3});
    char *csv = csv_of(&setup, &model, GR_PART_TRAINING);
    static const char header[] =
        "index,label,predicted,correct,label_name,predicted_name,probability.0,probability.1,"
        "probability.2,logit.0,logit.1,logit.2\n";
    if (strncmp(csv, header, sizeof header - 1) != 0) fail_msg("%s", csv);
    /* Whatever the order of classes: logits come back to the same 32 bits, names are quoted. */
    assert_non_null(strstr(csv, ",0.100000001,0.300000012,0.333333343\n"));
    const char *const *names = gr_dataset_describe(setup.dataset)->class_names;
    const char *line = csv + sizeof header - 1;
    for (int i = 0; i < 4; i++) {
        int label, predicted, correct;
        assert_int_equal(sscanf(line, "%*d,%d,%d,%d,", &label, &predicted, &correct), 3);
        assert_int_equal(predicted, 2);
        assert_int_equal(correct, label == 2);
        char wanted[64] = ",";
        char *to = wanted + 1;
        for (int j = 0; j < 2; j++) {
            const char *name = names[j ? predicted : label];
            if (!strcmp(name, "plain")) to = stpcpy(to, "plain,");
            if (!strcmp(name, "with, comma")) to = stpcpy(to, "\"with, comma\",");
            if (!strcmp(name, "a \"quote\"")) to = stpcpy(to, "\"a \"\"quote\"\"\",");
        }
        const char *end = strchr(line, '\n'), *found = strstr(line, wanted);
        if (!found || found > end) fail_msg("%s does not begin with %s", line, wanted);
        line = end + 1;
    }
    assert_string_equal(line, "");
    free(csv);
    gr_arrays_clear(&model);
    experiment_setup_clear(&setup);
}

static void what_is_not_finite(void **state) {
    (void)state;
    write_table(table);
    experiment_setup setup;
    set_up_spec(table_spec, &setup);
    const float infinity = 1e38f * 10;
    gr_arrays model = linear(3, 1, (const float[]){0, 0, 0},
                             (const float[]){infinity, -infinity, infinity - infinity});
    char *csv = csv_of(&setup, &model, GR_PART_TRAINING);
    assert_non_null(strstr(csv, ",NaN,NaN,NaN,Infinity,-Infinity,NaN\n"));
    free(csv);
    gr_arrays_clear(&model);
    experiment_setup_clear(&setup);
}

static void a_regression(void **state) {
    (void)state;
    experiment_setup setup;
    set_up_spec("{\"dataset\": {\"name\": \"toy2\"}, \"loss\": {\"type\": \"squared_error\"}, "
                "\"model\": {\"layers\": [{\"type\": \"linear\", \"units\": 1}]}}",
                &setup);
    gr_arrays model = linear(1, 2, (const float[]){0, 0}, (const float[]){0.5f});
    char *csv = csv_of(&setup, &model, GR_PART_TEST);
    assert_true(strncmp(csv, "index,target,prediction\n0,", 26) == 0);
    int lines = 0;
    for (const char *at = csv; (at = strchr(at, '\n')); at++) {
        lines++;
        assert_true(lines == 1 || memcmp(at - 4, ",0.5", 4) == 0);
    }
    assert_int_equal(lines, 901);
    free(csv);
    gr_arrays_clear(&model);
    experiment_setup_clear(&setup);
}

static void names_of_parts(void **state) {
    (void)state;
    gr_part part;
    gr_error error;
    for (gr_part p = GR_PART_TRAINING; p <= GR_PART_TEST; p++) {
        assert_int_equal(predictions_part(predictions_part_name(p), &part, &error), GR_OK);
        assert_int_equal(part, p);
    }
    assert_int_equal(predictions_part(NULL, &part, &error), GR_OK);
    assert_int_equal(part, GR_PART_TEST);
    assert_int_equal(predictions_part("training", &part, &error), GR_INVALID);
    assert_non_null(strstr(error.message, "train, validation or test"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_with_names),
        cmocka_unit_test(what_is_not_finite),
        cmocka_unit_test(a_regression),
        cmocka_unit_test(names_of_parts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
