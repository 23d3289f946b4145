/* What smooth elementwise layers share: they keep the slope σ′(a) and the bend σ″(a) of every
 * element, from which the other four functions follow. A kind adds only the kernel that computes
 * the three.
 */
#ifndef CORE_LAYERS_ELEMENTWISE_H
#define CORE_LAYERS_ELEMENTWISE_H

#include "core/layer.h"

gr_status gr_elementwise_configure(gr_node *node, gr_error *error);

/* The place in the site's state of the slope [features][samples]; the bend follows. */
static inline gr_real *gr_elementwise_slope(const gr_site *site) {
    return site->state;
}
void gr_elementwise_forward(const gr_site *site, gr_smooth *function);
/* backward and tangent: both multiply by the slope. */
void gr_elementwise_apply(const gr_site *site, int64_t probes, const gr_real *from, gr_real *to);
/* σ″(a)·ȧ·(adjoint at σ's output), summed over probes. */
void gr_elementwise_curvature(const gr_site *site, int64_t probes, const gr_real *t_in,
                              const gr_real *d_out, gr_real *d_in);

#endif
