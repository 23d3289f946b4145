#include "core/layers/elementwise.h"

gr_status gr_elementwise_configure(gr_node *node, gr_error *error) {
    (void)error;
    node->out = node->in;
    node->state_bytes = 2 * node->in_features * (int64_t)sizeof(gr_real);
    return GR_OK;
}

static gr_real *bend_of(const gr_site *site) {
    return gr_elementwise_slope(site) + site->node->in_features * site->samples;
}

void gr_elementwise_forward(const gr_site *site, gr_smooth *function) {
    function(site->node->in_features * site->samples, site->in, site->out,
             gr_elementwise_slope(site), bend_of(site));
}

void gr_elementwise_apply(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to) {
    site->kernels->scale(site->node->in_features, probes, site->samples, gr_elementwise_slope(site),
                         from, to);
}

void gr_elementwise_curvature(const gr_site *site, int64_t probes, const gr_real *t_in,
                              const gr_real *d_out, gr_real *d_in) {
    site->kernels->add_products(site->node->in_features, probes, site->samples, bend_of(site), t_in,
                                d_out, d_in);
}
