/* gradient_penalty: weight · mean over samples of φ(g), g = Jᵀc (docs/methods.md), and the names of
 * its points. */
#include <math.h>
#include <string.h>

#include "core/regularizer.h"

enum {
    PROBE = GR_REGULARIZER_OPTIONS,
    NORM,
    SHAPE,
    TARGET,
    PER,
    TOP,
    PROJECTIONS,
    AT,
    SIGMA,
    RESAMPLE_DROPOUT
};
enum probe {
    PROBE_LOSS,
    PROBE_RANDOM,
    PROBE_LOGITS,
    PROBE_SOFTMAX,
    PROBE_LABEL,
    PROBE_RANDOM_LABEL,
    PROBE_EXPECTED,
    PROBE_TOP_K
};
static const char *const probe_choices[] = {
    "loss", "random", "logits", "softmax", "label", "random_label", "expected", "top_k", NULL};
enum { NORM_L2, NORM_L1 };
static const char *const norm_choices[] = {"l2", "l1", NULL};
enum { SHAPE_SQUARED, SHAPE_TWO_SIDED, SHAPE_ONE_SIDED, SHAPE_NORM };
static const char *const shape_choices[] = {"squared", "two_sided", "one_sided", "norm", NULL};
enum { PER_BATCH, PER_SAMPLE };
static const char *const per_choices[] = {"batch", "sample", NULL};
enum { AT_DATA, AT_NOISE, AT_UNIFORM, AT_MIXUP };
static const char *const at_choices[] = {"data", "noise", "uniform", "mixup", NULL};

static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of the penalty (mean over the batch)"),
    [PROBE] = {.name = "probe",
               .help = "which combination of the outputs has its input gradient penalised",
               .accepts = GR_ACCEPT(GR_CHOICE),
               .choices = probe_choices,
               .required = true},
    [NORM] = {.name = "norm",
              .help = "l2, or l1: the sum of absolute values (not with a target)",
              .accepts = GR_ACCEPT(GR_CHOICE),
              .choices = norm_choices,
              .default_json = "\"l2\""},
    [SHAPE] = {.name = "shape",
               .help = "squared: |g|^2; two_sided: (|g| - target)^2; one_sided: max(0, |g| - "
                       "target)^2; norm: |g|",
               .accepts = GR_ACCEPT(GR_CHOICE),
               .choices = shape_choices,
               .default_json = "\"squared\""},
    [TARGET] = {.name = "target",
                .help = "the norm that two_sided and one_sided aim at",
                .accepts = GR_ACCEPT(GR_NUMBER),
                .minimum = 0,
                .maximum = 1e12,
                .default_json = "1"},
    [PER] = {.name = "per",
             .help = "the random probe draws one vector for each batch or for each sample",
             .accepts = GR_ACCEPT(GR_CHOICE),
             .choices = per_choices,
             .default_json = "\"batch\""},
    [TOP] = {.name = "k",
             .help = "the top_k probe sums the k largest logits",
             .accepts = GR_ACCEPT(GR_INTEGER),
             .minimum = 1,
             .maximum = 65536,
             .default_json = "1"},
    [PROJECTIONS] = {.name = "projections",
                     .help = "the logits probe takes so many random unit vectors for each sample, "
                             "scaled to the same expectation; null: all logits",
                     .accepts = GR_ACCEPT(GR_INTEGER) | GR_ACCEPT(GR_NULL),
                     .minimum = 1,
                     .maximum = 1024,
                     .default_json = "null"},
    [AT] = {.name = "at",
            .help = "where: the data; noise: data + N(0, sigma^2); uniform: random points of the "
                    "data's scale; mixup: between two samples",
            .accepts = GR_ACCEPT(GR_CHOICE),
            .choices = at_choices,
            .default_json = "\"data\""},
    [SIGMA] = {.name = "sigma",
               .help = "standard deviation of the noise, in standardised units",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1e6,
               .default_json = "0.2"},
    [RESAMPLE_DROPOUT] = {.name = "resample_dropout",
                          .help = "draw dropout masks of its own, in a second forward pass",
                          .accepts = GR_ACCEPT(GR_BOOLEAN),
                          .default_json = "false"},
};

