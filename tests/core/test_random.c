/* Random numbers: the published vectors of Philox4x32-10, and what its users rely on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "core/random.h"
#include "tests/near.h"

/* Random123's kat_vectors, "philox4x32 10". */
static void test_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } vectors[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
         {0xffffffff, 0xffffffff},
         {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        uint32_t out[4];
        gr_philox(vectors[i].counter, vectors[i].key, out);
        assert_memory_equal(out, vectors[i].out, sizeof out);
    }
}

/* A number belongs to its place and to nothing else: a part of the address that is not used would
 * make two of these equal. */
static void test_every_part_of_the_address_counts(void **state) {
    (void)state;
    enum { SOURCES = 8 };
    const gr_random sources[SOURCES] = {
        gr_random_source(1, GR_PURPOSE_DROPOUT, 2, 3),
        gr_random_source(2, GR_PURPOSE_DROPOUT, 2, 3),
        gr_random_source(1 + (UINT64_C(1) << 32), GR_PURPOSE_DROPOUT, 2, 3),
        gr_random_source((UINT64_C(1) << 53) - 1, GR_PURPOSE_DROPOUT, 2, 3),
        gr_random_source(1, GR_PURPOSE_PROBE, 2, 3),
        gr_random_source(1, GR_PURPOSE_DROPOUT, 3, 3),
        gr_random_source(1, GR_PURPOSE_DROPOUT, 2, 4),
        gr_random_source(1, GR_PURPOSE_DROPOUT, 3, 2),
    };
    enum { PLACES = 4 };
    static const uint32_t places[PLACES][2] = {{0, 0}, {0, 2}, {2, 0}, {UINT32_MAX, 0}};
    double uniform[SOURCES * PLACES], normal[SOURCES * PLACES];
    for (int i = 0; i < SOURCES; i++)
        for (int j = 0; j < PLACES; j++) {
            uniform[i * PLACES + j] = gr_random_uniform(&sources[i], places[j][0], places[j][1]);
            normal[i * PLACES + j] = gr_random_normal(&sources[i], places[j][0], places[j][1]);
        }
    for (int i = 0; i < SOURCES * PLACES; i++)
        for (int j = 0; j < i; j++) {
            assert_true(uniform[i] != uniform[j]);
            assert_true(normal[i] != normal[j]);
        }
    /* And it is a function: drawn again, in another order, it is the same. */
    for (int i = SOURCES - 1; i >= 0; i--)
        assert_true(gr_random_uniform(&sources[i], 0, 0) == uniform[i * PLACES]);
}

/* Every seed that a spec may have keeps the purposes apart: the purpose lies above its 53 bits. */
static void test_purposes_never_share_a_key(void **state) {
    (void)state;
    static const uint64_t seeds[] = {0, 1, UINT64_C(1) << 52, (UINT64_C(1) << 53) - 1};
    enum { SEEDS = sizeof seeds / sizeof *seeds, PURPOSES = GR_PURPOSE_GENERATED_DATA };
    uint32_t keys[SEEDS * PURPOSES][2];
    for (int i = 0; i < SEEDS; i++)
        for (int p = 0; p < PURPOSES; p++) {
            const gr_random random = gr_random_source(seeds[i], (gr_purpose)(p + 1), 0, 0);
            memcpy(keys[i * PURPOSES + p], random.key, sizeof random.key);
        }
    for (int i = 0; i < SEEDS * PURPOSES; i++)
        for (int j = 0; j < i; j++) assert_memory_not_equal(keys[i], keys[j], sizeof *keys);
}

/* The samples of a moment test, and its tolerance: five standard errors, which a right generator
 * passes but for about one in two million fixed streams. */
enum { DRAWS = 200000 };
#define FIVE_STANDARD_ERRORS(deviation) (5 * (deviation) / sqrt((double)DRAWS))

static void test_uniform_moments(void **state) {
    (void)state;
    const gr_random random = gr_random_source(7, GR_PURPOSE_INITIALIZATION, 1, 0);
    double sum = 0, squares = 0, lagged = 0, before = 0.5;
    int64_t tenths[10] = {0};
    for (uint32_t i = 0; i < DRAWS; i++) {
        const double u = gr_random_uniform(&random, i % 100, i / 100);
        assert_true(u >= 0 && u < 1);
        sum += u;
        squares += (u - 0.5) * (u - 0.5);
        lagged += (u - 0.5) * (before - 0.5);
        before = u;
        tenths[(int)(u * 10)]++;
    }
    assert_near(sum / DRAWS, 0.5, FIVE_STANDARD_ERRORS(sqrt(1.0 / 12)));
    assert_near(squares / DRAWS, 1.0 / 12, FIVE_STANDARD_ERRORS(sqrt(1.0 / 180)));
    assert_near(lagged / DRAWS, 0, FIVE_STANDARD_ERRORS(1.0 / 12));
    for (int i = 0; i < 10; i++)
        assert_near((double)tenths[i] / DRAWS, 0.1, FIVE_STANDARD_ERRORS(0.3));
}

