/* batchnorm {momentum, epsilon, evaluate}: Ioffe & Szegedy 2015, with PyTorch's constants. In
 * training it normalises by the batch's statistics and so couples the samples; the second-order
 * terms are METHODS §2's. A channel's values are [positions][probe][sample]; every probe has sums
 * of its own. */
#include <math.h>

#include "core/layer.h"

enum { MOMENTUM, EPSILON, EVALUATE };
enum { EVALUATE_RUNNING, EVALUATE_BATCH };
static const char *const evaluate_choices[] = {"running", "batch", NULL};
static const gr_option options[] = {
    [MOMENTUM] = {.name = "momentum",
                  .help = "share of the batch in the running statistics at each iteration",
                  .accepts = GR_ACCEPT(GR_NUMBER),
                  .minimum = 0,
                  .maximum = 1,
                  .default_json = "0.1"},
    [EPSILON] = {.name = "epsilon",
                 .help = "added to the variance",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1,
                 .minimum_excluded = true,
                 .default_json = "1e-5"},
    [EVALUATE] = {.name = "evaluate",
                  .help = "evaluation by the running statistics, or by those of the batch",
                  .accepts = GR_ACCEPT(GR_CHOICE),
                  .choices = evaluate_choices,
                  .default_json = "\"running\""},
};

enum { WEIGHT, BIAS };
enum { RUNNING_MEAN, RUNNING_VAR, TRACKED };

static gr_status configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = node->in;
    const gr_shape channels = {1, {node->in.size[0]}}, scalar = {0};
    node->parameter_count = 2;
    node->parameters[WEIGHT] =
        (gr_parameter){.name = "weight", .shape = channels, .initial_value = 1};
    node->parameters[BIAS] = (gr_parameter){.name = "bias", .shape = channels};
    node->buffer_count = 3;
    node->buffers[RUNNING_MEAN] = (gr_parameter){.name = "running_mean", .shape = channels};
    node->buffers[RUNNING_VAR] =
        (gr_parameter){.name = "running_var", .shape = channels, .initial_value = 1};
    node->buffers[TRACKED] =
        (gr_parameter){.name = "num_batches_tracked", .shape = scalar, .counter = true};
    /* x̂ for every element, 1/s for every channel. */
    node->state_bytes = node->in_features * (int64_t)sizeof(gr_real);
    node->shared_state_bytes = node->in.size[0] * (int64_t)sizeof(gr_real);
    node->couples_samples = true;
    return GR_OK;
}

static int64_t positions_of(const gr_node *node) {
    return node->in_features / node->in.size[0];
}
static gr_real *normalized_of(const gr_site *site) {
    return site->state;
}
static gr_real *inverse_of(const gr_site *site) {
    return site->shared_state;
}

static void forward(const gr_site *site) {
    const gr_node *node = site->node;
    const int64_t channels = node->in.size[0], count = positions_of(node) * site->samples;
    const double epsilon = gr_number(node->settings, EPSILON);
    const double momentum = gr_number(node->settings, MOMENTUM);
    const bool by_batch =
        site->training || !site->buffers || gr_choice(node->settings, EVALUATE) == EVALUATE_BATCH;
    const gr_real *gamma = gr_site_parameter(site, WEIGHT), *beta = gr_site_parameter(site, BIAS);
    gr_real *running_mean = NULL, *running_var = NULL;
    if (site->buffers) {
        running_mean = site->buffers + node->buffers[RUNNING_MEAN].offset;
        running_var = site->buffers + node->buffers[RUNNING_VAR].offset;
    }
    for (int64_t c = 0; c < channels; c++) {
        const gr_real *a = site->in + c * count;
        gr_real *y = site->out + c * count, *normalized = normalized_of(site) + c * count;
        double mean = by_batch ? 0 : (double)running_mean[c];
        double variance = by_batch ? 0 : (double)running_var[c];
        if (by_batch) {
            for (int64_t i = 0; i < count; i++) mean += (double)a[i];
            mean /= (double)count;
            for (int64_t i = 0; i < count; i++)
                variance += ((double)a[i] - mean) * ((double)a[i] - mean);
            variance /= (double)count;
        }
        if (site->training && running_mean) {
            const double unbiased = variance * (double)count / (double)(count > 1 ? count - 1 : 1);
            running_mean[c] = (gr_real)((1 - momentum) * (double)running_mean[c] + momentum * mean);
            running_var[c] =
                (gr_real)((1 - momentum) * (double)running_var[c] + momentum * unbiased);
        }
        const gr_real inverse = (gr_real)(1 / sqrt(variance + epsilon)), center = (gr_real)mean;
        inverse_of(site)[c] = inverse;
        for (int64_t i = 0; i < count; i++) {
            normalized[i] = (a[i] - center) * inverse;
            y[i] = gamma[c] * normalized[i] + beta[c];
        }
    }
}

/* One probe's lanes of one channel: rows of `samples` reals, `stride` apart. */
typedef struct lanes {
    int64_t positions, samples, stride;
} lanes;

/* m(v) and m(x̂ v). */
static void means(const lanes *l, const gr_real *v, const gr_real *normalized, double *mean,
                  double *projected) {
    double sum = 0, product = 0;
    for (int64_t p = 0; p < l->positions; p++)
        for (int64_t s = 0; s < l->samples; s++) {
            const double value = (double)v[p * l->stride + s];
            sum += value;
            product += value * (double)normalized[p * l->samples + s];
        }
    const double count = (double)(l->positions * l->samples);
    *mean = sum / count;
    *projected = product / count;
}

