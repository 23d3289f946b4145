/* l1 {weight}: weight·Σ|W| over weights of rank ≥ 2; the derivative at 0 is 0. */
#include "core/regularizer.h"

static const gr_option options[] = {GR_WEIGHT_OPTIONS("factor of the sum of absolute weights")};

static double parameters(const gr_settings *settings, double factor, const gr_network *network,
                         const gr_real *values, gr_real *state, gr_real *gradients) {
    (void)settings, (void)state;
    const gr_kernels *kernels = gr_kernels_choose();
    double total = 0;
    for (int i = 0; i < network->node_count; i++)
        for (int p = 0; p < network->nodes[i].parameter_count; p++) {
            const gr_parameter *parameter = &network->nodes[i].parameters[p];
            if (parameter->shape.rank < 2) continue;
            total +=
                kernels->absolute_decay(gr_shape_elements(&parameter->shape), (gr_real)factor,
                                        values + parameter->offset, gradients + parameter->offset);
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
