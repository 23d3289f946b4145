/* gradient_difference {h}: weight/2·mean[(ℓ(x + hĝ) - ℓ(x))/h]², ĝ the unit gradient of the loss,
 * held constant (Finlay & Oberman 2019): a cheap approximation of the squared norm of that
 * gradient. */
#include <math.h>
#include <string.h>

#include "core/regularizer.h"

enum { H = GR_REGULARIZER_OPTIONS };
static const gr_option options[] = {
    GR_WEIGHT_OPTIONS("factor of half the mean squared difference quotient"),
    [H] = {.name = "h",
           .help = "length of the step along the gradient, in standardised units",
           .accepts = GR_ACCEPT(GR_NUMBER),
           .minimum = 0,
           .maximum = 1e6,
           .minimum_excluded = true,
           .default_json = "0.01"},
};

static int64_t points_probes(const gr_settings *settings, int64_t outputs) {
    (void)settings, (void)outputs;
    return 1;
}

static double points(gr_points_block *b) {
    const int64_t n = b->probe.loss->samples, features = b->probe.features;
    const double h = gr_number(b->probe.settings, H);
    gr_real *x = b->pass.workspace->a[0];
    memcpy(x, b->probe.x, (size_t)(features * n) * sizeof *x);
    gr_points_evaluate(b);
    const gr_real *g = gr_points_input_gradient(b);
    for (int64_t s = 0; s < n; s++) {
        double length = 0;
        for (int64_t f = 0; f < features; f++)
            length += (double)g[f * n + s] * (double)g[f * n + s];
        const gr_real step = (gr_real)(length > 0 ? h / sqrt(length) : 0);
        for (int64_t f = 0; f < features; f++) x[f * n + s] += step * g[f * n + s];
    }
    gr_points_evaluate(b);
    gr_real *factor = b->probe.scratch;
    double total = 0;
    for (int64_t s = 0; s < n; s++) {
        const double slope = ((double)b->sample_losses[s] - (double)b->main_losses[s]) / h;
        total += slope * slope / 2;
        factor[s] = (gr_real)(b->probe.weight / (double)b->probe.batch_size * slope / h);
        for (int64_t k = 0; k < b->loss.outputs; k++)
            b->main_d[k * n + s] -= factor[s] * b->main_r[k * n + s];
    }
    gr_points_loss_gradient(b, factor);
    return total;
}

/* Forward and adjoint at the data, and an ordinary iteration beside it. */
static double points_cost(const gr_settings *settings, const gr_network *network) {
    (void)settings, (void)network;
    return 2 + 3;
}

const gr_regularizer_kind gr_regularizer_gradient_difference = {
    .kind = {.name = "gradient_difference",
             .help = "finite differences along the loss's gradient (Finlay & Oberman 2019)",
             .options = options,
             .option_count = sizeof options / sizeof *options},
    .points_probes = points_probes,
    .points = points,
    .points_cost = points_cost,
};