static bool has_dropout(const gr_network *network) {
    for (int i = 0; i < network->node_count; i++)
        if (network->nodes[i].kind == &gr_layer_dropout) return true;
    return false;
}

static gr_status check(const gr_settings *settings, const gr_fit *fit, gr_error *error) {
    const gr_loss_kind *loss = fit->loss;
    const enum probe probe = (enum probe)gr_choice(settings, PROBE);
    const char *name = probe_choices[probe];
    const int64_t outputs = gr_network_outputs(fit->network);
    if ((probe == PROBE_SOFTMAX || probe == PROBE_EXPECTED) && !loss->softmax)
        return gr_fail_at(
            error, GR_INVALID, "/probe",
            "the probe \"%s\" needs class probabilities, and the loss %s has none: use "
            "loss, random or logits",
            name, loss->kind.name);
    if (probe == PROBE_LABEL && !fit->labels)
        return gr_fail_at(error, GR_INVALID, "/probe",
                          "the probe \"label\" needs a classification: use loss, random or logits");
    if (probe == PROBE_TOP_K && gr_integer(settings, TOP) > outputs)
        return gr_fail_at(error, GR_INVALID, "/k", "k is %lld, but the network has %lld outputs",
                          (long long)gr_integer(settings, TOP), (long long)outputs);
    if (gr_choice(settings, NORM) == NORM_L1 && gr_choice(settings, SHAPE) != SHAPE_SQUARED)
        return gr_fail_at(error, GR_INVALID, "/shape",
                          "the norm l1 has no shapes: leave shape out, or use the norm l2");
    if (!gr_is_null(settings, PROJECTIONS) && probe != PROBE_LOGITS)
        return gr_fail_at(error, GR_INVALID, "/projections",
                          "only the probe \"logits\" takes projections: leave them out");
    if (gr_boolean(settings, RESAMPLE_DROPOUT) && !has_dropout(fit->network))
        return gr_fail_at(error, GR_INVALID, "/resample_dropout",
                          "the network has no dropout layer: leave resample_dropout out");
    return GR_OK;
}

/* Whether the softmax probe takes K - 1 cotangents instead of the K rows s_m = p_m(e_m - p) of its
 * Jacobian. The rows add up to 0, so that the squares of s_m + s_K / (√K - 1), m < K, add up to
 * those of all s_m: they are the Jacobian's products with the first K - 1 columns of Householder's
 * reflection that takes e_K to (1, …, 1)/√K, and the product with the last is 0. Absolute values
 * need the rows. */
static bool folds_rows(const gr_settings *settings, int64_t outputs) {
    return gr_choice(settings, PROBE) == PROBE_SOFTMAX && gr_choice(settings, NORM) == NORM_L2 &&
           outputs > 1;
}

/* What each cotangent has of the last row. */
static gr_real last_row_share(const gr_settings *settings, int64_t outputs) {
    return folds_rows(settings, outputs) ? (gr_real)(1 / (sqrt((double)outputs) - 1)) : 0;
}

static int64_t probes(const gr_settings *settings, int64_t outputs) {
    const int probe = gr_choice(settings, PROBE);
    if (!gr_is_null(settings, PROJECTIONS)) return gr_integer(settings, PROJECTIONS);
    if (folds_rows(settings, outputs)) return outputs - 1;
    return probe == PROBE_LOGITS || probe == PROBE_SOFTMAX ? outputs : 1;
}

/* -- the cotangent c
 * ----------------------------------------------------------------------------------------- */

static void random_cotangent(const gr_probe_block *b, gr_real *c) {
    const gr_random random =
        gr_random_source(b->draw.seed, GR_PURPOSE_PROBE, b->index, b->draw.iteration);
    const bool per_sample = gr_choice(b->settings, PER) == PER_SAMPLE;
    const int64_t n = b->loss->samples;
    for (int64_t k = 0; k < b->loss->outputs; k++) {
        const double shared =
            b->given ? (double)b->given[k] : gr_random_normal(&random, UINT32_MAX, (uint32_t)k);
        for (int64_t s = 0; s < n; s++)
            c[k * b->stride + s] =
                (gr_real)(b->given || !per_sample
                              ? shared
                              : gr_random_normal(&random, b->draw.first_sample + (uint32_t)s,
                                                 (uint32_t)k));
    }
}

