/* conv2d against PyTorch's Conv2d, written out from its definition; and its transpose against the
 * adjoint's. With every set of kernels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "core/network.h"
#include "tests/core/kernel_sets.h"
#include "tests/near.h"
#include "tests/settings_builder.h"

enum { CASES = 80 };

/* One layer, with arrays for all five functions. Named x, y: input, output; d, t: adjoint, tangent.
 */
typedef struct conv {
    gr_network *network;
    const gr_node *node;
    int64_t kernel, stride, padding, samples, probes;
    guarded parameters, x, d_y, t_x, scratch;
    int64_t in, out; /* features */
    char shape[160];
} conv;

/* Every eighth case has many filters and few output pixels: that goes by columns (columns.h). */
static conv conv_create(uint32_t test) {
    const bool columns = test % 8 == 7;
    conv c = {.kernel = chosen(test, 0, 1, 6),
              .stride = chosen(test, 1, 1, 3),
              .samples = chosen(test, 2, 1, 40),
              .probes = chosen(test, 3, 1, 3)};
    const bool same = test % 3 == 0;
    c.padding = same ? c.kernel / 2 : chosen(test, 4, 0, c.kernel);
    int64_t smallest = c.kernel - 2 * c.padding;
    if (smallest < 1) smallest = 1;
    gr_shape input = {
        3, {chosen(test, 5, 1, 5), chosen(test, 6, smallest, 10), chosen(test, 7, smallest, 10)}};
    if (columns) {
        c.kernel = chosen(test, 0, 3, 5), c.padding = same ? c.kernel / 2 : chosen(test, 4, 0, 1);
        input.size[0] = chosen(test, 9, 8, 40);
        for (int axis = 1; axis < 3; axis++)
            input.size[axis] =
                chosen(test, 10 + (uint32_t)axis, 0, 1) * c.stride + c.kernel - 2 * c.padding;
    }
    char text[256], padding[16];
    snprintf(padding, sizeof padding, "%lld", (long long)c.padding);
    snprintf(text, sizeof text,
             "[{type: conv2d, filters: %lld, kernel: %lld, stride: %lld, padding: %s}]",
             (long long)(columns ? chosen(test, 8, 64, 70) : chosen(test, 8, 1, 7)),
             (long long)c.kernel, (long long)c.stride, same ? "same" : padding);
    size_t count;
    gr_settings *layers = settings_build_list(&gr_layer_family, text, &count);
    gr_error error = {0};
    if (gr_network_create(layers, count, &input, &c.network, &error) != GR_OK)
        fail_msg("%s: %s %s", text, error.place, error.message);
    c.node = &c.network->nodes[0];
    c.in = c.node->in_features;
    c.out = c.node->out_features;
    c.parameters = guarded_normal(c.network->parameter_count, test, 1);
    c.x = guarded_normal(c.in * c.samples, test, 2);
    c.d_y = guarded_normal(c.out * c.probes * c.samples, test, 3);
    c.t_x = guarded_normal(c.in * c.probes * c.samples, test, 4);
    c.scratch = guarded_unwritten(c.node->scratch_reals);
    char image[128];
    snprintf(c.shape, sizeof c.shape, "case %u: %.100s of %s", test, text + 1,
             gr_shape_text(&input, image));
    return c;
}

static void conv_clear(conv *c) {
    gr_network_free(c->network);
    guarded_free(&c->parameters);
    guarded_free(&c->x);
    guarded_free(&c->d_y);
    guarded_free(&c->t_x);
    guarded_free(&c->scratch);
}

static gr_site site_of(const conv *c, const gr_kernels *kernels, gr_real *out) {
    return (gr_site){.node = c->node,
                     .kernels = kernels,
                     .parameters = c->parameters.data,
                     .samples = c->samples,
                     .training = true,
                     .in = c->x.data,
                     .out = out,
                     .scratch = c->scratch.data};
}

/* Calls the body for each pair of an output pixel (f, oy, ox) and an input pixel (ch, iy, ix) that
 * the weight (f, ch, ky, kx) joins: iy = oy·stride - padding + ky. o, i and w are their indices. */
#define FOR_EACH_PAIR(c)                                                                  \
    for (int64_t f = 0; f < (c)->node->out.size[0]; f++)                                  \
        for (int64_t oy = 0; oy < (c)->node->out.size[1]; oy++)                           \
            for (int64_t ox = 0; ox < (c)->node->out.size[2]; ox++)                       \
                for (int64_t ch = 0; ch < (c)->node->in.size[0]; ch++)                    \
                    for (int64_t ky = 0; ky < (c)->kernel; ky++)                          \
                        for (int64_t kx = 0, o = 0, i = 0, w = 0; kx < (c)->kernel; kx++) \
                            if (pair((c), f, oy, ox, ch, ky, kx, &o, &i, &w))

