/* l1 {weight}: weight·Σ|W| over weights of rank ≥ 2; the derivative at 0 is 0. */
#include "core/regularizer.h"

static const gr_option options[] = {GR_WEIGHT_OPTIONS("factor of the sum of absolute weights")};

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
            for (int64_t e = parameter->offset; e < parameter->offset + count; e++) {
                total += values[e] < 0 ? -(double)values[e] : (double)values[e];
                gradients[e] += values[e] > 0 ? weight : values[e] < 0 ? -weight : 0;
            }
        }
    return total;
}

const gr_regularizer_kind gr_regularizer_l1 = {
    .kind = {.name = "l1",
             .help = "the sum of the absolute values of the weights",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .parameters = parameters,
};