/* Random unit vectors times √(K/n) (Hoffman et al. 2019): the same expectation as all logits. */
static void projection_cotangent(const gr_probe_block *b, gr_real *c) {
    const gr_random random =
        gr_random_source(b->draw.seed, GR_PURPOSE_PROBE, b->index, b->draw.iteration);
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    for (int64_t probe = 0; probe < b->probes; probe++)
        for (int64_t s = 0; s < n; s++) {
            gr_real *direction = c + probe * n + s;
            double squares = 0;
            for (int64_t k = 0; k < K; k++) {
                const double v = gr_random_normal(&random, b->draw.first_sample + (uint32_t)s,
                                                  (uint32_t)((b->first_probe + probe) * K + k));
                direction[k * b->stride] = (gr_real)v;
                squares += v * v;
            }
            const gr_real scale = (gr_real)sqrt((double)K / ((double)b->all_probes * squares));
            for (int64_t k = 0; k < K; k++) direction[k * b->stride] *= scale;
        }
}

static void softmax_cotangent(const gr_probe_block *b, gr_real *c) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    const gr_real *p = b->loss->p, share = last_row_share(b->settings, K);
    gr_softmax_rows(K, n, p, b->first_probe, b->probes, b->stride, c);
    if (share == 0) return;
    for (int64_t s = 0; s < n; s++) {
        const gr_real weight = share * p[(K - 1) * n + s];
        gr_real others = 0; /* 1 - p_K, times the weight, as in gr_softmax_rows */
        for (int64_t k = 0; k < K; k++) {
            const gr_real product = weight * p[k * n + s];
            const gr_real entry = k < K - 1 ? -product : others;
            others += product;
            for (int64_t probe = 0; probe < b->probes; probe++)
                c[k * b->stride + probe * n + s] += entry;
        }
    }
}

/* Ones at the k largest logits of each sample; of equals the first. */
static void top_cotangent(const gr_probe_block *b, gr_real *c) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    for (int64_t s = 0; s < n; s++) {
        for (int64_t k = 0; k < K; k++) c[k * b->stride + s] = 0;
        for (int64_t found = 0; found < gr_integer(b->settings, TOP); found++) {
            int64_t best = -1;
            for (int64_t k = 0; k < K; k++)
                if (c[k * b->stride + s] == 0 &&
                    (best < 0 || b->loss->z[k * n + s] > b->loss->z[best * n + s]))
                    best = k;
            c[best * b->stride + s] = 1;
        }
    }
}

/* The mean of z under p, for one sample. */
static gr_real expected_logit(const gr_loss_block *loss, int64_t s) {
    gr_real mean = 0;
    for (int64_t k = 0; k < loss->outputs; k++)
        mean += loss->p[k * loss->samples + s] * loss->z[k * loss->samples + s];
    return mean;
}

static void cotangent(const gr_probe_block *b, gr_real *c) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    const gr_real *p = b->loss->p;
    switch ((enum probe)gr_choice(b->settings, PROBE)) {
    case PROBE_LOSS:
        for (int64_t k = 0; k < K; k++)
            memcpy(c + k * b->stride, b->loss->r + k * n, (size_t)n * sizeof *c);
        break;
    case PROBE_RANDOM:
        random_cotangent(b, c);
        break;
    case PROBE_LOGITS:
        if (gr_is_null(b->settings, PROJECTIONS))
            gr_unit_cotangents(b, c);
        else
            projection_cotangent(b, c);
        break;
    case PROBE_SOFTMAX:
        softmax_cotangent(b, c);
        break;
    case PROBE_LABEL:
        for (int64_t k = 0; k < K; k++)
            for (int64_t s = 0; s < n; s++) c[k * b->stride + s] = b->loss->labels[s] == k;
        break;
    case PROBE_RANDOM_LABEL: {
        const gr_random random =
            gr_random_source(b->draw.seed, GR_PURPOSE_PROBE, b->index, b->draw.iteration);
        for (int64_t s = 0; s < n; s++) {
            const int64_t label =
                gr_random_below(&random, b->draw.first_sample + (uint32_t)s, 0, K);
            for (int64_t k = 0; k < K; k++) c[k * b->stride + s] = k == label;
        }
        break;
    }
    case PROBE_EXPECTED: /* p ⊙ (1 + z - z̄) */
        for (int64_t s = 0; s < n; s++) {
            const gr_real mean = expected_logit(b->loss, s);
            for (int64_t k = 0; k < K; k++)
                c[k * b->stride + s] = p[k * n + s] * (1 + b->loss->z[k * n + s] - mean);
        }
        break;
    case PROBE_TOP_K:
        top_cotangent(b, c);
        break;
    }
}

