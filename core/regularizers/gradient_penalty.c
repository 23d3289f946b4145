/* gradient_penalty: weight · mean over samples of φ(g), g = Jᵀc (METHODS §1), and the names of its
 * points. */
#include <math.h>
#include <string.h>

#include "core/regularizer.h"

enum { PROBE, NORM, SHAPE, TARGET, PER, TOP, WEIGHT };
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
enum { SHAPE_SQUARED, SHAPE_TWO_SIDED, SHAPE_ONE_SIDED };
static const char *const shape_choices[] = {"squared", "two_sided", "one_sided", NULL};
enum { PER_BATCH, PER_SAMPLE };
static const char *const per_choices[] = {"batch", "sample", NULL};

static const gr_option options[] = {
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
               .help =
                   "squared: |g|^2; two_sided: (|g| - target)^2; one_sided: max(0, |g| - target)^2",
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
    [WEIGHT] = {.name = "weight",
                .help = "factor of the penalty (mean over the batch)",
                .accepts = GR_ACCEPT(GR_NUMBER),
                .minimum = 0,
                .maximum = 1e12,
                .required = true},
};

static gr_status check(const gr_settings *settings, const gr_network *network,
                       const gr_loss_kind *loss, bool labels, gr_error *error) {
    const enum probe probe = (enum probe)gr_choice(settings, PROBE);
    const char *name = probe_choices[probe];
    const int64_t outputs = gr_network_outputs(network);
    if ((probe == PROBE_SOFTMAX || probe == PROBE_EXPECTED) && !loss->softmax)
        return gr_fail_at(
            error, GR_INVALID, "/probe",
            "the probe \"%s\" needs class probabilities, and the loss %s has none: use "
            "loss, random or logits",
            name, loss->kind.name);
    if (probe == PROBE_LABEL && !labels)
        return gr_fail_at(error, GR_INVALID, "/probe",
                          "the probe \"label\" needs a classification: use loss, random or logits");
    if (probe == PROBE_TOP_K && gr_integer(settings, TOP) > outputs)
        return gr_fail_at(error, GR_INVALID, "/k", "k is %lld, but the network has %lld outputs",
                          (long long)gr_integer(settings, TOP), (long long)outputs);
    if (gr_choice(settings, NORM) == NORM_L1 && gr_choice(settings, SHAPE) != SHAPE_SQUARED)
        return gr_fail_at(error, GR_INVALID, "/shape",
                          "the norm l1 has no shapes: leave shape out, or use the norm l2");
    return GR_OK;
}

