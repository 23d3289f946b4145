/* Gradients against an independent implementation's: the cases of tests/golden (by its make_cases)
 * and of ../shared/golden (skipped, saying so, where they are not there), made with float64
 * PyTorch.
 *
 *     test_golden DIR    only the cases of this folder ("make_cases --random" writes more) */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/files.h"
#include "server/safetensors.h"
#include "server/spec.h"

/* ‖g − ref‖/‖ref‖ of each parameter tensor: float32 scores about 2e-6, so a wrong or missing term,
 * which is of the gradient's own size, cannot hide below it. */
static const double tensor_tolerance = 1e-4;
static const double scalar_tolerance = 1e-5; /* relative */
/* A tensor whose reference is nothing but rounding (a bias before a batch normalisation) is
 * measured against the largest of its case instead. */
static const double negligible = 1e-9;

static void path_of(char path[1024], const char *folder, const char *name) {
    snprintf(path, 1024, "%.900s/%s", folder, name);
}

static spec *read_spec(const char *folder) {
    static const char *const members[] = {"model", "loss", "regularizers", NULL};
    char path[1024];
    void *text;
    size_t length;
    gr_error error = {0};
    path_of(path, folder, "spec.json");
    if (file_read(path, 1 << 20, &text, &length, &error) != GR_OK) fail_msg("%s", error.message);
    spec *parsed;
    bool malformed;
    problems found = {0};
    if (spec_parse_members(text, length, members, &parsed, &malformed, &found) != GR_OK)
        fail_msg("%s: %s: %s", folder, found.items[0].pointer, found.items[0].detail);
    free(text);
    return parsed;
}

static gr_arrays read_arrays(const char *folder, const char *name) {
    char path[1024];
    gr_arrays arrays;
    gr_error error = {0};
    path_of(path, folder, name);
    if (safetensors_read_file(path, &arrays, NULL, &error) != GR_OK) fail_msg("%s", error.message);
    return arrays;
}

static double element(const gr_array *array, int64_t i) {
    return array->type == GR_F64 ? ((const double *)array->data)[i]
                                 : (double)((const float *)array->data)[i];
}

static double norm(const gr_array *array) {
    double sum = 0;
    for (int64_t i = 0; i < gr_shape_elements(&array->shape); i++)
        sum += element(array, i) * element(array, i);
    return sqrt(sum);
}

static double rms(const gr_array *array) {
    return norm(array) / sqrt((double)gr_shape_elements(&array->shape));
}

/* The error of one array by the rule above. */
static double error_of(const gr_array *got, const gr_array *expected, double largest_rms) {
    const int64_t count = gr_shape_elements(&expected->shape);
    double difference = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = element(got, i) - element(expected, i);
        difference += d * d;
    }
    const double scale = rms(expected) < negligible * largest_rms
                             ? largest_rms * sqrt((double)count)
                             : norm(expected);
    /* Both zero is right; 0/0 is not a number, which no comparison would find too large. */
    if (difference == 0) return 0;
    return sqrt(difference) / scale;
}

static bool is_gradient(const gr_array *array) {
    return strncmp(array->name, "grad.", 5) == 0;
}

/* Whether the case agrees. */
static bool check_case(const char *folder, const char *name) {
    spec *parsed = read_spec(folder);
    gr_arrays weights = read_arrays(folder, "weights.safetensors");
    gr_arrays batch = read_arrays(folder, "batch.safetensors");
    gr_arrays expected = read_arrays(folder, "expected.safetensors");
    gr_arrays gradients = {0};
    gr_error error = {0};
    const gr_plan plan = spec_plan(parsed);
    if (gr_gradients(plan.model, plan.loss, plan.regularizers, plan.regularizer_count, &weights,
                     &batch, &gradients, &error) != GR_OK)
        fail_msg("%s: %s: %s", name, error.place, error.message);
    double largest_rms = 0, worst = 0, worst_scalar = 0;
    const char *worst_name = "";
    for (size_t i = 0; i < expected.count; i++)
        if (is_gradient(&expected.items[i]))
            largest_rms = fmax(largest_rms, rms(&expected.items[i]));
    assert_true(largest_rms > 0);
    size_t tensors = 0;
    for (size_t i = 0; i < expected.count; i++) {
        const gr_array *wanted = &expected.items[i];
        const gr_array *got = gr_arrays_find(&gradients, wanted->name);
        if (!got) fail_msg("%s: %s is missing", name, wanted->name);
        assert_int_equal(gr_shape_elements(&got->shape), gr_shape_elements(&wanted->shape));
        if (is_gradient(wanted)) {
            assert_true(gr_shape_equal(&got->shape, &wanted->shape));
            const double is = error_of(got, wanted, largest_rms);
            if (!(is <= worst)) {
                worst = is;
                worst_name = wanted->name;
            }
            tensors++;
        } else {
            assert_int_equal(got->shape.rank, 0);
            const double value = element(wanted, 0);
            const double is = fabs(element(got, 0) - value) / fmax(fabs(value), 1e-300);
            if (!(is <= worst_scalar)) worst_scalar = is;
        }
    }
    printf("%-24s %2zu tensors, worst %.2e (%s), scalars %.2e\n", name, tensors, worst, worst_name,
           worst_scalar);
    assert_true(tensors > 0);
    /* Every parameter has a gradient, and there is nothing else. */
    assert_int_equal(gradients.count, expected.count);
    const bool agrees = worst < tensor_tolerance && worst_scalar < scalar_tolerance;
    if (!agrees)
        printf("%s: beyond the tolerances %g and %g\n", name, tensor_tolerance, scalar_tolerance);
    gr_arrays_clear(&weights);
    gr_arrays_clear(&batch);
    gr_arrays_clear(&expected);
    gr_arrays_clear(&gradients);
    spec_free(parsed);
    return agrees;
}

/* All cases of a folder; their number, or -1 where there is no such folder. */
static int check_folder(const char *folder) {
    struct dirent **entries;
    const int count = scandir(folder, &entries, NULL, alphasort);
    int cases = 0, wrong = 0;
    for (int i = 0; i < count; i++) {
        char path[900], spec_path[1024];
        snprintf(path, sizeof path, "%.600s/%.250s", folder, entries[i]->d_name);
        path_of(spec_path, path, "spec.json");
        if (entries[i]->d_name[0] != '.' && access(spec_path, R_OK) == 0) {
            wrong += !check_case(path, entries[i]->d_name);
            cases++;
        }
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    if (wrong) fail_msg("%d of %d cases disagree", wrong, cases);
    return count < 0 ? -1 : cases;
}

static const char *source_folder(void) {
    const char *source = getenv("GRADREG_SOURCE_DIR");
    return source ? source : ".";
}

static void own_cases_agree(void **state) {
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s/tests/golden", source_folder());
    assert_true(check_folder(folder) > 0);
}

static void shared_cases_agree(void **state) {
    (void)state;
    char folder[512];
    snprintf(folder, sizeof folder, "%s/../shared/golden", source_folder());
    const int cases = check_folder(folder);
    if (cases < 0) {
        printf("skipped: there is no %s\n", folder);
        skip();
    }
    assert_true(cases > 0);
}

static const char *given_folder;

static void given_cases_agree(void **state) {
    (void)state;
    assert_true(check_folder(given_folder) > 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(own_cases_agree),
                                       cmocka_unit_test(shared_cases_agree)};
    const struct CMUnitTest given[] = {cmocka_unit_test(given_cases_agree)};
    given_folder = argc > 1 ? argv[1] : NULL;
    if (given_folder) return cmocka_run_group_tests(given, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