/* -- φ and u
 * ---------------------------------------------------------------------------------------------- */

static double input_l1(const gr_probe_block *b, gr_real *g) {
    const int64_t lanes = b->probes * b->loss->samples;
    const int64_t rows = b->turned ? lanes : b->features, count = b->turned ? b->features : lanes;
    const gr_real factor = (gr_real)(b->weight / (double)b->batch_size);
    double total = 0;
    for (int64_t row = 0; row < rows; row++, g += b->turned ? count : b->stride) {
        gr_real sum = 0;
        for (int64_t i = 0; i < count; i++) {
            sum += g[i] < 0 ? -g[i] : g[i];
            g[i] = g[i] > 0 ? factor : g[i] < 0 ? -factor : 0;
        }
        total += (double)sum;
    }
    return total;
}

static double input(const gr_probe_block *b, gr_real *g) {
    if (gr_choice(b->settings, NORM) == NORM_L1) return input_l1(b, g);
    const int64_t n = b->loss->samples;
    const double scale = b->weight / (double)b->batch_size;
    const int shape = gr_choice(b->settings, SHAPE);
    gr_real *factor = b->scratch; /* u = factor·g, per sample */
    double norm[GR_NORMS], total = 0;
    for (int64_t s = 0; s < n; s++) {
        if (s % GR_NORMS == 0) gr_squared_norms(b, g, s, norm);
        const double squared = norm[s % GR_NORMS];
        if (shape == SHAPE_SQUARED) {
            total += squared;
            factor[s] = (gr_real)(2 * scale);
            continue;
        }
        const double length = sqrt(1e-16 + squared);
        if (shape == SHAPE_NORM) {
            total += length;
            factor[s] = (gr_real)(scale / length);
            continue;
        }
        double excess = length - gr_number(b->settings, TARGET);
        if (shape == SHAPE_ONE_SIDED && excess < 0) excess = 0;
        total += excess * excess;
        factor[s] = (gr_real)(2 * scale * excess / length);
    }
    gr_scale_samples(b, factor, g);
    return total;
}

/* The norm of all probes together is needed only where φ is no sum over them. */
static bool separable(const gr_settings *settings) {
    return gr_choice(settings, NORM) == NORM_L1 || gr_choice(settings, SHAPE) == SHAPE_SQUARED;
}

/* -- q
 * ---------------------------------------------------------------------------------------------------
 */

/* The likeliest class of a sample: all its tangents less that class' own lead to the same q, and
 * where one p is nearly 1, to more of its digits. */
static int64_t likeliest(const gr_probe_block *b, int64_t s) {
    return gr_greatest_output(b->loss->z + s, b->loss->outputs, b->loss->samples);
}

/* q = p ⊙ (γ - p·γ), γ = Σ over rows m of e_m(ż_m - p·ż) - p_m ż, where ż is row m's own. A probe's
 * ż belongs to its row and, by a share, to the last. */
static void softmax_output(const gr_probe_block *b, const gr_real *t_z, gr_real *q) {
    const int64_t K = b->loss->outputs, n = b->loss->samples, last = K - 1;
    const gr_real *p = b->loss->p, share = last_row_share(b->settings, K);
    for (int64_t s = 0; s < n; s++) {
        const int64_t best = likeliest(b, s);
        const gr_real p_last = share * p[last * n + s];
        gr_real weighted = 0; /* p·γ, summed over rows */
        for (int64_t probe = 0; probe < b->probes; probe++) {
            const int64_t m = b->first_probe + probe;
            const gr_real *t = t_z + probe * n + s, p_m = p[m * n + s];
            const gr_real origin = t[best * b->stride];
            gr_real mean = 0;
            for (int64_t k = 0; k < K; k++) mean += p[k * n + s] * (t[k * b->stride] - origin);
            const gr_real at_m = t[m * b->stride] - origin - mean;
            const gr_real at_last = t[last * b->stride] - origin - mean;
            weighted += p_m * (at_m - mean) + p_last * (at_last - mean);
            q[m * n + s] += p_m * at_m;
            q[last * n + s] += p_last * at_last;
            for (int64_t k = 0; k < K; k++)
                q[k * n + s] -= p[k * n + s] * (p_m + p_last) * (t[k * b->stride] - origin);
        }
        for (int64_t k = 0; k < K; k++) q[k * n + s] -= p[k * n + s] * weighted;
    }
}

