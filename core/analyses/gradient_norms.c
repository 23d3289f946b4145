/* gradient_norms {samples, sigma, bins}: the distributions of ‖∂ℓ/∂x‖, ‖∂z/∂x‖_F and ‖∂p/∂x‖_F at
 * training points, test points, training points + N(0, σ²), on segments between training points,
 * and at uniform random points. ℓ has the sample's own label where there is one, else the class
 * that the network predicts there. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/analysis.h"
#include "core/distribution.h"

enum { SAMPLES, SIGMA, BINS };
static const gr_option options[] = {
    [SAMPLES] = GR_SAMPLES_OPTION("points of each set at most; null: as many as there are samples"),
    [SIGMA] = {.name = "sigma",
               .help = "standard deviation of the noise, in standardised units",
               .accepts = GR_ACCEPT(GR_NUMBER),
               .minimum = 0,
               .maximum = 1e6,
               .default_json = "0.2"},
    [BINS] = {.name = "bins",
              .help = "bins of the histograms, which are over the norms' logarithms",
              .accepts = GR_ACCEPT(GR_INTEGER),
              .minimum = 1,
              .maximum = 1000,
              .default_json = "40"},
};

enum { SET_TRAIN, SET_TEST, SET_NOISE, SET_SEGMENTS, SET_UNIFORM, SETS };
static const char *const set_names[SETS] = {"train", "test", "noise", "segments", "uniform"};
enum { NORM_LOSS, NORM_LOGITS, NORM_SOFTMAX, NORMS };
static const char *const norm_names[NORMS] = {"loss", "logits", "softmax"};
static const char *const metric_names[NORMS] = {"gradient_norm", "jacobian_norm",
                                                "softmax_jacobian_norm"};
static const double probabilities[] = {0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1};
enum { PROBABILITIES = sizeof probabilities / sizeof *probabilities };

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    (void)settings, (void)fit;
    if (gr_split_size(split, GR_PART_TRAINING) >= 2) return GR_OK;
    return gr_fail(error, GR_INVALID, "segments need two training samples, and there is one");
}

/* What is measured: norms[norm][set] are counts[set] values. */
typedef struct measured {
    int64_t counts[SETS];
    double *norms[NORMS][SETS]; /* NULL: there is no such norm there */
    double *memory;
    double *low, *high; /* [features]: of the uniform points */
    gr_real *others;    /* [features][capacity]: the segments' other ends */
} measured;

/* -- the points
 * ----------------------------------------------------------------------------------------- */

static gr_random random_of(const gr_trained *t, uint32_t stream) {
    return gr_random_source(t->plan->seed, GR_PURPOSE_ANALYSIS, stream, 0);
}

static void add_noise(gr_trained *t, int64_t first, double sigma) {
    const gr_random random = random_of(t, GR_ANALYSIS_NOISE);
    t->workspace->kernels->add_normals(&random, (uint32_t)first, t->samples, t->features, sigma,
                                       t->x, t->x);
}

/* Between two different training points, at a uniform share of the way. */
static void fill_segments(gr_trained *t, int64_t first, int64_t count, gr_real *others) {
    const gr_random random = random_of(t, GR_ANALYSIS_SEGMENTS);
    const int64_t size = gr_split_size(t->split, GR_PART_TRAINING), capacity = t->capacity;
    t->samples = count - first < capacity ? count - first : capacity;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t s = 0; s < t->samples; s++) {
            const uint32_t sample = (uint32_t)(first + s);
            const int64_t one = gr_random_below(&random, sample, 0, size);
            const int64_t other = gr_random_below(&random, sample, 1, size - 1);
            t->positions[s] = pass ? one : other + (other >= one);
        }
        gr_split_fill(t->split, GR_PART_TRAINING, t->positions, t->samples, false,
                      pass ? t->x : others, t->labels, t->targets);
    }
    for (int64_t s = 0; s < t->samples; s++) {
        const gr_real share = (gr_real)gr_random_uniform(&random, (uint32_t)(first + s), 2);
        for (int64_t e = s; e < t->features * t->samples; e += t->samples)
            t->x[e] += share * (others[e] - t->x[e]);
    }
}

