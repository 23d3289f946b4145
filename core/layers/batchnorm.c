/* batchnorm {momentum, epsilon, evaluate}: Ioffe & Szegedy 2015, with PyTorch's constants. In
 * training it normalises by the batch's statistics and so couples the samples; the second-order
 * terms are those of docs/methods.md. A channel's values are [positions][probe][sample]; every
 * probe has sums of its own. */
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

/* What forward keeps of a channel: x̂ = (a - center)·inverse, computed anew wherever it is needed.
 */
typedef struct statistics {
    gr_real center, inverse;
    bool fixed; /* the running ones: no function of the batch */
} statistics;

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
    node->shared_state_bytes = node->in.size[0] * (int64_t)sizeof(statistics);
    node->couples_samples = true;
    return GR_OK;
}

static int64_t positions_of(const gr_node *node) {
    return node->in_features / node->in.size[0];
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
        double mean = by_batch ? 0 : (double)running_mean[c];
        double variance = by_batch ? 0 : (double)running_var[c];
        if (by_batch) site->kernels->moments(count, a, &mean, &variance);
        if (site->training && running_mean) {
            const double unbiased = variance * (double)count / (double)(count > 1 ? count - 1 : 1);
            running_mean[c] = (gr_real)((1 - momentum) * (double)running_mean[c] + momentum * mean);
            running_var[c] =
                (gr_real)((1 - momentum) * (double)running_var[c] + momentum * unbiased);
        }
        statistics *kept = (statistics *)site->shared_state + c;
        *kept = (statistics){(gr_real)mean, (gr_real)(1 / sqrt(variance + epsilon)), !by_batch};
        site->kernels->normalize(count, a, kept->center, gamma[c] * kept->inverse, beta[c],
                                 site->out + c * count);
    }
}

/* One channel, or one probe's lanes of it: rows of `samples` reals, `stride` apart. */
typedef struct channel {
    int64_t index, positions, samples, stride;
    const gr_real *a; /* its input [positions][samples] */
    gr_real center;
    double gamma, inverse, count;
    bool fixed;
} channel;

static channel channel_of(const gr_site *site, int64_t probes, int64_t index) {
    const int64_t positions = positions_of(site->node), samples = site->samples;
    const statistics *kept = (const statistics *)site->shared_state + index;
    return (channel){.index = index,
                     .positions = positions,
                     .samples = samples,
                     .stride = probes * samples,
                     .a = site->in + index * positions * samples,
                     .center = kept->center,
                     .gamma = (double)gr_site_parameter(site, WEIGHT)[index],
                     .inverse = (double)kept->inverse,
                     .count = (double)(positions * samples),
                     .fixed = kept->fixed};
}

/* Where probe k's lanes of the channel begin. */
static int64_t first_of(const channel *c, int64_t k) {
    return c->index * c->positions * c->stride + k * c->samples;
}

/* γ/s·(v - m(v) - x̂ m(x̂ v)), both the adjoint and the tangent, from Σv and Σv·x, x = a - center.
 * Fixed statistics (evaluation) do not move: γ/s·v. */
static gr_plane projection(const channel *c, double sum, double product) {
    const double scale = c->gamma * c->inverse;
    if (c->fixed) return (gr_plane){.of_t = (gr_real)scale};
    const double projected = c->inverse * product / c->count;
    return (gr_plane){.of_t = (gr_real)scale,
                      .of_x = (gr_real)(-scale * projected * c->inverse),
                      .constant = (gr_real)(-scale * sum / c->count)};
}

/* Σ δ·(tangent of x̂), which is also what γ gets from a probe: Φ/γ. */
static double normalized_tangent(const channel *c, const double sums[GR_SECOND_SUMS]) {
    const double projected = c->inverse * sums[GR_SUM_TX] / c->count;
    return c->inverse * (sums[GR_SUM_DT] - sums[GR_SUM_T] / c->count * sums[GR_SUM_D] -
                         projected * c->inverse * sums[GR_SUM_DX]);
}

/* With w = γδ, e and b the centred w and tangent, Φ = Σ w·(tangent of x̂):
 * -Φ x̂/(N s) - [(b - x̂ m(b x̂)) m(x̂ e) + (e - x̂ m(e x̂)) m(x̂ b)]/s². (x̂ sums to zero, so m(x̂ b) of
 * the centred b is that of the tangent itself.) */