static int64_t probes(const gr_settings *settings, int64_t outputs) {
    const int probe = gr_choice(settings, PROBE);
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
        for (int64_t k = 0; k < K; k++)
            for (int64_t probe = 0; probe < K; probe++)
                for (int64_t s = 0; s < n; s++) c[k * b->stride + probe * n + s] = k == probe;
        break;
    case PROBE_SOFTMAX: /* row m of the softmax's Jacobian: p_m(e_m - p) */
        for (int64_t k = 0; k < K; k++)
            for (int64_t m = 0; m < K; m++)
                for (int64_t s = 0; s < n; s++)
                    c[k * b->stride + m * n + s] =
                        p[m * n + s] * ((gr_real)(k == m) - p[k * n + s]);
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
    const gr_real factor = (gr_real)(gr_number(b->settings, WEIGHT) / (double)b->batch_size);
    double total = 0;
    for (int64_t f = 0; f < b->features; f++, g += b->stride) {
        gr_real sum = 0;
        for (int64_t i = 0; i < lanes; i++) {
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
    const double scale = gr_number(b->settings, WEIGHT) / (double)b->batch_size;
    const int shape = gr_choice(b->settings, SHAPE);
    gr_real *norm = b->scratch, *factor = b->scratch + n; /* ‖g‖² and u = factor·g, per sample */
    memset(norm, 0, (size_t)n * sizeof *norm);
    for (int64_t f = 0; f < b->features; f++)
        for (int64_t k = 0; k < b->probes; k++) {
            const gr_real *row = g + f * b->stride + k * n;
            for (int64_t s = 0; s < n; s++) norm[s] += row[s] * row[s];
        }
    double total = 0;
    for (int64_t s = 0; s < n; s++) {
        const double squared = (double)norm[s];
        if (shape == SHAPE_SQUARED) {
            total += squared;
            factor[s] = (gr_real)(2 * scale);
            continue;
        }
        const double length = sqrt(1e-16 + squared);
        double excess = length - gr_number(b->settings, TARGET);
        if (shape == SHAPE_ONE_SIDED && excess < 0) excess = 0;
        total += excess * excess;
        factor[s] = (gr_real)(2 * scale * excess / length);
    }
    for (int64_t f = 0; f < b->features; f++)
        for (int64_t k = 0; k < b->probes; k++) {
            gr_real *row = g + f * b->stride + k * n;
            for (int64_t s = 0; s < n; s++) row[s] *= factor[s];
        }
    return total;
}

/* -- q
 * ---------------------------------------------------------------------------------------------------
 */

/* q = p ⊙ (γ - p·γ), γ = Σ over rows m of e_m(ż_m - p·ż) - p_m ż, where ż is row m's own. */
static void softmax_output(const gr_probe_block *b, const gr_real *t_z, gr_real *q) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    const gr_real *p = b->loss->p;
    for (int64_t s = 0; s < n; s++) {
        gr_real weighted = 0; /* p·γ, summed over rows */
        for (int64_t m = 0; m < K; m++) {
            const gr_real *t = t_z + m * n + s;
            gr_real mean = 0;
            for (int64_t k = 0; k < K; k++) mean += p[k * n + s] * t[k * b->stride];
            const gr_real at_m = t[m * b->stride] - mean;
            weighted += p[m * n + s] * (at_m - mean);
            q[m * n + s] += p[m * n + s] * at_m;
            for (int64_t k = 0; k < K; k++)
                q[k * n + s] -= p[k * n + s] * p[m * n + s] * t[k * b->stride];
        }
        for (int64_t k = 0; k < K; k++) q[k * n + s] -= p[k * n + s] * weighted;
    }
}

/* q_k = p_k[(ż_k - v̄)(2 + z_k - z̄) - Σ_j p_j(ż_j - v̄)z_j], v̄ = p·ż. */
static void expected_output(const gr_probe_block *b, const gr_real *t_z, gr_real *q) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    const gr_real *p = b->loss->p, *z = b->loss->z;
    for (int64_t s = 0; s < n; s++) {
        const gr_real z_mean = expected_logit(b->loss, s);
        gr_real t_mean = 0, product = 0;
        for (int64_t k = 0; k < K; k++) t_mean += p[k * n + s] * t_z[k * b->stride + s];
        for (int64_t k = 0; k < K; k++)
            product += p[k * n + s] * (t_z[k * b->stride + s] - t_mean) * z[k * n + s];
        for (int64_t k = 0; k < K; k++)
            q[k * n + s] +=
                p[k * n + s] *
                ((t_z[k * b->stride + s] - t_mean) * (2 + z[k * n + s] - z_mean) - product);
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

const gr_regularizer_kind gr_regularizer_gradient_penalty = {
    .kind = {.name = "gradient_penalty",
             .help = "the mean squared norm of an input gradient",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .probes = probes,
    .cotangent = cotangent,
    .input = input,
    .output = output,
};

#define ALIAS(alias, text, probe_json)                                                         \
    static const gr_alias_value alias##_values[] = {{"probe", probe_json}};                    \
    const gr_kind gr_regularizer_##alias = {.name = #alias,                                    \
                                            .help = text,                                      \
                                            .options = options,                                \
                                            .option_count = sizeof options / sizeof *options,  \
                                            .alias_of = &gr_regularizer_gradient_penalty.kind, \
                                            .alias_values = alias##_values,                    \
                                            .alias_value_count = 1}

ALIAS(datagrad, "gradient of the loss itself (Drucker & LeCun 1991; Varga et al. 2017)",
      "\"loss\"");
ALIAS(double_backprop, "another name of datagrad (Drucker & LeCun 1991)", "\"loss\"");
ALIAS(spectreg, "gradient of a random projection of the logits (Varga et al. 2017)", "\"random\"");
ALIAS(jacreg, "Frobenius norm of the Jacobian of the class probabilities (Varga et al. 2017)",
      "\"softmax\"");
ALIAS(frobreg, "Frobenius norm of the Jacobian of the logits (Sokolic et al. 2017)", "\"logits\"");
ALIAS(onehot, "gradient of the right class's logit (Varga et al. 2017)", "\"label\"");
ALIAS(random_onehot, "gradient of a random class's logit (Varga et al. 2017)", "\"random_label\"");
