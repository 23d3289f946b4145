/* The products of linear layers in each set of kernels against the reference, over random shapes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/core/kernel_sets.h"

enum { CASES = 120 };

typedef struct product_case {
    int64_t units, in, lanes;
    int64_t probes; /* of which the lanes are those of as many samples each */
    bool turned;    /* x, and the result of the adjoint, are [lanes][in] */
    guarded weights, bias, x, d_out, kept;
    char shape[96];
} product_case;

static void align(guarded *g) {
    void *data = NULL;
    assert_int_equal(posix_memalign(&data, GR_ALIGNMENT, g->bytes + GR_SLACK_BYTES), 0);
    memcpy(data, g->data, g->bytes + GR_SLACK_BYTES);
    free(g->data);
    g->data = data;
}

/* Mostly small shapes; a sixth is larger than a block of terms, lanes and columns. Lanes lie
 * around whole vectors, where the kernels take turns. The adjoints of every second have zeros, up
 * to all, and half of what is kept are not positive. */
static product_case product_case_create(uint32_t test) {
    const bool large = test % 12 <= 1;
    product_case c = {.units = chosen(test, 0, 1, large ? 200 : 40),
                      .in = chosen(test, 1, 1, large ? 1000 : 150),
                      .lanes = chosen(test, 2, 1, large ? 140 : 40)};
    if (test % 3 == 1) c.lanes = (c.lanes + 15) / 16 * 16 + chosen(test, 3, -2, 2);
    /* The adjoint of many weights is turned, here in two blocks of lanes. */
    if (test == 5) c.units = 600, c.in = 450, c.lanes = 65;
    /* Many lanes; adjoints with zeros of more units than are turned at once. */
    if (test == 6) c.units = 20, c.in = 30, c.lanes = 300;
    if (test == 7) c.units = 530, c.in = 230, c.lanes = 70;
    /* Gradients, and tangents that are kept, of more units than are listed at once. */
    if (test == 11) c.units = 1040, c.in = 100, c.lanes = 19;
    if (test == 13) c.units = 300, c.in = 530, c.lanes = 20;
    /* Probes with more samples than a mask has bits. */
    if (test == 15) c.units = 40, c.in = 230, c.lanes = 210;
    /* Rows of whole lines of the cache are read where they are. */
    const bool in_lines = test == 9;
    if (in_lines) c.units = 100, c.in = 15 * GR_ALIGNMENT / (int64_t)sizeof(gr_real), c.lanes = 50;
    c.weights = guarded_normal(c.units * c.in, test, 1);
    c.bias = guarded_normal(c.units, test, 2);
    c.x = guarded_normal(c.in * c.lanes, test, 3);
    if (in_lines) align(&c.weights), align(&c.x);
    c.d_out = guarded_normal(c.units * c.lanes, test, 4);
    c.probes = c.lanes % 3 == 0 ? 3 : 1;
    c.kept = guarded_normal(c.units * c.lanes / c.probes, test, 7);
    if (test == 7) memset(c.kept.data, 0, c.kept.bytes);
    const bool half = test == 7 || test == 11 || test == 13 || test == 15 || in_lines;
    gr_real *d_out = c.d_out.data;
    const gr_real *kept = c.kept.data;
    /* Of what is not kept there are few adjoints, as a relu leaves them. */
    for (int64_t i = 0; half && i < c.units * c.lanes; i++) {
        const int64_t samples = c.lanes / c.probes;
        if (!(kept[i / c.lanes * samples + i % samples] > 0) && i % 7) d_out[i] = 0;
    }
    const gr_real least = half ? 0 : (gr_real)chosen(test, 6, -4, 8) / 4;
    for (int64_t i = 0; test % 2 && i < c.units * c.lanes; i++)
        if (d_out[i] < least) d_out[i] = 0;
    return c;
}

static product_case product_case_absolute(const product_case *c) {
    product_case size = *c;
    size.weights = guarded_absolute(&c->weights);
    size.bias = guarded_absolute(&c->bias);
    size.x = guarded_absolute(&c->x);
    size.d_out = guarded_absolute(&c->d_out);
    size.kept = guarded_copy(&c->kept);
    return size;
}

static void product_case_clear(product_case *c) {
    guarded *const all[] = {&c->weights, &c->bias, &c->x, &c->d_out, &c->kept};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
}

/* One of the products; what it adds to, or overwrites, is in `result`. */
typedef void product_function(const gr_kernels *set, const product_case *c, guarded *result);

static void forward(const gr_kernels *set, const product_case *c, guarded *result) {
    set->multiply(c->units, c->in, c->lanes, c->weights.data, c->bias.data, c->turned, c->x.data,
                  result->data);
}

static void forward_without_bias(const gr_kernels *set, const product_case *c, guarded *result) {
    set->multiply(c->units, c->in, c->lanes, c->weights.data, NULL, c->turned, c->x.data,
                  result->data);
}

