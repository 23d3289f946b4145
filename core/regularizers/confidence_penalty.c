/* confidence_penalty {weight}: weight·mean Σ p log p, the negative entropy of the predicted classes
 * (Pereyra et al. 2017; EntReg of Varga et al.). Its gradient at the logits is p ⊙ (log p - Σ p log
 * p). */
#include <math.h>

#include "core/regularizer.h"

static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of the mean negative entropy of the predictions")};

static gr_status check(const gr_settings *settings, const gr_fit *fit, gr_error *error) {
    if (!fit->loss->softmax)
        return gr_fail_at(error, GR_INVALID, "/type",
                          "%s needs class probabilities, and the loss %s has none: use "
                          "cross_entropy",
                          settings->kind->name, fit->loss->kind.name);
    return GR_OK;
}

static double logits(const gr_probe_block *b, gr_real *q) {
    const int64_t K = b->loss->outputs, n = b->loss->samples;
    const double share = b->weight / (double)b->batch_size;
    double total = 0;
    for (int64_t s = 0; s < n; s++) {
        double sum = 0;
        for (int64_t k = 0; k < K; k++) {
            const double p = (double)b->loss->p[k * n + s];
            sum += p > 0 ? p * log(p) : 0;
        }
        for (int64_t k = 0; k < K; k++) {
            const double p = (double)b->loss->p[k * n + s];
            if (p > 0) q[k * n + s] += (gr_real)(share * p * (log(p) - sum));
        }
        total += sum;
    }
    return total;
}

const gr_regularizer_kind gr_regularizer_confidence_penalty = {
    .kind = {.name = "confidence_penalty",
             .help = "the negative entropy of the predicted classes (Pereyra et al. 2017)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .check = check,
    .logits = logits,
};