static gr_plane curved(const channel *c, const double sums[GR_SECOND_SUMS]) {
    const double n = c->count, inverse = c->inverse;
    const double b_mean = sums[GR_SUM_T] / n, b_projected = inverse * sums[GR_SUM_TX] / n;
    const double e_mean = c->gamma * sums[GR_SUM_D] / n;
    const double e_projected = c->gamma * inverse * sums[GR_SUM_DX] / n;
    const double phi = c->gamma * normalized_tangent(c, sums), square = inverse * inverse;
    return (gr_plane){
        .of_t = (gr_real)(-e_projected * square),
        .of_d = (gr_real)(-c->gamma * b_projected * square),
        .of_x = (gr_real)(inverse * (2 * b_projected * e_projected * square - phi * inverse / n)),
        .constant = (gr_real)((b_mean * e_projected + e_mean * b_projected) * square)};
}

/* to = γ/s·(from - m(from) - x̂ m(x̂ from)). */
static void project(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to) {
    for (int64_t i = 0; i < site->node->in.size[0]; i++) {
        const channel c = channel_of(site, probes, i);
        for (int64_t k = 0; k < probes; k++) {
            const int64_t first = first_of(&c, k);
            double sums[2];
            site->kernels->normalized_sums(c.positions, c.samples, c.stride, from + first, c.a,
                                           c.center, sums);
            const gr_plane plane = projection(&c, sums[0], sums[1]);
            site->kernels->project(c.positions, c.samples, c.stride, from + first, c.a, c.center,
                                   &plane, NULL, to + first);
        }
    }
}

static void add_gradients(const gr_site *site, int64_t index, double weight, double bias,
                          gr_real *gradients) {
    gradients[site->node->parameters[WEIGHT].offset + index] += (gr_real)weight;
    gradients[site->node->parameters[BIAS].offset + index] += (gr_real)bias;
}

/* The ordinary pass: γ gets Σ d·x̂, β gets Σ d; d_in (NULL: not wanted) the projection and `extra`.
 */
static void backward_and_accumulate(const gr_site *site, const gr_real *d_out, const gr_real *extra,
                                    gr_real *d_in, gr_real *gradients) {
    for (int64_t i = 0; i < site->node->in.size[0]; i++) {
        const channel c = channel_of(site, 1, i);
        const int64_t first = first_of(&c, 0);
        double sums[2];
        site->kernels->normalized_sums(c.positions, c.samples, c.stride, d_out + first, c.a,
                                       c.center, sums);
        add_gradients(site, i, c.inverse * sums[1], sums[0], gradients);
        if (!d_in) continue;
        const gr_plane plane = projection(&c, sums[0], sums[1]);
        site->kernels->project(c.positions, c.samples, c.stride, d_out + first, c.a, c.center,
                               &plane, extra ? extra + first : NULL, d_in + first);
    }
}

/* The probes': γ gets Σ δ·(tangent of x̂), the input what comes from the statistics' moving, and the
 * tangent goes on; gradients, bend and t_out are NULL where they are not wanted. */
static void tangent_and_accumulate(const gr_site *site, int64_t probes, const gr_real *d_out,
                                   const gr_real *t_in, gr_real *bend, bool add, gr_real *t_out,
                                   gr_real *gradients) {
    for (int64_t i = 0; i < site->node->in.size[0]; i++) {
        const channel c = channel_of(site, probes, i);
        for (int64_t k = 0; k < probes; k++) {
            const int64_t first = first_of(&c, k);
            double sums[GR_SECOND_SUMS];
            site->kernels->second_sums(c.positions, c.samples, c.stride, d_out + first,
                                       t_in + first, c.a, c.center, sums);
            if (gradients) add_gradients(site, i, normalized_tangent(&c, sums), 0, gradients);
            const gr_plane onwards = projection(&c, sums[GR_SUM_T], sums[GR_SUM_TX]);
            const gr_plane plane = curved(&c, sums);
            if (bend)
                site->kernels->bend(c.positions, c.samples, c.stride, d_out + first, t_in + first,
                                    c.a, c.center, &plane, add || k > 0,
                                    bend + i * c.positions * c.samples, &onwards,
                                    t_out ? t_out + first : NULL);
            else if (t_out)
                site->kernels->project(c.positions, c.samples, c.stride, t_in + first, c.a,
                                       c.center, &onwards, NULL, t_out + first);
        }
    }
}

static void accumulate(const gr_site *site, int64_t probes, const gr_real *d_out, const gr_real *in,
                       bool tangent, gr_real *gradients) {
    if (tangent)
        tangent_and_accumulate(site, probes, d_out, in, NULL, false, NULL, gradients);
    else
        backward_and_accumulate(site, d_out, NULL, NULL, gradients);
}

static void curvature(const gr_site *site, int64_t probes, const gr_real *t_in,
                      const gr_real *d_out, gr_real *d_in) {
    tangent_and_accumulate(site, probes, d_out, t_in, d_in, true, NULL, NULL);
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
    .backward_and_accumulate = backward_and_accumulate,
    .tangent_and_accumulate = tangent_and_accumulate,
};