/* The range of the training points: of an image over each channel, else of each feature. */
static void measure_range(gr_trained *t, measured *m) {
    const gr_shape *shape = gr_network_input(t->network);
    const int64_t size = gr_split_size(t->split, GR_PART_TRAINING);
    const int64_t groups = shape->rank == 3 ? shape->size[0] : t->features;
    const int64_t members = t->features / groups;
    for (int64_t f = 0; f < t->features; f++) m->low[f] = INFINITY, m->high[f] = -INFINITY;
    for (int64_t first = 0; first < size; first += t->samples) {
        gr_trained_fill(t, GR_PART_TRAINING, first, size);
        for (int64_t f = 0; f < t->features; f++)
            for (int64_t s = 0; s < t->samples; s++) {
                const int64_t group = f / members * members;
                const double value = (double)t->x[f * t->samples + s];
                m->low[group] = fmin(m->low[group], value);
                m->high[group] = fmax(m->high[group], value);
            }
    }
    for (int64_t f = 0; f < t->features; f++) {
        m->low[f] = m->low[f / members * members];
        m->high[f] = m->high[f / members * members];
    }
}

static void fill_uniform(gr_trained *t, int64_t first, int64_t count, const measured *m) {
    const gr_random random = random_of(t, GR_ANALYSIS_UNIFORM);
    t->samples = count - first < t->capacity ? count - first : t->capacity;
    for (int64_t f = 0; f < t->features; f++)
        for (int64_t s = 0; s < t->samples; s++)
            t->x[f * t->samples + s] =
                (gr_real)(m->low[f] +
                          (m->high[f] - m->low[f]) *
                              gr_random_uniform(&random, (uint32_t)(first + s), (uint32_t)f));
}

static void fill(gr_trained *t, const gr_settings *settings, int set, int64_t first,
                 const measured *m) {
    const int64_t count = m->counts[set];
    switch (set) {
    case SET_SEGMENTS:
        fill_segments(t, first, count, m->others);
        break;
    case SET_UNIFORM:
        fill_uniform(t, first, count, m);
        break;
    default:
        gr_trained_fill(t, set == SET_TEST ? GR_PART_TEST : GR_PART_TRAINING, first, count);
        if (set == SET_NOISE) add_noise(t, first, gr_number(settings, SIGMA));
    }
}

/* -- the norms
 * ------------------------------------------------------------------------------------------ */

/* squares[s] += ‖g‖² over the probes' rows. */
static void add_squares(const gr_trained *t, int64_t probes, const gr_real *g, double *squares) {
    for (int64_t f = 0; f < t->features; f++)
        for (int64_t k = 0; k < probes; k++, g += t->samples)
            for (int64_t s = 0; s < t->samples; s++) squares[s] += (double)g[s] * (double)g[s];
}

/* Rows `first` … of ∂z/∂z or of ∂p/∂z. */
static void rows(gr_trained *t, bool softmax, int64_t first, int64_t probes) {
    const int64_t K = t->outputs, n = t->samples;
    gr_real *c = gr_trained_cotangents(t);
    if (softmax) {
        gr_softmax_rows(K, n, t->p, first, probes, probes * n, c);
        return;
    }
    for (int64_t k = 0; k < K; k++)
        for (int64_t probe = 0; probe < probes; probe++)
            for (int64_t s = 0; s < n; s++) c[(k * probes + probe) * n + s] = k == first + probe;
}

static void jacobian_norms(gr_trained *t, bool softmax, double *norms) {
    for (int64_t s = 0; s < t->samples; s++) norms[s] = 0;
    for (int64_t first = 0; first < t->outputs; first += t->probe_capacity) {
        const int64_t left = t->outputs - first;
        const int64_t probes = left < t->probe_capacity ? left : t->probe_capacity;
        rows(t, softmax, first, probes);
        add_squares(t, probes, gr_trained_pull(t, probes), norms);
    }
    for (int64_t s = 0; s < t->samples; s++) norms[s] = sqrt(norms[s]);
}

