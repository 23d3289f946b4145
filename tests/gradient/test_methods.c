/* The regularisers beside the gradient penalty at the data: penalties at other points, and every
 * method of the reference list. A new regulariser needs a row here or in test_penalties.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/regularizer.h"
#include "tests/gradient/gradient_check.h"
#include "tests/near.h"

#define PLAIN "{type: cross_entropy}"
#define SQUARED "{type: squared_error}"
#define SMOOTH                                                                                     \
    "[4]", "[{type: linear, units: 6}, {type: tanh}, {type: linear, units: 5}, {type: softplus}, " \
           "{type: linear, units: 3}]"
#define PIECEWISE                                                                        \
    "[1, 6, 6]", "[{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: relu}, " \
                 "{type: maxpool2d}, {type: flatten}, {type: linear, units: 3}]"
#define DROPPING                                                                   \
    "[4]", "[{type: linear, units: 9}, {type: tanh}, {type: dropout, rate: 0.4}, " \
           "{type: linear, units: 3}]"
#define NORMALIZING                                                                      \
    "[1, 4, 4]", "[{type: conv2d, filters: 3, kernel: 3, padding: same}, {type: tanh}, " \
                 "{type: batchnorm}, {type: tanh}, {type: flatten}, {type: linear, units: 3}]"
#define REGRESSION                                                                                \
    "[2]", "[{type: linear, units: 7}, {type: sigmoid}, {type: linear, units: 5}, {type: tanh}, " \
           "{type: linear, units: 2}]"
#define BENT_IMAGE                                                                         \
    "[2, 5, 4]", "[{type: conv2d, filters: 3, kernel: 3}, {type: tanh}, {type: flatten}, " \
                 "{type: linear, units: 3}]"
#define PENALTY(options) "[{type: gradient_penalty, weight: 1, " options "}]"

static bool zero_for_rank_one(const gr_network *network, const gr_node *node,
                              const gr_parameter *parameter) {
    (void)network, (void)node;
    return parameter->shape.rank < 2;
}

#define CONSTANT gradient_zero_for_constant_cotangent

static const struct {
    const char *kind, *input, *layers, *loss, *text;
    gradient_zero_rule *zero;
} rows[] = {
    {"gradient_penalty", SMOOTH, PLAIN, PENALTY("probe: loss, at: noise"), NULL},
    {"gradient_penalty", SMOOTH, PLAIN, PENALTY("probe: softmax, at: uniform"), NULL},
    {"gradient_penalty", SMOOTH, PLAIN, PENALTY("probe: random, at: mixup"), CONSTANT},
    {"gradient_penalty", PIECEWISE, PLAIN, PENALTY("probe: random, at: noise"), CONSTANT},
    {"gradient_penalty", PIECEWISE, PLAIN, PENALTY("probe: loss, at: mixup"), NULL},
    {"gradient_penalty", NORMALIZING, PLAIN, PENALTY("probe: loss, at: noise"), NULL},
    {"gradient_penalty", NORMALIZING, PLAIN, PENALTY("probe: softmax"), NULL},
    {"gradient_penalty", DROPPING, PLAIN, PENALTY("probe: logits, resample_dropout: true"),
     CONSTANT},
    {"gradient_penalty", DROPPING, PLAIN, PENALTY("probe: loss, resample_dropout: true"), NULL},
    {"gradient_penalty", SMOOTH, PLAIN, PENALTY("probe: logits, projections: 2"), CONSTANT},
    {"gradient_penalty", SMOOTH, PLAIN, PENALTY("probe: logits, shape: norm"), CONSTANT},
    {"gradient_penalty", SMOOTH, PLAIN, PENALTY("probe: loss, shape: norm"), NULL},
    {"l1", SMOOTH, PLAIN, "[{type: l1, weight: 1}]", zero_for_rank_one},
    {"spectral_norm", PIECEWISE, PLAIN,
     "[{type: spectral_norm, weight: 1, power_iterations: 2000}]", zero_for_rank_one},
    {"confidence_penalty", SMOOTH, PLAIN, "[{type: confidence_penalty, weight: 1}]", NULL},
    {"contractive", SMOOTH, PLAIN, "[{type: contractive, weight: 1}]", CONSTANT},
    {"contractive", PIECEWISE, PLAIN, "[{type: contractive, weight: 1}]", CONSTANT},
    {"tangent_prop", BENT_IMAGE, PLAIN, "[{type: tangent_prop, weight: 1}]", CONSTANT},
    {"tangent_prop", PIECEWISE, PLAIN, "[{type: tangent_prop, weight: 1, scaling: false}]",
     CONSTANT},
    {"tangent_prop", NORMALIZING, PLAIN, "[{type: tangent_prop, weight: 1}]", CONSTANT},
    {"sobolev", REGRESSION, SQUARED, "[{type: sobolev, weight: 1}]", CONSTANT},
    {"derivative_sparsity", SMOOTH, PLAIN, "[{type: derivative_sparsity, weight: 1}]", CONSTANT},
    {"derivative_sparsity", REGRESSION, SQUARED, "[{type: derivative_sparsity, weight: 1}]",
     CONSTANT},
    /* Along the sign of the gradient the points do not move with the parameters. */
    {"adversarial", SMOOTH, PLAIN, "[{type: adversarial, epsilon: 0.1, weight: 1}]", NULL},
    {"adversarial", PIECEWISE, PLAIN, "[{type: adversarial, epsilon: 0.05, weight: 1}]", NULL},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* What has tests of another form: in test_penalties.c, or below. */
