/* sigmoid: y = 1/(1 + exp(-x)), σ′ = y(1 - y), σ″ = σ′(1 - 2y). */
#include <math.h>

#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_real *slope = gr_elementwise_slope(site), *bend = gr_elementwise_bend(site);
    const int64_t count = site->node->in_features * site->samples;
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)site->in[i];
        const double y = 1 / (1 + exp(-a));
        site->out[i] = (gr_real)y;
        slope[i] = (gr_real)(y * (1 - y));
        bend[i] = (gr_real)(y * (1 - y) * (1 - 2 * y));
    }
}

static double stretch(const gr_node *node) {
    (void)node;
    return 0.25;
}

const gr_layer_kind gr_layer_sigmoid = {
    .kind = {.name = "sigmoid", .help = "1/(1 + exp(-x))"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .curvature = gr_elementwise_curvature,
    .stretch = stretch,
};
