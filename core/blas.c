#include "core/blas.h"

#include <cblas.h>

#include "gradreg/processor.h"

void gr_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, gr_real scale,
             const gr_real *a, int64_t lda, const gr_real *b, int64_t ldb, gr_real keep, gr_real *c,
             int64_t ldc) {
#ifdef GR_DOUBLE
    cblas_dgemm(
#else
    cblas_sgemm(
#endif
        CblasRowMajor, transpose_a ? CblasTrans : CblasNoTrans,
        transpose_b ? CblasTrans : CblasNoTrans, (blasint)m, (blasint)n, (blasint)k, scale, a,
        (blasint)lda, b, (blasint)ldb, keep, c, (blasint)ldc);
}

void gr_blas_single_thread(void) {
    if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
}

const char *gr_blas_kernel(void) {
    return openblas_get_corename();
}

const char *gr_blas_configuration(void) {
    return openblas_get_config();
}
