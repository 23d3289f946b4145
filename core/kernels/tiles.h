/* The tiles of matrix products: so many rows, whose factors are broadcast, by so many vectors of
 * columns, whose sums stay in registers over the terms. */
#ifndef CORE_KERNELS_TILES_H
#define CORE_KERNELS_TILES_H

/* Those of a set have 1 to TILE_VECTORS vectors and up to tile_rows[vectors - 1] rows: their sums,
 * a row of vectors and a factor fit its registers (32, 16, 16), and are as many as products can be
 * on their way at once. EACH_TILE(X) is X(rows, vectors) for each. The widest have TILE_ROWS,
 * narrower ones no fewer. */
#define UP_TO_4(X, V) X(1, V) X(2, V) X(3, V) X(4, V)
#define UP_TO_6(X, V) UP_TO_4(X, V) X(5, V) X(6, V)
#define UP_TO_8(X, V) UP_TO_6(X, V) X(7, V) X(8, V)
#define UP_TO_12(X, V) UP_TO_8(X, V) X(9, V) X(10, V) X(11, V) X(12, V)
#if defined(GR_KERNEL_SET_avx512)
enum { TILE_VECTORS = 3, TILE_ROWS = 8 };
static const int tile_rows[TILE_VECTORS] = {8, 8, TILE_ROWS};
#define EACH_TILE(X) UP_TO_8(X, 1) UP_TO_8(X, 2) UP_TO_8(X, 3)
#elif defined(GR_KERNEL_SET_avx2)
enum { TILE_VECTORS = 3, TILE_ROWS = 4 };
static const int tile_rows[TILE_VECTORS] = {12, 6, TILE_ROWS};
#define EACH_TILE(X) UP_TO_12(X, 1) UP_TO_6(X, 2) UP_TO_4(X, 3)
#else
enum { TILE_VECTORS = 2, TILE_ROWS = 4 };
static const int tile_rows[TILE_VECTORS] = {4, TILE_ROWS};
#define EACH_TILE(X) UP_TO_4(X, 1) UP_TO_4(X, 2)
#endif
enum { MOST_ROWS = 12 };

#endif
