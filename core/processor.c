#include "gradreg/processor.h"

#include <stddef.h>
#include <strings.h>

#include "core/kernels.h"

const char *gr_blas_best_kernel(void) {
#ifdef __x86_64__
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512cd"))
        return "SkylakeX";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "Haswell";
#endif
    return NULL;
}

bool gr_blas_kernel_is_worse(const char *in_use, const char *best) {
    /* OpenBLAS's kernels by the instructions they use: AVX-512, then AVX2 with FMA; everything else
     * is older. */
    static const char *const avx512[] = {"SkylakeX", "Cooperlake", "Sapphirerapids", NULL};
    static const char *const avx2[] = {"Haswell", "Zen", NULL};
    if (!best) return false;
    for (int i = 0; avx512[i]; i++)
        if (strcasecmp(in_use, avx512[i]) == 0) return false;
    if (strcasecmp(best, "SkylakeX") == 0) return true;
    for (int i = 0; avx2[i]; i++)
        if (strcasecmp(in_use, avx2[i]) == 0) return false;
    return true;
}

const char *gr_kernels_name(void) {
    return gr_kernels_choose()->name;
}

const char *gr_engine_version(void) {
    return GRADREG_ENGINE_VERSION;
}
