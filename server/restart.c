#include "server/restart.h"

#include <stdlib.h>
#include <unistd.h>

#include "gradreg/processor.h"

static const char guard_name[] = "GRADREG_RESTARTED";

const char *restart_kernel(const char *in_use, const char *best, const char *chosen,
                           const char *guard) {
    if (guard || (chosen && *chosen)) return NULL;
    return gr_blas_kernel_is_worse(in_use, best) ? best : NULL;
}

void restart_with_better_kernels(char **argv) {
    const char *kernel = restart_kernel(gr_blas_kernel(), gr_blas_best_kernel(),
                                        getenv("OPENBLAS_CORETYPE"), getenv(guard_name));
    if (!kernel) return;
    if (setenv("OPENBLAS_CORETYPE", kernel, 1) == 0 &&
        setenv("OPENBLAS_NUM_THREADS", "1", 0) == 0 && setenv(guard_name, "1", 1) == 0)
        execv("/proc/self/exe", argv);
    /* Still here: slower, but right. GET /api/v1/server says which kernel is in use. */
    unsetenv("OPENBLAS_CORETYPE");
    unsetenv(guard_name);
}