/* q_k = p_k[(ż_k - v̄)(2 + z_k - z̄) - Σ_j p_j(ż_j - v̄)(z_j - z̄)], v̄ = p·ż: that of docs/methods.md
 * less z̄ times Σ_j p_j(ż_j - v̄) = 0, which would only cost digits. */
static void expected_output(const gr_probe_block *b, const gr_real *t_z, gr_real *q) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    const gr_real *p = b->loss->p, *z = b->loss->z;
    for (int64_t s = 0; s < n; s++) {
        const gr_real z_mean = expected_logit(b->loss, s);
        const gr_real *t = t_z + s, origin = t[likeliest(b, s) * b->stride];
        gr_real mean = 0, product = 0;
        for (int64_t k = 0; k < K; k++) mean += p[k * n + s] * (t[k * b->stride] - origin);
        for (int64_t k = 0; k < K; k++)
            product += p[k * n + s] * (t[k * b->stride] - origin - mean) * (z[k * n + s] - z_mean);
        for (int64_t k = 0; k < K; k++)
            q[k * n + s] +=
                p[k * n + s] *
                ((t[k * b->stride] - origin - mean) * (2 + z[k * n + s] - z_mean) - product);
    }
}

static void output(const gr_probe_block *b, const gr_real *t_z, gr_real *q) {
    switch ((enum probe)gr_choice(b->settings, PROBE)) {
    case PROBE_LOSS:
        b->loss_kind->curvature(b->loss, t_z, b->stride, q);
        break;
    case PROBE_SOFTMAX:
        softmax_output(b, t_z, q);
        break;
    case PROBE_EXPECTED:
        expected_output(b, t_z, q);
        break;
    case PROBE_RANDOM:
    case PROBE_LOGITS:
    case PROBE_LABEL:
    case PROBE_RANDOM_LABEL:
    case PROBE_TOP_K:
        break; /* c does not depend on the parameters */
    }
}

/* -- at other points than the data's
 * ------------------------------------------------------------------------- */

static bool has_points(const gr_settings *settings) {
    return gr_choice(settings, AT) != AT_DATA || gr_boolean(settings, RESAMPLE_DROPOUT);
}

static bool draws(const gr_settings *settings) {
    const int probe = gr_choice(settings, PROBE);
    return probe == PROBE_RANDOM || probe == PROBE_RANDOM_LABEL ||
           !gr_is_null(settings, PROJECTIONS) || has_points(settings);
}

static gr_random points_random(const gr_probe_block *b) {
    return gr_random_source(b->draw.seed, GR_PURPOSE_INPUT_NOISE, b->index, b->draw.iteration);
}

/* With the unit variance of standardised data. */
static void uniform_points(const gr_probe_block *b, gr_real *x) {
    const gr_random random = points_random(b);
    const int64_t n = b->loss->samples;
    for (int64_t f = 0; f < b->features; f++)
        for (int64_t s = 0; s < n; s++) {
            const double drawn =
                gr_random_uniform(&random, b->draw.first_sample + (uint32_t)s, (uint32_t)f);
            x[f * n + s] = (gr_real)(sqrt(3.0) * (2 * drawn - 1));
        }
}

