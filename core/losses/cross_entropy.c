/* cross_entropy {label_smoothing}: softmax cross-entropy; targets (1 - ε)y + ε/K (Szegedy et al.
 * 2015). */
#include <math.h>

#include "core/loss.h"

enum { LABEL_SMOOTHING };
static const gr_option options[] = {
    [LABEL_SMOOTHING] = {.name = "label_smoothing",
                         .help = "the share of the target that is spread over all classes",
                         .accepts = GR_ACCEPT(GR_NUMBER),
                         .minimum = 0,
                         .maximum = 1,
                         .maximum_excluded = true,
                         .default_json = "0"},
};

static double evaluate(const gr_settings *settings, const gr_loss_block *block, int64_t *correct) {
    enum { KEPT = 64 }; /* exponentials that are not made a second time */
    double powers[KEPT];
    const double smoothing = gr_number(settings, LABEL_SMOOTHING);
    const int64_t K = block->outputs, n = block->samples;
    const double spread = smoothing / (double)K;
    double total = 0;
    for (int64_t s = 0; s < n; s++) {
        const gr_real *z = block->z + s;
        const int64_t best = gr_greatest_output(z, K, n);
        const double largest = (double)z[best * n];
        double sum = 0, mean = 0;
        for (int64_t k = 0; k < K; k++) {
            const double shifted = (double)z[k * n] - largest;
            const double power = exp(shifted);
            if (k < KEPT) powers[k] = power;
            sum += power;
            mean += shifted;
        }
        const int32_t label = block->labels[s];
        const double target = 1 - smoothing;
        const double loss = log(sum) - target * ((double)z[label * n] - largest) - spread * mean;
        total += loss;
        if (block->losses) block->losses[s] = (gr_real)loss;
        *correct += best == label;
        for (int64_t k = 0; k < K; k++) {
            const double p = (k < KEPT ? powers[k] : exp((double)z[k * n] - largest)) / sum;
            block->p[k * n + s] = (gr_real)p;
            block->r[k * n + s] = (gr_real)(p - spread - (k == label ? target : 0));
        }
    }
    return total;
}

/* q_k = p_k(ż_k - p·ż), ż from that of the likeliest class on: where one p is nearly 1, its own
 * difference is the small sum of the others' shares. */
static void curvature(const gr_loss_block *block, const gr_real *t_z, int64_t stride, gr_real *q) {
    const int64_t K = block->outputs, n = block->samples;
    for (int64_t s = 0; s < n; s++) {
        const gr_real origin = t_z[gr_greatest_output(block->z + s, K, n) * stride + s];
        gr_real mean = 0;
        for (int64_t k = 0; k < K; k++)
            mean += block->p[k * n + s] * (t_z[k * stride + s] - origin);
        for (int64_t k = 0; k < K; k++)
            q[k * n + s] += block->p[k * n + s] * (t_z[k * stride + s] - origin - mean);
    }
}

const gr_loss_kind gr_loss_cross_entropy = {
    .kind = {.name = "cross_entropy",
             .help = "softmax cross-entropy of a classification",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .softmax = true,
    .evaluate = evaluate,
    .curvature = curvature,
};