static gr_status measure(gr_trained *t, const gr_settings *settings, int set, measured *m,
                         gr_error *error) {
    for (int64_t first = 0; first < m->counts[set]; first += t->samples) {
        GR_TRY(gr_trained_go_on(t, error));
        fill(t, settings, set, first, m);
        gr_trained_forward(t);
        for (int64_t s = 0; set >= SET_SEGMENTS && s < t->samples; s++)
            t->labels[s] = t->classes[s];
        gr_trained_loss(t);
        if (m->norms[NORM_LOSS][set]) {
            double *norms = m->norms[NORM_LOSS][set] + first;
            for (int64_t s = 0; s < t->samples; s++) norms[s] = 0;
            add_squares(t, 1, gr_trained_loss_gradient(t), norms);
            for (int64_t s = 0; s < t->samples; s++) norms[s] = sqrt(norms[s]);
        }
        jacobian_norms(t, false, m->norms[NORM_LOGITS][set] + first);
        if (m->norms[NORM_SOFTMAX][set])
            jacobian_norms(t, true, m->norms[NORM_SOFTMAX][set] + first);
    }
    return GR_OK;
}

/* -- the results
 * ---------------------------------------------------------------------------------------- */

/* Sorts the values. */
static gr_status put_distribution(gr_trained *t, int norm, int set, double *values, int64_t count,
                                  const double range[2], int64_t bins, gr_error *error) {
    char path[96];
    void *data;
    const double mean = gr_mean(values, count);
    gr_sort(values, count);
#define PATH(last)                                                                   \
    (snprintf(path, sizeof path, "gradient_norms/%s/points/%s/%s", norm_names[norm], \
              set_names[set], last),                                                 \
     path)
    GR_TRY(gr_put_count(t, PATH("n"), count, error));
    GR_TRY(gr_put_number(t, PATH("mean"), mean, error));
    GR_TRY(gr_put_number(t, PATH("sd"), gr_standard_deviation(values, count, mean), error));
    double *quantiles;
    GR_TRY(gr_put_list(t, PATH("quantiles"), PROBABILITIES, &quantiles, error));
    for (int i = 0; i < PROBABILITIES; i++)
        quantiles[i] = gr_quantile(values, count, probabilities[i]);
    GR_TRY(gr_put(t, PATH("histogram"), GR_I64, &(gr_shape){1, {bins}}, &data, error));
    int64_t zeros = 0;
    while (zeros < count && values[zeros] == 0) zeros++;
    GR_TRY(gr_put_count(t, PATH("zeros"), zeros, error));
    snprintf(path, sizeof path, "%s.%s.mean", metric_names[norm], set_names[set]);
    GR_TRY(gr_put_metric(t, path, mean, error));
    snprintf(path, sizeof path, "%s.%s.median", metric_names[norm], set_names[set]);
    GR_TRY(gr_put_metric(t, path, gr_quantile(values, count, 0.5), error));
    for (int64_t i = 0; i < count; i++) values[i] = log10(values[i]);
    gr_histogram(values, count, range[0], range[1], bins, data);
    return GR_OK;
#undef PATH
}

/* The logarithms' range over all sets, so that their histograms can be laid over each other. */
static void range_of(const measured *m, int norm, double range[2]) {
    range[0] = INFINITY, range[1] = -INFINITY;
    for (int set = 0; set < SETS; set++)
        for (int64_t i = 0; m->norms[norm][set] && i < m->counts[set]; i++) {
            const double value = m->norms[norm][set][i];
            if (!(value > 0) || !isfinite(value)) continue;
            range[0] = fmin(range[0], log10(value));
            range[1] = fmax(range[1], log10(value));
        }
    if (range[0] > range[1]) range[0] = range[1] = 0;
    if (range[0] == range[1]) range[0] -= 0.5, range[1] += 0.5;
}

