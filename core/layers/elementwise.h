/* What smooth elementwise layers share: they keep the slope σ′(a) and the bend σ″(a) of every
 * element, from which the other four functions follow. A kind adds only how the three are computed.
 */
#ifndef CORE_LAYERS_ELEMENTWISE_H
#define CORE_LAYERS_ELEMENTWISE_H

#include "core/layer.h"

gr_status gr_elementwise_configure(gr_node *node, gr_error *error);

/* The places in the site's state: slope [features][samples], then bend [features][samples]. */
static inline gr_real *gr_elementwise_slope(const gr_site *site) {
    return site->state;
}
static inline gr_real *gr_elementwise_bend(const gr_site *site) {
    return (gr_real *)site->state + site->node->in_features * site->samples;
}

/* backward and tangent: both multiply by the slope. */
void gr_elementwise_apply(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to);
/* σ″(a)·ȧ·(adjoint at σ's output), summed over probes. */
void gr_elementwise_curvature(const gr_site *site, int64_t probes, const gr_real *t_in,
                              const gr_real *d_out, gr_real *d_in);

#endif
