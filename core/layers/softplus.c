/* softplus: y = log(1 + exp(x)), σ′ the sigmoid s, σ″ = s(1 - s). */
#include <math.h>

#include "core/layers/elementwise.h"

static void forward(const gr_site *site) {
    gr_real *slope = gr_elementwise_slope(site), *bend = gr_elementwise_bend(site);
    const int64_t count = site->node->in_features * site->samples;
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)site->in[i];
        const double s = 1 / (1 + exp(-a));
        site->out[i] = (gr_real)(a > 0 ? a + log1p(exp(-a)) : log1p(exp(a)));
        slope[i] = (gr_real)s;
        bend[i] = (gr_real)(s * (1 - s));
    }
}

const gr_layer_kind gr_layer_softplus = {
    .kind = {.name = "softplus", .help = "log(1 + exp(x))"},
    .configure = gr_elementwise_configure,
    .forward = forward,
    .backward = gr_elementwise_apply,
    .tangent = gr_elementwise_apply,
    .stretch = gr_stretch_one,
    .curvature = gr_elementwise_curvature,
};
