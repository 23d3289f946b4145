/* relu: max(x, 0). Its mask is read from its own output. */
#include "core/layer.h"

static gr_status configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = node->in;
    return GR_OK;
}

static void forward(const gr_site *site) {
    site->kernels->relu(site->node->in_features * site->samples, site->in, site->out);
}

static void mask(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to) {
    site->kernels->relu_mask(site->node->in_features, probes, site->samples, site->out, from, to);
}

const gr_layer_kind gr_layer_relu = {
    .kind = {.name = "relu", .help = "max(x, 0)"},
    .configure = configure,
    .forward = forward,
    .backward = mask,
    .tangent = mask,
    .stretch = gr_stretch_one,
    .rises = gr_always_rises,
    .in_place = true,
    .reads_output = true,
};
