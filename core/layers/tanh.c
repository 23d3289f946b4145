/* tanh: σ′ = 1 - y², σ″ = -2yσ′. */
#include <math.h>

#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_real *slope = gr_elementwise_slope(site), *bend = gr_elementwise_bend(site);
    const int64_t count = site->node->in_features * site->samples;
    for (int64_t i = 0; i < count; i++) {
        const gr_real y = (gr_real)tanh((double)site->in[i]);
        site->out[i] = y;
        slope[i] = 1 - y * y;
        bend[i] = -2 * y * slope[i];
    }
}

const gr_layer_kind gr_layer_tanh = {
    .kind = {.name = "tanh", .help = "the hyperbolic tangent"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .curvature = gr_elementwise_curvature,
};
