/* Matrix products: the only door to OpenBLAS. All matrices are row-major. */
#ifndef CORE_BLAS_H
#define CORE_BLAS_H

#include <stdbool.h>
#include <stdint.h>

#include "gradreg/arrays.h"

/* c[m][n] = scale·op(a)·op(b) + keep·c, with op the transpose where asked; a is [m][k] (or [k][m]
 * transposed), b is [k][n] (or [n][k]); lda, ldb, ldc are the row strides. One thread, fixed order:
 * the same operands give the same bits. */
void gr_gemm(bool transpose_a, bool transpose_b, int64_t m, int64_t n, int64_t k, gr_real scale,
             const gr_real *a, int64_t lda, const gr_real *b, int64_t ldb, gr_real keep, gr_real *c,
             int64_t ldc);

/* One thread for the calling process's OpenBLAS. Idempotent. */
void gr_blas_single_thread(void);

#endif
