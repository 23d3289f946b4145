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
