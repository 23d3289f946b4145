/* Weight decay, L1 and the optimisers' steps of each set of kernels against the reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

/* What the two penalties of parameters have in common: gradients to add to, and a sum. */
typedef double decay_kernel(int64_t, gr_real, const gr_real *, gr_real *);
static decay_kernel *decay_of(const gr_kernels *kernels, bool absolute) {
    return absolute ? kernels->absolute_decay : kernels->decay;
}

static void check_decay(bool absolute) {
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    decay_kernel *reference = decay_of(&gr_kernels_reference, absolute);
    const gr_real weight = (gr_real)0.37;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 200);
        guarded w = guarded_normal(count, test, 1), before = guarded_normal(count, test, 2);
        ((gr_real *)w.data)[chosen(test, 3, 0, count - 1)] = 0;
        guarded w_size = guarded_absolute(&w), magnitude = guarded_absolute(&before);
        guarded expected = guarded_copy(&before);
        const double wanted = reference(count, weight, w.data, expected.data);
        reference(count, weight, w_size.data, magnitude.data);
        for (int i = 0; i < sets; i++) {
            char shape[64], what[256];
            snprintf(shape, sizeof shape, "%lld parameters", (long long)count);
            set_name(set[i], absolute ? "absolute_decay" : "decay", shape, what);
            guarded got = guarded_copy(&before);
            const double sum = decay_of(set[i], absolute)(count, weight, w.data, got.data);
            assert_within(what, &got, &expected, 2, &magnitude);
            /* All terms are positive, and added in double. */
            if (!(fabs(sum - wanted) <= (double)count * DBL_EPSILON * wanted))
                fail_msg("%s: %.17g, not %.17g", what, sum, wanted);
            guarded_free(&got);
        }
        guarded *const all[] = {&w, &before, &w_size, &magnitude, &expected};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

static void test_decay(void **state) {
    (void)state;
    check_decay(false);
}

static void test_absolute_decay(void **state) {
    (void)state;
    check_decay(true);
}

/* -- optimisers' steps
 * --------------------------------------------------------------------------------------------------
 */

static gr_step step_of(guarded *parameters, guarded *gradients, guarded *first, guarded *second) {
    return (gr_step){.count = (int64_t)(parameters->bytes / sizeof(gr_real)),
                     .parameters = parameters->data,
                     .gradients = gradients->data,
                     .moments = {first->data, second->data},
                     .kept = 1};
}

static void assert_cleared(const char *what, const guarded *gradients) {
    for (size_t i = 0; i < gradients->bytes / sizeof(gr_real); i++)
        if (((const gr_real *)gradients->data)[i] != 0)
            fail_msg("%s: gradient %lld is not cleared", what, (long long)i);
    guarded_check(gradients, what);
}

enum { MOMENTUM, NESTEROV, RMSPROP, ADAM, STEPS };
static const char *const step_names[] = {"momentum", "momentum (nesterov)", "rmsprop", "adam"};
static const gr_real step_rate = (gr_real)0.01, step_kept = (gr_real)0.9,
                     step_alpha = (gr_real)0.95, step_epsilon = (gr_real)1e-3;

/* The velocity is moment 0 of `step`, and squares are moment 1. */
static double make_step(const gr_kernels *set, int kernel, const gr_step *step) {
    gr_step turned = *step;
    turned.moments[0] = step->moments[1];
    turned.moments[1] = step->moments[0];
    if (kernel == ADAM)
        return set->adam(step, step_kept, step_alpha, step_rate, (gr_real)1.7, step_epsilon);
    if (kernel == RMSPROP)
        return set->rmsprop(&turned, step_rate, step_alpha, step_epsilon, step_kept);
    return set->momentum(step, step_rate, step_kept, kernel == NESTEROV);
}

/* A decay within a step is that of the decay kernel before it, to the last bit; and what is kept of
 * the parameter is all that `kept` changes. */
