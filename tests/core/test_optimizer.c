/* Optimisers against textbook implementations in double, over many steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/model.h"
#include "core/optimizer.h"
#include "tests/core/kernel_sets.h"
#include "tests/near.h"
#include "tests/settings_builder.h"

enum { COUNT = 67, STEPS = 500 };

/* Kinds with a test below. */
static const char *const tested[] = {"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"};

static void test_every_kind_is_tested(void **state) {
    (void)state;
    for (int k = 0; gr_optimizer_family.kinds[k]; k++) {
        bool found = false;
        for (size_t i = 0; i < sizeof tested / sizeof *tested; i++)
            found = found || strcmp(tested[i], gr_optimizer_family.kinds[k]->name) == 0;
        if (!found) fail_msg("%s has no test", gr_optimizer_family.kinds[k]->name);
    }
}

/* The textbooks' steps, one number at a time: `state` is theirs, `o` the options in the order that
 * the book names them. */
typedef void textbook_step(double *theta, double state[2], double g, int t, double alpha,
                           const double *o);

/* Kingma & Ba 2015, Algorithm 1, as written there. o: beta1, beta2, epsilon. */
static void adam_textbook(double *theta, double state[2], double g, int t, double alpha,
                          const double *o) {
    state[0] = o[0] * state[0] + (1 - o[0]) * g;
    state[1] = o[1] * state[1] + (1 - o[1]) * g * g;
    const double m_hat = state[0] / (1 - pow(o[0], t)), v_hat = state[1] / (1 - pow(o[1], t));
    *theta -= alpha * m_hat / (sqrt(v_hat) + o[2]);
}

/* PyTorch's SGD: the velocity holds gradients, the rate stands before it. o: momentum. */
static void momentum_textbook(double *theta, double state[2], double g, int t, double alpha,
                              const double *o) {
    state[0] = t == 1 ? g : o[0] * state[0] + g;
    *theta -= alpha * state[0];
}

static void nesterov_textbook(double *theta, double state[2], double g, int t, double alpha,
                              const double *o) {
    state[0] = t == 1 ? g : o[0] * state[0] + g;
    *theta -= alpha * (g + o[0] * state[0]);
}

/* Tieleman & Hinton 2012, lecture 6e, with PyTorch's epsilon and momentum. o: alpha, epsilon,
 * momentum. */
static void rmsprop_textbook(double *theta, double state[2], double g, int t, double alpha,
                             const double *o) {
    (void)t;
    state[0] = o[0] * state[0] + (1 - o[0]) * g * g;
    const double scaled = g / (sqrt(state[0]) + o[1]);
    state[1] = o[2] * state[1] + scaled;
    *theta -= alpha * state[1];
}

/* The gradient of a bowl whose axes differ by 10^3, with a wobble: no step is like another. */
static double gradient_at(double theta, int element, int t) {
    return pow(10, (element % 7) - 3) * (theta - 0.3 * element) + 0.1 * sin(t + element);
}

/* A step of adam or rmsprop moves by at most a few α, and each rounds by a few u of what it moves
 * and of θ; gradients here pull errors together, so that they do not grow: θ (up to 20) rounded
 * STEPS times. The others move by α times a gradient up to 2·10^4, which the small rates below keep
 * within the same. */
#define STEPS_TOLERANCE (STEPS * 4 * UNIT_ROUNDOFF * 20)

