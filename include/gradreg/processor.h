/* What this processor can do, and what OpenBLAS makes of it. */
#ifndef GRADREG_PROCESSOR_H
#define GRADREG_PROCESSOR_H

#include <stdbool.h>

/* The kernel family that OpenBLAS runs now ("SkylakeX", "Haswell", "Prescott", …). */
const char *gr_blas_kernel(void);
/* OpenBLAS's own description of its build and version. Each call writes it anew in one place: not
 * for two threads at once. */
const char *gr_blas_configuration(void);
/* The value of OPENBLAS_CORETYPE that suits this processor: "SkylakeX" with AVX-512 (F, VL, DQ, BW,
 * CD), "Haswell" with AVX2 and FMA, else NULL. By CPUID (and what the operating system saves). */
const char *gr_blas_best_kernel(void);
/* True where the kernel in use is known to be worse than the best one for this processor. */
bool gr_blas_kernel_is_worse(const char *in_use, const char *best);
/* The set of own kernels in use: "avx512", "avx2" or "baseline"; GRADREG_KERNELS overrides the
 * choice. */
const char *gr_kernels_name(void);
/* The version of the numerical engine, part of every result: "0.1.0+5e1f00d1e5ca", the project's
 * version and a digest of the core's sources, the compiler and its options
 * (cmake/EngineVersion.cmake). Engines of equal versions give equal bits on one machine. */
const char *gr_engine_version(void);

#endif