static gr_status put_norm(gr_trained *t, int norm, measured *m, int64_t bins, gr_error *error) {
    char path[96];
    double range[2], *edges;
    range_of(m, norm, range);
    snprintf(path, sizeof path, "gradient_norms/%s/log10_edges", norm_names[norm]);
    GR_TRY(gr_put_list(t, path, bins + 1, &edges, error));
    for (int64_t b = 0; b <= bins; b++)
        edges[b] = range[0] + (range[1] - range[0]) * (double)b / (double)bins;
    for (int set = 0; set < SETS; set++)
        if (m->norms[norm][set])
            GR_TRY(put_distribution(t, norm, set, m->norms[norm][set], m->counts[set], range, bins,
                                    error));
    return GR_OK;
}

static gr_status put_uniform_range(gr_trained *t, const measured *m, gr_error *error) {
    const gr_shape *shape = gr_network_input(t->network);
    const int64_t groups = shape->rank == 3 ? shape->size[0] : t->features;
    double *low, *high;
    GR_TRY(gr_put_list(t, "gradient_norms/uniform_range/minimum", groups, &low, error));
    GR_TRY(gr_put_list(t, "gradient_norms/uniform_range/maximum", groups, &high, error));
    for (int64_t g = 0; g < groups; g++) {
        low[g] = m->low[g * (t->features / groups)];
        high[g] = m->high[g * (t->features / groups)];
    }
    return GR_OK;
}

static gr_status allocate(gr_trained *t, int64_t wanted, measured *m, gr_error *error) {
    int64_t values = 2 * t->features;
    for (int set = 0; set < SETS; set++) {
        m->counts[set] =
            gr_trained_count(t, set == SET_TEST ? GR_PART_TEST : GR_PART_TRAINING, wanted);
        values += NORMS * m->counts[set];
    }
    m->memory = calloc((size_t)values, sizeof *m->memory);
    m->others = calloc((size_t)(t->features * t->capacity), sizeof *m->others);
    if (!m->memory || !m->others)
        return gr_fail(error, GR_OUT_OF_MEMORY, "no memory for gradient norms");
    m->low = m->memory;
    m->high = m->low + t->features;
    double *next = m->high + t->features;
    for (int norm = 0; norm < NORMS; norm++)
        for (int set = 0; set < SETS; set++) {
            /* A regression has no loss where it has no target. */
            if (norm == NORM_SOFTMAX && !t->probabilities) continue;
            if (norm == NORM_LOSS && !t->classification && set >= SET_SEGMENTS) continue;
            m->norms[norm][set] = next;
            next += m->counts[set];
        }
    return GR_OK;
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    measured m = {0};
    double *list;
    const int64_t bins = gr_integer(settings, BINS);
    gr_status status = allocate(t, gr_samples_option(settings, SAMPLES), &m, error);
    if (status == GR_OK) measure_range(t, &m);
    for (int set = 0; status == GR_OK && set < SETS; set++)
        status = measure(t, settings, set, &m, error);
    if (status == GR_OK)
        status = gr_put_list(t, "gradient_norms/probabilities", PROBABILITIES, &list, error);
    for (int i = 0; status == GR_OK && i < PROBABILITIES; i++) list[i] = probabilities[i];
    if (status == GR_OK) status = put_uniform_range(t, &m, error);
    for (int norm = 0; status == GR_OK && norm < NORMS; norm++)
        if (m.norms[norm][SET_TRAIN]) status = put_norm(t, norm, &m, bins, error);
    free(m.memory);
    free(m.others);
    return status;
}

const gr_analysis_kind gr_analysis_gradient_norms = {
    .kind = {.name = "gradient_norms",
             .help = "distributions of the norms of the loss's input gradient and of the Jacobians "
                     "of logits and softmax (Novak et al. 2018)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .run = run,
};