static void check(const char *text, textbook_step *textbook, double alpha, const double *o) {
    gr_settings settings = settings_build(&gr_optimizer_family, text);
    const gr_optimizer_kind *kind = gr_optimizer_kind_of(&settings);
    assert_int_equal(gr_optimizer_check(&settings, NULL), GR_OK);
    assert_near(gr_learning_rate(&settings), alpha, 0);
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++) {
        gr_real theta[COUNT], g[COUNT], moment[2][COUNT] = {{0}};
        double wanted[COUNT], state[COUNT][2] = {{0}}, moved = 0;
        const gr_step step = {COUNT, theta, g, {moment[0], moment[1]}, .kept = 1};
        for (int e = 0; e < COUNT; e++) theta[e] = (gr_real)(wanted[e] = (double)(e % 5));
        for (int t = 1; t <= STEPS; t++) {
            const double rate = t > STEPS / 2 ? alpha / 10 : alpha; /* as a schedule changes it */
            for (int e = 0; e < COUNT; e++) {
                g[e] = (gr_real)gradient_at((double)theta[e], e, t);
                textbook(&wanted[e], state[e], gradient_at(wanted[e], e, t), t, rate, o);
            }
            kind->step(&settings, set[i], t, rate, &step);
        }
        for (int e = 0; e < COUNT; e++) {
            moved += fabs(wanted[e] - (double)(e % 5));
            if (!(fabs((double)theta[e] - wanted[e]) <= STEPS_TOLERANCE))
                fail_msg("%s, %s, element %d: %.9g, not %.9g", text, set[i]->name, e,
                         (double)theta[e], wanted[e]);
        }
        assert_true(moved > 1); /* it does something */
    }
    gr_settings_clear(&settings);
}

static void test_adam(void **state) {
    (void)state;
    check("{type: adam}", adam_textbook, 0.001, (double[]){0.9, 0.999, 1e-8});
    check("{type: adam, learning_rate: 0.02, beta1: 0.8, beta2: 0.95, epsilon: 0.001}",
          adam_textbook, 0.02, (double[]){0.8, 0.95, 0.001});
    check("{type: adam, learning_rate: 0.01, beta1: 0, beta2: 0}", adam_textbook, 0.01,
          (double[]){0, 0, 1e-8});
    check("{type: adamw}", adam_textbook, 0.001, (double[]){0.9, 0.999, 1e-8});
}

static void test_sgd(void **state) {
    (void)state;
    check("{type: sgd, learning_rate: 0.0004}", momentum_textbook, 0.0004, (double[]){0});
    check("{type: sgd, learning_rate: 0.0001, momentum: 0.7}", momentum_textbook, 0.0001,
          (double[]){0.7});
    check("{type: sgd, learning_rate: 0.0001, momentum: 0.7, nesterov: true}", nesterov_textbook,
          0.0001, (double[]){0.7});
    check("{type: momentum, learning_rate: 0.0001}", momentum_textbook, 0.0001, (double[]){0.9});
    check("{type: nesterov, learning_rate: 0.0001}", nesterov_textbook, 0.0001, (double[]){0.9});
    check("{type: nesterov, learning_rate: 0.0001, momentum: 0.5}", nesterov_textbook, 0.0001,
          (double[]){0.5});
    gr_settings settings = settings_build(&gr_optimizer_family, "{type: sgd, nesterov: true}");
    gr_error error = {0};
    assert_int_equal(gr_optimizer_check(&settings, &error), GR_INVALID);
    assert_string_equal(error.place, "/momentum");
    gr_settings_clear(&settings);
}

static void test_rmsprop(void **state) {
    (void)state;
    check("{type: rmsprop}", rmsprop_textbook, 0.01, (double[]){0.99, 1e-8, 0});
    check("{type: rmsprop, learning_rate: 0.001, alpha: 0.9, epsilon: 0.01, momentum: 0.8}",
          rmsprop_textbook, 0.001, (double[]){0.9, 0.01, 0.8});
}

/* AdamW: θ ← θ - lr·λθ - lr·(Adam's step), on matrices and kernels alone (Loshchilov & Hutter 2019,
 * Algorithm 2). With gradients of zero nothing else moves. */