static bool pair(const conv *c, int64_t f, int64_t oy, int64_t ox, int64_t ch, int64_t ky,
                 int64_t kx, int64_t *o, int64_t *i, int64_t *w) {
    const gr_shape *in = &c->node->in, *out = &c->node->out;
    const int64_t iy = oy * c->stride - c->padding + ky, ix = ox * c->stride - c->padding + kx;
    *o = (f * out->size[1] + oy) * out->size[2] + ox;
    *i = (ch * in->size[1] + iy) * in->size[2] + ix;
    *w = ((f * in->size[0] + ch) * c->kernel + ky) * c->kernel + kx;
    return iy >= 0 && iy < in->size[1] && ix >= 0 && ix < in->size[2];
}

/* Sums in double, and the sums of absolute values for their bound. */
typedef struct sums {
    double *value, *magnitude;
    int64_t count;
} sums;

static sums sums_create(int64_t count) {
    sums s = {calloc((size_t)count, sizeof(double)), calloc((size_t)count, sizeof(double)), count};
    assert_non_null(s.value);
    assert_non_null(s.magnitude);
    return s;
}

static void sums_add(sums *s, int64_t element, double term) {
    s->value[element] += term;
    s->magnitude[element] += fabs(term);
}

static void sums_check_and_free(sums *s, const char *what, const conv *c, const guarded *got,
                                double terms) {
    assert_int_equal(got->bytes / sizeof(gr_real), s->count);
    for (int64_t i = 0; i < s->count; i++) {
        const double value = (double)((const gr_real *)got->data)[i];
        if (!(fabs(value - s->value[i]) <= sum_bound(terms, s->magnitude[i])))
            fail_msg("%s, %s: element %lld is %.9g, not %.9g", what, c->shape, (long long)i, value,
                     s->value[i]);
    }
    guarded_check(got, what);
    free(s->value);
    free(s->magnitude);
}

/* Number of terms of a sum over a kernel's taps. */
static double taps_of(const conv *c, int64_t channels) {
    return (double)(channels * c->kernel * c->kernel) + 1;
}

static void check_forward(const conv *c, const gr_kernels *set) {
    guarded y = guarded_unwritten(c->out * c->samples);
    const gr_site site = site_of(c, set, y.data);
    c->node->kind->forward(&site);
    const gr_real *weight = gr_site_parameter(&site, 0), *bias = gr_site_parameter(&site, 1);
    const gr_real *x = c->x.data;
    sums expected = sums_create(c->out * c->samples);
    const int64_t area = c->node->out.size[1] * c->node->out.size[2];
    for (int64_t o = 0; o < c->out; o++)
        for (int64_t s = 0; s < c->samples; s++)
            sums_add(&expected, o * c->samples + s, (double)bias[o / area]);
    FOR_EACH_PAIR(c)
    for (int64_t s = 0; s < c->samples; s++)
        sums_add(&expected, o * c->samples + s, (double)weight[w] * (double)x[i * c->samples + s]);
    sums_check_and_free(&expected, "forward", c, &y, taps_of(c, c->node->in.size[0]));
    guarded_free(&y);
}

static void check_backward_and_tangent(const conv *c, const gr_kernels *set) {
    const int64_t lanes = c->probes * c->samples;
    guarded d_x = guarded_unwritten(c->in * lanes), t_y = guarded_unwritten(c->out * lanes);
    const gr_site site = site_of(c, set, NULL);
    c->node->kind->backward(&site, c->probes, c->d_y.data, d_x.data);
    c->node->kind->tangent(&site, c->probes, c->t_x.data, t_y.data);
    const gr_real *weight = gr_site_parameter(&site, 0);
    const gr_real *d_y = c->d_y.data, *t_x = c->t_x.data;

    /* <J t_x, d_y> = <t_x, Jᵀ d_y>, whatever J is: bounded by the magnitudes of all its terms. */
    double forward = 0, adjoint = 0, magnitude = 0;
    for (int64_t i = 0; i < c->out * lanes; i++)
        forward += (double)((gr_real *)t_y.data)[i] * (double)d_y[i];
    for (int64_t i = 0; i < c->in * lanes; i++)
        adjoint += (double)((gr_real *)d_x.data)[i] * (double)t_x[i];

    sums expected_d = sums_create(c->in * lanes), expected_t = sums_create(c->out * lanes);
    FOR_EACH_PAIR(c)
    for (int64_t lane = 0; lane < lanes; lane++) {
        const double d = (double)d_y[o * lanes + lane], t = (double)t_x[i * lanes + lane];
        sums_add(&expected_d, i * lanes + lane, (double)weight[w] * d);
        sums_add(&expected_t, o * lanes + lane, (double)weight[w] * t);
        magnitude += fabs((double)weight[w] * d * t);
    }
    const double in_taps = taps_of(c, c->node->in.size[0]);
    const double out_taps = taps_of(c, c->node->out.size[0]);
    assert_near(forward, adjoint, sum_bound(in_taps + out_taps, magnitude));
    sums_check_and_free(&expected_d, "backward", c, &d_x, out_taps);
    sums_check_and_free(&expected_t, "tangent", c, &t_y, in_taps);
    guarded_free(&d_x);
    guarded_free(&t_y);
}