static void test_decay_in_steps(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real weight = (gr_real)0.37, share = (gr_real)0.8;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++)
        for (int i = -1; i < sets * STEPS; i++) {
            const gr_kernels *kernels = i < 0 ? &gr_kernels_reference : set[i / STEPS];
            const int kernel = i < 0 ? (int)test % STEPS : i % STEPS;
            const int64_t count = chosen(test, 0, 1, 300);
            guarded w = guarded_normal(count, test, 1), g = guarded_normal(count, test, 2);
            guarded m = guarded_normal(count, test, 3), normal = guarded_normal(count, test, 4);
            guarded v = guarded_absolute(&normal);
            enum { APART, AT_ONCE, KEPT, WAYS };
            guarded at[WAYS][4];
            double squares[WAYS];
            char shape[64], what[256];
            snprintf(shape, sizeof shape, "case %u: %lld parameters", test, (long long)count);
            set_name(kernels, step_names[kernel], shape, what);
            for (int way = 0; way < WAYS; way++) {
                const guarded *const from[] = {&w, &g, &m, &v};
                for (int a = 0; a < 4; a++) at[way][a] = guarded_copy(from[a]);
                gr_step step = step_of(&at[way][0], &at[way][1], &at[way][2], &at[way][3]);
                if (way == APART)
                    squares[way] = kernels->decay(count, weight, w.data, step.gradients);
                else
                    step.decay = weight;
                if (way == KEPT) step.kept = share;
                const double sum = make_step(kernels, kernel, &step);
                if (way != APART)
                    squares[way] = sum;
                else if (sum != 0)
                    fail_msg("%s: a sum of squares without decay", what);
                assert_cleared(what, &at[way][1]);
            }
            if (squares[APART] != squares[AT_ONCE] || squares[APART] != squares[KEPT])
                fail_msg("%s: sums of squares %.17g, %.17g and %.17g", what, squares[APART],
                         squares[AT_ONCE], squares[KEPT]);
            for (int a = 0; a < 4; a++) {
                const size_t bytes = (size_t)count * sizeof(gr_real);
                if (memcmp(at[APART][a].data, at[AT_ONCE][a].data, bytes) != 0)
                    fail_msg("%s: array %d differs with the decay in the step", what, a);
                if (a > 0 && memcmp(at[KEPT][a].data, at[AT_ONCE][a].data, bytes) != 0)
                    fail_msg("%s: array %d differs with less kept", what, a);
            }
            for (int64_t e = 0; e < count; e++) {
#define AT(array) ((double)((const gr_real *)(array).data)[e])
                const double wanted = AT(at[AT_ONCE][0]) - (1 - (double)share) * AT(w);
                const double magnitude = fabs(AT(at[AT_ONCE][0])) + 2 * fabs(AT(w));
                if (!(fabs(AT(at[KEPT][0]) - wanted) <= 4 * UNIT_ROUNDOFF * magnitude))
                    fail_msg("%s: parameter %lld is %.9g, not %.9g", what, (long long)e,
                             AT(at[KEPT][0]), wanted);
#undef AT
            }
            for (int way = 0; way < WAYS; way++)
                for (int a = 0; a < 4; a++) {
                    guarded_check(&at[way][a], what);
                    guarded_free(&at[way][a]);
                }
            guarded *const all[] = {&w, &g, &m, &normal, &v};
            for (size_t a = 0; a < sizeof all / sizeof *all; a++) guarded_free(all[a]);
        }
}

/* One step's bounds. Each moment is a sum of two terms of at most three factors: 4u of their
 * magnitudes. The step is moment·size/(root·correction + ε): the first moment's error passes
 * through the quotient, the second's is relative (its terms are positive) and halved by the root;
 * five more operations round, and the subtraction once more: 12u of the magnitude in all. */
enum { ADAM_MOMENT_ROUNDINGS = 4, ADAM_STEP_ROUNDINGS = 12 };

static void test_adam(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real beta1 = (gr_real)0.9, beta2 = (gr_real)0.999, size = (gr_real)0.01,
                  correction = (gr_real)1.7, epsilon = (gr_real)1e-8;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 300);
        guarded p = guarded_normal(count, test, 1), g = guarded_normal(count, test, 2);
        guarded m = guarded_normal(count, test, 3), v = guarded_normal(count, test, 4);
        for (int64_t i = 0; i < count; i++) /* second moments are not negative; some are zero */
            ((gr_real *)v.data)[i] *= i % 5 ? ((gr_real *)v.data)[i] : 0;
        if (count > 1) ((gr_real *)g.data)[0] = 0;
        guarded m_size = guarded_absolute(&m), g_size = guarded_absolute(&g);
        guarded reference[] = {guarded_copy(&p), guarded_copy(&m), guarded_copy(&v)};
        guarded used = guarded_copy(&g);
        const gr_step expected = step_of(&reference[0], &used, &reference[1], &reference[2]);
        gr_kernels_reference.adam(&expected, beta1, beta2, size, correction, epsilon);
        guarded_free(&used);
        for (int i = 0; i < sets; i++) {
            char what[256], shape[64];
            snprintf(shape, sizeof shape, "case %u: %lld parameters", test, (long long)count);
            set_name(set[i], "adam", shape, what);
            guarded got[] = {guarded_copy(&p), guarded_copy(&m), guarded_copy(&v)};
            used = guarded_copy(&g);
            const gr_step taken = step_of(&got[0], &used, &got[1], &got[2]);
            set[i]->adam(&taken, beta1, beta2, size, correction, epsilon);
            assert_cleared(what, &used);
            guarded_free(&used);
            for (int64_t e = 0; e < count; e++) {
#define AT(array) ((double)((const gr_real *)(array).data)[e])
                const double moment = (double)beta1 * AT(m_size) + (1 - (double)beta1) * AT(g_size);
                const double root = sqrt(AT(reference[2])) * (double)correction + (double)epsilon;
                const double step = (double)size * moment / root;
                const double bounds[] = {ADAM_STEP_ROUNDINGS * UNIT_ROUNDOFF * (fabs(AT(p)) + step),
                                         ADAM_MOMENT_ROUNDINGS * UNIT_ROUNDOFF * moment,
                                         ADAM_MOMENT_ROUNDINGS * UNIT_ROUNDOFF * AT(reference[2])};
                for (int a = 0; a < 3; a++)
                    if (!(fabs(AT(got[a]) - AT(reference[a])) <= bounds[a]))
                        fail_msg("%s: array %d, element %lld is %.9g, not %.9g", what, a,
                                 (long long)e, AT(got[a]), AT(reference[a]));
#undef AT
            }
            for (int a = 0; a < 3; a++) {
                guarded_check(&got[a], what);
                guarded_free(&got[a]);
            }
        }
        guarded *const all[] = {
            &p, &g, &m, &v, &m_size, &g_size, &reference[0], &reference[1], &reference[2]};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

