/* Analyses as the program runs them, in float: the same bits each time, agreement with the
 * training's own evaluation, refusals, interruption. What the numbers are is tested in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "gradreg/analysis.h"
#include "tests/core/training_helper.h"

static const char everything[] =
    "{gradient_norms: {samples: 50}, transitions: {paths: 2, points: 50}, lipschitz: {}, "
    "robustness: {samples: 60, steps: 3}, calibration: {}, input_gradients: {count: 3}}";

typedef struct subject {
    spec spec;
    gr_settings settings;
    gr_arrays model;
    double test_accuracy, test_loss;
} subject;

static void begin(subject *s, const spec_texts *texts, const char *analysis) {
    gr_training *training;
    gr_error error = {0};
    *s = (subject){0};
    spec_build(&s->spec, texts);
    s->settings = settings_build(&gr_analysis_family, analysis);
    s->spec.plan.analysis = &s->settings;
    if (gr_training_create(&s->spec.plan, digits, &training, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    for (gr_progress progress = GR_PROGRESS_ITERATION; progress != GR_PROGRESS_FINISHED;) {
        size_t count;
        assert_int_equal(gr_training_advance(training, &progress, &error), GR_OK);
        const gr_metric *rows = gr_training_metrics(training, &count);
        for (size_t i = 0; i < count; i++) {
            if (!strcmp(rows[i].name, "test_accuracy")) s->test_accuracy = rows[i].value;
            if (!strcmp(rows[i].name, "test_loss")) s->test_loss = rows[i].value;
        }
    }
    assert_int_equal(gr_training_model(training, &s->model, &error), GR_OK);
    gr_training_free(training);
}

static void end(subject *s) {
    gr_arrays_clear(&s->model);
    gr_settings_clear(&s->settings);
    spec_clear(&s->spec);
}

static gr_analysis analysis_of(const subject *s) {
    gr_analysis result = {0};
    gr_error error = {0};
    if (gr_analyse(&s->spec.plan, digits, &s->model, NULL, NULL, &result, &error) != GR_OK)
        fail_msg("%s %s", error.place, error.message);
    return result;
}

static double metric_of(const gr_analysis *from, const char *name) {
    const gr_array *array = gr_arrays_find(&from->metrics, name);
    if (!array) fail_msg("there is no metric %s", name);
    return *(const double *)array->data;
}

static void assert_same(const gr_arrays *a, const gr_arrays *b) {
    assert_int_equal(a->count, b->count);
    for (size_t i = 0; i < a->count; i++) {
        assert_string_equal(a->items[i].name, b->items[i].name);
        assert_true(gr_shape_equal(&a->items[i].shape, &b->items[i].shape));
        assert_memory_equal(a->items[i].data, b->items[i].data,
                            (size_t)gr_shape_elements(&a->items[i].shape) *
                                gr_element_size(a->items[i].type));
    }
}

static void test_same_bits(void **state) {
    (void)state;
    const spec_texts texts[] = {{.seed = 3}, {.model = NORMALISED_MODEL, .seed = 3}};
    for (int i = 0; i < 2; i++) {
        subject s;
        begin(&s, &texts[i], everything);
        gr_analysis first = analysis_of(&s), again = analysis_of(&s);
        assert_true(first.values.count > 100);
        assert_same(&first.values, &again.values);
        assert_same(&first.metrics, &again.metrics);
        /* The blocks are those of the training's evaluation. */
        const gr_array *accuracy = gr_arrays_find(&first.values, "calibration/accuracy");
        assert_non_null(accuracy);
        assert_true(*(const double *)accuracy->data == s.test_accuracy);
        assert_true(fabs(metric_of(&first, "calibration.nll") - s.test_loss) < 1e-9);
        /* Another seed draws other points. */
        s.spec.plan.seed = 4;
        gr_analysis other = analysis_of(&s);
        assert_true(metric_of(&first, "gradient_norm.uniform.mean") !=
                    metric_of(&other, "gradient_norm.uniform.mean"));
        gr_analysis_clear(&first);
        gr_analysis_clear(&again);
        gr_analysis_clear(&other);
        end(&s);
    }
}

static bool stop_after(void *context) {
    int *left = context;
    return (*left)-- == 0;
}

static void test_interruption(void **state) {
    (void)state;
    subject s;
    begin(&s, &(spec_texts){.seed = 3}, everything);
    for (int asked = 0; asked < 40; asked += 13) {
        gr_analysis result = {0};
        gr_error error = {0};
        int left = asked;
        assert_int_equal(
            gr_analyse(&s.spec.plan, digits, &s.model, stop_after, &left, &result, &error),
            GR_CONFLICT);
        assert_int_equal(result.values.count, 0);
        assert_int_equal(result.metrics.count, 0);
    }
    end(&s);
}

static void test_memory_is_estimated(void **state) {
    (void)state;
    spec s;
    gr_estimate without, with;
    spec_build(&s, &(spec_texts){0});
    gr_settings settings = settings_build(&gr_analysis_family, "{calibration: {}}");
    assert_int_equal(gr_plan_check(&s.plan, digits, &without, NULL), GR_OK);
    s.plan.analysis = &settings;
    assert_int_equal(gr_plan_check(&s.plan, digits, &with, NULL), GR_OK);
    assert_true(with.memory_bytes > without.memory_bytes);
    gr_settings_clear(&settings);
    spec_clear(&s);
}

static void test_refusals(void **state) {
    (void)state;
    static const struct {
        const char *model, *loss, *analysis, *place;
    } cases[] = {
        {NULL, NULL, "{robustness: {epsilons: []}}", "/analysis/robustness/epsilons"},
        {NULL, NULL, "{robustness: {epsilons: [0.1, 0.1]}}", "/analysis/robustness/epsilons"},
        {NULL, "{type: squared_error}", "{calibration: {}}", "/analysis/calibration"},
        {NULL, NULL, "{function: {}}", "/analysis/function"},
        {NULL, NULL, "{input_gradients: {positions: [0.5]}}",
         "/analysis/input_gradients/positions"},
        {NULL, NULL, "{input_gradients: {positions: [0, 10000]}}",
         "/analysis/input_gradients/positions"},
        {"{layers: [{type: flatten}, {type: linear, units: 10}]}", NULL, "{transitions: {}}",
         "/analysis/transitions"},
        {"{layers: [{type: batchnorm, evaluate: batch}, {type: flatten}, {type: linear, units: "
         "10}]}",
         NULL, "{lipschitz: {}}", "/analysis/lipschitz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        spec s;
        gr_error error = {0};
        spec_build(&s, &(spec_texts){
                           .model = cases[i].model, .loss = cases[i].loss, .regularizers = "[]"});
        gr_settings settings = settings_build(&gr_analysis_family, cases[i].analysis);
        s.plan.analysis = &settings;
        assert_int_equal(gr_plan_check(&s.plan, digits, NULL, &error), GR_INVALID);
        assert_string_equal(error.place, cases[i].place);
        assert_true(strlen(error.message) > 10);
        gr_settings_clear(&settings);
        spec_clear(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits),
        cmocka_unit_test(test_interruption),
        cmocka_unit_test(test_memory_is_estimated),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, load_digits, free_digits);
}