static const char *const elsewhere[] = {"weight_decay", "gradient_difference", "input_noise"};

static gradient_problem problem_of(int row, int64_t samples) {
    gradient_problem problem = gradient_problem_create(
        rows[row].input, rows[row].layers, rows[row].loss, samples, false, 50 + (uint64_t)row);
    if (strcmp(rows[row].input, "[1, 4, 4]") == 0) problem.vanishing = NULL;
    if (strcmp(rows[row].kind, "sobolev") == 0) {
        const int64_t features = gr_network_features(problem.network, 0);
        const gr_shape shape = {3, {samples, gr_network_outputs(problem.network), features}};
        void *data;
        gr_error error = {0};
        assert_int_equal(
            gr_arrays_add(&problem.batch, "derivatives", GR_F64, &shape, &data, &error), GR_OK);
        for (int64_t i = 0; i < gr_shape_elements(&shape); i++)
            ((double *)data)[i] = sin((double)i);
    }
    return problem;
}

static void test_every_kind_has_a_row(void **state) {
    (void)state;
    for (int k = 0; gr_regularizer_family.kinds[k]; k++) {
        const gr_kind *kind = gr_regularizer_family.kinds[k];
        bool found = kind->alias_of != NULL;
        for (int i = 0; i < ROWS; i++) found = found || strcmp(rows[i].kind, kind->name) == 0;
        for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
            found = found || strcmp(elsewhere[i], kind->name) == 0;
        if (!found) fail_msg("the regularizer %s has no row", kind->name);
    }
}

static void test_every_row(void **state) {
    (void)state;
    for (int i = 0; i < ROWS; i++) {
        char title[512];
        snprintf(title, sizeof title, "%s on %s", rows[i].text, rows[i].layers);
        gradient_problem problem = problem_of(i, 7);
        gradient_check(title, &problem, rows[i].text, "regularizers.0", rows[i].zero);
        gradient_problem_clear(&problem);
    }
}

/* -- gradient_difference and adversarial's l2 hold a direction constant that moves with the
 * parameters, so differences of their own value prove nothing: the points are made here. */

static double scalar(const gr_arrays *arrays, const char *name) {
    return *(const double *)gr_arrays_find(arrays, name)->data;
}

