/* elu: y = x above 0, exp(x) - 1 below; σ′ = 1 or exp(x), σ″ = 0 or exp(x). */
#include <math.h>

#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_real *slope = gr_elementwise_slope(site), *bend = gr_elementwise_bend(site);
    const int64_t count = site->node->in_features * site->samples;
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)site->in[i];
        const double below = a > 0 ? 0 : exp(a);
        site->out[i] = (gr_real)(a > 0 ? a : expm1(a));
        slope[i] = (gr_real)(a > 0 ? 1 : below);
        bend[i] = (gr_real)below;
    }
}

const gr_layer_kind gr_layer_elu = {
    .kind = {.name = "elu", .help = "x above 0, exp(x) - 1 below"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .curvature = gr_elementwise_curvature,
};