static void test_normal_moments(void **state) {
    (void)state;
    const gr_random random = gr_random_source(7, GR_PURPOSE_PROBE, 0, 12);
    double moments[5] = {0}, lagged = 0, before = 0;
    for (uint32_t i = 0; i < DRAWS; i++) {
        const double x = gr_random_normal(&random, i % 50, i / 50);
        assert_true(isfinite(x));
        double power = 1;
        for (int m = 1; m <= 4; m++) moments[m] += power *= x;
        lagged += x * before;
        before = x;
    }
    /* E x^4 = 3; the variances of x, x², x³, x⁴ are 1, 2, 15 and 96. */
    assert_near(moments[1] / DRAWS, 0, FIVE_STANDARD_ERRORS(1));
    assert_near(moments[2] / DRAWS, 1, FIVE_STANDARD_ERRORS(sqrt(2.0)));
    assert_near(moments[3] / DRAWS, 0, FIVE_STANDARD_ERRORS(sqrt(15.0)));
    assert_near(moments[4] / DRAWS, 3, FIVE_STANDARD_ERRORS(sqrt(96.0)));
    assert_near(lagged / DRAWS, 0, FIVE_STANDARD_ERRORS(1));
}

/* Streams that differ in one part of their address are not correlated. */
static void test_streams_are_independent(void **state) {
    (void)state;
    const gr_random base = gr_random_source(1, GR_PURPOSE_DROPOUT, 2, 3);
    const gr_random others[] = {gr_random_source(2, GR_PURPOSE_DROPOUT, 2, 3),
                                gr_random_source(1, GR_PURPOSE_PROBE, 2, 3),
                                gr_random_source(1, GR_PURPOSE_DROPOUT, 3, 3),
                                gr_random_source(1, GR_PURPOSE_DROPOUT, 2, 4)};
    for (size_t o = 0; o < sizeof others / sizeof *others; o++) {
        double product = 0;
        for (uint32_t i = 0; i < DRAWS; i++)
            product += (gr_random_uniform(&base, i % 50, i / 50) - 0.5) *
                       (gr_random_uniform(&others[o], i % 50, i / 50) - 0.5);
        assert_near(product / DRAWS, 0, FIVE_STANDARD_ERRORS(1.0 / 12));
    }
}

static void test_below(void **state) {
    (void)state;
    const gr_random random = gr_random_source(3, GR_PURPOSE_SPLIT, 0, 0);
    int64_t counts[7] = {0};
    for (uint32_t i = 0; i < DRAWS; i++) {
        const int64_t n = gr_random_below(&random, i % 9, i / 9, 7);
        assert_in_range(n, 0, 6);
        counts[n]++;
        assert_int_equal(gr_random_below(&random, i, 0, 1), 0);
    }
    for (int i = 0; i < 7; i++)
        assert_near((double)counts[i] / DRAWS, 1.0 / 7, FIVE_STANDARD_ERRORS(sqrt(6.0 / 49)));
    const int64_t large = (INT64_C(1) << 62) + 1;
    for (uint32_t i = 0; i < 100; i++)
        assert_true((uint64_t)gr_random_below(&random, 0, i, large) < (uint64_t)large);
}

static void test_permutation(void **state) {
    (void)state;
    enum { COUNT = 1000 };
    static int64_t order[COUNT], again[COUNT];
    const gr_random random = gr_random_source(3, GR_PURPOSE_ORDER, 0, 5);
    gr_random_permutation(&random, 0, COUNT, order);
    gr_random_permutation(&random, 0, COUNT, again);
    assert_memory_equal(order, again, sizeof order);
    static bool seen[COUNT];
    for (int i = 0; i < COUNT; i++) {
        assert_in_range(order[i], 0, COUNT - 1);
        assert_false(seen[order[i]]);
        seen[order[i]] = true;
    }
    gr_random_permutation(&random, 1, COUNT, again);
    assert_memory_not_equal(order, again, sizeof order);
    const gr_random next = gr_random_source(3, GR_PURPOSE_ORDER, 0, 6);
    gr_random_permutation(&next, 0, COUNT, again);
    assert_memory_not_equal(order, again, sizeof order);
    gr_random_permutation(&random, 0, 1, again);
    assert_int_equal(again[0], 0);
    gr_random_permutation(&random, 0, 0, NULL);
}

/* All 24 orders of four things come equally often. */
static void test_permutation_is_uniform(void **state) {
    (void)state;
    enum { ORDERS = 48000 };
    int counts[4 * 4 * 4 * 4] = {0};
    const gr_random random = gr_random_source(11, GR_PURPOSE_ORDER, 0, 0);
    for (uint32_t i = 0; i < ORDERS; i++) {
        int64_t order[4];
        gr_random_permutation(&random, i, 4, order);
        counts[order[0] + 4 * order[1] + 16 * order[2] + 64 * order[3]]++;
    }
    int different = 0;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        if (!counts[i]) continue;
        different++;
        const double p = 1.0 / 24;
        assert_near((double)counts[i] / ORDERS, p, 5 * sqrt(p * (1 - p) / ORDERS));
    }
    assert_int_equal(different, 24);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers),
        cmocka_unit_test(test_every_part_of_the_address_counts),
        cmocka_unit_test(test_purposes_never_share_a_key),
        cmocka_unit_test(test_uniform_moments),
        cmocka_unit_test(test_normal_moments),
        cmocka_unit_test(test_streams_are_independent),
        cmocka_unit_test(test_below),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_permutation_is_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