/* A problem of one of the samples, at x + step·direction. */
static gradient_problem at(const gradient_problem *whole, int64_t sample, const double *direction,
                           double step) {
    gradient_problem one = *whole;
    const int64_t features = gr_network_features(whole->network, 0);
    one.batch = (gr_arrays){0};
    gr_error error = {0};
    const gr_shape x_shape = {2, {1, features}}, y_shape = {1, {1}};
    void *x, *y;
    assert_int_equal(gr_arrays_add(&one.batch, "x", GR_F64, &x_shape, &x, &error), GR_OK);
    assert_int_equal(gr_arrays_add(&one.batch, "y", GR_I64, &y_shape, &y, &error), GR_OK);
    const double *from = gr_arrays_find(&whole->batch, "x")->data;
    for (int64_t f = 0; f < features; f++)
        ((double *)x)[f] = from[sample * features + f] + (direction ? step * direction[f] : 0);
    *(int64_t *)y = ((const int64_t *)gr_arrays_find(&whole->batch, "y")->data)[sample];
    return one;
}

static double loss_at(const gradient_problem *whole, int64_t sample, const double *direction,
                      double step) {
    gradient_problem one = at(whole, sample, direction, step);
    gr_arrays answer = gradient_evaluate(&one, NULL);
    const double loss = scalar(&answer, "loss");
    gr_arrays_clear(&answer);
    gr_arrays_clear(&one.batch);
    return loss;
}

enum { SAMPLES = 3, FEATURES = 4 };

/* The gradient of the loss with respect to a sample, by central differences. */
static void input_gradient(const gradient_problem *whole, int64_t sample, double g[FEATURES]) {
    for (int f = 0; f < FEATURES; f++) {
        double unit[FEATURES] = {0};
        unit[f] = 1;
        g[f] = (loss_at(whole, sample, unit, 1e-5) - loss_at(whole, sample, unit, -1e-5)) / 2e-5;
    }
}

typedef double value_function(const gradient_problem *problem, const double points[][FEATURES]);

/* Differences of `value`, whose points are those of the unmoved parameters, against the answer. */
static void check_held(const char *text, value_function *value, double scale) {
    gradient_problem problem = gradient_problem_create(SMOOTH, PLAIN, SAMPLES, false, 91);
    double points[SAMPLES][FEATURES];
    for (int s = 0; s < SAMPLES; s++) {
        input_gradient(&problem, s, points[s]);
        double length = 0;
        for (int f = 0; f < FEATURES; f++) length += points[s][f] * points[s][f];
        const double factor = scale > 0 ? scale : 1 / sqrt(length);
        for (int f = 0; f < FEATURES; f++) points[s][f] *= factor;
    }
    gr_arrays with = gradient_evaluate(&problem, text), without = gradient_evaluate(&problem, NULL);
    assert_near(scalar(&with, "regularizers.0"), value(&problem, (const double(*)[FEATURES])points),
                1e-7);
    for (size_t w = 0; w < problem.weights.count; w++) {
        gr_array *weight = &problem.weights.items[w];
        char name[128];
        snprintf(name, sizeof name, "grad.%s", weight->name);
        const double *g = gr_arrays_find(&with, name)->data;
        const double *base = gr_arrays_find(&without, name)->data;
        double error = 0, norm = 0;
        for (int64_t e = 0; e < gr_shape_elements(&weight->shape); e++) {
            double *element = (double *)weight->data + e;
            const double before = *element;
            *element = before + GRADIENT_STEP;
            const double up = value(&problem, (const double(*)[FEATURES])points);
            *element = before - GRADIENT_STEP;
            const double down = value(&problem, (const double(*)[FEATURES])points);
            *element = before;
            const double numeric = (up - down) / (2 * GRADIENT_STEP);
            error += (g[e] - base[e] - numeric) * (g[e] - base[e] - numeric);
            norm += numeric * numeric;
        }
        assert_true(sqrt(norm) > GRADIENT_GUARD);
        /* The direction is known to 1e-9 only. */
        if (sqrt(error / norm) > 1e-5)
            fail_msg("%s: %s is off by %.3g", text, weight->name, sqrt(error / norm));
    }
    gr_arrays_clear(&with);
    gr_arrays_clear(&without);
    gradient_problem_clear(&problem);
}

static double difference_value(const gradient_problem *problem, const double points[][FEATURES]) {
    double sum = 0;
    for (int s = 0; s < SAMPLES; s++) {
        const double slope =
            (loss_at(problem, s, points[s], 0.1) - loss_at(problem, s, NULL, 0)) / 0.1;
        sum += slope * slope / 2;
    }
    return sum / SAMPLES;
}

