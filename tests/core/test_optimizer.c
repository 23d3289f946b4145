/* Optimisers against textbook implementations in double, over many steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "core/optimizer.h"
#include "tests/core/kernel_sets.h"
#include "tests/near.h"
#include "tests/settings_builder.h"

enum { COUNT = 67, STEPS = 500 };

/* Kinds with a test below. */
static const char *const tested[] = {"adam"};

static void test_every_kind_is_tested(void **state) {
    (void)state;
    for (int k = 0; gr_optimizer_family.kinds[k]; k++) {
        bool found = false;
        for (size_t i = 0; i < sizeof tested / sizeof *tested; i++)
            found = found || strcmp(tested[i], gr_optimizer_family.kinds[k]->name) == 0;
        if (!found) fail_msg("%s has no test", gr_optimizer_family.kinds[k]->name);
    }
}

/* Kingma & Ba 2015, Algorithm 1, as written there. */
static void adam_textbook(double *theta, double *m, double *v, double g, int t, double alpha,
                          double beta1, double beta2, double epsilon) {
    *m = beta1 * *m + (1 - beta1) * g;
    *v = beta2 * *v + (1 - beta2) * g * g;
    const double m_hat = *m / (1 - pow(beta1, t)), v_hat = *v / (1 - pow(beta2, t));
    *theta -= alpha * m_hat / (sqrt(v_hat) + epsilon);
}

/* The gradient of a bowl whose axes differ by 10^3, with a wobble: no step is like another. */
static double gradient_at(double theta, int element, int t) {
    return pow(10, (element % 7) - 3) * (theta - 0.3 * element) + 0.1 * sin(t + element);
}

/* A step moves by at most about α, and each rounds by a few u of what it moves and of θ; gradients
 * here pull errors together, so that they do not grow: θ (up to 20) rounded STEPS times. */
#define ADAM_TOLERANCE (STEPS * 4 * UNIT_ROUNDOFF * 20)

static void check_adam(const char *text, double alpha, double beta1, double beta2, double epsilon) {
    gr_settings settings = settings_build(&gr_optimizer_family, text);
    const gr_optimizer_kind *kind = gr_optimizer_kind_of(&settings);
    assert_int_equal(kind->moments, 2);
    assert_near(gr_learning_rate(&settings), alpha, 0);
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++) {
        gr_real theta[COUNT], g[COUNT], first[COUNT] = {0}, second[COUNT] = {0};
        double wanted[COUNT], m[COUNT] = {0}, v[COUNT] = {0};
        for (int e = 0; e < COUNT; e++) theta[e] = (gr_real)(wanted[e] = (double)(e % 5));
        for (int t = 1; t <= STEPS; t++) {
            const double rate = t > STEPS / 2 ? alpha / 10 : alpha; /* as a schedule changes it */
            for (int e = 0; e < COUNT; e++) {
                g[e] = (gr_real)gradient_at((double)theta[e], e, t);
                adam_textbook(&wanted[e], &m[e], &v[e], gradient_at(wanted[e], e, t), t, rate,
                              beta1, beta2, epsilon);
            }
            gr_real *const moments[] = {first, second};
            kind->step(&settings, set[i], COUNT, t, rate, theta, g, moments);
        }
        for (int e = 0; e < COUNT; e++) assert_near((double)theta[e], wanted[e], ADAM_TOLERANCE);
    }
    gr_settings_clear(&settings);
}

static void test_adam(void **state) {
    (void)state;
    check_adam("{type: adam}", 0.001, 0.9, 0.999, 1e-8);
    check_adam("{type: adam, learning_rate: 0.02, beta1: 0.8, beta2: 0.95, epsilon: 0.001}", 0.02,
               0.8, 0.95, 0.001);
    check_adam("{type: adam, learning_rate: 0.01, beta1: 0, beta2: 0}", 0.01, 0, 0, 1e-8);
}

/* The first step is α·sign(g), however large or small the gradient. */
static void test_adam_first_step(void **state) {
    (void)state;
    gr_settings settings = settings_build(&gr_optimizer_family, "{type: adam}");
    gr_real theta[] = {1, 1, 1, 1}, first[4] = {0}, second[4] = {0};
    const gr_real g[] = {(gr_real)1e-4, 1000, -3, 0};
    gr_real *const moments[] = {first, second};
    gr_optimizer_kind_of(&settings)->step(&settings, gr_kernels_choose(), 4, 1, 0.001, theta, g,
                                          moments);
    static const double expected[] = {0.999, 0.999, 1.001, 1};
    for (int i = 0; i < 4; i++) assert_near((double)theta[i], expected[i], 1e-3 * 2e-4);
    gr_settings_clear(&settings);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_tested),
        cmocka_unit_test(test_adam),
        cmocka_unit_test(test_adam_first_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