static void test_decoupled_decay(void **state) {
    (void)state;
    static const gr_shape input = {3, {1, 4, 4}};
    gr_settings model = settings_build(
        &gr_model_family, "{layers: [{type: conv2d, filters: 2, kernel: 3}, {type: batchnorm}, "
                          "{type: flatten}, {type: linear, units: 3}]}");
    gr_network *network;
    assert_int_equal(gr_model_build(&model, &input, 3, &network, NULL), GR_OK);
    const int64_t count = network->parameter_count;
    gr_real *block = calloc((size_t)count * 5, sizeof *block);
    gr_real *theta = block, *before = block + count, *zero = block + 2 * count;
    gr_real *const moments[] = {block + 3 * count, block + 4 * count};
    gr_network_initialize(network, 3, theta);
    for (int64_t i = 0; i < count; i++) theta[i] += (gr_real)0.5; /* biases are not zero */
    memcpy(before, theta, (size_t)count * sizeof *theta);
    static const char *const texts[] = {"{type: adamw, weight_decay: 0.3}", "{type: adamw}",
                                        "{type: adam}"};
    static const double weights[] = {0.3, 0.01, 0};
    for (int k = 0; k < 3; k++) {
        gr_settings settings = settings_build(&gr_optimizer_family, texts[k]);
        memcpy(theta, before, (size_t)count * sizeof *theta);
        gr_optimizer_step(&settings, network, gr_kernels_choose(), 1, 0.5, 0, theta, zero, moments);
        int64_t decayed = 0;
        for (int n = 0; n < network->node_count; n++)
            for (int p = 0; p < network->nodes[n].parameter_count; p++) {
                const gr_parameter *parameter = &network->nodes[n].parameters[p];
                const double factor = parameter->shape.rank >= 2 ? 1 - 0.5 * weights[k] : 1;
                for (int64_t e = 0; e < gr_shape_elements(&parameter->shape); e++) {
                    const double from = (double)before[parameter->offset + e];
                    assert_near((double)theta[parameter->offset + e], factor * from,
                                4 * UNIT_ROUNDOFF * fabs(from));
                    decayed += factor < 1;
                }
            }
        assert_int_equal(decayed, weights[k] > 0 ? 2 * 9 + 3 * 8 : 0);
        gr_settings_clear(&settings);
    }
    free(block);
    gr_network_free(network);
    gr_settings_clear(&model);
}

/* -- clipping
 * ------------------------------------------------------------------------------------------ */

static void test_clip_norm(void **state) {
    (void)state;
    for (int count = 1; count <= COUNT; count++) {
        gr_real g[COUNT], before[COUNT];
        double norm = 0, clipped = 0;
        for (int i = 0; i < count; i++) {
            before[i] = g[i] = (gr_real)(i % 2 ? -i - 1 : i + 2);
            norm += (double)g[i] * (double)g[i];
        }
        norm = sqrt(norm);
        gr_clip(&(gr_clipping){.norm = 2 * norm}, count, g); /* short enough */
        assert_memory_equal(g, before, sizeof *g * (size_t)count);
        gr_clip(&(gr_clipping){0}, count, g); /* no limit */
        assert_memory_equal(g, before, sizeof *g * (size_t)count);
        gr_clip(&(gr_clipping){.norm = 1.5}, count, g);
        for (int i = 0; i < count; i++) {
            const double expected =
                (double)before[i] * 1.5 / (norm + 1e-6); /* the direction stays */
            assert_near((double)g[i], expected, 4 * UNIT_ROUNDOFF * fabs(expected));
            clipped += (double)g[i] * (double)g[i];
        }
        assert_near(sqrt(clipped), 1.5, 1e-5);
    }
    gr_real zero[] = {0, 0}; /* no NaN from 0/0 */
    gr_clip(&(gr_clipping){.norm = 1e-30}, 2, zero);
    assert_true(zero[0] == 0 && zero[1] == 0);
    /* Squares beyond float's range are none of its business; what is no number is not hidden. */
    gr_real large[] = {(gr_real)3e30, (gr_real)-4e30};
    gr_clip(&(gr_clipping){.norm = 5}, 2, large);
    assert_near((double)large[0], 3, 1e-5);
    assert_near((double)large[1], -4, 1e-5);
    gr_real bad[] = {(gr_real)INFINITY, 1}, worse[] = {(gr_real)NAN, 1};
    gr_clip(&(gr_clipping){.norm = 5}, 2, bad);
    gr_clip(&(gr_clipping){.norm = 5}, 2, worse);
    assert_true(isnan(bad[0]) && isnan(worse[0]) && isnan(worse[1]));
}

