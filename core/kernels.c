#include "core/kernels.h"

#include <stdlib.h>
#include <string.h>

#include "gradreg/processor.h"

const gr_kernels *gr_kernels_choose(void) {
    const gr_kernels *const sets[] = {&gr_kernels_avx512, &gr_kernels_avx2, &gr_kernels_baseline};
    /* What suits OpenBLAS's kernel of the same instructions suits ours. */
    const char *best = gr_blas_best_kernel();
    int first = !best ? 2 : strcmp(best, "SkylakeX") == 0 ? 0 : 1;
    const char *wanted = getenv("GRADREG_KERNELS");
    for (int i = first; wanted && i < 3; i++)
        if (strcmp(wanted, sets[i]->name) == 0) return sets[i];
    return sets[first];
}

int64_t gr_pooled_scratch(const gr_kernels *kernels, const gr_pooled_convolution *c) {
    /* core/kernels/pooled.c: areas_of. */
    enum { WIDEST_TILE = 6 };
    const int64_t lanes = kernels->vector_lanes;
    const int64_t rows = c->in_rows + 2 * c->padding, columns = c->in_columns + 2 * c->padding;
    const int64_t features = c->out_channels * c->pooled_rows * c->pooled_columns;
    const int64_t image = c->in_channels * rows * (columns + WIDEST_TILE) | 1;
    const int64_t taps = c->kernel * (c->kernel + 2 * WIDEST_TILE);
    const int64_t lists = 3 * (features + 1) + c->out_rows * c->out_columns + c->out_channels + 8;
    return lanes * lanes * (image + (features | 1)) +
           c->out_channels * c->in_channels * taps * lanes + lists;
}