/* A random share of the way to the next sample of the batch. */
static void mixup_points(const gr_probe_block *b, gr_real *x) {
    const gr_random random = points_random(b);
    const int64_t n = b->loss->samples;
    gr_real *share = b->scratch;
    for (int64_t s = 0; s < n; s++)
        share[s] = (gr_real)gr_random_uniform(&random, b->draw.first_sample + (uint32_t)s, 0);
    for (int64_t f = 0; f < b->features; f++) {
        const gr_real *here = b->x + f * n;
        gr_real *to = x + f * n;
        for (int64_t s = 0; s + 1 < n; s++) to[s] = here[s] + share[s] * (here[s + 1] - here[s]);
        to[n - 1] = here[n - 1] + share[n - 1] * (here[0] - here[n - 1]);
    }
}

static bool couples_samples(const gr_settings *settings) {
    return gr_choice(settings, AT) == AT_MIXUP;
}

/* A forward pass, three for each probe, and where the ordinary adjoint is needed its two. */
static double points_cost(const gr_settings *settings, const gr_network *network) {
    const enum probe probe = (enum probe)gr_choice(settings, PROBE);
    bool back = probe == PROBE_LOSS || probe == PROBE_SOFTMAX || probe == PROBE_EXPECTED;
    for (int i = 0; i < network->node_count; i++) back = back || network->nodes[i].kind->curvature;
    return 1 + 3 * (double)probes(settings, gr_network_outputs(network)) + (back ? 2 : 0);
}

static double points(gr_points_block *b) {
    const gr_settings *settings = b->probe.settings;
    gr_real *x = b->pass.workspace->a[0];
    switch (gr_choice(settings, AT)) {
    case AT_DATA:
        memcpy(x, b->probe.x, (size_t)(b->probe.features * b->probe.loss->samples) * sizeof *x);
        break;
    case AT_NOISE:
        gr_add_noise(&b->probe, gr_number(settings, SIGMA), b->probe.x, x);
        break;
    case AT_UNIFORM:
        uniform_points(&b->probe, x);
        break;
    default:
        mixup_points(&b->probe, x);
        break;
    }
    if (gr_boolean(settings, RESAMPLE_DROPOUT)) b->pass.draw.stream = b->probe.index + 1;
    return gr_points_penalty(b);
}

const gr_regularizer_kind gr_regularizer_gradient_penalty = {
    .kind = {.name = "gradient_penalty",
             .help = "the mean squared norm of an input gradient",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .draws = draws,
    .probes = probes,
    .cotangent = cotangent,
    .input = input,
    .knows_turned = true,
    .output = output,
    .separable = separable,
    .couples_samples = couples_samples,
    .has_points = has_points,
    .points_probes = probes,
    .points = points,
    .points_cost = points_cost,
};

#define ALIAS(alias, text, ...)                                                                \
    static const gr_alias_value alias##_values[] = {__VA_ARGS__};                              \
    const gr_kind gr_regularizer_##alias = {.name = #alias,                                    \
                                            .help = text,                                      \
                                            .options = options,                                \
                                            .option_count = sizeof options / sizeof *options,  \
                                            .alias_of = &gr_regularizer_gradient_penalty.kind, \
                                            .alias_values = alias##_values,                    \
                                            .alias_value_count =                               \
                                                sizeof alias##_values / sizeof *alias##_values}

ALIAS(datagrad, "gradient of the loss itself (Drucker & LeCun 1991; Varga et al. 2017)",
      {"probe", "\"loss\""});
ALIAS(double_backprop, "another name of datagrad (Drucker & LeCun 1991)", {"probe", "\"loss\""});
ALIAS(spectreg, "gradient of a random projection of the logits (Varga et al. 2017)",
      {"probe", "\"random\""});
ALIAS(jacreg, "Frobenius norm of the Jacobian of the class probabilities (Varga et al. 2017)",
      {"probe", "\"softmax\""});
ALIAS(frobreg, "Frobenius norm of the Jacobian of the logits (Sokolic et al. 2017)",
      {"probe", "\"logits\""});
ALIAS(onehot, "gradient of the right class's logit (Varga et al. 2017)", {"probe", "\"label\""});
ALIAS(random_onehot, "gradient of a random class's logit (Varga et al. 2017)",
      {"probe", "\"random_label\""});
ALIAS(jacobian_norm,
      "Frobenius norm, not squared, of the logits' Jacobian (Jakubovitz & Giryes 2018)",
      {"probe", "\"logits\""}, {"shape", "\"norm\""});
