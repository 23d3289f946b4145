/* squared_error: ½‖z - y‖² per sample; y real targets, or one-hot labels of a classification. */
#include "core/loss.h"

static double evaluate(const gr_settings *settings, const gr_loss_block *block, int64_t *correct) {
    (void)settings;
    const int64_t K = block->outputs, n = block->samples;
    double total = 0;
    for (int64_t s = 0; s < n; s++) {
        double loss = 0;
        for (int64_t k = 0; k < K; k++) {
            const double target =
                block->labels ? (double)(block->labels[s] == k) : (double)block->targets[k * n + s];
            const double difference = (double)block->z[k * n + s] - target;
            block->r[k * n + s] = (gr_real)difference;
            loss += difference * difference / 2;
        }
        total += loss;
        if (block->losses) block->losses[s] = (gr_real)loss;
        if (block->labels) *correct += gr_greatest_output(block->z + s, K, n) == block->labels[s];
    }
    return total;
}

static void curvature(const gr_loss_block *block, const gr_real *t_z, int64_t stride, gr_real *q) {
    const int64_t n = block->samples;
    for (int64_t k = 0; k < block->outputs; k++)
        for (int64_t s = 0; s < n; s++) q[k * n + s] += t_z[k * stride + s];
}

const gr_loss_kind gr_loss_squared_error = {
    .kind = {.name = "squared_error", .help = "half the squared distance from the target"},
    .regression = true,
    .evaluate = evaluate,
    .curvature = curvature,
};
