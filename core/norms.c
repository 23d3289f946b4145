/* Norms of input gradients, sample by sample. */
#include "core/regularizer.h"

enum { RUN = 16 }; /* rows that are summed in the gradients' own precision */

void gr_squared_norms(const gr_probe_block *block, const gr_real *g, int64_t first,
                      double norm[GR_NORMS]) {
    const int64_t n = block->loss->samples, left = n - first;
    const int64_t count = left < GR_NORMS ? left : GR_NORMS;
    const int64_t rows = block->features * block->probes;
    for (int64_t i = 0; i < count; i++) norm[i] = 0;
    for (int64_t begin = 0; begin < rows; begin += RUN) {
        gr_real sum[GR_NORMS] = {0};
        for (int64_t r = begin; r < begin + RUN && r < rows; r++) {
            const gr_real *row =
                g + r / block->probes * block->stride + r % block->probes * n + first;
            for (int64_t i = 0; i < count; i++) sum[i] += row[i] * row[i];
        }
        for (int64_t i = 0; i < count; i++) norm[i] += (double)sum[i];
    }
}