static void test_clip_value(void **state) {
    (void)state;
    gr_real g[] = {(gr_real)-7, (gr_real)-0.5, 0, (gr_real)0.25, (gr_real)0.5, 9, (gr_real)NAN};
    gr_clip(&(gr_clipping){.value = 0.5}, 7, g);
    static const double expected[] = {-0.5, -0.5, 0, 0.25, 0.5, 0.5};
    for (int i = 0; i < 6; i++) assert_near((double)g[i], expected[i], 0);
    assert_true(isnan(g[6]));
}

/* Weight decay in the optimiser's own pass is what a gradient with it added would have given, to
 * the bit, with every kind; weights are the arrays of rank 2 and more. The gradients are zero
 * afterwards. */
static void test_coupled_decay(void **state) {
    (void)state;
    static const gr_shape input = {3, {1, 4, 4}};
    static const char *const texts[] = {"{type: adam}", "{type: adamw, weight_decay: 0.3}",
                                        "{type: momentum}", "{type: nesterov}", "{type: rmsprop}"};
    const double decay = 0.37;
    gr_settings model = settings_build(
        &gr_model_family, "{layers: [{type: conv2d, filters: 20, kernel: 3}, {type: batchnorm}, "
                          "{type: flatten}, {type: linear, units: 300}]}");
    gr_network *network;
    assert_int_equal(gr_model_build(&model, &input, 300, &network, NULL), GR_OK);
    const int64_t count = network->parameter_count;
    gr_real *block = calloc((size_t)count * 8 + GR_SLACK_BYTES, sizeof *block);
    gr_real *at[8];
    for (int a = 0; a < 8; a++) at[a] = block + a * count;
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
        gr_settings settings = settings_build(&gr_optimizer_family, texts[k]);
        const gr_optimizer_kind *kind = gr_optimizer_kind_of(&settings);
        memset(block, 0, (size_t)count * 8 * sizeof *block);
        gr_network_initialize(network, 3, at[0]);
        memcpy(at[4], at[0], (size_t)count * sizeof *block);
        for (int t = 1; t <= 3; t++) {
            const double decoupled = kind->decoupled_decay ? kind->decoupled_decay(&settings) : 0;
            double wanted = 0;
            for (int64_t i = 0; i < count; i++)
                at[1][i] = at[5][i] = (gr_real)gradient_at((double)at[0][i], (int)(i % COUNT), t);
            for (int n = 0; n < network->node_count; n++)
                for (int p = 0; p < network->nodes[n].parameter_count; p++) {
                    const gr_parameter *parameter = &network->nodes[n].parameters[p];
                    if (parameter->shape.rank < 2) continue;
                    wanted += gr_kernels_choose()->decay(gr_shape_elements(&parameter->shape),
                                                         (gr_real)decay, at[0] + parameter->offset,
                                                         at[1] + parameter->offset);
                    for (int64_t e = 0; e < gr_shape_elements(&parameter->shape); e++)
                        at[0][parameter->offset + e] *= (gr_real)(1 - 0.001 * decoupled);
                }
            const gr_step step = {count, at[0], at[1], {at[2], at[3]}, .kept = 1};
            kind->step(&settings, gr_kernels_choose(), t, 0.001, &step);
            const double squares =
                gr_optimizer_step(&settings, network, gr_kernels_choose(), t, 0.001, decay, at[4],
                                  at[5], (gr_real *[]){at[6], at[7]});
            assert_true(wanted > 1);
            assert_near(squares, wanted, 1e-12 * wanted);
            assert_memory_equal(at[0], at[4], (size_t)count * sizeof *block);
            assert_memory_equal(at[2], at[6], (size_t)count * 2 * sizeof *block);
            for (int64_t i = 0; i < count; i++) assert_true(at[5][i] == 0);
        }
        gr_settings_clear(&settings);
    }
    gr_network_free(network);
    gr_settings_clear(&model);
    free(block);
}

