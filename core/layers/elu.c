/* elu: y = x above 0, exp(x) - 1 below; σ′ = 1 or exp(x), σ″ = 0 or exp(x). */
#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_elementwise_forward(site, site->kernels->elu);
}

const gr_layer_kind gr_layer_elu = {
    .kind = {.name = "elu", .help = "x above 0, exp(x) - 1 below"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .rises = gr_always_rises,
    .curvature = gr_elementwise_curvature,
};
