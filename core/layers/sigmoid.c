/* sigmoid: y = 1/(1 + exp(-x)), σ′ = y(1 - y), σ″ = σ′(1 - 2y). */
#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_elementwise_forward(site, site->kernels->sigmoid);
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
    .rises = gr_always_rises,
};
