/* tanh: σ′ = 1 - y², σ″ = -2yσ′. */
#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_elementwise_forward(site, site->kernels->tanh);
}

const gr_layer_kind gr_layer_tanh = {
    .kind = {.name = "tanh", .help = "the hyperbolic tangent"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .rises = gr_always_rises,
    .curvature = gr_elementwise_curvature,
};