/* The first step is α·sign(g), however large or small the gradient. */
static void test_adam_first_step(void **state) {
    (void)state;
    gr_settings settings = settings_build(&gr_optimizer_family, "{type: adam}");
    gr_real theta[] = {1, 1, 1, 1}, first[4] = {0}, second[4] = {0};
    gr_real g[] = {(gr_real)1e-4, 1000, -3, 0};
    const gr_step step = {4, theta, g, {first, second}, .kept = 1};
    gr_optimizer_kind_of(&settings)->step(&settings, gr_kernels_choose(), 1, 0.001, &step);
    static const double expected[] = {0.999, 0.999, 1.001, 1};
    for (int i = 0; i < 4; i++) assert_near((double)theta[i], expected[i], 1e-3 * 2e-4);
    gr_settings_clear(&settings);
}

/* However a set divides, it rounds as a division does; and where the mean of squares has become
 * infinite, the parameter stays. From moments of zero and parameters of zero what is divided, and
 * so the step, is known to the bit. */
static void test_quotients(void **state) {
    (void)state;
    enum { SAMPLES = 20000 };
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    guarded g = guarded_normal(SAMPLES, 1, 1), size = guarded_normal(SAMPLES, 1, 2);
    for (int i = 0; i < SAMPLES; i++)
        ((gr_real *)g.data)[i] *= (gr_real)exp(4 * (double)((const gr_real *)size.data)[i]);
    ((gr_real *)g.data)[7] = (gr_real)(sizeof(gr_real) == 4 ? 1e30 : 1e300);
    const gr_real share = (gr_real)0.3, rate = (gr_real)0.01, correction = (gr_real)1.7;
    for (int i = 0; i < sets; i++) {
        guarded theta = guarded_reals(SAMPLES), first = guarded_reals(SAMPLES);
        guarded second = guarded_reals(SAMPLES), gradients = guarded_copy(&g);
        guarded *const zero[] = {&theta, &first, &second};
        for (int j = 0; j < 3; j++) memset(zero[j]->data, 0, zero[j]->bytes);
        const gr_step step = {
            SAMPLES, theta.data, gradients.data, {first.data, second.data}, .kept = 1};
        set[i]->adam(&step, share, 0, rate, correction, (gr_real)1e-30);
        for (int j = 0; j < SAMPLES; j++) {
            const gr_real from = ((const gr_real *)g.data)[j];
            const gr_real mean = (1 - share) * from, squares = from * from;
            const gr_real root = (gr_real)sqrt((double)squares) * correction;
            const gr_real wanted = j == 7 ? 0 : -(rate * mean / root);
            if (((const gr_real *)theta.data)[j] != wanted)
                fail_msg("%s: %.9g of %.9g, not %.9g", set[i]->name,
                         (double)((const gr_real *)theta.data)[j], (double)from, (double)wanted);
        }
        guarded *const all[] = {&theta, &first, &second, &gradients};
        for (size_t j = 0; j < sizeof all / sizeof *all; j++) guarded_free(all[j]);
    }
    guarded_free(&g);
    guarded_free(&size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_tested),
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_sgd),
        cmocka_unit_test(test_rmsprop),
        cmocka_unit_test(test_decoupled_decay),
        cmocka_unit_test(test_clip_norm),
        cmocka_unit_test(test_clip_value),
        cmocka_unit_test(test_adam_first_step),
        cmocka_unit_test(test_quotients),
        cmocka_unit_test(test_coupled_decay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
