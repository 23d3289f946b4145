/* The smooth functions of each set of kernels against libm's. tests/gradient/test_smooth_double.c
 * is the same in double precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/core/kernel_sets.h"

/* How many roundings of a value the kernels may be off, and libm's in double precision with them:
 * up to 6.5 were seen of a float. */
#define ROUNDINGS (sizeof(gr_real) == 4 ? 8 : 12)
/* Below it values count as 0: so large arguments are cut. */
#define TINY (sizeof(gr_real) == 4 ? 1e-36 : 1e-300)
enum { FUNCTIONS = 4, RESULTS = 3 };
static const char *const names[FUNCTIONS] = {"tanh", "sigmoid", "softplus", "elu"};
static const char *const results[RESULTS] = {"the value", "the slope", "the bend"};

static gr_smooth *function_of(const gr_kernels *set, int which) {
    gr_smooth *const functions[FUNCTIONS] = {set->tanh, set->sigmoid, set->softplus, set->elu};
    return functions[which];
}

/* Normal numbers of all sizes, and what is special. */
static guarded arguments(int64_t count, uint32_t test) {
    static const double sizes[] = {1e-30, 1e-4, 0.1, 1, 5, 30, 200, 1e30};
    static const gr_real special[] = {0,
                                      (gr_real)-0.0,
                                      (gr_real)NAN,
                                      (gr_real)INFINITY,
                                      (gr_real)-INFINITY,
                                      (gr_real)0.34657359, /* the ends of the series */
                                      (gr_real)-0.34657359,
                                      (gr_real)-86.5, /* where arguments are cut */
                                      (gr_real)43.5,
                                      (gr_real)-700.5,
                                      (gr_real)350.5};
    guarded x = guarded_normal(count, test, 1);
    gr_real *values = x.data;
    for (int64_t i = 0; i < count; i++)
        values[i] *= (gr_real)sizes[chosen(test, 100 + (uint32_t)i, 0, 7)];
    for (uint32_t i = 0; i < sizeof special / sizeof *special; i++)
        values[chosen(test, 10 + i, 0, count - 1)] = special[i];
    return x;
}

static void assert_close(const gr_kernels *set, int function, int result, const guarded *x,
                         const guarded expected[RESULTS], const guarded *got) {
    const gr_real *a = got->data, *b = expected[result].data;
    const gr_real *slope = expected[1].data, *at = x->data;
    for (size_t i = 0; i < got->bytes / sizeof *a; i++) {
        if (a[i] == b[i] || (a[i] != a[i] && b[i] != b[i])) continue;
        /* The bend of a sigmoid vanishes at 0 by a difference. */
        const double size = fabs((double)b[i]) + (result == 2 ? fabs((double)slope[i]) : 0);
        if (!(fabs((double)a[i] - (double)b[i]) <= ROUNDINGS * UNIT_ROUNDOFF * size + TINY))
            fail_msg("%s of %s: %s at %.17g is %.17g, not %.17g", names[function], set->name,
                     results[result], (double)at[i], (double)a[i], (double)b[i]);
    }
    guarded_check(got, names[function]);
}

static void test_smooth_functions(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < FUNCTIONS * ELEMENTWISE_CASES; test++) {
        const int function = (int)(test % FUNCTIONS);
        const int64_t count = chosen(test, 0, 1, 200);
        guarded x = arguments(count, test), expected[RESULTS];
        for (int r = 0; r < RESULTS; r++) expected[r] = guarded_unwritten(count);
        function_of(&gr_kernels_reference, function)(count, x.data, expected[0].data,
                                                     expected[1].data, expected[2].data);
        for (int i = 0; i < sets; i++) {
            guarded got[RESULTS], same = guarded_copy(&x);
            for (int r = 0; r < RESULTS; r++) got[r] = guarded_unwritten(count);
            gr_smooth *compute = function_of(set[i], function);
            compute(count, x.data, got[0].data, got[1].data, got[2].data);
            for (int r = 0; r < RESULTS; r++)
                assert_close(set[i], function, r, &x, expected, &got[r]);
            compute(count, same.data, same.data, got[1].data, got[2].data);
            assert_exactly(names[function], &same, &got[0]);
            for (int r = 0; r < RESULTS; r++) guarded_free(&got[r]);
            guarded_free(&same);
        }
        for (int r = 0; r < RESULTS; r++) guarded_free(&expected[r]);
        guarded_free(&x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_smooth_functions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