/* to = scale·(v - m(v) - x̂ m(x̂ v)): with scale γ/s both the adjoint and the tangent. */
static void project(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to) {
    const gr_node *node = site->node;
    const int64_t channels = node->in.size[0], positions = positions_of(node);
    const lanes l = {positions, site->samples, probes * site->samples};
    const gr_real *gamma = gr_site_parameter(site, WEIGHT);
    for (int64_t c = 0; c < channels; c++) {
        const gr_real *normalized = normalized_of(site) + c * positions * site->samples;
        const gr_real scale = gamma[c] * inverse_of(site)[c];
        for (int64_t k = 0; k < probes; k++) {
            const int64_t first = c * positions * l.stride + k * site->samples;
            double mean, projected;
            means(&l, from + first, normalized, &mean, &projected);
            const gr_real m = (gr_real)mean, r = (gr_real)projected;
            for (int64_t p = 0; p < positions; p++)
                for (int64_t s = 0; s < site->samples; s++)
                    to[first + p * l.stride + s] = scale * (from[first + p * l.stride + s] - m -
                                                            normalized[p * site->samples + s] * r);
        }
    }
}

/* γ gets Σ d·x̂ of an ordinary pass, Σ δ·(tangent of x̂) of a probe's; β gets Σ d. */
static void accumulate(const gr_site *site, int64_t probes, const gr_real *d_out, const gr_real *in,
                       bool tangent, gr_real *gradients) {
    const gr_node *node = site->node;
    const int64_t channels = node->in.size[0], positions = positions_of(node);
    const lanes l = {positions, site->samples, probes * site->samples};
    gr_real *d_gamma = gradients + node->parameters[WEIGHT].offset;
    gr_real *d_beta = gradients + node->parameters[BIAS].offset;
    for (int64_t c = 0; c < channels; c++) {
        const gr_real *normalized = normalized_of(site) + c * positions * site->samples;
        for (int64_t k = 0; k < probes; k++) {
            const int64_t first = c * positions * l.stride + k * site->samples;
            double mean = 0, projected = 0, product = 0, sum = 0;
            if (tangent) means(&l, in + first, normalized, &mean, &projected);
            for (int64_t p = 0; p < positions; p++)
                for (int64_t s = 0; s < site->samples; s++) {
                    const double x = (double)normalized[p * site->samples + s];
                    const double d = (double)d_out[first + p * l.stride + s];
                    sum += d;
                    product +=
                        d * (tangent
                                 ? ((double)in[first + p * l.stride + s] - mean - x * projected) *
                                       (double)inverse_of(site)[c]
                                 : x);
                }
            d_gamma[c] += (gr_real)product;
            if (!tangent) d_beta[c] += (gr_real)sum;
        }
    }
}

/* With w = γδ, e and b the centred w and tangent, Φ = Σ w·(tangent of x̂):
 * -Φ x̂/(N s) - [(b - x̂ m(b x̂)) m(x̂ e) + (e - x̂ m(e x̂)) m(x̂ b)]/s². */
static void curvature(const gr_site *site, int64_t probes, const gr_real *t_in,
                      const gr_real *d_out, gr_real *d_in) {
    const gr_node *node = site->node;
    const int64_t channels = node->in.size[0], positions = positions_of(node);
    const lanes l = {positions, site->samples, probes * site->samples};
    const double count = (double)(positions * site->samples);
    for (int64_t c = 0; c < channels; c++) {
        const gr_real *normalized = normalized_of(site) + c * positions * site->samples;
        const double gamma = (double)gr_site_parameter(site, WEIGHT)[c];
        const double inverse = (double)inverse_of(site)[c];
        gr_real *d = d_in + c * positions * site->samples;
        for (int64_t k = 0; k < probes; k++) {
            const int64_t first = c * positions * l.stride + k * site->samples;
            double b_mean, b_projected, e_mean, e_projected, phi = 0;
            means(&l, t_in + first, normalized, &b_mean, &b_projected);
            means(&l, d_out + first, normalized, &e_mean, &e_projected);
            for (int64_t p = 0; p < positions; p++)
                for (int64_t s = 0; s < site->samples; s++)
                    phi += (double)d_out[first + p * l.stride + s] *
                           ((double)t_in[first + p * l.stride + s] - b_mean -
                            (double)normalized[p * site->samples + s] * b_projected);
            phi *= gamma * inverse;
            e_mean *= gamma;
            e_projected *= gamma;
            /* x̂ sums to zero, so m(x̂ b) of the centred b is that of the tangent itself. */
            for (int64_t p = 0; p < positions; p++)
                for (int64_t s = 0; s < site->samples; s++) {
                    const double x = (double)normalized[p * site->samples + s];
                    const double b = (double)t_in[first + p * l.stride + s] - b_mean;
                    const double e = gamma * (double)d_out[first + p * l.stride + s] - e_mean;
                    d[p * site->samples + s] -= (gr_real)(phi * x * inverse / count +
                                                          ((b - x * b_projected) * e_projected +
                                                           (e - x * e_projected) * b_projected) *
                                                              inverse * inverse);
                }
        }
    }
}

const gr_layer_kind gr_layer_batchnorm = {
    .kind = {.name = "batchnorm",
             .help = "normalisation by the batch's statistics (Ioffe & Szegedy 2015)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .configure = configure,
    .forward = forward,
    .backward = project,
    .accumulate = accumulate,
    .tangent = project,
    .curvature = curvature,
};
