/* weight_decay {weight}: weight·½Σ‖W‖² over weights of rank ≥ 2, inside the loss (coupled with
 * Adam). */
#include "core/regularizer.h"

static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of half the squared norm of all weights")};

static double parameters(const gr_settings *settings, double factor, const gr_network *network,
                         const gr_real *values, gr_real *state, gr_real *gradients) {
    (void)settings, (void)state;
    const gr_real weight = (gr_real)factor;
    double total = 0;
    for (int i = 0; i < network->node_count; i++)
        for (int p = 0; p < network->nodes[i].parameter_count; p++) {
            const gr_parameter *parameter = &network->nodes[i].parameters[p];
            if (parameter->shape.rank < 2) continue;
            const int64_t count = gr_shape_elements(&parameter->shape);
            const gr_real *w = values + parameter->offset;
            gr_real *g = gradients + parameter->offset;
            /* Eight running sums: a fixed order that vectors can keep. */
            double sum[8] = {0};
            int64_t e = 0;
            for (; e + 8 <= count; e += 8)
                for (int j = 0; j < 8; j++) {
                    g[e + j] += weight * w[e + j];
                    sum[j] += (double)w[e + j] * (double)w[e + j];
                }
            for (; e < count; e++) {
                g[e] += weight * w[e];
                sum[0] += (double)w[e] * (double)w[e];
            }
            for (int j = 0; j < 8; j++) total += sum[j];
        }
    return total / 2;
}

const gr_regularizer_kind gr_regularizer_weight_decay = {
    .kind = {.name = "weight_decay",
             .help = "half the squared norm of the weights (L2), inside the loss",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .parameters = parameters,
};
