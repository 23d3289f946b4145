/* softplus: y = log(1 + exp(x)), σ′ the sigmoid s, σ″ = s(1 - s). */
#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_elementwise_forward(site, site->kernels->softplus);
}

const gr_layer_kind gr_layer_softplus = {
    .kind = {.name = "softplus", .help = "log(1 + exp(x))"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .rises = gr_always_rises,
    .curvature = gr_elementwise_curvature,
};
