/* Norms of input gradients, sample by sample. */
#include "core/regularizer.h"

void gr_squared_norms(const gr_probe_block *block, const gr_real *g, int64_t first,
                      double norm[GR_NORMS]) {
    const int64_t n = block->loss->samples, left = n - first;
    block->kernels->squared_norms(block->features, block->probes, n, block->stride, block->turned,
                                  left < GR_NORMS ? left : GR_NORMS,
                                  g + first * (block->turned ? block->features : 1), norm);
}

void gr_scale_samples(const gr_probe_block *block, const gr_real *factor, gr_real *g) {
    block->kernels->scale_samples(block->features, block->probes, block->loss->samples,
                                  block->stride, block->turned, factor, g);
}
