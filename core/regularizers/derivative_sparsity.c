/* derivative_sparsity: weight·Σ_a √(ε + mean_i (∂_a f(x_i))²), summed over outputs within the root
 * (Rosasco et al. 2013): whole inputs switch off. The mean is over the batch, so the samples are
 * coupled. */
#include <math.h>

#include "core/regularizer.h"

enum { EPSILON = GR_REGULARIZER_OPTIONS };
static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of the sum over inputs"),
    [EPSILON] = {.name = "epsilon",
                 .help = "added under the root, so that it bends at zero",
                 .accepts = GR_ACCEPT(GR_NUMBER),
                 .minimum = 0,
                 .maximum = 1,
                 .minimum_excluded = true,
                 .default_json = "1e-8"},
};

static int64_t probes(const gr_settings *settings, int64_t outputs) {
    (void)settings;
    return outputs;
}

static double input(const gr_probe_block *b, gr_real *g) {
    const int64_t lanes = b->probes * b->loss->samples;
    const double epsilon = gr_number(b->settings, EPSILON), count = (double)b->batch_size;
    double total = 0;
    for (int64_t f = 0; f < b->features; f++, g += b->stride) {
        double sum = 0;
        for (int64_t i = 0; i < lanes; i++) sum += (double)g[i] * (double)g[i];
        const double root = sqrt(epsilon + sum / count);
        const gr_real factor = (gr_real)(b->weight / (count * root));
        for (int64_t i = 0; i < lanes; i++) g[i] *= factor;
        total += root;
    }
    return total * count; /* no mean over samples */
}

static bool couples_samples(const gr_settings *settings) {
    (void)settings;
    return true;
}

const gr_regularizer_kind gr_regularizer_derivative_sparsity = {
    .kind = {.name = "derivative_sparsity",
             .help = "group sparsity of the partial derivatives (Rosasco et al. 2013)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .probes = probes,
    .cotangent = gr_unit_cotangents,
    .input = input,
    .couples_samples = couples_samples,
};
