/* calibration {bins}: on all test samples, the expected calibration error Σ_b n_b/n |accuracy_b -
 * confidence_b| over bins of equal width of the greatest probability (Guo et al. 2017), the
 * negative log-likelihood and the Brier score Σ_k (p_k - y_k)². */
#include <math.h>
#include <stdlib.h>

#include "core/analysis.h"

enum { BINS };
static const gr_option options[] = {
    [BINS] = {.name = "bins",
              .help = "bins of the reliability table",
              .accepts = GR_ACCEPT(GR_INTEGER),
              .minimum = 1,
              .maximum = 1000,
              .default_json = "15"},
};

static gr_status check(const gr_settings *settings, const gr_fit *fit, const gr_split *split,
                       gr_error *error) {
    (void)settings, (void)split;
    if (fit->loss->softmax) return GR_OK;
    return gr_fail(error, GR_INVALID,
                   "this needs class probabilities, and the loss %s has none: leave calibration "
                   "out, or use cross_entropy",
                   fit->loss->kind.name);
}

/* Sums over the samples so far. */
typedef struct sums {
    double *confidence, *right; /* [bins] */
    int64_t *counts;            /* [bins] */
    double likelihood, brier;
    int64_t bins;
} sums;

/* In double, from the logits: 1 - p may be far below what a float next to 1 can say. */
static void add_sample(const gr_trained *t, int64_t s, sums *to) {
    const gr_real *z = t->z + s;
    const int64_t n = t->samples, best = t->classes[s], label = t->labels[s];
    double sum = 0, brier = 0;
    for (int64_t k = 0; k < t->outputs; k++) sum += exp((double)z[k * n] - (double)z[best * n]);
    for (int64_t k = 0; k < t->outputs; k++) {
        const double p = exp((double)z[k * n] - (double)z[best * n]) / sum;
        brier += (p - (k == label)) * (p - (k == label));
    }
    const double confidence = 1 / sum;
    /* Bin b is (b/bins, (b + 1)/bins]. */
    int64_t bin = (int64_t)ceil(confidence * (double)to->bins) - 1;
    bin = bin < 0 ? 0 : bin < to->bins ? bin : to->bins - 1;
    to->counts[bin]++;
    to->confidence[bin] += confidence;
    to->right[bin] += best == label;
    to->likelihood += log(sum) - ((double)z[label * n] - (double)z[best * n]);
    to->brier += brier;
}

static gr_status put(gr_trained *t, const sums *from, int64_t samples, gr_error *error) {
    double *confidence, *accuracy, error_sum = 0, right = 0;
    void *counts;
    const double n = (double)samples;
    const gr_shape bins = {1, {from->bins}};
    GR_TRY(gr_put_count(t, "calibration/n", samples, error));
    GR_TRY(gr_put_list(t, "calibration/bins/confidence", from->bins, &confidence, error));
    GR_TRY(gr_put_list(t, "calibration/bins/accuracy", from->bins, &accuracy, error));
    GR_TRY(gr_put(t, "calibration/bins/n", GR_I64, &bins, &counts, error));
    for (int64_t b = 0; b < from->bins; b++) {
        const double count = (double)from->counts[b];
        ((int64_t *)counts)[b] = from->counts[b];
        confidence[b] = count > 0 ? from->confidence[b] / count : NAN;
        accuracy[b] = count > 0 ? from->right[b] / count : NAN;
        error_sum += fabs(from->right[b] - from->confidence[b]);
        right += from->right[b];
    }
    GR_TRY(gr_put_number(t, "calibration/accuracy", right / n, error));
    GR_TRY(gr_put_number(t, "calibration/ece", error_sum / n, error));
    GR_TRY(gr_put_number(t, "calibration/nll", from->likelihood / n, error));
    GR_TRY(gr_put_number(t, "calibration/brier", from->brier / n, error));
    GR_TRY(gr_put_metric(t, "calibration.ece", error_sum / n, error));
    GR_TRY(gr_put_metric(t, "calibration.nll", from->likelihood / n, error));
    return gr_put_metric(t, "calibration.brier", from->brier / n, error);
}

static gr_status run(const gr_settings *settings, gr_trained *t, gr_error *error) {
    const int64_t count = gr_trained_count(t, GR_PART_TEST, INT64_MAX);
    sums s = {.bins = gr_integer(settings, BINS)};
    s.confidence = calloc(2 * (size_t)s.bins, sizeof *s.confidence);
    s.counts = calloc((size_t)s.bins, sizeof *s.counts);
    gr_status status = s.confidence && s.counts
                           ? GR_OK
                           : gr_fail(error, GR_OUT_OF_MEMORY, "no memory for a reliability table");
    if (status == GR_OK) s.right = s.confidence + s.bins;
    for (int64_t first = 0; status == GR_OK && first < count; first += t->samples) {
        gr_trained_fill(t, GR_PART_TEST, first, count);
        gr_trained_forward(t);
        for (int64_t i = 0; i < t->samples; i++) add_sample(t, i, &s);
        status = gr_trained_go_on(t, error);
    }
    if (status == GR_OK) status = put(t, &s, count, error);
    free(s.confidence);
    free(s.counts);
    return status;
}

const gr_analysis_kind gr_analysis_calibration = {
    .kind = {.name = "calibration",
             .help = "calibration error with its reliability table, likelihood and Brier score of "
                     "the test samples (Guo et al. 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .run = run,
};
