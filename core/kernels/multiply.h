/* What the matrix products of linear layers share: the dense ones (multiply.c) and those that leave
 * out zeros (multiply_sparse.c). */
#ifndef CORE_KERNELS_MULTIPLY_H
#define CORE_KERNELS_MULTIPLY_H

#include "core/kernels/vector.h"

/* Elements of vectors in a constant of the compiler, which VECTOR_LANES, a 64-bit one, is not. */
enum { LANES = VECTOR_BYTES / sizeof(gr_real) };

/* A few numbers are quicker one at a time, a few terms without looking ahead. */
enum { FEW = 4 };

#define FOR_EACH(i, count) _Pragma("GCC unroll 17") for (int i = 0; i < (count); i++)

INLINE int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* Part number `part` of `count` in `parts` that differ by at most one: [*first, first + result). */
INLINE int64_t share_of(int64_t count, int64_t parts, int64_t part, int64_t *first) {
    *first = count * part / parts;
    return count * (part + 1) / parts - *first;
}

INLINE int64_t quotient_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* `count` things in tiles that differ by at most one. */
typedef struct tiling {
    int64_t tiles, small, large; /* so many things in a tile, in the first `large` one more */
} tiling;

INLINE tiling tiling_of(int64_t count, int64_t most) {
    const int64_t n = quotient_up(count, most);
    return (tiling){n, n ? count / n : 0, n ? count % n : 0};
}

INLINE int64_t size_of(tiling t, int64_t tile) {
    return t.small + (tile < t.large);
}

INLINE int64_t first_of(tiling t, int64_t tile) {
    return tile * t.small + smaller(tile, t.large);
}

/* to[column][row] = from[row][column]. */
static inline void turn(int64_t rows, int64_t columns, const gr_real *from, int64_t from_row,
                        gr_real *to, int64_t to_row) {
    for (int64_t row = 0; row < rows; row += LANES) {
        const int64_t high = smaller(rows - row, LANES);
        if (high <= FEW) {
            for (int64_t column = 0; column < columns; column++)
                for (int64_t r = row; r < rows; r++)
                    to[column * to_row + r] = from[r * from_row + column];
            return;
        }
        for (int64_t column = 0; column < columns; column += LANES) {
            if (columns - column <= FEW) {
                for (; column < columns; column++)
                    for (int64_t r = row; r < row + high; r++)
                        to[column * to_row + r] = from[r * from_row + column];
                break;
            }
            const gr_real *square = from + row * from_row + column;
            vector v[LANES];
            for (int r = 0; r < LANES; r++)
                v[r] = r < high ? load(square + r * from_row) : (vector){0};
            transpose(v);
            for (int c = 0; c < smaller(columns - column, LANES); c++)
                store_lanes(to + (column + c) * to_row + row, high, v[c]);
        }
    }
}

/* Zeros in the last vector of each row, where it has lanes without a column: what is left there
 * from before is multiplied too, and may be a number so small that some processors take long for
 * it. */
static inline void clear_rest(int64_t rows, int64_t columns, gr_real *to, int64_t to_row) {
    for (int64_t row = 0; columns % LANES && row < rows; row++)
        store(to + row * to_row + columns / LANES * LANES, (vector){0});
}

/* to[lane][column] of lanes and columns of x from the given ones on, x [in][lanes] or, turned,
 * [lanes][in]; zeros in the rest of a row's last vector. */
static inline void lanes_of(const gr_real *x, int64_t in, int64_t lanes, bool turned, int64_t lane,
                            int64_t count, int64_t column, int64_t columns, gr_real *to,
                            int64_t to_row) {
    if (!turned) {
        clear_rest(count, columns, to, to_row);
        turn(columns, count, x + column * lanes + lane, lanes, to, to_row);
        return;
    }
    for (int64_t l = 0; l < count; l++) {
        const gr_real *from = x + (lane + l) * in + column;
        for (int64_t i = 0; i < columns; i += LANES)
            store(to + l * to_row + i, load_lanes(from + i, columns - i));
    }
}

/* Whether the adjoints d_out [units][lanes] have so many zeros, and the weights [units][in] a
 * shape, that the two products below pay. */
bool KERNEL(sparse_pays)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out);

/* multiply_transposed and multiply_accumulate of gr_kernels. */
void KERNEL(sparse_transposed)(int64_t units, int64_t in, int64_t lanes, const gr_real *weights,
                               const gr_real *d_out, bool turned, gr_real *d_in);
void KERNEL(sparse_accumulate)(int64_t units, int64_t in, int64_t lanes, const gr_real *d_out,
                               bool turned, const gr_real *x, gr_real *d_weights);

#endif