static void forward_all(const gr_kernels *set, const product_case *c, guarded *result) {
    set->multiply_kept(c->units, c->in, c->probes, c->lanes / c->probes, c->weights.data, NULL,
                       c->turned, c->x.data, result->data);
}

/* Where nothing is kept the result may be any number: 0 here. */
static void clear_unkept(const product_case *c, gr_real *y) {
    const int64_t samples = c->lanes / c->probes;
    const gr_real *kept = c->kept.data;
    for (int64_t i = 0; i < c->units * c->lanes; i++)
        if (!(kept[i / c->lanes * samples + i % samples] > 0)) y[i] = 0;
}

static void forward_kept(const gr_kernels *set, const product_case *c, guarded *result) {
    set->multiply_kept(c->units, c->in, c->probes, c->lanes / c->probes, c->weights.data,
                       c->kept.data, c->turned, c->x.data, result->data);
    clear_unkept(c, result->data);
}

static void transposed(const gr_kernels *set, const product_case *c, guarded *result) {
    set->multiply_transposed(c->units, c->in, c->lanes, c->weights.data, c->d_out.data, c->turned,
                             result->data);
}

static void accumulated(const gr_kernels *set, const product_case *c, guarded *result) {
    set->multiply_accumulate(c->units, c->in, c->lanes, c->d_out.data, c->turned, c->x.data,
                             result->data);
}

/* The products of the adjoints and where they are, as they may be. */
static void forward_of_both(const gr_kernels *set, const product_case *c, guarded *result) {
    guarded d_weights = guarded_normal(c->units * c->in, 1, 5);
    memcpy(result->data, c->d_out.data, result->bytes);
    set->multiply_kept_and_accumulate(c->units, c->in, c->probes, c->lanes / c->probes,
                                      c->weights.data, c->kept.data, result->data, c->turned,
                                      c->x.data, result->data, d_weights.data);
    clear_unkept(c, result->data);
    guarded_free(&d_weights);
}

static void gradient_of_both(const gr_kernels *set, const product_case *c, guarded *result) {
    guarded y = guarded_unwritten(c->units * c->lanes);
    set->multiply_kept_and_accumulate(c->units, c->in, c->probes, c->lanes / c->probes,
                                      c->weights.data, c->kept.data, c->d_out.data, c->turned,
                                      c->x.data, y.data, result->data);
    guarded_free(&y);
}

/* `before`: what is there before; the sum of `terms` products, or of one more. */
static void compare(product_function *function, const char *kernel, const product_case *c,
                    const product_case *size, const guarded *before, double terms) {
    guarded expected = guarded_copy(before), magnitude = guarded_absolute(before);
    function(&gr_kernels_reference, c, &expected);
    function(&gr_kernels_reference, size, &magnitude);
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (int i = 0; i < sets; i++) {
        char what[256];
        set_name(set[i], kernel, c->shape, what);
        guarded got = guarded_reals((int64_t)(before->bytes / sizeof(gr_real)));
        guarded again = guarded_reals((int64_t)(before->bytes / sizeof(gr_real)));
        memcpy(got.data, before->data, before->bytes);
        memcpy(again.data, before->data, before->bytes);
        function(set[i], c, &got);
        assert_within(what, &got, &expected, terms + 1, &magnitude);
        function(set[i], c, &again);
        assert_memory_equal(got.data, again.data, got.bytes);
        guarded_free(&got);
        guarded_free(&again);
    }
    guarded_free(&expected);
    guarded_free(&magnitude);
}

static void test_products(void **state) {
    (void)state;
    for (uint32_t test = 0; test < 2 * CASES; test++) {
        product_case c = product_case_create(test / 2);
        c.turned = test % 2;
        snprintf(c.shape, sizeof c.shape, "case %u: %lld units, %lld inputs, %lld lanes%s",
                 test / 2, (long long)c.units, (long long)c.in, (long long)c.lanes,
                 c.turned ? ", turned" : "");
        product_case size = product_case_absolute(&c);
        guarded y = guarded_unwritten(c.units * c.lanes), d_in = guarded_unwritten(c.in * c.lanes);
        guarded d_weights = guarded_normal(c.units * c.in, test / 2, 5);
        compare(forward, "multiply", &c, &size, &y, (double)c.in + 1);
        compare(forward_without_bias, "multiply", &c, &size, &y, (double)c.in);
        compare(forward_all, "multiply_kept without kept", &c, &size, &y, (double)c.in);
        compare(forward_kept, "multiply_kept", &c, &size, &y, (double)c.in);
        compare(transposed, "multiply_transposed", &c, &size, &d_in, (double)c.units);
        compare(accumulated, "multiply_accumulate", &c, &size, &d_weights, (double)c.lanes + 1);
        compare(forward_of_both, "multiply_kept_and_accumulate", &c, &size, &y, (double)c.in);
        compare(gradient_of_both, "multiply_kept_and_accumulate", &c, &size, &d_weights,
                (double)c.lanes + 1);
        guarded *const all[] = {&y, &d_in, &d_weights};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) guarded_free(all[i]);
        product_case_clear(&c);
        product_case_clear(&size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_products)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
