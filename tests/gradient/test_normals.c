/* Normal numbers of each set of kernels against those of gr_random_normal, in double precision:
 * what a float would round away is seen too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

/* How far two ways to compute √(-2 log u)·cos 2πv in double precision may be apart: the root is at
 * most 8.6 (of u = 2⁻⁵³), 2πv is rounded to within 4.4e-16, and a cosine and a logarithm add a few
 * roundings of 1.1e-16. */
#define NORMAL_BOUND (8.6 * 1e-15)

typedef struct normal_case {
    gr_random random;
    uint32_t first;
    int64_t samples, elements;
    double factor;
    bool adds; /* to other numbers; else it stores */
} normal_case;

/* Some cases' samples go on at 0 after the last of 32 bits; they draw from many streams. */
static normal_case normal_case_create(uint32_t test) {
    return (normal_case){.random = gr_random_source((uint64_t)test << 40 | 7,
                                                    GR_PURPOSE_INPUT_NOISE, test, 3 * test),
                         .first = test % 2 ? (uint32_t)chosen(test, 2, 0, 1000) : UINT32_MAX - 3,
                         .samples = chosen(test, 0, 1, 70),
                         .elements = chosen(test, 1, 1, 50),
                         .factor = test % 3 ? 1 : 0.25,
                         .adds = test % 4 != 1};
}

static void assert_close(const gr_kernels *set, const normal_case *c, const guarded *from,
                         const guarded *expected, const guarded *got) {
    const gr_real *a = got->data, *b = expected->data, *x = from->data;
    for (int64_t e = 0; e < c->samples * c->elements; e++) {
        /* The sum's terms: what is added to, and the number itself. */
        const double size = fabs((double)b[e]) + (c->adds ? 2 * fabs((double)x[e]) : 0);
        const double bound = 4 * UNIT_ROUNDOFF * size + NORMAL_BOUND * c->factor;
        if (!(fabs((double)a[e] - (double)b[e]) <= bound))
            fail_msg("add_normals of %s: %lld samples, %lld elements: number %lld is %.17g instead "
                     "of %.17g",
                     set->name, (long long)c->samples, (long long)c->elements, (long long)e,
                     (double)a[e], (double)b[e]);
    }
}

static void test_add_normals(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < ELEMENTWISE_CASES; test++) {
        const normal_case c = normal_case_create(test);
        const int64_t count = c.samples * c.elements;
        guarded from = guarded_normal(count, test, 3), expected = guarded_unwritten(count);
        gr_kernels_reference.add_normals(&c.random, c.first, c.samples, c.elements, c.factor,
                                         c.adds ? from.data : NULL, expected.data);
        for (int i = 0; i < sets; i++) {
            guarded apart = guarded_unwritten(count), in_place = guarded_copy(&from);
            set[i]->add_normals(&c.random, c.first, c.samples, c.elements, c.factor,
                                c.adds ? from.data : NULL, apart.data);
            set[i]->add_normals(&c.random, c.first, c.samples, c.elements, c.factor,
                                c.adds ? in_place.data : NULL, in_place.data);
            assert_close(set[i], &c, &from, &expected, &apart);
            assert_memory_equal(apart.data, in_place.data, apart.bytes);
            guarded *const written[] = {&apart, &in_place};
            for (size_t k = 0; k < sizeof written / sizeof *written; k++) {
                guarded_check(written[k], "add_normals");
                guarded_free(written[k]);
            }
        }
        guarded_free(&from);
        guarded_free(&expected);
    }
}

/* One sample's numbers do not depend on which block of samples it is computed in. */
static void test_blocks_do_not_matter(void **state) {
    (void)state;
    enum { SAMPLES = 45, SPLIT = 13, ELEMENTS = 7 };
    const gr_random random = gr_random_source(11, GR_PURPOSE_INPUT_NOISE, 2, 5);
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++) {
        gr_real whole[ELEMENTS][SAMPLES], left[ELEMENTS][SPLIT], right[ELEMENTS][SAMPLES - SPLIT];
        set[i]->add_normals(&random, 3, SAMPLES, ELEMENTS, 0.5, NULL, *whole);
        set[i]->add_normals(&random, 3, SPLIT, ELEMENTS, 0.5, NULL, *left);
        set[i]->add_normals(&random, 3 + SPLIT, SAMPLES - SPLIT, ELEMENTS, 0.5, NULL, *right);
        for (int e = 0; e < ELEMENTS; e++) {
            assert_memory_equal(whole[e], left[e], sizeof left[e]);
            assert_memory_equal(whole[e] + SPLIT, right[e], sizeof right[e]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_normals),
        cmocka_unit_test(test_blocks_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