/* Paired with the input of one sample a lane, and with a tangent of every probe, which has no bias.
 */
static void check_accumulate(const conv *c, const gr_kernels *set, bool tangent) {
    const int64_t probes = tangent ? c->probes : 1, lanes = probes * c->samples;
    guarded gradients = guarded_normal(c->network->parameter_count, 1, 7);
    const gr_real *before = gradients.data, *d_y = c->d_y.data;
    const gr_real *in = tangent ? c->t_x.data : c->x.data;
    sums expected = sums_create(c->network->parameter_count);
    for (int64_t i = 0; i < expected.count; i++) sums_add(&expected, i, (double)before[i]);
    const int64_t weight = c->node->parameters[0].offset, bias = c->node->parameters[1].offset;
    FOR_EACH_PAIR(c)
    for (int64_t lane = 0; lane < lanes; lane++)
        sums_add(&expected, weight + w,
                 (double)d_y[o * lanes + lane] * (double)in[i * lanes + lane]);
    const int64_t area = c->node->out.size[1] * c->node->out.size[2];
    for (int64_t i = 0; !tangent && i < c->out * lanes; i++)
        sums_add(&expected, bias + i / (area * lanes), (double)d_y[i]);
    const gr_site site = site_of(c, set, NULL);
    c->node->kind->accumulate(&site, probes, d_y, in, tangent, gradients.data);
    sums_check_and_free(&expected, tangent ? "accumulate with a tangent" : "accumulate", c,
                        &gradients, (double)(area * lanes) + 1);
    guarded_free(&gradients);
}

static void test_definition(void **state) {
    (void)state;
    int sets;
    const gr_kernels *const *set = runnable_sets(&sets);
    for (uint32_t test = 0; test < CASES; test++) {
        conv c = conv_create(test);
        for (int i = 0; i < sets; i++) {
            check_forward(&c, set[i]);
            check_backward_and_tangent(&c, set[i]);
            check_accumulate(&c, set[i], false);
            check_accumulate(&c, set[i], true);
            guarded_check(&c.scratch, c.shape);
        }
        conv_clear(&c);
    }
}

/* PyTorch's own numbers for a case small enough to check by hand: 3x3 ones over 1…9, padded. */
static void test_by_hand(void **state) {
    (void)state;
    size_t count;
    gr_settings *layers = settings_build_list(
        &gr_layer_family, "[{type: conv2d, filters: 1, kernel: 3, padding: same}]", &count);
    const gr_shape input = {3, {1, 3, 3}};
    gr_network *network;
    gr_error error = {0};
    assert_int_equal(gr_network_create(layers, count, &input, &network, &error), GR_OK);
    assert_true(network->operations == 49); /* 4·4 corners + 4·6 edges + 9: no padding is counted */
    guarded parameters = guarded_reals(10), x = guarded_reals(9), y = guarded_unwritten(9);
    for (int i = 0; i < 9; i++) {
        ((gr_real *)parameters.data)[i] = i == 5 ? 2 : 1; /* the pixel to the right counts twice */
        ((gr_real *)x.data)[i] = (gr_real)(i + 1);
    }
    ((gr_real *)parameters.data)[9] = (gr_real)0.5;
    const gr_site site = {.node = &network->nodes[0],
                          .kernels = gr_kernels_choose(),
                          .parameters = parameters.data,
                          .samples = 1,
                          .in = x.data,
                          .out = y.data};
    network->nodes[0].kind->forward(&site);
    static const double expected[] = {14.5, 24.5, 16.5, 32.5, 51.5, 33.5, 32.5, 48.5, 28.5};
    for (int i = 0; i < 9; i++) assert_near((double)((gr_real *)y.data)[i], expected[i], 0);
    guarded_free(&parameters);
    guarded_free(&x);
    guarded_free(&y);
    gr_network_free(network);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_definition),
        cmocka_unit_test(test_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