/* As for adam: what a step moves is known up to a few roundings of the magnitudes of its terms,
 * and the subtraction rounds once more. */
static void test_momentum_and_rmsprop(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    const gr_real rate = step_rate, kept = step_kept, epsilon = step_epsilon;
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const int64_t count = chosen(test, 0, 1, 300);
        guarded p = guarded_normal(count, test, 1), g = guarded_normal(count, test, 2);
        guarded v = guarded_normal(count, test, 3), s = guarded_normal(count, test, 4);
        for (int64_t i = 0; i < count; i++) /* mean squares are not negative; some are zero */
            ((gr_real *)s.data)[i] *= i % 5 ? ((gr_real *)s.data)[i] : 0;
        if (count > 1) ((gr_real *)g.data)[0] = 0;
        for (int kernel = 0; kernel < ADAM; kernel++) {
            guarded wanted[] = {guarded_copy(&p), guarded_copy(&v), guarded_copy(&s)};
            guarded used = guarded_copy(&g);
            gr_step taken = step_of(&wanted[0], &used, &wanted[1], &wanted[2]);
            make_step(&gr_kernels_reference, kernel, &taken);
            guarded_free(&used);
            for (int i = 0; i < sets; i++) {
                char what[256], shape[64];
                snprintf(shape, sizeof shape, "case %u: %lld parameters", test, (long long)count);
                set_name(set[i], step_names[kernel], shape, what);
                guarded got[] = {guarded_copy(&p), guarded_copy(&v), guarded_copy(&s)};
                used = guarded_copy(&g);
                taken = step_of(&got[0], &used, &got[1], &got[2]);
                make_step(set[i], kernel, &taken);
                assert_cleared(what, &used);
                guarded_free(&used);
                for (int64_t e = 0; e < count; e++) {
#define AT(array) fabs((double)((const gr_real *)(array).data)[e])
                    const double scaled =
                        kernel == RMSPROP ? AT(g) / (sqrt(AT(wanted[2])) + (double)epsilon) : AT(g);
                    const double velocity = (double)kept * AT(v) + scaled;
                    const double step = (double)rate * (velocity + AT(g));
                    const double bounds[] = {ADAM_STEP_ROUNDINGS * UNIT_ROUNDOFF * (AT(p) + step),
                                             ADAM_STEP_ROUNDINGS * UNIT_ROUNDOFF * velocity,
                                             ADAM_MOMENT_ROUNDINGS * UNIT_ROUNDOFF * AT(wanted[2])};
#undef AT
                    for (int a = 0; a < 3; a++) {
                        const double is = (double)((const gr_real *)got[a].data)[e];
                        const double should = (double)((const gr_real *)wanted[a].data)[e];
                        if (!(fabs(is - should) <= bounds[a]))
                            fail_msg("%s: array %d, element %lld is %.9g, not %.9g", what, a,
                                     (long long)e, is, should);
                    }
                }
                for (int a = 0; a < 3; a++) {
                    guarded_check(&got[a], what);
                    guarded_free(&got[a]);
                }
            }
            for (int a = 0; a < 3; a++) guarded_free(&wanted[a]);
        }
        guarded *const all[] = {&p, &g, &v, &s};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decay),          cmocka_unit_test(test_absolute_decay),
        cmocka_unit_test(test_adam),           cmocka_unit_test(test_momentum_and_rmsprop),
        cmocka_unit_test(test_decay_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