static void test_gradient_difference(void **state) {
    (void)state;
    check_held("[{type: gradient_difference, h: 0.1, weight: 1}]", difference_value, 0);
}

static double adversarial_value(const gradient_problem *problem, const double points[][FEATURES]) {
    double sum = 0;
    for (int s = 0; s < SAMPLES; s++) sum += loss_at(problem, s, points[s], 1);
    return sum / SAMPLES;
}

static void test_adversarial_along_the_gradient(void **state) {
    (void)state;
    check_held("[{type: adversarial, norm: l2, epsilon: 0.5, weight: 1}]", adversarial_value, 0.5);
}

/* Several steps raise the loss above that of one step, and stay in the ball: a huge step size ends
 * on its border, as one step of its radius does. */
static void test_adversarial_steps(void **state) {
    (void)state;
    gradient_problem problem = gradient_problem_create(SMOOTH, PLAIN, 5, false, 92);
    gr_arrays plain = gradient_evaluate(&problem, NULL);
    static const char *const texts[] = {
        "[{type: adversarial, epsilon: 0.3, weight: 1}]",
        "[{type: adversarial, epsilon: 0.3, steps: 10, weight: 1}]",
        "[{type: adversarial, epsilon: 0.3, steps: 2, step_size: 100, weight: 1}]",
        "[{type: adversarial, epsilon: 0.3, steps: 10, norm: l2, weight: 1}]"};
    double values[4];
    for (int i = 0; i < 4; i++) {
        gr_arrays answer = gradient_evaluate(&problem, texts[i]);
        values[i] = scalar(&answer, "regularizers.0");
        gr_arrays_clear(&answer);
    }
    assert_true(values[0] > scalar(&plain, "loss"));
    assert_true(values[1] >= values[0] - 1e-9);
    assert_true(fabs(values[2] - values[0]) < 0.05 * values[0]);
    assert_true(values[3] > scalar(&plain, "loss") && values[3] < values[1]);
    gr_arrays_clear(&plain);
    gradient_problem_clear(&problem);
}

static void test_input_noise(void **state) {
    (void)state;
    gradient_problem problem = gradient_problem_create(SMOOTH, PLAIN, 7, false, 93);
    gr_arrays plain = gradient_evaluate(&problem, NULL);
    gr_arrays none = gradient_evaluate(&problem, "[{type: input_noise, sigma: 0}]");
    gr_arrays noisy = gradient_evaluate(&problem, "[{type: input_noise, sigma: 0.3}]");
    assert_true(scalar(&plain, "loss") == scalar(&none, "loss"));
    assert_true(scalar(&plain, "loss") != scalar(&noisy, "loss"));
    gradient_check("input noise", &problem, "[{type: input_noise, sigma: 0.3}]", "loss", NULL);
    gr_arrays_clear(&plain);
    gr_arrays_clear(&none);
    gr_arrays_clear(&noisy);
    gradient_problem_clear(&problem);
}

/* All ways of acting at once, in one objective. */
static void test_together(void **state) {
    (void)state;
    gradient_problem problem = gradient_problem_create(BENT_IMAGE, PLAIN, 9, false, 94);
    gradient_check("all at once", &problem,
                   "[{type: datagrad, weight: 2}, {type: tangent_prop, weight: 0.5}, "
                   "{type: contractive, weight: 0.3}, {type: confidence_penalty, weight: 0.7}, "
                   "{type: jacreg, weight: 1, at: noise}, {type: l1, weight: 0.01}, "
                   "{type: derivative_sparsity, weight: 0.2}, {type: frobreg, weight: 0.4}]",
                   "total", NULL);
    gradient_problem_clear(&problem);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_a_row),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_gradient_difference),
        cmocka_unit_test(test_adversarial_along_the_gradient),
        cmocka_unit_test(test_adversarial_steps),
        cmocka_unit_test(test_input_noise),
        cmocka_unit_test(test_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
